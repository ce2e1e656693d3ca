"""RFC 6455 frames, free of IO: what a client sent, and the bytes of what the server sends.

The parser is fed arbitrary slices of the byte stream and bounded before it buffers, because the bytes come from
strangers: a frame that announces too much is refused at its header. Traps avoided: lengths in longer form than needed,
unmasked client frames, fragmented or long control frames, text that is not UTF-8 (checked over fragment borders), and a
small compressed message that inflates without end. Compression is permessage-deflate (RFC 7692) without context
takeover in both directions, so that one compressed frame serves every socket.
"""

import codecs
import struct
import zlib
from dataclasses import dataclass
from typing import Final

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MAX_MESSAGE_BYTES: Final = 64 * 1024
MAX_CONTROL_BYTES: Final = 125
WORTH_DEFLATING_BYTES: Final = 200

PROTOCOL_ERROR, UNSUPPORTED, INVALID_DATA, POLICY, TOO_BIG, RESTART = 1002, 1003, 1007, 1008, 1009, 1012
NO_STATUS: Final = 1005

_FIN, _RSV1, _RSV23, _MASKED = 0x80, 0x40, 0x30, 0x80
_SYNC_TAIL: Final = b"\x00\x00\xff\xff"
_RECEIVABLE = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014))


class FrameError(Exception):
    """The peer broke the protocol; the connection ends with `code` and this reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Message:
    """A whole text message."""

    text: str


@dataclass(frozen=True, slots=True)
class Ping:
    """To be answered with a pong of the same payload."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """An answer to a ping, or an unasked sign of life."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """The peer closes; `code` is 1005 when it named none."""

    code: int
    reason: str


Event = Message | Ping | Pong | Close


class Parser:
    """The frames of one client. After a FrameError it must not be fed again."""

    __slots__ = ("_buffer", "_compressed", "_deflate", "_limit", "_parts", "_size", "_utf8")

    def __init__(self, *, deflate: bool = False, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._buffer = b""
        self._deflate = deflate
        self._limit = max_message_bytes
        self._parts: list[bytes] | None = None
        self._compressed = False
        self._size = 0
        self._utf8: codecs.IncrementalDecoder | None = None

    def feed(self, data: bytes) -> list[Event]:
        """Events that `data` completes, in order. FrameError when the peer broke a rule."""
        buffer = self._buffer + data if self._buffer else data
        events: list[Event] = []
        offset = 0
        while True:
            header = self._header(buffer, offset)
            if header is None:
                break
            first, start, length = header
            end = start + 4 + length
            if len(buffer) < end:
                break
            payload = unmask(buffer[start + 4 : end], buffer[start : start + 4])
            offset = end
            event = self._frame(first, payload)
            if event is not None:
                events.append(event)
        self._buffer = buffer[offset:]
        return events

    def _header(self, buffer: bytes, offset: int) -> tuple[int, int, int] | None:
        """(first byte, where the mask stands, payload length), or None while it is incomplete."""
        if len(buffer) - offset < 2:
            return None
        first, second = buffer[offset], buffer[offset + 1]
        self._check_first(first)
        if not second & _MASKED:
            raise FrameError(PROTOCOL_ERROR, "client frames must be masked")
        length, start = second & 0x7F, offset + 2
        if first & 0x08 and length > MAX_CONTROL_BYTES:
            raise FrameError(PROTOCOL_ERROR, "control frame longer than 125 bytes")
        if length >= 126:
            width = 2 if length == 126 else 8
            if len(buffer) < start + width:
                return None
            length = int.from_bytes(buffer[start : start + width], "big")
            if length < (126 if width == 2 else 65536) or length >> 63:
                raise FrameError(PROTOCOL_ERROR, "length is not in its shortest form")
            start += width
        if not first & 0x08 and self._size + length > self._limit:
            raise FrameError(TOO_BIG, f"message longer than {self._limit} bytes")
        return first, start, length

    def _check_first(self, first: int) -> None:
        opcode = first & 0x0F
        if first & _RSV23:
            raise FrameError(PROTOCOL_ERROR, "reserved bit set")
        if first & _RSV1 and not (self._deflate and opcode in (TEXT, BINARY)):
            raise FrameError(PROTOCOL_ERROR, "compressed frame where none was negotiated")
        if opcode in (CLOSE, PING, PONG):
            if not first & _FIN:
                raise FrameError(PROTOCOL_ERROR, "fragmented control frame")
        elif opcode == CONTINUATION:
            if self._parts is None:
                raise FrameError(PROTOCOL_ERROR, "continuation of nothing")
        elif opcode not in (TEXT, BINARY):
            raise FrameError(PROTOCOL_ERROR, "reserved opcode")
        elif self._parts is not None:
            raise FrameError(PROTOCOL_ERROR, "new message inside a fragmented one")
        elif opcode == BINARY:
            raise FrameError(UNSUPPORTED, "only text messages are understood")

    def _frame(self, first: int, payload: bytes) -> Event | None:
        opcode = first & 0x0F
        if opcode == PING:
            return Ping(payload)
        if opcode == PONG:
            return Pong(payload)
        if opcode == CLOSE:
            return parse_close(payload)
        return self._data(payload, final=bool(first & _FIN), compressed=bool(first & _RSV1))

    def _data(self, payload: bytes, *, final: bool, compressed: bool) -> Message | None:
        if self._parts is None:
            if final:
                return Message(_text(inflate(payload, self._limit) if compressed else payload))
            self._parts, self._compressed, self._size = [], compressed, 0
            self._utf8 = None if compressed else codecs.getincrementaldecoder("utf-8")()
        self._parts.append(payload)
        self._size += len(payload)
        self._check_utf8(payload, final)
        if not final:
            return None
        whole, compressed = b"".join(self._parts), self._compressed
        self._parts, self._utf8, self._size = None, None, 0
        return Message(_text(inflate(whole, self._limit) if compressed else whole))

    def _check_utf8(self, payload: bytes, final: bool) -> None:
        """Refuse bad text at the fragment that spoils it, not at the end of the message."""
        if self._utf8 is None:
            return
        try:
            self._utf8.decode(payload, final)
        except UnicodeDecodeError as error:
            raise FrameError(INVALID_DATA, "text is not UTF-8") from error


def unmask(payload: bytes, mask: bytes) -> bytes:
    """`payload` XOR the repeated 4 bytes of `mask` (masking is the same operation)."""
    size = len(payload)
    if not size:
        return b""
    repeated = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(repeated, "little")).to_bytes(size, "little")


def parse_close(payload: bytes) -> Close:
    """Code and reason of a close frame; FrameError when they may not be sent."""
    if not payload:
        return Close(NO_STATUS, "")
    if len(payload) == 1:
        raise FrameError(PROTOCOL_ERROR, "close code of one byte")
    code = int.from_bytes(payload[:2], "big")
    if code not in _RECEIVABLE and not 3000 <= code <= 4999:
        raise FrameError(PROTOCOL_ERROR, f"close code {code} may not be sent")
    return Close(code, _text(payload[2:]))


def build(opcode: int, payload: bytes, *, compressed: bool = False) -> bytes:
    """A whole frame of the server."""
    first, size = _FIN | opcode | (_RSV1 if compressed else 0), len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return struct.pack(">BBH", first, 126, size) + payload
    return struct.pack(">BBQ", first, 127, size) + payload


def build_close(code: int, reason: str) -> bytes:
    """A close frame; the reason is cut, at a character's border, to what a control frame holds."""
    text = reason.encode()[: MAX_CONTROL_BYTES - 2].decode(errors="ignore").encode()
    return build(CLOSE, code.to_bytes(2, "big") + text)


