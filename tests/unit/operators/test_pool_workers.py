"""Workers of a pool: marks and budgets by evictionSafe, rollout by update, and hardware."""

import json
from typing import Any

import pytest

from operators.core.plan import Manifest
from operators.core.platform import Platform, Pool, WorkerTemplate
from operators.core.pooling import PoolState
from operators.pool.children import build_template
from operators.pool.observe import workers_by_pool
from operators.pool.plan import PoolObserved, PoolPlan, plan
from operators.pool.rollout import leaving_names
from tests.unit.operators.builders import NOW

SAFE, COST = "cluster-autoscaler.kubernetes.io/safe-to-evict", "controller.kubernetes.io/pod-deletion-cost"
OLD, NEW = Platform(), Platform().model_copy(update={"rtmp_url": "rtmp://elsewhere:1935/live"})


def pod(name: str, pool: Pool, platform: Platform = OLD, **labels: str) -> Manifest:
    """A worker as its Deployment makes it."""
    template = build_template("default", pool, platform)
    metadata = template["metadata"] | {"name": name, "namespace": "haat-system"}
    return {"metadata": metadata | {"labels": metadata["labels"] | labels}, "status": {"phase": "Running"}}


def live(replicas: int) -> dict[tuple[str, str], Manifest]:
    return {("Deployment", "pool-default"): {"kind": "Deployment", "metadata": {"name": "pool-default"},
                                             "spec": {"replicas": replicas}}}  # fmt: skip


def planned(pool: Pool, pods: list[Manifest], platform: Platform = OLD, **used: int) -> PoolPlan:
    outside = len(leaving_names(pods))
    observed = PoolObserved(PoolState(used=used), live(len(pods) - outside), tuple(pods))
    return plan("default", pool, observed, platform, NOW)


def patched(result: PoolPlan, name: str) -> dict[str, Any]:
    """Labels and annotations that a worker gets."""
    found: dict[str, Any] = {"labels": {}, "annotations": {}}
    for patch in result.patches:
        if patch.ref.name == name:
            for kind in found:
                found[kind] |= patch.body["metadata"].get(kind, {})
    return found


def budgets(result: PoolPlan) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"]: item["spec"] for item in result.applies if item["kind"] == "PodDisruptionBudget"}


@pytest.mark.parametrize(
    ("safe", "annotation", "label", "guarded"),
    [
        pytest.param("Never", "false", "false", True, id="never"),
        pytest.param("OnUpgrade", "false", "true", False, id="for upgrades only"),
        pytest.param("Always", "true", "true", False, id="always"),
    ],
)
def test_who_may_move_a_busy_worker(safe: str, annotation: str, label: str, guarded: bool) -> None:
    pool = Pool(eviction_safe=safe)  # type: ignore[arg-type]
    result = planned(pool, [pod("a", pool), pod("b", pool)], a=4)
    busy, idle = patched(result, "a"), patched(result, "b")
    assert busy["labels"] == {"haat.dev/busy": "true", "haat.dev/safe-to-evict": label}
    assert busy["annotations"] == {COST: "4", SAFE: annotation}
    assert idle["labels"] == {"haat.dev/busy": "false", "haat.dev/safe-to-evict": "true"}
    assert idle["annotations"] == {COST: "0", SAFE: "true"}
    assert bool(budgets(result)) is guarded
    if guarded:
        selector = budgets(result)["pool-default"]["selector"]["matchLabels"]
        assert selector.items() <= (pod("a", pool)["metadata"]["labels"] | busy["labels"]).items()
        assert not selector.items() <= (pod("b", pool)["metadata"]["labels"] | idle["labels"]).items()


def test_a_budget_that_is_not_wanted_any_more_goes() -> None:
    pool = Pool(eviction_safe="Always")  # type: ignore[arg-type]
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
              "metadata": {"name": "pool-default", "namespace": "haat-system"}}  # fmt: skip
    children = live(1) | {("PodDisruptionBudget", "pool-default"): budget}
    result = plan("default", pool, PoolObserved(PoolState(), children), OLD, NOW)
    assert [(ref.kind, ref.name) for ref in result.deletes] == [("PodDisruptionBudget", "pool-default")]


