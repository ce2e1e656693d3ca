"""What one reconcile of a LiveStream wants, and that it wants nothing once it has it."""

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.core.diff import is_applied, with_hash
from operators.core.plan import Plan
from operators.core.scaling import Sample
from operators.livestream.observe import RoomBeat
from operators.livestream.plan import plan
from tests.unit.operators.builders import NOW, PLATFORM, applied, beat, channel, observed, sale, status_of, stream


def kinds(result: Plan) -> list[tuple[str, str]]:
    return [(item["kind"], item["metadata"]["name"]) for item in result.applies]


def condition(result: Plan, name: str) -> dict:
    return next(item for item in result.status["conditions"] if item["type"] == name)


def test_a_new_stream_gets_its_children_in_an_order_that_pods_can_start_in() -> None:
    assert kinds(plan(stream(), observed(), PLATFORM, NOW)) == [
        ("ServiceAccount", "launch-stream"),
        ("ConfigMap", "launch-stream"),
        ("Secret", "launch-stream-key"),
        ("NetworkPolicy", "launch-transcoder"),
        ("NetworkPolicy", "launch-fanout"),
        ("Service", "launch-transcoder"),
        ("Service", "launch-fanout"),
        ("Deployment", "launch-transcoder"),
        ("Deployment", "launch-fanout"),
        ("PodDisruptionBudget", "launch-fanout"),
        ("Ingress", "launch-stream"),
    ]


STANDBY_LIVE = [
    pytest.param({}, "Provisioning", "Creating", id="nothing exists"),
    pytest.param({"ready": False}, "Provisioning", "PodsNotReady", id="pods start"),
    pytest.param({"ready": True}, "Standby", "NoPublisher", id="pods ready, nobody publishes"),
    pytest.param({"ready": True, "beat": {"playable": False}}, "Standby", "NoSegments", id="media but no segment"),
    pytest.param({"ready": True, "beat": {}}, "Live", "", id="playable"),
]


@pytest.mark.parametrize(("world", "phase", "reason"), STANDBY_LIVE)
def test_phases_up_to_live(world: dict, phase: str, reason: str) -> None:
    first = plan(stream(), observed(), PLATFORM, NOW)
    children = applied(first, ready=world["ready"]) if "ready" in world else {}
    seen = observed(children=children, transcoder=beat(**world["beat"]) if "beat" in world else None)
    result = plan(stream(), seen, PLATFORM, NOW)
    assert (result.status["phase"], result.status["reason"]) == (phase, reason)
    assert condition(result, "Ready")["status"] == ("True" if phase == "Live" else "False")


def live_stream(**status: object) -> object:
    return stream(status={"startedAt": "2027-01-15T07:30:00Z", "phase": "Live"} | status)


@pytest.mark.parametrize(
    ("status", "spec", "phase", "reason"),
    [
        pytest.param({}, {}, "Interrupted", "", id="media stops"),
        pytest.param({"interruptedAt": "2027-01-15T07:59:10Z"}, {}, "Interrupted", "", id="expected back"),
        pytest.param({"interruptedAt": "2027-01-15T07:59:00Z"}, {}, "Standby", "", id="not expected back any more"),
        pytest.param({"interruptedAt": "2027-01-15T07:55:00Z"}, {"schedule": {"interruptGrace": "6m"}}, "Interrupted", "",
                     id="expected back for longer"),
        pytest.param({"interruptedAt": "2027-01-15T07:45:00Z"}, {}, "Draining", "Idle", id="idle for too long"),
        pytest.param({}, {"desiredState": "Ended"}, "Draining", "Requested", id="ended by its owner"),
        pytest.param({}, {"schedule": {"endAt": "2027-01-15T07:59:00Z"}}, "Draining", "EndAtReached", id="end time"),
        pytest.param({}, {"schedule": {"maxDuration": "20m"}}, "Draining", "MaxDurationReached", id="too long"),
        pytest.param(
            {"endedAt": "2027-01-15T07:50:00Z", "endReason": "Requested"}, {}, "Ended", "Requested", id="drained"
        ),
    ],
)  # fmt: skip
def test_phases_after_live(status: dict, spec: dict, phase: str, reason: str) -> None:
    subject = stream(status={"startedAt": "2027-01-15T07:30:00Z", "phase": "Live"} | status, **spec)
    children = applied(plan(stream(), observed(), PLATFORM, NOW))
    result = plan(subject, observed(children=children), PLATFORM, NOW)
    assert (result.status["phase"], result.status["endReason"]) == (phase, reason)


def test_the_grace_of_an_interruption_wakes_its_stream() -> None:
    subject = stream(status={"startedAt": "2027-01-15T07:30:00Z", "phase": "Live"})
    result = plan(subject, observed(), PLATFORM, NOW)
    assert result.requeue_after == pytest.approx(60, abs=1)


STARTS = {"schedule": {"startAt": "2027-01-15T07:00:00Z"}}
ENDS = {"schedule": {"startAt": "2027-01-15T07:00:00Z", "endAt": "2027-01-15T07:59:00Z"}}
SHORT = {"schedule": {"startAt": "2027-01-15T07:00:00Z", "maxDuration": "30m"}}


