"""RFC 6455 and RFC 7692, rule by rule; and the same bytes in any slices mean the same."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from workloads.fanout import frames
from workloads.fanout.frames import Close, FrameError, Message, Parser, Ping, Pong

MASK = b"\x37\xfa\x21\x3d"


def client(first: int, payload: bytes = b"", *, mask: bytes = MASK, length: bytes | None = None) -> bytes:
    """A client's frame; `length` overrides how its length is written."""
    if length is None:
        size = len(payload)
        if size < 126:
            length = bytes((0x80 | size,))
        elif size < 65536:
            length = b"\xfe" + struct.pack(">H", size)
        else:
            length = b"\xff" + struct.pack(">Q", size)
    return bytes((first,)) + length + mask + frames.unmask(payload, mask)


@pytest.mark.parametrize(
    ("data", "events"),
    [
        pytest.param(bytes.fromhex("818537fa213d7f9f4d5158"), [Message("Hello")], id="example of the RFC"),
        pytest.param(client(0x81), [Message("")], id="empty text"),
        pytest.param(client(0x81, b"x" * 125), [Message("x" * 125)], id="125 bytes"),
        pytest.param(client(0x81, b"x" * 126), [Message("x" * 126)], id="126 bytes"),
        pytest.param(client(0x81, b"x" * 65535), [Message("x" * 65535)], id="65535 bytes"),
        pytest.param(client(0x81, b"x" * 65536), [Message("x" * 65536)], id="65536 bytes, the limit"),
        pytest.param(client(0x81, "ক👋🏽".encode()), [Message("ক👋🏽")], id="beyond ASCII"),
        pytest.param(client(0x01, b"a") + client(0x00, b"b") + client(0x80, b"c"), [Message("abc")], id="fragments"),
        pytest.param(client(0x01) + client(0x00) + client(0x80), [Message("")], id="empty fragments"),
        pytest.param(
            client(0x01, "ক".encode()[:1]) + client(0x80, "ক".encode()[1:]), [Message("ক")], id="a character cut in two"
        ),
        pytest.param(
            client(0x01, b"a") + client(0x89, b"p") + client(0x8A, b"q") + client(0x80, b"b"),
            [Ping(b"p"), Pong(b"q"), Message("ab")],
            id="control frames between fragments",
        ),
        pytest.param(client(0x89, b"x" * 125), [Ping(b"x" * 125)], id="longest ping"),
        pytest.param(client(0x88), [Close(1005, "")], id="close without code"),
        pytest.param(client(0x88, b"\x03\xe8bye"), [Close(1000, "bye")], id="close with reason"),
        pytest.param(client(0x88, struct.pack(">H", 3000)), [Close(3000, "")], id="registered close code"),
        pytest.param(client(0x88, struct.pack(">H", 4999)), [Close(4999, "")], id="private close code"),
        pytest.param(client(0x81, b"a") + client(0x81, b"b"), [Message("a"), Message("b")], id="two at once"),
    ],
)
def test_what_is_understood(data: bytes, events: list[frames.Event]) -> None:
    assert Parser().feed(data) == events


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(b"\x81\x05Hello", 1002, id="unmasked"),
        pytest.param(client(0xC1, b"a"), 1002, id="RSV1 without extension"),
        pytest.param(client(0xA1, b"a"), 1002, id="RSV2"),
        pytest.param(client(0x91, b"a"), 1002, id="RSV3"),
        *(pytest.param(client(0x80 | code), 1002, id=f"reserved opcode {code}") for code in (3, 4, 5, 6, 7)),
        *(pytest.param(client(0x80 | code), 1002, id=f"reserved control opcode {code}") for code in range(0xB, 0x10)),
        pytest.param(client(0x82, b"a"), 1003, id="binary"),
        pytest.param(client(0x02, b"a"), 1003, id="binary fragment"),
        pytest.param(client(0x80, b"a"), 1002, id="continuation of nothing"),
        pytest.param(client(0x00, b"a"), 1002, id="continuation of nothing, not final"),
        pytest.param(client(0x01, b"a") + client(0x81, b"b"), 1002, id="text inside a fragmented text"),
        pytest.param(client(0x09, b"a"), 1002, id="fragmented ping"),
        pytest.param(client(0x08), 1002, id="fragmented close"),
        pytest.param(client(0x89, b"x" * 126), 1002, id="ping of 126 bytes"),
        pytest.param(client(0x88, b"\x03\xe8" + b"x" * 124), 1002, id="close of 126 bytes"),
        pytest.param(client(0x81, b"x" * 5, length=b"\xfe\x00\x05"), 1002, id="16-bit length for 5"),
        pytest.param(client(0x81, b"x" * 5, length=b"\xff" + struct.pack(">Q", 5)), 1002, id="64-bit length for 5"),
        pytest.param(client(0x81, length=b"\xff" + b"\xff" * 8), 1002, id="length with its highest bit"),
        pytest.param(client(0x81, length=b"\xff" + struct.pack(">Q", 65537)), 1009, id="one byte too many"),
        pytest.param(client(0x01, b"x" * 65536) + client(0x80, b"x"), 1009, id="one byte too many in fragments"),
        pytest.param(client(0x81, b"\xc0\x80"), 1007, id="overlong UTF-8"),
        pytest.param(client(0x81, b"\xed\xa0\x80"), 1007, id="surrogate in UTF-8"),
        pytest.param(client(0x81, b"\xf4\x90\x80\x80"), 1007, id="beyond Unicode"),
        pytest.param(client(0x01, b"\xe0\xa6") + client(0x80), 1007, id="character never finished"),
        pytest.param(client(0x01, b"\xff"), 1007, id="bad text is refused at its fragment"),
        pytest.param(client(0x88, b"\x03"), 1002, id="close code of one byte"),
        *(
            pytest.param(client(0x88, struct.pack(">H", code)), 1002, id=f"close code {code}")
            for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535)
        ),
        pytest.param(client(0x88, b"\x03\xe8\xff"), 1007, id="close reason not UTF-8"),
    ],
)
def test_what_is_refused(data: bytes, code: int) -> None:
    with pytest.raises(FrameError) as error:
        Parser().feed(data)
    assert error.value.code == code


