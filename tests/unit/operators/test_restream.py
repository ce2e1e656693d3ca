"""Copies for other platforms: made while the stream is on air, told in one condition, never in the way."""

import json

import pytest

from operators.livestream.copies import restreaming
from operators.livestream.observe import TranscoderBeat, restream_beat
from operators.livestream.plan import plan
from tests.unit.operators.builders import NOW, PLATFORM, channel, observed, stream

TARGETS = [
    {"name": "yt", "platform": "YouTube", "urlSecretRef": {"name": "youtube"}},
    {"name": "fb", "platform": "Facebook", "urlSecretRef": {"name": "facebook"}},
]


@pytest.mark.parametrize(
    ("told", "on_air", "status", "reason", "part"),
    [
        pytest.param(None, False, False, "NotOnAir", "", id="off"),
        pytest.param(None, True, None, "Starting", "", id="starting"),
        pytest.param({"yt": "Live"}, True, False, "TargetMissing", "fb", id="a Secret is missing"),
        pytest.param(
            {"yt": "Live", "fb": "Failed: refused"},
            True,
            False,
            "TargetsFailing",
            "fb: Failed: refused",
            id="one fails",
        ),
        pytest.param({"yt": "Live", "fb": "Live"}, True, True, "AllTargetsLive", "", id="all well"),
    ],
)
def test_the_condition(told: dict[str, str] | None, on_air: bool, status: bool | None, reason: str, part: str) -> None:
    (fact,) = restreaming(channel(restream=TARGETS), told, on_air=on_air)
    assert (fact.status, fact.reason) == (status, reason)
    assert part in fact.message


def test_a_channel_without_targets_has_no_condition() -> None:
    assert restreaming(channel(), None, on_air=True) == ()


def test_a_beat_is_read_and_garbage_is_not() -> None:
    targets = {"yt": {"state": "Live"}, "fb": {"state": "Failed", "reason": "no"}, "x": 1}
    entries = {"restream/shop/launch/pod": json.dumps({"ts_ms": NOW * 1000, "targets": targets})}
    assert restream_beat(entries, "shop/launch", NOW) == {"yt": "Live", "fb": "Failed: no", "x": ""}
    assert restream_beat(entries, "shop/other", NOW) is None
    assert restream_beat({"restream/shop/launch/pod": json.dumps({"ts_ms": NOW * 1000})}, "shop/launch", NOW) is None


def made(*, receiving: bool) -> dict[str, dict]:
    beat = TranscoderBeat(pod="w", at=NOW, receiving=receiving, playable=receiving)
    world = observed(channel=channel(restream=TARGETS), transcoder=beat)
    found = plan(stream(), world, PLATFORM, NOW).applies
    return {item["kind"]: item for item in found if item["metadata"]["name"] == "launch-restream"}


def test_the_pod_is_there_while_media_comes() -> None:
    assert made(receiving=False) == {}
    found = made(receiving=True)
    pod = found["Deployment"]["spec"]["template"]["spec"]
    (targets,) = [item for item in pod["volumes"] if item["name"] == "targets"]
    assert [item["secret"]["name"] for item in targets["projected"]["sources"]] == ["facebook", "youtube"]
    assert all(item["secret"]["optional"] for item in targets["projected"]["sources"])
    assert found["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}
    assert found["NetworkPolicy"]["spec"]["ingress"] == []
