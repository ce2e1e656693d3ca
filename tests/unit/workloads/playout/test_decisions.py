"""What is on air when, what is tried again when, and what may be opened."""

import json
from pathlib import Path

import pytest

from workloads.playout import command
from workloads.playout.config import KeyFile, PlayoutSettings
from workloads.playout.failures import Failures
from workloads.playout.schedule import Programme, Schedule, ScheduleFile

NOW = 1_800_000_000.0
SETTINGS = PlayoutSettings()


def programme(slot: str, start: float, end: float, **rest: object) -> Programme:
    moments = {"starts_at_ms": round((NOW + start) * 1000), "ends_at_ms": round((NOW + end) * 1000)}
    return Programme(
        slot=slot, **({"kind": "vod", "source": slot, "began_at_ms": moments["starts_at_ms"]} | moments | rest)
    )  # type: ignore[arg-type]


SCHEDULE = Schedule(slate="file:///slate.png", programmes=(programme("a", 0, 60), programme("b", 90, 120)))


@pytest.mark.parametrize(
    ("at", "slot", "ends"),
    [(0, "a", 60), (59.9, "a", 60), (60, "", 90), (90, "b", 120), (500, "", 500 + 86_400), (-1, "", 0)],
)
def test_what_is_on(at: float, slot: str, ends: float) -> None:
    found = SCHEDULE.at(NOW + at)
    assert found.slot == slot
    assert found.ends_at_ms == round((NOW + ends) * 1000)
    assert (found.kind == "slate") == (slot == "")


def test_the_same_programme_of_another_schedule_is_the_same() -> None:
    longer = programme("a", 0, 90)
    assert longer.identity == SCHEDULE.at(NOW).identity
    assert programme("a", 0, 60, began_at_ms=5).identity != SCHEDULE.at(NOW).identity
    assert SCHEDULE.at(NOW + 70).identity == SCHEDULE.at(NOW + 500).identity


@pytest.mark.parametrize("text", ["", "[]", '{"programmes": 3}', '{"programmes": [{"kind": "opera"}]}'])
def test_a_wrong_file_leaves_the_last_good_schedule(tmp_path: Path, text: str) -> None:
    path = tmp_path / "schedule.json"
    path.write_text(SCHEDULE.model_dump_json())
    file = ScheduleFile(path)
    assert file.refresh()
    assert not file.refresh()
    path.write_text(text)
    assert not file.refresh()
    assert file.current == SCHEDULE
    path.unlink()
    assert not file.refresh()
    path.write_text(json.dumps({"programmes": []}))
    assert file.refresh()


def test_failures_are_tried_again_ever_more_slowly_and_forgotten() -> None:
    failures, item, now = Failures(lambda: 1.0), programme("a", 0, 3600), NOW
    pauses = [failures.note(item, now) for _ in range(8)]
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    assert not failures.may_try(item, now + 29)
    assert failures.may_try(item, now + 30)
    assert failures.failing(item)
    failures.works(item)
    assert not failures.failing(item)
    failures.note_over(item)
    failures.forget(now + 3599)
    assert failures.is_over(item)
    failures.forget(now + 3600)
    assert not failures.is_over(item)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/film.mp4",
        "ftp://films/x",
        "concat:a|b",
        "/etc/passwd",
        "file:///etc/haat/keys/stream-key",
        "file:///films/../etc/haat/keys/stream-key",
        "file:///films/%2e%2e/etc/haat/keys/stream-key",
        "file:///proc/self/environ",
        "pipe:0",
    ],
)
def test_what_is_not_opened(uri: str) -> None:
    with pytest.raises(command.SourceError):
        command.media(SETTINGS, "ffmpeg", uri, offset=0, silent=False)
    with pytest.raises(command.SourceError):
        command.slate(SETTINGS, "ffmpeg", uri)


def test_a_playlist_from_the_web_cannot_read_files() -> None:
    words = command.media(SETTINGS, "ffmpeg", "https://films.example/list.m3u8", offset=0, silent=False)
    allowed = words[words.index("-protocol_whitelist") + 1].split(",")
    assert "https" in allowed
    assert not {"file", "pipe", "concat", "data"} & set(allowed)


def test_a_film_is_joined_at_its_offset_and_may_have_spaces() -> None:
    words = command.media(SETTINGS, "ffmpeg", "file:///films/a%20b.mp4", offset=12.5, silent=False)
    assert words[words.index("-ss") + 1] == "12.500"
    assert "file:/films/a b.mp4" in words


def test_the_key_file_is_read_again_and_survives_its_absence(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("one\n")
    key = KeyFile(path)
    assert key.read() == "one"
    assert not key.changed()
    path.write_text("two")
    assert key.changed()
    path.unlink()
    assert key.read() == "two"
