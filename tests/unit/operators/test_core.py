"""Conditions, comparison, durations, signals."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.api.base import Condition, seconds
from operators.core.conditions import Fact, merge, summary
from operators.core.diff import contains, is_applied, with_hash
from operators.livestream.observe import room_beat, transcoder_beat
from operators.runtime.signals import Signals

NOW = 1_800_000_000.0


@pytest.mark.parametrize(("text", "value"), [("90s", 90), ("5m", 300), ("1h30m", 5400), ("2h3m4s", 7384)])
def test_durations(text: str, value: int) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "2 minutes", "5", "m", "-5s", "5m5h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        seconds(text)


def test_transition_time_moves_only_with_the_status() -> None:
    before = [Condition(type="Ready", status="False", reason="A", lastTransitionTime="2020-01-01T00:00:00Z")]
    same = merge([Fact("Ready", False, "B")], before, generation=2, now=NOW)[0]
    moved = merge([Fact("Ready", True, "C")], before, generation=2, now=NOW)[0]
    assert same["lastTransitionTime"] == "2020-01-01T00:00:00Z"
    assert moved["lastTransitionTime"] == "2027-01-15T08:00:00Z"
    assert same["reason"] == "B"


def test_summary_names_the_first_that_is_not_true() -> None:
    facts = [Fact("A", True, "Fine"), Fact("B", None, "NotDue", "later"), Fact("C", False, "Broken")]
    assert summary(facts, needed=("A", "B", "C")) == Fact("Ready", False, "NotDue", "later")
    assert summary(facts, needed=("A",)).status is True


@pytest.mark.parametrize(
    ("live", "desired", "expected"),
    [
        pytest.param({"a": 1, "b": 2}, {"a": 1}, True, id="more is fine"),
        pytest.param({"a": 1}, {"a": 2}, False, id="other value"),
        pytest.param({}, {"a": []}, True, id="an empty list is nothing"),
        pytest.param({"a": [{"name": "x", "v": 1, "d": 9}]}, {"a": [{"name": "x", "v": 1}]}, True, id="named items"),
        pytest.param({"a": [{"name": "y"}, {"name": "x"}]}, {"a": [{"name": "x"}]}, False, id="one too many"),
        pytest.param({"a": [1, 2]}, {"a": [2, 1]}, False, id="order of plain lists"),
    ],
)
def test_contains(live: dict, desired: dict, expected: bool) -> None:
    assert contains(live, desired) is expected


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=4), trees, max_size=4))
def test_an_applied_manifest_is_applied(body: dict) -> None:
    manifest = with_hash({"metadata": {"name": "x"}, "body": body})
    assert is_applied(manifest, json.loads(json.dumps(manifest)))


def test_a_field_that_is_wanted_no_more_is_seen_through_the_hash() -> None:
    live = with_hash({"metadata": {"name": "x"}, "spec": {"a": 1, "b": 2}})
    assert not is_applied(with_hash({"metadata": {"name": "x"}, "spec": {"a": 1}}), live)


def heartbeat(at: float, **body: object) -> str:
    return json.dumps({"ts_ms": at * 1000} | body)


@pytest.mark.parametrize("text", ["", "x", "[]", "{}", '{"ts_ms": "soon"}', '{"ts_ms": null}'])
def test_garbage_heartbeats_count_as_none(text: str) -> None:
    entries = {"transcoder/shop/launch/p": text, "fanout/shop/launch/p": text}
    assert transcoder_beat(entries, "shop/launch", NOW) is None
    assert room_beat(entries, "shop/launch", NOW).pods == 0


def test_old_heartbeats_count_as_none_and_another_streams_are_not_ours() -> None:
    entries = {
        "transcoder/shop/launch/p": heartbeat(NOW - 6, receiving=True),
        "transcoder/shop/launch-2/p": heartbeat(NOW, receiving=True),
    }
    assert transcoder_beat(entries, "shop/launch", NOW) is None


def test_a_room_is_the_sum_of_its_pods() -> None:
    entries = {f"fanout/shop/launch/{pod}": heartbeat(NOW, connections=3, viewers=2) for pod in "ab"}
    beat = room_beat(entries, "shop/launch", NOW)
    assert (beat.pods, beat.connections, beat.viewers) == (2, 6, 4)


def test_only_a_change_that_a_status_would_show_wakes_a_reconcile() -> None:
    signals = Signals()
    stream = "shop/launch"

    def sweep(viewers: int, receiving: bool = True) -> list[str]:
        signals.heartbeats = {
            f"fanout/{stream}/a": heartbeat(NOW, connections=viewers, viewers=viewers),
            f"transcoder/{stream}/t": heartbeat(NOW, receiving=receiving, playable=True),
        }
        return signals.changed_streams([stream], NOW)

    assert sweep(1000) == [stream]
    assert sweep(1001) == []
    assert sweep(1200) == [stream]
    assert sweep(1200, receiving=False) == [stream]
    assert sweep(1200, receiving=False) == []
    assert [sample.connections for sample in signals.samples(stream)] == [1000, 1001, 1200, 1200, 1200]


def test_a_crowd_that_stays_wakes_again_when_the_windows_have_rolled_on() -> None:
    """The first sight of a crowd is diluted by the quiet seconds before it; nothing else may change afterwards."""
    signals, stream = Signals(), "shop/launch"

    def sweep(second: int, connections: int) -> list[str]:
        at = NOW + second
        signals.heartbeats = {f"fanout/{stream}/a": heartbeat(at, connections=connections, viewers=connections)}
        return signals.changed_streams([stream], at)

    for second in range(30):
        sweep(second, 0)
    assert sweep(30, 4) == [stream]
    later = [second for second in range(31, 38) if sweep(second, 4)]
    assert later
    assert max(later) >= 34
    for second in range(38, 200):
        sweep(second, 4)
    assert not any(sweep(second, 4) for second in range(200, 205))
