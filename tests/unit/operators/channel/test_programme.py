"""The line of programmes: whole, without holes, and the same for everybody who asks."""

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.api.base import seconds
from operators.api.programming import Programming
from operators.channel.programme import Place, Programme, ProgrammeError, Window, current, resolve, window
from tests.unit.operators.channel.making import NOW

HERE = Place("shop", "tele", "tele-uid")
MINUTE, HOUR = 60.0, 3600.0


def programming(*slots: dict, **rest: object) -> Programming:
    return Programming.model_validate({"slots": list(slots)} | rest)


def film(name: str, cron: str, duration: str = "1h", priority: int = 0) -> dict:
    uri = f"https://films.example/{name}.mp4"
    return {"name": name, "cron": cron, "duration": duration, "priority": priority, "vodUri": uri}


def line(wanted: Programming, begins: float = NOW, hours: float = 6) -> tuple[Programme, ...]:
    return resolve(wanted, HERE, Window(begins, begins + hours * HOUR))


def told(found: tuple[Programme, ...]) -> list[tuple[str, int, int]]:
    return [(item.slot or item.kind, round((item.starts_at - NOW) / 60), round((item.ends_at - NOW) / 60))
            for item in found]  # fmt: skip


@pytest.mark.parametrize(
    ("slots", "expected"),
    [
        pytest.param([film("a", "0 8 * * *")], [("a", 0, 60), ("slate", 60, 360)], id="one and nothing"),
        pytest.param([film("a", "0 8 * * *"), film("b", "30 8 * * *")],
                     [("a", 0, 30), ("b", 30, 90), ("slate", 90, 360)], id="the later start wins"),
        pytest.param([film("a", "0 8 * * *", "2h"), film("b", "30 8 * * *", "30m")],
                     [("a", 0, 30), ("b", 30, 60), ("a", 60, 120), ("slate", 120, 360)], id="back to what still runs"),
        pytest.param([film("a", "0 8 * * *", priority=1), film("b", "30 8 * * *")],
                     [("a", 0, 60), ("b", 60, 90), ("slate", 90, 360)], id="the higher priority wins"),
        pytest.param([film("b", "0 8 * * *"), film("a", "0 8 * * *")], [("a", 0, 60), ("slate", 60, 360)],
                     id="the name decides what nothing else does"),
        pytest.param([film("a", "0 8 * * *"), film("b", "0 9 * * *")],
                     [("a", 0, 60), ("b", 60, 120), ("slate", 120, 360)], id="back to back"),
        pytest.param([film("a", "30 7 * * *")], [("a", -30, 30), ("slate", 30, 360)], id="on since before"),
    ],
)  # fmt: skip
def test_who_is_on_air(slots: list[dict], expected: list) -> None:
    assert told(line(programming(*slots))) == expected


def test_what_was_interrupted_goes_on_where_it_would_be() -> None:
    found = line(programming(film("a", "0 8 * * *", "2h"), film("b", "30 8 * * *", "30m")))
    assert [item.began_at - NOW for item in found if item.slot == "a"] == [0, 0]


def test_gaps_repeat_the_last_film() -> None:
    weekly = programming(film("a", "0 7 * * 5"), film("b", "0 6 * * 5"), gapPolicy="RepeatLast")
    found = line(weekly, NOW + 3 * HOUR, 3)
    assert {item.slot for item in found} == {"a"}
    assert all(item.ends_at - item.starts_at <= HOUR for item in found)


def test_gaps_without_any_film_are_slate() -> None:
    relay = {"name": "r", "cron": "0 8 * * *", "duration": "1h", "relayChannel": "friends"}
    for policy in ("RepeatLast", "Shuffle"):
        slate = "https://films.example/slate.mp4"
        found = line(programming(relay, gapPolicy=policy, slateUri=slate))
        assert [(item.kind, item.source) for item in found] == [("relay", "shop/friends"), ("slate", slate)]


