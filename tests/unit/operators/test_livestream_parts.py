"""Tables of the LiveStream's parts: who scales, what keeps pods from starting, what is refused and why."""

import pytest

from operators.core.capabilities import Capabilities
from operators.core.health import trouble
from operators.core.platform import Platform
from operators.core.platform.file import Autoscaling
from operators.core.rejection import ApplyRejected, rejection_of, with_rejection
from operators.core.scaling import Sample
from operators.livestream.airtime import seconds_on_air
from operators.livestream.autoscale import provider
from operators.livestream.observe import RoomBeat
from operators.livestream.plan import plan
from tests.unit.operators.builders import NOW, PLATFORM, applied, beat, channel, observed, stream

WATCHED = Platform(autoscaling=Autoscaling(prometheus_url="http://prometheus"))
FANOUT = ("Deployment", "launch-fanout")


@pytest.mark.parametrize(
    ("wanted", "capabilities", "platform", "status", "expected"),
    [
        pytest.param("Auto", Capabilities(), PLATFORM, {}, "Native", id="nothing there"),
        pytest.param("Auto", Capabilities(custom_metrics=True), PLATFORM, {}, "HPA", id="metrics of pods"),
        pytest.param("Auto", Capabilities(keda=True), PLATFORM, {}, "Native", id="KEDA without a Prometheus"),
        pytest.param("Auto", Capabilities(keda=True, custom_metrics=True), WATCHED, {}, "KEDA", id="KEDA"),
        pytest.param("Native", Capabilities(keda=True), WATCHED, {}, "Native", id="as it is asked for"),
        pytest.param("Auto", Capabilities(keda=True), WATCHED, {"phase": "Live", "fanout": {"provider": "Native"}},
                     "Native", id="never changed on air"),
        pytest.param("Auto", Capabilities(keda=True), WATCHED, {"phase": "Standby", "fanout": {"provider": "Native"}},
                     "KEDA", id="changed before"),
    ],
)  # fmt: skip
def test_who_scales(wanted: str, capabilities: Capabilities, platform: Platform, status: dict, expected: str) -> None:
    subject = stream(status=status, autoscaling={"provider": wanted})
    assert provider(subject, capabilities, platform).value == expected


def pod(name: str = "p", component: str = "transcoder", **status: object) -> dict:
    labels = {"app.kubernetes.io/component": component}
    return {"metadata": {"name": name, "labels": labels}, "spec": {}, "status": status}


def waiting(reason: str, message: str = "", **last: object) -> dict:
    state = {"name": "c", "state": {"waiting": {"reason": reason, "message": message}}, "lastState": last}
    return pod(containerStatuses=[state])


UNSCHEDULABLE = pod(
    conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3"}]
)


@pytest.mark.parametrize(
    ("pods", "reason", "words"),
    [
        pytest.param([pod()], None, "", id="only starting"),
        pytest.param([waiting("ContainerCreating")], None, "", id="being created"),
        pytest.param([waiting("ImagePullBackOff", "no such image")], "ImagePullBackOff", "no such image", id="image"),
        pytest.param([waiting("CrashLoopBackOff", "back-off", terminated={"exitCode": 2})], "CrashLoopBackOff",
                     "exit code was 2", id="crashes"),
        pytest.param([UNSCHEDULABLE], "Unschedulable", "0/3", id="no node"),
        pytest.param([pod(component="fanout", **UNSCHEDULABLE["status"])], None, "", id="another component"),
    ],
)  # fmt: skip
def test_why_pods_do_not_start(pods: list[dict], reason: str | None, words: str) -> None:
    found = trouble(None, pods, "transcoder")
    assert (found[0] if found else None) == reason
    assert words in (found[1] if found else "")


def test_a_quota_that_stops_pods_is_named() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: small"}
    assert trouble({"status": {"conditions": [failure]}}, [], "fanout") == ("QuotaExceeded", "exceeded quota: small")


