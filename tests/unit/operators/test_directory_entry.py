"""What the directory says of a stream's recording."""

import json
from typing import Any

import pytest

from operators.livestream.plan import plan
from tests.unit.operators.builders import NOW, PLATFORM, channel, observed, stream

ON = {"enabled": True, "retention": "1h", "dvrWindow": "90s"}


def entry(spec: dict[str, Any], of_channel: dict[str, Any], **seen: Any) -> dict[str, Any]:
    subject = stream(**spec)
    result = plan(subject, observed(channel=channel(**of_channel), **seen), PLATFORM, NOW)
    found = next(item.value for item in result.publications if item.key == "haat:streams")
    return dict(json.loads(found or "{}"))


@pytest.mark.parametrize(
    ("own", "channels", "enabled"),
    [({}, {}, False), ({}, ON, True), ({"enabled": False}, ON, False), (ON, {}, True)],
)
def test_the_streams_wish_comes_before_the_channels(
    own: dict[str, Any], channels: dict[str, Any], enabled: bool
) -> None:
    spec = {"recording": own} if own else {}
    assert entry(spec, {"recording": channels})["recording"]["enabled"] is enabled


def test_the_recorder_reads_seconds() -> None:
    found = entry({}, {"recording": ON})["recording"]
    assert (found["retention_seconds"], found["dvr_window_seconds"]) == (3600, 90)
    assert set(found) == {"enabled", "storage", "retention_seconds", "dvr_window_seconds", "highlights"}


def test_a_picture_of_ones_own_is_kept() -> None:
    found = entry({"thumbnailUri": "https://x.example/a.jpg"}, {"recording": ON})
    assert found["thumbnail"] == "https://x.example/a.jpg"
    assert entry({}, {"recording": ON})["thumbnail"] == "", "nothing is on the air"
