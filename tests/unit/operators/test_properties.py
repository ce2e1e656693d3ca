"""Invariants of the planners over random worlds: order independence, and a live stream that nobody disturbs."""

import dataclasses
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from operators.core.capabilities import Capabilities
from operators.core.plan import Manifest, Plan
from operators.core.platform import Images, Platform
from operators.core.pooling import Allocation, Worker
from operators.core.scaling import Sample
from operators.livestream.observe import RoomBeat, StreamObserved
from operators.livestream.plan import plan
from tests.unit.operators.builders import NOW, PLATFORM, applied, beat, channel, observed, sale, status_of, stream

LIVE = {"phase": "Live", "startedAt": "2027-01-15T07:30:00Z"}
WORKER = Worker("w1", "http://10.0.0.7:8080", 8, ("shop/launch",))
PLACE = Allocation("default", "w1", 4, "stream-uid", ("k",), "{}")

platforms = st.builds(
    lambda image, policies: PLATFORM.model_copy(
        update={
            "images": Images(workloads=image),
            "network_policies": PLATFORM.network_policies.model_copy(update={"enabled": policies}),
        }
    ),
    st.sampled_from(["haat/workloads:dev", "haat/workloads:next"]),
    st.booleans(),
)
specs = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from(["Launch night", "Renamed"]),
        "fanout": st.fixed_dictionaries({"minReplicas": st.integers(1, 3), "maxReplicas": st.integers(3, 9)}),
        "transcode": st.fixed_dictionaries(
            {"placement": st.just("Dedicated"), "redundancy": st.integers(1, 2)},
            optional={"resources": st.just({"cpu": "2", "memory": "1Gi"})},
        ),
        "autoscaling": st.fixed_dictionaries({"provider": st.sampled_from(["Auto", "Native", "HPA", "None"])}),
        "template": st.just({"podLabels": {"team": "x"}, "nodeSelector": {"disk": "ssd"}}),
    },
)
rooms = st.integers(0, 40_000).map(
    lambda count: {
        "room": RoomBeat(1, count, count),
        "samples": tuple(Sample(NOW - age, count) for age in range(70, -1, -5)),
    }
)
worlds = st.fixed_dictionaries(
    {
        "capabilities": st.builds(Capabilities, keda=st.booleans(), custom_metrics=st.booleans()),
        "sales": st.sampled_from([(), (sale(),)]),
        "models_ready": st.booleans(),
    }
)


def world_of(parts: dict[str, Any], room: dict[str, Any], children: dict[tuple[str, str], Manifest]) -> StreamObserved:
    return observed(**parts, **room, children=children, transcoder=beat())


def deployments(result: Plan) -> dict[str, Manifest]:
    return {item["metadata"]["name"]: item for item in result.applies if item["kind"] == "Deployment"}


@given(specs, specs, platforms, platforms, worlds, rooms)
def test_a_live_stream_is_never_disturbed(
    before: dict, after: dict, old: Platform, new: Platform, parts: dict, room: dict
) -> None:
    """Whatever changes in its spec, the platform file or the world: its pods keep running as they are."""
    first = plan(stream(**before), observed(**parts), old, NOW)
    running = applied(first)
    result = plan(stream(status=LIVE, **after), world_of(parts, room, running), new, NOW)
    for name, body in deployments(result).items():
        if ("Deployment", name) in running:
            was = running[("Deployment", name)]["spec"]["template"]
            assert body["spec"]["template"] == was
    deleted = {(ref.kind, ref.name) for ref in result.deletes}
    assert ("Deployment", "launch-transcoder") not in deleted
    assert ("Deployment", "launch-fanout") not in deleted
    assert ("Service", "launch-fanout") not in deleted
    ingest = [item for item in result.publications if item.key == "haat:ingest"]
    assert ingest
    assert all(item.value for item in ingest)


@given(specs, platforms, worlds, rooms, st.randoms(use_true_random=False))
def test_the_order_in_which_things_are_seen_does_not_matter(
    spec: dict, platform: Platform, parts: dict, room: dict, random: Any
) -> None:
    live = applied(plan(stream(**spec), observed(**parts), platform, NOW))
    shuffled = list(live.items())
    random.shuffle(shuffled)
    one = plan(stream(**spec), world_of(parts, room, live), platform, NOW)
    two = plan(stream(**spec), world_of(parts, room, dict(shuffled)), platform, NOW)
    assert one == two


@given(specs, worlds, st.data())
def test_every_partial_state_converges_in_one_round(spec: dict, parts: dict, data: st.DataObject) -> None:
    whole = applied(plan(stream(**spec), observed(**parts), PLATFORM, NOW))
    left = {key: body for key, body in whole.items() if data.draw(st.booleans(), label=str(key))}
    mended = left | applied(plan(stream(**spec), observed(**parts, children=left), PLATFORM, NOW))
    assert set(mended) == set(whole)
    status = status_of(stream(**spec), plan(stream(**spec), observed(**parts, children=mended), PLATFORM, NOW))
    again = plan(status, observed(**parts, children=mended), PLATFORM, NOW)
    assert again.deletes == ()


@given(st.sampled_from(["Live", "Interrupted"]), st.booleans())
def test_a_live_pooled_stream_keeps_its_place(phase: str, channel_there: bool) -> None:
    """Even when its channel vanishes, the wish is the place that it has."""
    pooled = {"transcode": {"placement": "Pooled"}}
    subject = stream(status=LIVE | {"phase": phase}, **pooled)
    seen = observed(
        allocation=PLACE, worker=WORKER, host=WORKER, transcoder=beat(), channel=channel() if channel_there else None
    )
    result = plan(subject, seen, PLATFORM, NOW)
    assert result.wish is not None
    assert result.wish.pool == "default"
    assert result.wish.uid == "stream-uid"
    target = [item.value for item in result.publications if item.key == "haat:ingest" and item.value]
    assert target
    assert "http://10.0.0.7:8080" in target[0]


@given(worlds, rooms)
def test_planning_reads_nothing_but_its_arguments(parts: dict, room: dict) -> None:
    seen = world_of(parts, room, {})
    assert plan(stream(), seen, PLATFORM, NOW) == plan(stream(), dataclasses.replace(seen), PLATFORM, NOW)