def test_an_image_that_cannot_start_is_a_condition_and_one_event() -> None:
    children = applied(plan(stream(), observed(), PLATFORM, NOW), ready=False)
    seen = observed(children=children, pods=(waiting("ImagePullBackOff", "no such image"),))
    result = plan(stream(status={"phase": "Provisioning"}), seen, PLATFORM, NOW)
    ready = next(item for item in result.status["conditions"] if item["type"] == "IngestReady")
    assert (ready["status"], ready["reason"]) == ("False", "ImagePullBackOff")
    assert [event.reason for event in result.events] == ["ImagePullBackOff"]
    known = stream(status={"phase": "Provisioning", "conditions": result.status["conditions"]})
    assert plan(known, seen, PLATFORM, NOW).events == ()


@pytest.mark.parametrize(
    ("status", "message", "reason"),
    [
        pytest.param(403, 'pods "x" is forbidden: exceeded quota: small', "QuotaExceeded", id="quota"),
        pytest.param(403, "forbidden: User cannot patch", "Forbidden", id="rights"),
        pytest.param(409, 'Apply failed with 1 conflict: conflict with "helm"', "ChildConflict", id="another manager"),
        pytest.param(409, 'Apply failed with 2 conflicts: conflicts with "helm"', "ChildConflict", id="in two fields"),
        pytest.param(409, "the object has been modified", None, id="version: try again"),
        pytest.param(422, "ownerReferences: Only one reference can have Controller", "ChildConflict", id="owner"),
        pytest.param(422, "spec.replicas: must be positive", "ApplyRejected", id="invalid"),
        pytest.param(404, "not found", "NotServed", id="kind is not there"),
        pytest.param(429, "too many requests", None, id="busy: try again"),
        pytest.param(500, "Internal error occurred: failed calling webhook", "WebhookUnavailable", id="webhook"),
        pytest.param(500, "etcd is slow", None, id="server: try again"),
        pytest.param(0, "connection refused", None, id="unreachable: try again"),
    ],
)
def test_what_is_refused_for_good(status: int, message: str, reason: str | None) -> None:
    found = rejection_of("Service", "x", status, message)
    assert (found.reason if found else None) == reason


def test_a_refusal_replaces_the_promise_and_is_told_once() -> None:
    first = plan(stream(), observed(), PLATFORM, NOW)
    error = ApplyRejected("Service", "launch-fanout", "ChildConflict", "taken")
    told = with_rejection(first, error, before=(), now=NOW)
    conditions = {item["type"]: (item["status"], item["reason"]) for item in told.status["conditions"]}
    assert conditions["Provisioned"] == conditions["Ready"] == ("False", "ChildConflict")
    assert told.events[-1].reason == "ChildConflict"
    before = stream(status={"conditions": told.status["conditions"]}).status.conditions
    assert with_rejection(first, error, before=before, now=NOW).events == first.events


@pytest.mark.parametrize(
    ("quota", "seen", "reason"),
    [
        pytest.param({"maxTranscodeMillicores": 600}, {"sibling_millicores": 200}, "QuotaExceeded", id="processor"),
        pytest.param({"maxTranscodeMillicores": 700}, {"sibling_millicores": 200}, "Accepted", id="just enough"),
        pytest.param({"maxDailyDuration": "2h"}, {"seconds_today": 7200.0}, "DailyDurationReached", id="day is over"),
        pytest.param({"maxDailyDuration": "2h"}, {"seconds_today": 7199.0}, "Accepted", id="a second left"),
    ],
)
def test_quotas(quota: dict, seen: dict, reason: str) -> None:
    result = plan(stream(), observed(channel=channel(quota=quota), **seen), PLATFORM, NOW)
    assert next(item for item in result.status["conditions"] if item["type"] == "Accepted")["reason"] == reason


def test_time_on_air_counts_todays_part_only() -> None:
    midnight = NOW - NOW % 86_400
    over = stream(status={"startedAt": "2027-01-14T23:50:00Z", "endedAt": "2027-01-15T00:10:00Z"})
    running = stream(status={"startedAt": "2027-01-15T07:59:00Z"})
    assert seconds_on_air([over], NOW) == 600
    assert seconds_on_air([over, running], NOW) == 600 + (NOW - midnight - 28_740)


