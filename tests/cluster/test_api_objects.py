"""Objects: metadata, optimistic locking, lists, deletion, owners, namespaces."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from kubernetes.aio.client.exceptions import ApiException

from .conftest import Api, until

Obj = dict[str, Any]


def config_map(name: str, **more: Any) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **more}, "data": {"a": "1"}}


def deployment(name: str = "web", **spec: Any) -> Obj:
    labels = {"app": name}
    container = {"name": "web", "image": "registry.example/web:1", "ports": [{"containerPort": 80}]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template, **spec},
    }


async def code_of(call: Any) -> int:
    with pytest.raises(ApiException) as caught:
        await call
    return int(caught.value.status)


async def test_create_gives_identity(api: Api) -> None:
    made = await api.create(config_map("one"))
    meta = made["metadata"]
    assert uuid.UUID(meta["uid"])
    assert meta["creationTimestamp"].endswith("Z")
    assert int(meta["resourceVersion"]) > 0
    assert await code_of(api.create(config_map("one"))) == 409


async def test_generate_name_and_bad_name(api: Api) -> None:
    made = await api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "made-"}})
    assert made["metadata"]["name"].startswith("made-")
    assert len(made["metadata"]["name"]) == len("made-") + 5
    assert await code_of(api.create(config_map("Not_A_Name"))) == 422


async def test_stale_replace_is_a_conflict(api: Api) -> None:
    first = await api.create(config_map("one"))
    second = await api.replace({**first, "data": {"a": "2"}})
    assert second["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
    assert await code_of(api.replace({**first, "data": {"a": "3"}})) == 409


async def test_a_write_without_change_keeps_the_version(api: Api) -> None:
    made = await api.create(config_map("one"))
    again = await api.patch(made, {"data": {"a": "1"}})
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_generation_counts_changes_of_the_spec(api: Api) -> None:
    made = await api.create(deployment())
    assert made["metadata"]["generation"] == 1
    labelled = await api.patch(made, {"metadata": {"labels": {"x": "y"}}})
    assert labelled["metadata"]["generation"] == 1
    scaled = await api.patch(made, {"spec": {"paused": True}})
    assert scaled["metadata"]["generation"] == 2
    replaced = await api.get(made)
    del replaced["spec"]["progressDeadlineSeconds"], replaced["metadata"]["resourceVersion"]
    same = await api.replace(replaced)
    assert same["metadata"]["generation"] == 2


async def test_status_and_spec_have_ends_of_their_own(api: Api) -> None:
    made = await api.create(deployment())
    ignored = await api.patch(made, {"status": {"replicas": 7}})
    assert ignored.get("status", {}).get("replicas") is None
    written = await api.status(made, {"status": {"observedGeneration": 1}, "spec": {"replicas": 9}})
    assert written["status"]["observedGeneration"] == 1
    assert written["spec"]["replicas"] == 0


async def test_defaults_are_filled_in(api: Api) -> None:
    spec = (await api.create(deployment()))["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": "25%", "maxUnavailable": "25%"}
    pod = spec["template"]["spec"]
    assert (pod["restartPolicy"], pod["terminationGracePeriodSeconds"]) == ("Always", 30)
    assert pod["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP"}]


async def test_wrong_types_and_unknown_fields(api: Api) -> None:
    assert await code_of(api.create(deployment(replicas="three"))) == 400
    unknown = deployment(replica=3)
    assert await code_of(api.create(unknown, query_params=[("fieldValidation", "Strict")])) == 400
    made = await api.create(unknown, query_params=[("fieldValidation", "Ignore")])
    assert "replica" not in made["spec"]


async def test_immutable_fields(api: Api) -> None:
    made = await api.create(deployment())
    assert await code_of(api.patch(made, {"spec": {"selector": {"matchLabels": {"other": "x"}}}})) == 422
    frozen = await api.create({**config_map("frozen"), "immutable": True})
    assert await code_of(api.patch(frozen, {"data": {"a": "2"}})) == 422


async def test_dry_run_stores_nothing(api: Api) -> None:
    made = await api.create(config_map("ghost"), query_params=[("dryRun", "All")])
    assert made["metadata"]["name"] == "ghost"
    assert await code_of(api.get(made)) == 404


async def test_list_by_labels_fields_and_pages(api: Api) -> None:
    for at in range(5):
        await api.create(config_map(f"m{at}", labels={"tier": "a" if at % 2 else "b", "n": str(at)}))
    found = await api.list(config_map(""), label_selector="tier in (a),n!=3")
    assert [item["metadata"]["name"] for item in found["items"]] == ["m1"]
    found = await api.list(config_map(""), field_selector="metadata.name=m4")
    assert [item["metadata"]["name"] for item in found["items"]] == ["m4"]
    page = await api.list(config_map(""), label_selector="tier", limit=2)
    assert [item["metadata"]["name"] for item in page["items"]] == ["m0", "m1"]
    options = {"query_params": [("continue", page["metadata"]["continue"])]}
    rest = await api.list(config_map(""), label_selector="tier", limit=10, **options)
    assert [item["metadata"]["name"] for item in rest["items"]] == ["m2", "m3", "m4"]
    assert await code_of(api.list(config_map(""), label_selector="a in (")) == 400


async def test_finalizers_hold_an_object(api: Api) -> None:
    made = await api.create(config_map("held", finalizers=["haat.dev/test"]))
    await api.delete(made)
    held = await api.get(made)
    assert held["metadata"]["deletionTimestamp"]
    await api.patch(made, {"metadata": {"finalizers": None}})
    assert await code_of(api.get(made)) == 404


async def test_preconditions_guard_a_delete(api: Api) -> None:
    made = await api.create(config_map("one"))
    assert await code_of(api.delete(made, body={"preconditions": {"uid": "other"}})) == 409
    await api.delete(made, body={"preconditions": {"uid": made["metadata"]["uid"]}})
    assert await code_of(api.get(made)) == 404


def owned_by(owner: Obj, name: str, *, block: bool = False) -> Obj:
    ref = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"]}
    ref |= {"uid": owner["metadata"]["uid"], "blockOwnerDeletion": block}
    return config_map(name, ownerReferences=[ref])


async def test_background_deletion_collects_dependents(api: Api) -> None:
    owner = await api.create(config_map("owner"))
    child = await api.create(owned_by(owner, "child"))
    grandchild = await api.create(owned_by(child, "grandchild"))
    await api.delete(owner, body={"propagationPolicy": "Background"})
    await until(lambda: gone(api, grandchild), 60)


async def test_orphans_are_kept(api: Api) -> None:
    owner = await api.create(config_map("owner"))
    child = await api.create(owned_by(owner, "child"))
    await api.delete(owner, body={"propagationPolicy": "Orphan"})
    await until(lambda: gone(api, owner), 60)
    assert "ownerReferences" not in (await api.get(child))["metadata"]


async def test_foreground_waits_for_blocking_dependents(api: Api) -> None:
    owner = await api.create(config_map("owner"))
    child = owned_by(owner, "child", block=True)
    child["metadata"]["finalizers"] = ["haat.dev/test"]
    await api.create(child)
    await api.delete(owner, body={"propagationPolicy": "Foreground"})

    async def child_terminates() -> bool:
        return "deletionTimestamp" in (await api.get(child))["metadata"]

    await until(child_terminates, 60)
    assert "foregroundDeletion" in (await api.get(owner))["metadata"]["finalizers"]
    await api.patch(child, {"metadata": {"finalizers": None}})
    await until(lambda: gone(api, owner), 60)


async def gone(api: Api, obj: Obj) -> bool:
    try:
        await api.get(obj)
    except ApiException as problem:
        return bool(problem.status == 404)
    return False


async def test_a_namespace_takes_its_content_along(api: Api) -> None:
    space: Obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"{api.namespace}-x"}}
    await api.create(space)
    child = config_map("inside", namespace=space["metadata"]["name"])
    await api.create(child)
    await api.delete(space)
    await until(lambda: gone(api, space), 60)
    assert await code_of(api.create(child)) == 404


async def test_services_get_addresses(api: Api) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    made = await api.create(service)
    address = made["spec"]["clusterIP"]
    assert address not in ("", "None")
    assert (await api.patch(made, {"spec": {"ports": [{"port": 81}]}}))["spec"]["clusterIP"] == address
    assert await code_of(api.patch(made, {"spec": {"clusterIP": "203.0.113.9", "clusterIPs": ["203.0.113.9"]}})) == 422
    headless = {**service, "metadata": {"name": "headless"}, "spec": {"clusterIP": "None", "selector": {"a": "b"}}}
    assert (await api.create(headless))["spec"]["clusterIP"] == "None"
    nodes = {**service, "metadata": {"name": "nodes"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}
    assert (await api.create(nodes))["spec"]["ports"][0]["nodePort"] > 0


async def test_delete_collection(api: Api) -> None:
    for at in range(3):
        await api.create(config_map(f"m{at}", labels={"drop": str(at < 2)}))
    resource = await api.kind(config_map(""))
    await resource.delete(namespace=api.namespace, label_selector="drop=True")
    left = await api.list(config_map(""), label_selector="drop")
    assert [item["metadata"]["name"] for item in left["items"]] == ["m2"]


async def test_racing_patches_all_arrive(api: Api) -> None:
    made = await api.create(config_map("one"))
    await asyncio.gather(*(api.patch(made, {"data": {f"k{at}": "v"}}) for at in range(20)))
    assert len((await api.get(made))["data"]) == 21
