"""The chunk stream: any message, any chunk size, any header form, any split of the bytes."""

import contextlib
import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.ingest.chunk import ChunkError, ChunkReader, Message, pack_message


def read_all(reader: ChunkReader, data: bytes, cuts: list[int]) -> list[Message]:
    found = []
    for start, end in pairwise([0, *sorted({min(cut, len(data)) for cut in cuts}), len(data)]):
        reader.feed(data[start:end])
        while (message := reader.next()) is not None:
            found.append(message)
    return found


def u24(value: int) -> bytes:
    return struct.pack(">I", value)[1:]


messages = st.builds(
    Message,
    type_id=st.sampled_from([8, 9, 18, 20]),
    stream_id=st.sampled_from([0, 1]),
    timestamp=st.sampled_from([0, 40, 0xFFFFFE, 0xFFFFFF, 0x1000000, 0xFFFFFFFF]) | st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=600),
)


@given(st.lists(messages, max_size=6), st.sampled_from([1, 64, 128, 4096]), st.lists(st.integers(0, 4000), max_size=8))
def test_messages_survive_any_chunk_size_and_any_split(sent: list[Message], size: int, cuts: list[int]) -> None:
    reader = ChunkReader()
    reader.chunk_size = size
    data = b"".join(pack_message(4, message, size) for message in sent)
    assert read_all(reader, data, cuts) == sent


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_read_or_refused(data: bytes) -> None:
    reader = ChunkReader()
    reader.feed(data)
    with contextlib.suppress(ChunkError):
        while reader.next() is not None:
            continue


def test_compressed_headers_add_deltas() -> None:
    body = b"ab"
    data = (
        b"\x04"
        + u24(1000)
        + u24(2)
        + b"\x09"
        + b"\x01\x00\x00\x00"
        + body  # type 0: at 1000
        + b"\x44"
        + u24(40)
        + u24(2)
        + b"\x09"
        + body  # type 1: +40
        + b"\x84"
        + u24(33)
        + body  # type 2: +33
        + b"\xc4"
        + body  # type 3: +33 again
    )
    reader = ChunkReader()
    found = read_all(reader, data, [])
    assert [message.timestamp for message in found] == [1000, 1040, 1073, 1106]
    assert {message.stream_id for message in found} == {1}


def test_type_3_after_type_0_repeats_its_timestamp_as_the_delta() -> None:
    data = b"\x04" + u24(20) + u24(1) + b"\x08" + bytes(4) + b"a" + b"\xc4" + b"b"
    assert [message.timestamp for message in read_all(ChunkReader(), data, [])] == [20, 40]


def test_extended_delta_of_a_new_type_3_message_is_read() -> None:
    extended = struct.pack(">I", 0x01000000)
    data = (
        b"\x04"
        + u24(5)
        + u24(1)
        + b"\x08"
        + bytes(4)
        + b"a"
        + b"\x44"
        + b"\xff\xff\xff"
        + u24(1)
        + b"\x08"
        + extended
        + b"b"
        + b"\xc4"
        + extended
        + b"c"
    )
    assert [message.timestamp for message in read_all(ChunkReader(), data, [])] == [5, 0x01000005, 0x02000005]


def test_continuations_without_the_extended_timestamp_are_tolerated() -> None:
    payload = bytes(range(1, 201))
    data = b"\x04\xff\xff\xff" + u24(200) + b"\x09" + bytes(4) + struct.pack(">I", 0x01000000) + payload[:128]
    data += b"\xc4" + payload[128:]
    [message] = read_all(ChunkReader(), data, [])
    assert (message.timestamp, message.payload) == (0x01000000, payload)


@pytest.mark.parametrize(("prefix", "stream"), [(b"\x00\x05", 69), (b"\x01\x05\x01", 64 + 5 + 256)])
def test_long_chunk_stream_ids(prefix: bytes, stream: int) -> None:
    data = prefix + u24(1) + u24(1) + b"\x08" + bytes(4) + b"a"
    reader = ChunkReader()
    assert len(read_all(reader, data, [1, 2])) == 1
    reader.abort(stream)


def test_chunks_of_two_streams_interleave() -> None:
    audio, video = Message(8, 1, 10, b"a" * 200), Message(9, 1, 12, b"v" * 200)
    first, second = pack_message(4, audio), pack_message(6, video)
    head = 12 + 128
    data = first[:head] + second[:head] + first[head:] + second[head:]
    assert read_all(ChunkReader(), data, []) == [audio, video]


def test_too_large_a_message_is_refused_before_its_body_came() -> None:
    reader = ChunkReader(max_message_bytes=1000)
    reader.feed(b"\x04" + u24(0) + u24(1001) + b"\x09" + bytes(4))
    with pytest.raises(ChunkError):
        reader.next()


def test_unfinished_messages_of_many_streams_are_bounded() -> None:
    reader = ChunkReader(max_message_bytes=1000)
    for stream in range(3, 60):
        reader.feed(bytes((stream,)) + u24(0) + u24(1000) + b"\x09" + bytes(4) + bytes(128))
    with pytest.raises(ChunkError, match="unfinished"):
        reader.next()


def test_a_stream_that_begins_compressed_is_refused() -> None:
    reader = ChunkReader()
    reader.feed(b"\xc4" + bytes(20))
    with pytest.raises(ChunkError):
        reader.next()