@pytest.mark.parametrize(
    ("spec", "room", "knocked", "replicas"),
    [
        pytest.param({"minReplicas": 0}, RoomBeat(), 0.0, 0, id="nobody yet"),
        pytest.param({"minReplicas": 0}, RoomBeat(), NOW - 5, 1, id="somebody knocks"),
        pytest.param({"minReplicas": 0}, RoomBeat(1, 3, 3), 0.0, 1, id="somebody is there"),
        pytest.param({"minReplicas": 0, "scaleToZeroAfter": "1m"}, RoomBeat(1, 0, 0), NOW - 61, 0, id="all have left"),
        pytest.param({"minReplicas": 1}, RoomBeat(), 0.0, 1, id="a room that always has a pod"),
    ],
)
def test_a_room_may_have_no_pod(spec: dict, room: RoomBeat, knocked: float, replicas: int) -> None:
    subject = stream(fanout=spec)
    children = applied(plan(subject, observed(knocked_at=NOW - 1), PLATFORM, NOW))
    samples = (Sample(NOW, room.connections),)
    seen = observed(children=children, room=room, knocked_at=knocked, samples=samples)
    result = plan(subject, seen, PLATFORM, NOW)
    fanout = next(item for item in result.applies if (item["kind"], item["metadata"]["name"]) == FANOUT)
    assert fanout["spec"]["replicas"] == replicas
    ingress = next(item for item in result.applies if item["kind"] == "Ingress")
    paths = [item["path"] for item in ingress["spec"]["rules"][0]["http"]["paths"]]
    assert ("/ws/shop/launch" in paths) == (replicas > 0)


def test_the_pod_with_the_fewest_sockets_goes_first() -> None:
    children = applied(plan(stream(fanout={"minReplicas": 3}), observed(), PLATFORM, NOW))
    pods = tuple({**pod(name, "fanout"), "metadata": {"name": name, "labels": {"app.kubernetes.io/component": "fanout"}}}
                 for name in ("a", "b", "c"))  # fmt: skip
    room = RoomBeat(3, 12, 12, {"a": 4, "b": 8})
    samples = tuple(Sample(NOW - age, 12) for age in range(400, -1, -10))
    seen = observed(children=children, pods=pods, room=room, samples=samples)
    result = plan(stream(status={"phase": "Live", "startedAt": "2027-01-15T07:30:00Z"}), seen, PLATFORM, NOW)
    costs = {patch.ref.name: patch.body["metadata"]["annotations"] for patch in result.patches}
    key = "controller.kubernetes.io/pod-deletion-cost"
    assert {name: value[key] for name, value in costs.items() if key in value} == {"a": "4", "b": "8"}


def test_a_transcoder_with_media_may_not_be_evicted_and_only_then() -> None:
    pods = (pod("t"),)
    on_air = plan(stream(), observed(pods=pods, transcoder=beat()), PLATFORM, NOW)
    assert on_air.patches[0].body["metadata"]["annotations"] == {
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"
    }
    assert ("PodDisruptionBudget", "launch-transcoder") in {
        (item["kind"], item["metadata"]["name"]) for item in on_air.applies
    }
    idle = plan(stream(), observed(pods=pods), PLATFORM, NOW)
    assert idle.patches == ()
    assert ("PodDisruptionBudget", "launch-transcoder") not in {
        (item["kind"], item["metadata"]["name"]) for item in idle.applies
    }


def test_a_redundant_stream_moves_to_its_second_transcoder_when_the_first_is_gone() -> None:
    subject = stream(transcode={"placement": "Dedicated", "redundancy": 2})
    children = applied(plan(subject, observed(), PLATFORM, NOW))
    for name, address in (("launch-transcoder", "10.0.0.1"), ("launch-transcoder-b", "10.0.0.2")):
        children[("Service", name)]["spec"]["clusterIP"] = address

    def target(**seen: object) -> str:
        result = plan(subject, observed(children=children, **seen), PLATFORM, NOW)
        return next(item.value or "" for item in result.publications if item.key == "haat:ingest")

    assert "10.0.0.1" in target()
    children[("Deployment", "launch-transcoder")]["status"] = {"readyReplicas": 0}
    assert "10.0.0.2" in target()
    children[("Deployment", "launch-transcoder")]["status"] = {"readyReplicas": 1}
    assert "10.0.0.2" in target(transcoder=beat(pod="launch-transcoder-b-abc-1"))