class TestRollout:
    """A new template reaches idle workers at once; what a busy one does is `update`."""

    def test_a_busy_worker_is_taken_out_before_its_deployment_rolls(self) -> None:
        pool = Pool()
        result = planned(pool, [pod("a", pool), pod("b", pool)], NEW, a=4)
        assert patched(result, "a")["labels"]["app.kubernetes.io/name"] == "transcoder-pool-leaving"
        assert patched(result, "a")["labels"]["haat.dev/leaving"] == "true"
        assert "haat.dev/leaving" not in patched(result, "b")["labels"]
        deployment = result.applies[0]["spec"]
        assert deployment["template"] == build_template("default", pool, NEW)
        assert deployment["replicas"] == 1, "the one that was taken out still counts"
        assert not deployment["selector"]["matchLabels"].items() <= patched(result, "a")["labels"].items()

    def test_under_drain_the_deployment_takes_them_as_they_come(self) -> None:
        pool = Pool(update="Drain")  # type: ignore[arg-type]
        result = planned(pool, [pod("a", pool), pod("b", pool)], NEW, a=4)
        assert "haat.dev/leaving" not in patched(result, "a")["labels"]
        assert result.applies[0]["spec"]["replicas"] == 2

    def test_without_a_new_template_nobody_is_taken_out(self) -> None:
        pool = Pool()
        assert "haat.dev/leaving" not in patched(planned(pool, [pod("a", pool)], a=4), "a")["labels"]

    def test_who_was_taken_out_stays_while_it_has_streams_and_goes_without(self) -> None:
        pool = Pool()
        left = pod("a", pool, OLD, **{"haat.dev/leaving": "true", "app.kubernetes.io/name": "transcoder-pool-leaving"})
        busy = planned(pool, [left, pod("b", pool, NEW)], NEW, a=4)
        assert busy.deletes == ()
        assert budgets(busy)["pool-default-leaving"]["minAvailable"] == 1
        assert patched(busy, "a")["labels"]["haat.dev/safe-to-evict"] == "false"
        idle = planned(pool, [left, pod("b", pool, NEW)], NEW)
        assert [(ref.kind, ref.name) for ref in idle.deletes] == [("Pod", "a")]
        assert "pool-default-leaving" not in budgets(idle)

    def test_one_that_was_told_to_go_is_left_alone(self) -> None:
        pool = Pool()
        going = pod("a", pool)
        going["metadata"]["deletionTimestamp"] = "2027-01-15T08:00:00Z"
        result = planned(pool, [going], NEW, a=4)
        assert "haat.dev/leaving" not in patched(result, "a")["labels"]

    def test_a_rollout_that_is_over_plans_nothing_more(self) -> None:
        pool = Pool()
        marked = {"haat.dev/busy": "false", "haat.dev/safe-to-evict": "true"}
        settled = pod("a", pool, NEW, **marked)
        settled["metadata"]["annotations"] = {COST: "0", SAFE: "true"}
        result = planned(pool, [settled], NEW)
        assert (result.patches, result.deletes) == ((), ())


def test_a_worker_that_is_to_go_takes_nothing_and_keeps_what_has_a_publisher() -> None:
    moment = NOW * 1000
    beats = {
        "worker/default/a": {"url": "http://a", "units": 8, "streams": ["shop/x", "shop/y", "shop/z"]},
        "worker/default/b": {"url": "http://b", "units": 8, "streams": ["shop/w"]},
        "transcoder/shop/x/a": {"receiving": True},
        "transcoder/shop/y/a": {"receiving": False},
    }
    heartbeats = {name: json.dumps(body | {"ts_ms": moment}) for name, body in beats.items()}
    heartbeats["transcoder/shop/z/a"] = "garbage"
    found = {item.pod: item for item in workers_by_pool(heartbeats, NOW, frozenset({"a"}))["default"]}
    assert (found["a"].draining, found["a"].streams) == (True, ("shop/x",))
    assert (found["b"].draining, found["b"].streams) == (False, ("shop/w",))


@pytest.mark.parametrize(
    ("hardware", "encoder", "limits", "node"),
    [
        pytest.param("CPU", "cpu", {}, {"disk": "fast"}, id="processor"),
        pytest.param("NVENC", "nvenc", {"nvidia.com/gpu": "1"}, {"haat.dev/encoder": "nvenc", "disk": "fast"}, id="nvidia"),
        pytest.param("VAAPI", "vaapi", {"gpu.intel.com/i915": "1"}, {"haat.dev/encoder": "vaapi", "disk": "fast"}, id="intel"),
    ],
)  # fmt: skip
def test_hardware_of_a_pool(hardware: str, encoder: str, limits: dict[str, str], node: dict[str, str]) -> None:
    template = WorkerTemplate(hardware=hardware, node_selector={"disk": "fast"})
    made = build_template("default", Pool(template=template), OLD)["spec"]
    (container,) = made["containers"]
    assert {"name": "HAAT_ENCODER", "value": encoder} in container["env"]
    assert container["resources"]["limits"] == {"memory": "2Gi"} | limits
    assert made["nodeSelector"] == node
