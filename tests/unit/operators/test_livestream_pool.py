"""A stream and its pool: where it stands, what it may ask for, what it counts, and hardware."""

import pytest

from operators.core.platform import Pool, WorkerTemplate
from operators.core.pooling import Allocation, Worker
from operators.livestream.acceptance import transcode_millicores
from operators.livestream.plan import plan
from tests.unit.operators.builders import NOW, PLATFORM, channel, observed, stream

POOLED = {"transcode": {"placement": "Pooled"}}
WORKER = Worker("w1", "http://10.0.0.7:8080", 8, ("shop/launch",))
PLACE = Allocation("default", "w1", 4, "stream-uid", ("k",), "{}")


@pytest.mark.parametrize(
    ("seen", "capacity", "ingest"),
    [
        pytest.param({}, "PoolExhausted", "WorkerNotReady", id="no place"),
        pytest.param({"allocation": PLACE}, "WorkerLost", "WorkerNotReady", id="its worker is gone"),
        pytest.param({"allocation": PLACE, "worker": WORKER}, "Allocated", "WorkerNotReady", id="not hosted yet"),
        pytest.param({"allocation": PLACE, "worker": WORKER, "host": WORKER}, "Allocated", "WorkerReady", id="hosted"),
    ],
)
def test_a_pooled_stream_tells_where_it_stands(seen: dict, capacity: str, ingest: str) -> None:
    result = plan(stream(**POOLED), observed(**seen), PLATFORM, NOW)
    reasons = {item["type"]: item["reason"] for item in result.status["conditions"]}
    assert (reasons["CapacityReserved"], reasons["IngestReady"]) == (capacity, ingest)
    assert not any(item["metadata"]["name"] == "launch-transcoder" for item in result.applies)


def test_a_pooled_stream_wishes_for_its_ladder_and_gives_its_place_back_at_the_end() -> None:
    wish = plan(stream(**POOLED), observed(holds_channel_key=True), PLATFORM, NOW).wish
    assert wish is not None
    assert (wish.pool, wish.units, len(wish.keys)) == ("default", 4, 2)
    ended = stream(status={"startedAt": "2027-01-15T07:30:00Z", "endedAt": "2027-01-15T07:50:00Z"}, **POOLED)
    assert plan(ended, observed(allocation=PLACE), PLATFORM, NOW).wish is None


def test_a_publisher_is_not_let_go_while_its_stream_moves() -> None:
    on_air = stream(status={"phase": "Live", "startedAt": "2027-01-15T07:30:00Z"}, **POOLED)
    moving = plan(on_air, observed(allocation=PLACE, worker=WORKER), PLATFORM, NOW)
    assert [item for item in moving.publications if item.key == "haat:ingest"] == []
    old = Worker("w0", "http://10.0.0.6:8080", 8, ("shop/launch",), draining=True)
    still = plan(on_air, observed(allocation=PLACE, worker=WORKER, host=old), PLATFORM, NOW)
    assert all("10.0.0.6" in (item.value or "") for item in still.publications if item.key == "haat:ingest")


POOLS = PLATFORM.model_copy(
    update={
        "pools": {"default": Pool(), "gpu": Pool(template=WorkerTemplate(hardware="NVENC"), capacity_per_worker=16)}
    }
)


@pytest.mark.parametrize(
    ("transcode", "reason", "words"),
    [
        pytest.param({}, "Accepted", "", id="nothing of its own"),
        pytest.param({"redundancy": 2}, "DedicatedNeeded", "transcode.redundancy", id="a second transcoder"),
        pytest.param({"resources": {"cpu": "2"}}, "DedicatedNeeded", "transcode.resources", id="processor"),
        pytest.param({"resources": {"memory": "1Gi"}}, "DedicatedNeeded", "transcode.resources", id="memory"),
        pytest.param({"priorityClassName": "high"}, "DedicatedNeeded", "priorityClassName", id="priority"),
        pytest.param({"hardware": "CPU"}, "Accepted", "", id="what the pool has"),
        pytest.param({"hardware": "NVENC"}, "HardwareMismatch", "encodes with CPU", id="what it has not"),
        pytest.param({"hardware": "NVENC", "poolRef": {"name": "gpu"}}, "Accepted", "", id="the pool that has it"),
        pytest.param({"hardware": "CPU", "poolRef": {"name": "gpu"}}, "HardwareMismatch", "NVENC", id="not in that one"),
        pytest.param({"placement": "Dedicated", "redundancy": 2, "hardware": "VAAPI", "resources": {"cpu": "2"}},
                     "Accepted", "", id="pods of its own have it all"),
    ],
)  # fmt: skip
def test_what_a_pool_cannot_give_is_refused(transcode: dict, reason: str, words: str) -> None:
    result = plan(stream(transcode={"placement": "Pooled"} | transcode), observed(), POOLS, NOW)
    accepted = next(item for item in result.status["conditions"] if item["type"] == "Accepted")
    assert accepted["reason"] == reason
    assert words in accepted["message"]


@pytest.mark.parametrize(
    ("transcode", "millicores"),
    [
        pytest.param({"placement": "Dedicated"}, 500, id="its own pod"),
        pytest.param({"placement": "Dedicated", "redundancy": 2, "resources": {"cpu": "2"}}, 4000, id="two of its own"),
        pytest.param({"placement": "Pooled"}, 250, id="4 of 8 units of a worker with half a core"),
        pytest.param({"placement": "Pooled", "poolRef": {"name": "gpu"}}, 125, id="4 of 16 units"),
        pytest.param({"placement": "Pooled", "poolRef": {"name": "gone"}}, 0, id="no such pool: it is refused"),
    ],
)
def test_the_quota_counts_what_a_stream_really_takes(transcode: dict, millicores: int) -> None:
    assert transcode_millicores(stream(transcode=transcode), channel(), POOLS) == millicores


@pytest.mark.parametrize(
    ("hardware", "encoder", "device", "node"),
    [
        pytest.param("Auto", None, None, {}, id="auto"),
        pytest.param("CPU", "cpu", None, {}, id="processor"),
        pytest.param("NVENC", "nvenc", "nvidia.com/gpu", {"haat.dev/encoder": "nvenc"}, id="nvidia"),
        pytest.param("VAAPI", "vaapi", "gpu.intel.com/i915", {"haat.dev/encoder": "vaapi"}, id="intel"),
    ],
)
def test_hardware_reaches_the_transcoder_and_only_that(
    hardware: str, encoder: str | None, device: str | None, node: dict
) -> None:
    subject = stream(transcode={"placement": "Dedicated", "hardware": hardware})
    made = {item["metadata"]["name"]: item["spec"]["template"]["spec"]
            for item in plan(subject, observed(), PLATFORM, NOW).applies if item["kind"] == "Deployment"}  # fmt: skip
    (container,) = made["launch-transcoder"]["containers"]
    env = {item["name"]: item.get("value") for item in container["env"]}
    assert env.get("HAAT_ENCODER") == encoder
    assert container["resources"]["limits"].get(device or "") == ("1" if device else None)
    assert made["launch-transcoder"].get("nodeSelector", {}) == node
    assert "nodeSelector" not in made["launch-fanout"]
