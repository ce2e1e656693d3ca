"""Pins, boards, rates, texts: the room's small pure rules."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.common.mounted import ConfigError
from workloads.fanout import messages
from workloads.fanout.config import StreamFile, load_stream
from workloads.fanout.messages import Invalid
from workloads.fanout.policy import BadText, TokenBucket, clean_text, is_uuid
from workloads.fanout.ring import BadEvent, Entry, parse_entry
from workloads.fanout.state import MAX_PINS, RoomState


def event(offset: int, kind: str, data: dict[str, Any]) -> Entry:
    return parse_entry(json.dumps({"event": kind, "offset": offset, "epoch": "e", "data": data}).encode())


changes = st.lists(st.tuples(st.sampled_from(["pin", "unpin"]), st.sampled_from("ABCDE")), max_size=30)


@given(changes, st.integers(0, 30))
def test_pins_come_out_the_same_for_who_saw_all_and_who_loaded_in_between(steps: list, saved_after: int) -> None:
    entries = [event(number, kind, {"sku": sku}) for number, (kind, sku) in enumerate(steps, 1)]
    whole = RoomState()
    saved: dict[str, str] = {}
    for number, entry in enumerate(entries):
        if number == saved_after:
            saved = whole.dump("e")
        whole.apply(entry)
    later = RoomState()
    later.load(saved, "e")
    for entry in entries:
        later.apply(entry)
    assert later.pins == whole.pins
    assert len(whole.pins) <= MAX_PINS
    skus = [pin["sku"] for pin in whole.pins]
    assert len(set(skus)) == len(skus)


def board(sale: str, phase: str, clock: int) -> dict[str, Any]:
    return {"id": sale, "phase": phase, "server_now_ms": clock, "items": []}


@pytest.mark.parametrize(
    ("boards", "shown"),
    [
        pytest.param([], None, id="no sale"),
        pytest.param([board("a", "Scheduled", 1), board("a", "Open", 2)], ("a", "Open"), id="the newest of a sale"),
        pytest.param([board("a", "Open", 2), board("a", "Scheduled", 1)], ("a", "Open"), id="an old one comes late"),
        pytest.param([board("a", "Open", 1), board("b", "Scheduled", 9)], ("a", "Open"), id="open before coming"),
        pytest.param(
            [board("a", "Closed", 9), board("b", "Countdown", 1)], ("b", "Countdown"), id="coming before over"
        ),
        pytest.param([board("a", "Closed", 1), board("b", "Closed", 2)], ("b", "Closed"), id="the last that was"),
        pytest.param([{"id": "a"}, {"id": 7, "server_now_ms": 1}, {}], None, id="what is no board"),
    ],
)
def test_which_sale_is_shown(boards: list, shown: tuple[str, str] | None) -> None:
    state = RoomState()
    for item in boards:
        state.take_board(item)
    sale = state.sale
    assert (sale and (sale["id"], sale["phase"])) == shown


@pytest.mark.parametrize("fields", [{"pins": "["}, {"pins": "7"}, {"pins": '{"items":7}'}, {"sale": "x"}, {}])
def test_damaged_state_is_as_good_as_none(fields: dict[str, str]) -> None:
    state = RoomState()
    state.load(fields, "e")
    assert (state.pins, state.sale) == ([], None)


@pytest.mark.parametrize("data", [{}, {"sku": ""}, {"sku": None}])
def test_a_pin_without_article_changes_nothing(data: dict[str, Any]) -> None:
    state = RoomState()
    state.apply(event(1, "pin", data))
    assert state.pins == []


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(5, 10)
    assert [bucket.take(100.0) for _ in range(10)] == [0.0] * 10
    assert bucket.take(100.0) == pytest.approx(0.2)
    assert bucket.take(100.3) == 0.0
    assert bucket.take(100.3) > 0
    assert bucket.take(99.0) > 0, "a clock that goes back gives nothing"


@given(st.lists(st.floats(0, 2), min_size=1, max_size=200))
def test_no_pattern_of_taps_gets_more_than_burst_and_rate(pauses: list[float]) -> None:
    bucket, now, allowed = TokenBucket(5, 10), 1.0, 0
    for pause in pauses:
        now += pause
        allowed += bucket.take(now) == 0.0
    assert allowed <= 10 + 5 * (now - 1.0) + 1


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        pytest.param("  hi  ", "hi", id="trimmed"),
        pytest.param("e\u0301", "é", id="one form"),
        pytest.param("👩‍👩‍👧", "👩‍👩‍👧", id="a family needs its joiners"),
        pytest.param("ক্‍ষ", "ক্‍ষ", id="so does Bengali"),
        pytest.param("مرحبا", "مرحبا", id="right to left"),
        pytest.param("x" * 300, "x" * 300, id="the longest"),
    ],
)
def test_good_texts(text: str, cleaned: str) -> None:
    assert clean_text(text, max_length=300) == cleaned


@pytest.mark.parametrize("text", ["", "  ", "\u200d", "\u3000", "a\x07b", "a\tb", "\u202ea", "a\u2069", "x" * 301])
def test_bad_texts(text: str) -> None:
    with pytest.raises(BadText):
        clean_text(text, max_length=300)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("0190a1b2-0000-7000-8000-000000000001", True),
        ("0190A1B2-0000-7000-8000-000000000001", True),
        ("0190a1b2000070008000000000000001", False),
        ("{0190a1b2-0000-7000-8000-000000000001}", False),
        ("0190a1b2-0000-7000-8000-00000000000g", False),
        ("", False),
    ],
)
def test_uuids(text: str, good: bool) -> None:
    assert is_uuid(text) is good


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"type":"publish","room":"a","event":"chat","id":"1"}', "data"),
        ('{"type":"publish","room":1,"event":"chat","id":"1","data":{}}', "room"),
        ('{"type":"buy","sale":"a","sku":"A","id":"1","qty":"2"}', "qty"),
        ('{"type":7}', "type"),
    ],
)
def test_invalid_frames_name_their_field(text: str, field: str) -> None:
    with pytest.raises(Invalid) as error:
        messages.parse(text)
    assert error.value.field == field


@given(st.text(max_size=200))
def test_no_text_crashes_the_parser(text: str) -> None:
    with pytest.raises((Invalid, messages.NotJson)):
        messages.parse(text)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{}", b'{"event":"a","offset":1}', b'{"event":"a","offset":-1,"epoch":"e"}', b'{"event":1}']
)
def test_what_is_no_event(raw: bytes) -> None:
    with pytest.raises(BadEvent):
        parse_entry(raw)


def test_rules_change_while_the_room_is_open_and_a_wrong_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "stream.json"

    def write(text: str) -> None:
        path.unlink(missing_ok=True)
        path.write_text(text)

    write(json.dumps({"stream": "shop/launch", "chat": {"max_length": 10}}))
    file = StreamFile(path)
    assert not file.refresh()
    write(json.dumps({"stream": "shop/launch", "chat": {"max_length": 2000}}))
    assert file.refresh()
    assert file.spec.chat.max_length == 2000
    for text in (
        "{",
        '{"stream":"shop/launch","chat":{"max_length":-1000}}',
        '{"stream":"shop/another-one","chat":{}}',
    ):
        write(text)
        assert not file.refresh()
    path.unlink()
    assert not file.refresh()
    assert file.spec.chat.max_length == 2000


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[", "not JSON"),
        ('{"stream":"Shop"}', "stream"),
        ('{"stream":"a/b","chat":{"max_length":0}}', "chat.max_length"),
    ],
)
def test_a_wrong_stream_file_is_named(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "stream.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=word):
        load_stream(path)
