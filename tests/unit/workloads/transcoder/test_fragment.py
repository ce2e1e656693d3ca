"""Init segments, fragments and CMAF chunks."""

import contextlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_builders import aac_entry, avc_entry, init_bytes

from workloads.common.cmaf import boxes
from workloads.common.cmaf.boxes import BoxError, BoxReader
from workloads.common.cmaf.fragment import Fragment, FragmentReader, Init, Sample, pack_chunk, parse_fragment

samples = st.builds(
    Sample,
    duration=st.integers(0, 2**32 - 1),
    size=st.integers(0, 50),
    sync=st.booleans(),
    offset=st.integers(-(2**31), 2**31 - 1),
)


@st.composite
def fragments(draw: st.DrawFn) -> Fragment:
    frames = tuple(draw(st.lists(samples, min_size=1, max_size=5)))
    size = sum(sample.size for sample in frames)
    return Fragment(draw(st.integers(0, 2**63)), frames, draw(st.binary(min_size=size, max_size=size)))


@given(st.lists(fragments(), min_size=1, max_size=4))
def test_a_chunk_holds_exactly_the_frames_of_its_fragments(parts: list[Fragment]) -> None:
    [(_, moof), (_, mdat)] = BoxReader().feed(pack_chunk(7, parts))
    found = parse_fragment(moof, mdat[8:])
    assert found.samples == tuple(sample for part in parts for sample in part.samples)
    assert found.data == b"".join(part.data for part in parts)
    assert found.decode_time == parts[0].decode_time


@given(fragments(), st.lists(st.integers(0, 600), max_size=5))
def test_the_reader_takes_any_split(fragment: Fragment, cuts: list[int]) -> None:
    data = init_bytes(handler=b"vide", timescale=90_000, entry=avc_entry(640, 360)) + pack_chunk(1, [fragment])
    reader = FragmentReader()
    found: list[Init | Fragment] = []
    for start, end in pairwise([0, *sorted({min(cut, len(data)) for cut in cuts}), len(data)]):
        found += reader.feed(data[start:end])
    assert isinstance(found[0], Init)
    assert found[1:] == [fragment]


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(BoxError):
        list(FragmentReader().feed(data))


def test_an_init_segment_tells_codec_size_and_timescale() -> None:
    data = init_bytes(handler=b"vide", timescale=90_000, entry=avc_entry(640, 360))
    [init] = FragmentReader().feed(data)
    assert isinstance(init, Init)
    assert (init.data, init.codec, init.width, init.height, init.timescale) == (data, "avc1.4d401f", 640, 360, 90_000)


@pytest.mark.parametrize(("object_type", "codec"), [(2, "mp4a.40.2"), (5, "mp4a.40.5")], ids=["LC", "HE"])
def test_audio_object_types(object_type: int, codec: str) -> None:
    data = init_bytes(handler=b"soun", timescale=48_000, entry=aac_entry(object_type))
    [init] = FragmentReader().feed(data)
    assert isinstance(init, Init)
    assert (init.codec, init.width) == (codec, 0)


def test_track_defaults_fill_what_a_fragment_leaves_out() -> None:
    tfhd = boxes.pack(
        b"tfhd",
        b"\x00\x02\x00\x38",
        bytes((0, 0, 0, 1)),
        (3600).to_bytes(4, "big"),
        (2).to_bytes(4, "big"),
        b"\x01\x01\x00\x00",
    )
    trun = boxes.pack(b"trun", b"\x00\x00\x00\x05", (2).to_bytes(4, "big"), bytes(4), b"\x02\x00\x00\x00")
    traf = boxes.pack(b"traf", tfhd, boxes.pack(b"tfdt", bytes(4), (9).to_bytes(4, "big")), trun)
    found = parse_fragment(boxes.pack(b"moof", traf), b"abcd")
    assert found == Fragment(9, (Sample(3600, 2, True), Sample(3600, 2, False)), b"abcd")


def test_sizes_that_do_not_add_up_are_refused() -> None:
    chunk = pack_chunk(1, [Fragment(0, (Sample(1, 4, True),), b"abcd")])
    [(_, moof), _] = BoxReader().feed(chunk)
    with pytest.raises(BoxError):
        parse_fragment(moof, b"abc")