def test_a_frame_too_big_is_refused_at_its_header_without_its_payload() -> None:
    with pytest.raises(FrameError) as error:
        Parser().feed(client(0x81, length=b"\xff" + struct.pack(">Q", 1 << 62))[:10])
    assert error.value.code == 1009


def test_rsv1_is_for_the_first_data_frame_alone() -> None:
    for data in (client(0x41, b"") + client(0xC0, b""), client(0xC9, b"")):
        with pytest.raises(FrameError) as error:
            Parser(deflate=True).feed(data)
        assert error.value.code == 1002


def test_a_bomb_is_refused_before_it_fills_the_memory() -> None:
    bomb = frames.deflate(b"\0" * 50_000_000)
    assert len(bomb) < frames.MAX_MESSAGE_BYTES
    with pytest.raises(FrameError) as error:
        Parser(deflate=True).feed(client(0xC1, bomb))
    assert error.value.code == 1009


def test_damaged_compression_is_refused() -> None:
    with pytest.raises(FrameError) as error:
        Parser(deflate=True).feed(client(0xC1, b"\xff\xff\xff"))
    assert error.value.code == 1007


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
piece = st.one_of(
    st.tuples(st.just("text"), texts),
    st.tuples(st.just("ping"), st.binary(max_size=125)),
    st.tuples(st.just("pong"), st.binary(max_size=125)),
)


@given(st.lists(piece, max_size=6), st.data())
def test_any_frames_in_any_slices_mean_the_same(pieces: list, data: st.DataObject) -> None:
    stream, expected = b"", []
    for kind, value in pieces:
        mask = data.draw(st.binary(min_size=4, max_size=4))
        if kind == "text":
            raw = value.encode()
            cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=3)))
            parts = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
            for number, part in enumerate(parts):
                first = (0x01 if number == 0 else 0x00) | (0x80 if number == len(parts) - 1 else 0)
                stream += client(first, part, mask=mask)
            expected.append(Message(value))
        else:
            stream += client(0x89 if kind == "ping" else 0x8A, value, mask=mask)
            expected.append(Ping(value) if kind == "ping" else Pong(value))
    parser, heard = Parser(), []
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        heard += parser.feed(stream[start:end])
    assert heard == expected


@given(st.binary(max_size=300))
def test_garbage_is_an_error_or_nothing_but_never_a_crash(data: bytes) -> None:
    code = 0
    try:
        Parser(deflate=True).feed(data)
    except FrameError as error:
        code = error.code
    assert code in (0, 1002, 1003, 1007, 1009)


@given(texts, st.binary(min_size=4, max_size=4))
def test_compressed_round_trip(text: str, mask: bytes) -> None:
    assert Parser(deflate=True).feed(client(0xC1, frames.deflate(text.encode()), mask=mask)) == [Message(text)]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 100_000])
def test_the_servers_frames_are_what_another_implementation_makes(size: int) -> None:
    payload = b"x" * size
    assert frames.build(frames.TEXT, payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)


@given(st.integers(1000, 4999), st.text(max_size=200))
def test_close_frames_fit_and_end_at_a_character(code: int, reason: str) -> None:
    frame = frames.build_close(code, reason.encode(errors="ignore").decode())
    assert frame[1] <= 125
    assert int.from_bytes(frame[2:4], "big") == code
    frame[4:].decode()


@pytest.mark.parametrize(
    ("payload", "compressed"),
    [
        pytest.param(b"short", False, id="too short to pay"),
        pytest.param(b"abc " * 100, True, id="pays"),
        pytest.param(bytes(range(256)) * 2, True, id="repeats"),
        pytest.param(frames.deflate(bytes(range(256)) * 9) * 1, False, id="does not get smaller"),
    ],
)
def test_prepared_frames_are_compressed_where_it_pays(payload: bytes, compressed: bool) -> None:
    prepared = frames.Prepared(payload)
    assert bool(prepared.packed[0] & 0x40) is compressed
    assert prepared.packed is prepared.packed
    if compressed:
        assert len(prepared.packed) < len(prepared.plain)