@pytest.mark.parametrize(
    ("spec", "before", "seen", "phase", "reason"),
    [
        pytest.param(ENDS, "Provisioning", {}, "Failed", "FailedToStart", id="never ready until its end"),
        pytest.param(ENDS, "Pending", {"channel": None}, "Failed", "FailedToStart", id="never accepted until its end"),
        pytest.param(SHORT, "Provisioning", {}, "Failed", "FailedToStart", id="never ready for as long as it may last"),
        pytest.param(STARTS, "Provisioning", {}, "Provisioning", "", id="there is still time"),
        pytest.param({}, "Provisioning", {}, "Provisioning", "", id="it has no time of its own"),
        pytest.param(ENDS, "Standby", {}, "Draining", "EndAtReached", id="it was ready and nobody came"),
        pytest.param(ENDS, None, {}, "Draining", "EndAtReached", id="made too late"),
    ],
)
def test_a_stream_that_could_never_be_published_to_has_failed(
    spec: dict, before: str | None, seen: dict, phase: str, reason: str
) -> None:
    subject = stream(status={"phase": before} if before else {}, **spec)
    result = plan(subject, observed(**seen), PLATFORM, NOW)
    assert (result.status["phase"], result.status["endReason"]) == (phase, reason)


def test_a_failure_is_final_told_with_its_cause_and_cleaned_up() -> None:
    children = applied(plan(stream(), observed(), PLATFORM, NOW), ready=False)
    ready = {"type": "Ready", "status": "False", "reason": "ImagePullBackOff", "message": "no such image",
             "lastTransitionTime": "2027-01-15T07:00:00Z"}  # fmt: skip
    subject = stream(status={"phase": "Provisioning", "conditions": [ready]}, ttlSecondsAfterEnded=60, **ENDS)
    failed = plan(subject, observed(children=children), PLATFORM, NOW)
    (told,) = [event for event in failed.events if event.reason == "PhaseFailed"]
    assert told.type == "Warning"
    assert "ImagePullBackOff" in told.message
    again = status_of(subject, failed)
    later = plan(again, observed(children=children, transcoder=beat()), PLATFORM, NOW + 30)
    assert later.status["phase"] == "Failed"
    assert {ref.kind for ref in later.deletes} >= {"Deployment", "Service", "Ingress"}
    assert plan(again, observed(), PLATFORM, NOW + 130).delete_self


def test_the_deadline_of_a_start_wakes_its_stream() -> None:
    result = plan(stream(status={"phase": "Provisioning"}, **STARTS), observed(), PLATFORM, NOW)
    assert result.requeue_after is not None
    assert result.requeue_after == pytest.approx(11 * 3600, abs=1)


def test_an_ended_stream_keeps_only_its_config_map_and_its_key_publishes_no_more() -> None:
    children = applied(plan(stream(), observed(), PLATFORM, NOW))
    subject = stream(status={"startedAt": "2027-01-15T07:30:00Z", "endedAt": "2027-01-15T07:50:00Z"})
    result = plan(subject, observed(children=children), PLATFORM, NOW)
    assert kinds(result) == [
        ("ConfigMap", "launch-stream"),
        ("ServiceAccount", "launch-stream"),
        ("Job", "launch-finalize"),
    ]
    assert {ref.kind for ref in result.deletes} == {
        "Deployment", "Service", "Secret", "PodDisruptionBudget", "NetworkPolicy", "Ingress",
    }  # fmt: skip
    assert [item.value for item in result.publications if item.key == "haat:ingest"] == [None]


def test_an_ended_stream_is_deleted_after_its_time_to_live() -> None:
    subject = stream(status={"endedAt": "2027-01-15T07:50:00Z"}, ttlSecondsAfterEnded=60)
    assert plan(subject, observed(), PLATFORM, NOW).delete_self


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        pytest.param({"channel": None}, "ChannelNotFound", id="no channel"),
        pytest.param({"channel": channel(suspended=True)}, "ChannelSuspended", id="suspended"),
        pytest.param({"siblings": ("first",)}, "QuotaExceeded", id="one stream at a time"),
        pytest.param({"channel": channel(encoding={"ladderRef": {"name": "nope"}})}, "LadderNotFound", id="no ladder"),
    ],
)
def test_what_is_not_accepted_waits_with_a_reason_and_creates_nothing(seen: dict, reason: str) -> None:
    result = plan(stream(), observed(**seen), PLATFORM, NOW)
    assert (result.status["phase"], condition(result, "Accepted")["reason"]) == ("Pending", reason)
    assert result.applies == ()
    assert condition(result, "Accepted")["message"]


def test_a_live_stream_whose_channel_vanishes_is_not_disturbed() -> None:
    children = applied(plan(stream(), observed(), PLATFORM, NOW))
    subject = stream(status={"startedAt": "2027-01-15T07:30:00Z", "phase": "Live"})
    result = plan(subject, observed(channel=None, children=children, transcoder=beat()), PLATFORM, NOW)
    assert result.deletes == ()
    assert result.status["phase"] == "Live"
    assert all(item.value is not None for item in result.publications if item.key == "haat:ingest")


