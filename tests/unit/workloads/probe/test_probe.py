"""How late a playlist is, and whose turn it is to be watched."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.probe.edge import PlaylistError, live_edge, smallest_variant
from workloads.probe.office import is_live
from workloads.probe.rota import Rota

PLAYLIST = """#EXTM3U
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK=6.0,PART-HOLD-BACK=0.600
#EXT-X-MAP:URI="init.mp4?v=1"
#EXT-X-PROGRAM-DATE-TIME:2026-11-22T10:00:00.000Z
#EXTINF:2.00000,
7.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-22T10:00:02.000Z
#EXT-X-PART:DURATION=0.20000,URI="8.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.20000,URI="8.1.m4s"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="8.2.m4s"
"""
ENDED = datetime(2026, 11, 22, 10, 0, 2, 400_000, tzinfo=UTC).timestamp()


def test_a_player_is_the_hold_back_behind_the_end() -> None:
    edge = live_edge(PLAYLIST)
    assert (edge.next_msn, edge.next_part, edge.hold_back) == (8, 2, 0.6)
    assert edge.end == pytest.approx(ENDED)
    assert edge.latency_ms(ENDED + 0.1) == 700
    assert edge.latency_ms(ENDED - 5) == 0


def test_dates_that_are_too_late_are_corrected() -> None:
    edge = live_edge(PLAYLIST.replace("#EXT-X-MAP", "#EXT-X-HAAT-LEAD:0.250\n#EXT-X-MAP"))
    assert edge.latency_ms(ENDED + 0.1) == 950


def test_a_finished_segment_counts_once_with_its_parts() -> None:
    whole = PLAYLIST.replace("#EXT-X-PRELOAD", "#EXTINF:0.40000,\n8.m4s\n#EXT-X-PRELOAD").replace("8.2.m4s", "9.0.m4s")
    assert live_edge(whole).end == pytest.approx(ENDED)


@pytest.mark.parametrize(
    "cut", ["PART-HOLD-BACK=0.600", "#EXT-X-PRELOAD-HINT:TYPE=PART,URI", "PROGRAM-DATE-TIME", "DURATION=0.20000"]
)
def test_what_cannot_be_followed_is_a_typed_error(cut: str) -> None:
    with pytest.raises(PlaylistError):
        live_edge(PLAYLIST.replace(cut, "X"))


def test_the_smallest_rung_is_the_last() -> None:
    rungs = [("RESOLUTION=1280x720", "720p"), ("RESOLUTION=640x360", "360p"), ("BANDWIDTH=1", "audio")]
    lines = [f"#EXT-X-STREAM-INF:CODECS=x,{shape}\n{name}/media.m3u8\n" for shape, name in rungs]
    master = "#EXTM3U\n" + "".join(lines)
    assert smallest_variant(master) == "360p/media.m3u8"
    with pytest.raises(PlaylistError):
        smallest_variant("#EXTM3U\n")


@given(st.text())
def test_garbage_is_a_typed_error(text: str) -> None:
    for read in (live_edge, smallest_variant):
        with pytest.raises(PlaylistError):
            read(text)


@pytest.mark.parametrize(
    ("raw", "live"),
    [
        ('{"phase":"Live"}', True),
        ('{"phase":"Interrupted"}', True),
        ('{"phase":"Standby"}', False),
        ("[]", False),
        ("", False),
    ],
)
def test_live(raw: str, live: bool) -> None:
    assert is_live(raw) is live


@given(count=st.integers(1, 12), places=st.integers(1, 5))
def test_everybody_gets_a_turn(count: int, places: int) -> None:
    rota, streams, seen = Rota(places, 10.0), [f"s/{number}" for number in range(count)], set()
    for step in range(2 * (count // places + 1)):
        rota.update(streams, step * 10.0)
        assert len(rota.watched) == min(places, count)
        seen |= rota.watched
    assert seen == set(streams)


def test_a_turn_is_not_cut_short_and_who_left_frees_its_place() -> None:
    rota = Rota(1, 10.0)
    rota.update(["a", "b"], 0.0)
    rota.update(["a", "b"], 9.0)
    assert rota.watched == {"a"}
    rota.update(["b"], 9.5)
    assert rota.watched == {"b"}
