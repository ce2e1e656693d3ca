"""The story of an object: what is shown first, how ready children are, and what the clock brings next."""

from typing import Any

import pytest

from hack.cli import story

Obj = dict[str, Any]
NOW = 1_893_492_000.0  # 2030-01-01T10:00:00Z


def sale(**spec: Any) -> Obj:
    body = {
        "stream": {"name": "launch"},
        "startsAt": "2030-01-01T11:00:00Z",
        "endsAt": "2030-01-01T12:00:00Z",
        "countdown": {"announceBefore": ["10m"]},
        **spec,
    }
    return {"kind": "FlashSale", "metadata": {"name": "drop", "namespace": "shop"}, "spec": body}


def stream(status: Obj, **schedule: str) -> Obj:
    spec = {"channel": {"name": "aarong"}, "title": "Launch", "schedule": schedule}
    return {"kind": "LiveStream", "metadata": {"name": "launch", "namespace": "shop"}, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("minutes", "what"),
    [
        (0, "capacity is made ready"),
        (46, "viewers hear of it (10m before)"),
        (55, "the sale opens"),
        (60, "the sale closes"),
        (125, "open payments lapse"),
    ],
)
def test_a_sale_goes_from_moment_to_moment(minutes: int, what: str) -> None:
    coming = story.upcoming(sale(), NOW + minutes * 60)
    assert coming is not None
    assert coming["what"] == what
    assert coming["in_seconds"] > 0


def test_nothing_comes_after_the_last_moment_or_for_a_cancelled_sale() -> None:
    assert story.upcoming(sale(), NOW + 86_400) is None
    assert story.upcoming(sale(state="Cancelled"), NOW) is None


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (stream({}, startAt="2030-01-01T11:00:00Z"), "the stream is prepared"),
        (stream({"interruptedAt": "2030-01-01T09:59:00Z"}), "it ends without a publisher"),
        (stream({"startedAt": "2030-01-01T09:00:00Z"}, maxDuration="2h"), "it ends (maxDuration)"),
    ],
)
def test_a_stream_says_when_it_starts_or_ends(found: Obj, what: str) -> None:
    coming = story.upcoming(found, NOW)
    assert coming is not None
    assert coming["what"] == what


def test_an_ended_stream_expects_nothing() -> None:
    assert story.upcoming(stream({"endedAt": "2030-01-01T09:00:00Z"}, startAt="2030-01-01T11:00:00Z"), NOW) is None


@pytest.mark.parametrize(
    ("obj", "ready"),
    [
        ({"kind": "Deployment", "spec": {"replicas": 3}, "status": {"readyReplicas": 1}}, "1/3"),
        ({"kind": "Deployment", "spec": {"replicas": 0}, "status": {}}, "0/0"),
        ({"kind": "Pod", "status": {"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]}}, "Running"),
        (
            {"kind": "Pod", "status": {"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]}},
            "ImagePullBackOff",
        ),
        ({"kind": "Pod"}, "Pending"),
        ({"kind": "Job", "status": {"failed": 1}}, "Failed"),
        ({"kind": "Service"}, "ok"),
    ],
)
def test_readiness_in_a_word(obj: Obj, ready: str) -> None:
    assert story.readiness(obj) == ready


@pytest.mark.parametrize(
    ("total", "text"),
    [(0, "0s"), (-3, "0s"), (45, "45s"), (723, "12m 3s"), (12_000, "3h 20m"), (187_200, "2d 4h"), (86_400, "1d")],
)
def test_durations_as_people_say_them(total: float, text: str) -> None:
    assert story.duration(total) == text


def test_only_the_last_events_and_the_newest_last() -> None:
    events = [
        {"metadata": {}, "reason": f"R{number}", "lastTimestamp": f"2030-01-01T09:{number:02}:00Z"}
        for number in range(20)
    ]
    told = story.story(stream({"phase": "Live"}), [], list(reversed(events)), NOW)
    assert [item["reason"] for item in told["events"]] == [f"R{number}" for number in range(12, 20)]


def test_a_bare_object_without_status_can_be_told() -> None:
    text = story.text(story.story(sale(), [], [], NOW), NOW)
    assert text.startswith("FlashSale shop/drop")
    assert "Phase    Pending" in text
    assert "no events" in text


def test_colours_only_on_demand() -> None:
    told = story.story(stream({"phase": "Live"}), [], [], NOW)
    assert "\033[" not in story.text(told, NOW)
    assert "\033[" in story.text(told, NOW, colours=True)