def test_keys_are_published_as_hashes_only() -> None:
    children = applied(plan(stream(), observed(), PLATFORM, NOW))
    result = plan(stream(), observed(children=children, holds_channel_key=True), PLATFORM, NOW)
    fields = {item.field: json.loads(item.value) for item in result.publications if item.key == "haat:ingest"}
    assert set(fields) == {hashlib.sha256(key.encode()).hexdigest() for key in ("own-key", "channel-key")}
    assert "own-key" not in repr(result.publications)
    assert {item["target"] for item in fields.values()} == {"http://10.1.2.3:8080"}


def test_deleting_withdraws_everything_and_releases() -> None:
    subject = stream(metadata={"deletionTimestamp": "2027-01-15T08:00:00Z"})
    result = plan(subject, observed(holds_channel_key=True), PLATFORM, NOW)
    assert result.release
    assert all(item.value is None for item in result.publications)


def test_a_scheduled_stream_waits_for_its_time() -> None:
    subject = stream(schedule={"startAt": "2027-01-15T09:00:00Z", "prepareBefore": "5m"})
    result = plan(subject, observed(), PLATFORM, NOW)
    assert (result.status["phase"], result.applies) == ("Scheduled", ())
    assert result.requeue_after == pytest.approx(55 * 60, abs=1)


def test_a_paused_stream_is_left_alone() -> None:
    result = plan(stream(paused=True), observed(), PLATFORM, NOW)
    assert (result.applies, result.deletes) == ((), ())
    assert condition(result, "Paused")["status"] == "True"


def test_a_sale_raises_the_floor_of_the_fanout() -> None:
    near = sale(startsAt="2027-01-15T08:10:00Z")
    result = plan(stream(), observed(sales=(near,)), PLATFORM, NOW)
    fanout = next(
        item for item in result.applies if item["metadata"]["name"] == "launch-fanout" and item["kind"] == "Deployment"
    )
    assert fanout["spec"]["replicas"] == 3
    assert result.status["fanout"]["floor"] == 3


def test_a_crowd_scales_the_fanout_and_tells() -> None:
    first = plan(stream(), observed(), PLATFORM, NOW)
    samples = tuple(Sample(NOW - age, 9000) for age in range(60, -1, -1))
    before = stream(status={"phase": "Live", "fanout": {"replicas": 1}})
    result = plan(
        before, observed(children=applied(first), samples=samples, room=RoomBeat(1, 9000, 9000)), PLATFORM, NOW
    )
    fanout = next(i for i in result.applies if (i["kind"], i["metadata"]["name"]) == ("Deployment", "launch-fanout"))
    assert fanout["spec"]["replicas"] == 3
    assert "Scaled" in {event.reason for event in result.events}


worlds = st.fixed_dictionaries(
    {
        "transcoder": st.sampled_from([None, beat(), beat(playable=False), beat(receiving=False)]),
        "room": st.builds(RoomBeat, st.integers(0, 3), st.integers(0, 200), st.integers(0, 200)),
        "sales": st.sampled_from([(), (sale(),)]),
        "holds_channel_key": st.booleans(),
        "models_ready": st.booleans(),
    }
)


@given(worlds, st.booleans(), st.floats(0, 86_400))
def test_a_plan_that_was_carried_out_plans_nothing_more(world: dict, ready: bool, later: float) -> None:
    """Idempotence: after its own effects, the same world needs no call."""
    now = NOW + later
    first = plan(stream(), observed(**world), PLATFORM, now)
    live = {key: with_hash(body) for key, body in applied(first, ready=ready).items()}
    seen = observed(**world, children=live)
    settled = plan(status_of(stream(), plan(stream(), seen, PLATFORM, now)), seen, PLATFORM, now)
    again = plan(status_of(stream(), settled), seen, PLATFORM, now)
    assert again.status == settled.status
    assert again.events == ()
    assert again.deletes == ()
    assert all(
        is_applied(with_hash(item), live[(item["kind"], item["metadata"]["name"])])
        for item in again.applies
        if item["kind"] not in ("Deployment", "Service")
    )


@given(st.data())
def test_any_lost_child_comes_back(data: st.DataObject) -> None:
    """Convergence: from any partial state the plan names just what is missing."""
    live = {key: with_hash(body) for key, body in applied(plan(stream(), observed(), PLATFORM, NOW)).items()}
    lost = data.draw(st.sets(st.sampled_from(sorted(live))))
    left = {key: body for key, body in live.items() if key not in lost}
    result = plan(stream(), observed(children=left), PLATFORM, NOW)
    missing = {(i["kind"], i["metadata"]["name"]) for i in result.applies} - set(left)
    assert missing == lost


def test_nobody_elses_object_is_deleted() -> None:
    seen = observed(children={})
    assert plan(stream(), replace(seen), PLATFORM, NOW).deletes == ()