def deflate(payload: bytes) -> bytes:
    """`payload` as the body of a compressed message (RFC 7692, 7.2.1), independent of all others."""
    # memLevel 8 and 15 window bits: the compressor lives only for this call, so its size costs no connection.
    compressor = zlib.compressobj(level=6, wbits=-15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_SYNC_TAIL)


def inflate(payload: bytes, limit: int) -> bytes:
    """The opposite of `deflate`; FrameError when it is no deflate data or grows beyond `limit` bytes."""
    decompressor = zlib.decompressobj(wbits=-15)
    try:
        whole = decompressor.decompress(payload + _SYNC_TAIL, limit + 1)
    except zlib.error as error:
        raise FrameError(INVALID_DATA, "compressed message is damaged") from error
    if len(whole) > limit:
        raise FrameError(TOO_BIG, f"message longer than {limit} bytes")
    return whole


class Prepared:
    """One message for many sockets: its frame, and its compressed frame, made once when the first socket wants it."""

    __slots__ = ("_packed", "plain", "size")

    def __init__(self, payload: bytes) -> None:
        self.size = len(payload)
        self.plain = build(TEXT, payload)
        self._packed: bytes | None = None

    @property
    def packed(self) -> bytes:
        """The frame for sockets that negotiated compression; the plain one where compressing does not pay."""
        if self._packed is None:
            self._packed = self._pack()
        return self._packed

    def _pack(self) -> bytes:
        if self.size < WORTH_DEFLATING_BYTES:
            return self.plain
        body = deflate(self.plain[-self.size :])
        return build(TEXT, body, compressed=True) if len(body) < self.size * 0.9 else self.plain


def _text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        raise FrameError(INVALID_DATA, "text is not UTF-8") from error