def test_shuffle_plays_every_film_once_a_round_and_differs_by_channel() -> None:
    films = [film(name, "0 0 1 1 *", "10m") for name in "abcdef"]
    wanted = programming(*films, gapPolicy="Shuffle")
    found = [item.slot for item in line(wanted, NOW, 3)]
    first = line(wanted, NOW // 86_400 * 86_400, 1)
    assert len({item.slot for item in first}) == 6
    assert all(one != two for one, two in pairwise(found))
    other = resolve(wanted, Place("shop", "tele", "another-uid"), Window(NOW, NOW + 3 * HOUR))
    assert [item.slot for item in other] != found


slots = st.lists(
    st.builds(
        lambda kind, minute, hour, length, priority: (kind, f"{minute} {hour} * * *", f"{length}m", priority),
        st.sampled_from(["vod", "stream", "relay"]),
        st.sampled_from(["0", "30", "*/20", "17"]),
        st.sampled_from(["*", "8", "*/5", "23", "2"]),
        st.integers(1, 1600),
        st.integers(-2, 2),
    ),
    min_size=1,
    max_size=5,
)
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Dhaka"])
policies = st.sampled_from(["Slate", "RepeatLast", "Shuffle"])
moments = st.integers(1_790_000_000, 1_830_000_000)


def drawn(made: list, zone: str, policy: str) -> Programming:
    result = []
    for index, (kind, cron, duration, priority) in enumerate(made):
        slot = {"name": f"s{index}", "cron": cron, "duration": duration, "priority": priority}
        source = {
            "vod": {"vodUri": f"https://films.example/{index}.mp4"},
            "relay": {"relayChannel": "friends"},
            "stream": {"streamTemplate": {"title": "t"}},
        }
        result.append(slot | source[kind])
    return programming(*result, timezone=zone, gapPolicy=policy)


@settings(max_examples=60, deadline=None)
@given(slots, zones, policies, moments)
def test_the_line_has_no_holes_and_no_overlaps_and_covers_what_is_planned(
    made: list, zone: str, policy: str, now: int
) -> None:
    wanted = drawn(made, zone, policy)
    span = window(wanted, now)
    found = resolve(wanted, HERE, span)
    assert found[0].starts_at <= span.begins
    assert found[-1].ends_at == span.ends >= now + seconds(wanted.horizon)
    assert all(one.ends_at == two.starts_at for one, two in pairwise(found))
    assert all(item.began_at <= item.starts_at < item.ends_at for item in found)


@settings(max_examples=40, deadline=None)
@given(slots, zones, policies, moments, st.integers(0, 5400))
def test_two_windows_agree_on_what_they_both_see(made: list, zone: str, policy: str, now: int, later: int) -> None:
    """A playout that reads the next schedule goes on with what it shows."""
    wanted = drawn(made, zone, policy)
    one, two = window(wanted, now), window(wanted, now + later)
    first, second = resolve(wanted, HERE, one), resolve(wanted, HERE, two)
    for minute in range(0, 360, 7):
        moment = two.begins + minute * 60
        if moment < one.ends:
            a, b = current(first, moment), current(second, moment)
            assert a is not None
            assert b is not None
            assert (a.slot, a.kind, a.source) == (b.slot, b.kind, b.source)
            assert a.kind == "slate" or a.began_at == b.began_at


@pytest.mark.parametrize(
    ("zone", "day", "cron", "hours", "expected"),
    [
        pytest.param("Europe/Berlin", "2026-03-29", "30 2 * * *", 24, [], id="Berlin: 02:30 does not exist"),
        pytest.param("Europe/Berlin", "2026-10-25", "30 2 * * *", 24, ["02:30+0200"], id="Berlin: 02:30 comes twice"),
        pytest.param("Europe/Berlin", "2026-03-29", "0 9 * * *", 24, ["09:00+0200"], id="Berlin: the morning after"),
        pytest.param("America/New_York", "2026-03-08", "30 2 * * *", 24, [], id="New York: skipped"),
        pytest.param("America/New_York", "2026-11-01", "30 1 * * *", 24, ["01:30-0400"], id="New York: the first"),
        pytest.param("America/New_York", "2026-11-01", "0 20 * * *", 24, ["20:00-0500"], id="New York: evening"),
        pytest.param("Asia/Dhaka", "2026-03-29", "30 2 * * *", 24, ["02:30+0600"], id="Dhaka knows no summer time"),
        pytest.param("Europe/Berlin", "2026-10-25", "0 * * * *", 4, ["00:00+0200", "01:00+0200", "02:00+0200",
                     "03:00+0100"], id="Berlin: each hour once"),
    ],
)  # fmt: skip
def test_days_on_which_clocks_change(zone: str, day: str, cron: str, hours: int, expected: list[str]) -> None:
    place = ZoneInfo(zone)
    midnight = datetime.fromisoformat(day).replace(tzinfo=place).timestamp()
    until = midnight + hours * HOUR + (HOUR if hours == 4 else 0)
    found = resolve(programming(film("a", cron, "10m"), timezone=zone), HERE, Window(midnight, until))
    starts = [datetime.fromtimestamp(item.starts_at, place) for item in found if item.slot == "a"]
    assert [f"{start:%H:%M%z}" for start in starts if start.date().isoformat() == day] == expected


@pytest.mark.parametrize(
    ("wanted", "reason", "words"),
    [
        (programming(film("a", "0 8 * * *"), timezone="Mars/Olympus"), "TimeZoneUnknown", "Mars/Olympus"),
        (programming(film("ok", "0 8 * * *"), film("bad", "0 25 * * *")), "CronInvalid", "slots[bad].cron"),
        (programming(film("never", "0 0 30 2 *")), "CronInvalid", "slots[never]"),
        (programming(film("none", "0 8 * * *", "0s")), "DurationInvalid", "slots[none]"),
        (programming(*(film(f"s{n}", "* * * * *", "24h") for n in range(5))), "TooManyShowings", "slots[s"),
    ],
    ids=["zone", "cron", "a day that never comes", "no duration", "more than anybody can watch"],
)
def test_what_cannot_be_resolved_says_why(wanted: Programming, reason: str, words: str) -> None:
    with pytest.raises(ProgrammeError) as error:
        line(wanted)
    assert error.value.reason == reason
    assert words in str(error.value)
