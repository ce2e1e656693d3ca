"""FLV tags, and what a new transcoder gets to begin in the middle."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.common import flv
from workloads.common.publication.gop import GopCache

SEQUENCE = b"\x17\x00\x00\x00\x00config"
KEY, INTER = b"\x17\x01\x00\x00\x00key", b"\x27\x01\x00\x00\x00inter"
AAC_CONFIG, AAC = b"\xaf\x00\x11\x90", b"\xaf\x01sound"

tags = st.builds(
    flv.Tag,
    kind=st.sampled_from([flv.AUDIO, flv.VIDEO, flv.SCRIPT]),
    timestamp_ms=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=300),
)


@given(st.lists(tags, max_size=8), st.lists(st.integers(0, 2000), max_size=8))
def test_tags_survive_any_split(sent: list[flv.Tag], cuts: list[int]) -> None:
    data = flv.HEADER + b"".join(flv.pack_tag(tag.kind, tag.timestamp_ms, tag.payload) for tag in sent)
    reader = flv.TagReader()
    found = []
    for start, end in pairwise([0, *sorted({min(cut, len(data)) for cut in cuts}), len(data)]):
        found += reader.feed(data[start:end])
    assert found == sent


@pytest.mark.parametrize("data", [b"RIFF" + bytes(20), flv.HEADER + b"\x63" + bytes(20)], ids=["header", "tag"])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(flv.FlvError):
        flv.TagReader().feed(data)


def cache(*items: tuple[int, int, bytes], **limits: int) -> GopCache:
    found = GopCache(**limits)
    for kind, at, payload in items:
        found.add(kind, at, payload, payload)
    return found


def test_replay_is_header_configuration_and_the_current_group() -> None:
    found = cache(
        (flv.SCRIPT, 0, b"meta"),
        (flv.VIDEO, 0, SEQUENCE),
        (flv.AUDIO, 0, AAC_CONFIG),
        (flv.VIDEO, 0, KEY),
        (flv.AUDIO, 5, AAC),
        (flv.VIDEO, 2000, KEY),
        (flv.AUDIO, 2010, AAC),
        (flv.VIDEO, 2040, INTER),
    )
    assert found.replay() == [flv.HEADER, b"meta", SEQUENCE, AAC_CONFIG, KEY, AAC, INTER]
    assert found.age_ms() == 40


def test_a_new_configuration_forgets_the_frames_before_it() -> None:
    found = cache((flv.VIDEO, 0, SEQUENCE), (flv.VIDEO, 0, KEY), (flv.VIDEO, 40, SEQUENCE + b"2"))
    assert found.replay() == [flv.HEADER, SEQUENCE + b"2"]


def test_frames_before_the_first_key_frame_are_not_kept() -> None:
    assert cache((flv.VIDEO, 0, SEQUENCE), (flv.VIDEO, 0, INTER), (flv.AUDIO, 1, AAC)).replay() == [
        flv.HEADER,
        SEQUENCE,
    ]


@pytest.mark.parametrize("limits", [{"max_bytes": 20}, {"max_milliseconds": 30}], ids=["bytes", "time"])
def test_an_endless_group_is_dropped(limits: dict[str, int]) -> None:
    found = cache((flv.VIDEO, 0, KEY), (flv.VIDEO, 40, INTER), (flv.VIDEO, 80, INTER), **limits)
    assert found.replay() == [flv.HEADER]
    assert found.age_ms() == 0


def test_time_may_wrap() -> None:
    assert cache((flv.VIDEO, 0xFFFFFFF0, KEY), (flv.VIDEO, 0x10, INTER)).age_ms() == 0x20
