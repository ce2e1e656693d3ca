"""The RTMP chunk stream: messages from chunks and chunks from messages; free of IO (Adobe "RTMP 1.0", section 5.3).

The trap is type 3. At the start of a message it repeats the last timestamp *delta* (a type 0 before it makes its
absolute timestamp the delta), and it carries an extended timestamp whenever the last header of that chunk stream had
one. Encoders that omit the extended field on continuation chunks exist, so there it is read only when it repeats the
known value.
"""

import struct
from dataclasses import dataclass, field
from typing import NamedTuple

DEFAULT_CHUNK_SIZE = 128
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
MAX_CHUNK_STREAMS = 64
_EXTENDED = 0xFFFFFF
_HEADER_BYTES = (11, 7, 3, 0)


class ChunkError(ValueError):
    """The bytes are no chunk stream, or break a limit."""


class Message(NamedTuple):
    """One RTMP message; `timestamp` is in milliseconds modulo 2**32. A tuple, because a publisher sends many."""

    type_id: int
    stream_id: int
    timestamp: int
    payload: bytes


@dataclass(slots=True)
class _ChunkStream:
    timestamp: int = 0
    delta: int = 0
    size: int = 0
    type_id: int = 0
    stream_id: int = 0
    extended: int | None = None
    parts: list[bytes] = field(default_factory=list)
    received: int = 0
    open: bool = False


class ChunkReader:
    """Reassembles messages; set `chunk_size` when the peer announces one.

    What comes is only kept until it completes a header or a chunk's payload: encoders send a header ahead of its
    payload, so about every second read brings nothing yet and must cost next to nothing. (SO_RCVLOWAT would save those
    reads and is a trap: a header that nobody reads is acknowledged 40 ms late, and Nagle holds the payload back.)
    """

    def __init__(self, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self.chunk_size = DEFAULT_CHUNK_SIZE
        self._max_message_bytes = max_message_bytes
        self._streams: dict[int, _ChunkStream] = {}
        self._buffer = b""
        self._offset = 0
        self._late: list[bytes] = []
        self._available = 0
        self._needed = 1
        self._current: _ChunkStream | None = None
        self._pending = 0

    def feed(self, data: bytes) -> bool:
        """Take bytes from the peer; whether they may complete a message."""
        if data:
            self._late.append(data)
            self._available += len(data)
        return self._available >= self._needed

    def next(self) -> Message | None:
        """The next whole message, or None until more bytes come; ChunkError when the peer speaks nonsense.

        One message at a time: a "set chunk size" must take effect before the bytes behind it are read.
        """
        while self._available >= self._needed:
            if self._late:
                self._gather()
            if self._current is None:
                self._head()
            elif (message := self._body(self._current)) is not None:
                return message
        return None

    def abort(self, chunk_stream_id: int) -> None:
        """Forget the half-read message of a chunk stream (protocol control message 2)."""
        stream = self._streams.get(chunk_stream_id)
        if stream:
            self._pending -= stream.received
            stream.parts.clear()
            stream.received = 0
            stream.open = False

    def _gather(self) -> None:
        """One piece of what is unread and what came since."""
        rest = self._buffer[self._offset :]
        self._buffer = b"".join((rest, *self._late)) if rest or len(self._late) > 1 else self._late[0]
        self._offset = 0
        self._late.clear()

    def _head(self) -> None:
        """Read the chunk header at the cursor, or note how many bytes it needs."""
        buffer, start, available = self._buffer, self._offset, self._available
        kind, chunk_stream_id, used = self._basic_header(start, available)
        at = start + used
        used += _HEADER_BYTES[kind]
        if available < used:
            self._needed = used
            return
        stream = self._stream(chunk_stream_id, kind)
        field24 = int.from_bytes(buffer[at : at + 3], "big") if kind < 3 else None
        extended: int | None = None
        if field24 == _EXTENDED or (kind == 3 and stream.extended is not None):
            if available < used + 4:
                self._needed = used + 4
                return
            (extended,) = struct.unpack_from(">I", buffer, start + used)
            if kind == 3 and stream.open and extended != stream.extended:
                extended = None
            else:
                used += 4
        size = int.from_bytes(buffer[at + 3 : at + 6], "big") if kind < 2 else stream.size
        if size > self._max_message_bytes:
            raise ChunkError(f"message of {size} bytes")
        self._header(stream, kind, at, size, field24, extended)
        self._offset = start + used
        self._available = available - used
        self._current, self._needed = stream, min(size - stream.received, self.chunk_size)

    def _basic_header(self, start: int, available: int) -> tuple[int, int, int]:
        """Header type, chunk stream id (0: not whole yet) and size of the basic header."""
        first = self._buffer[start]
        kind, chunk_stream_id = first >> 6, first & 0x3F
        if chunk_stream_id > 1:
            return kind, chunk_stream_id, 1
        size = 2 + chunk_stream_id
        if available < size:
            return kind, 0, size
        raw = self._buffer[start + 1 : start + size]
        return kind, 64 + int.from_bytes(raw, "little"), size

    def _stream(self, chunk_stream_id: int, kind: int) -> _ChunkStream:
        stream = self._streams.get(chunk_stream_id)
        if stream is None:
            if kind != 0 or len(self._streams) >= MAX_CHUNK_STREAMS:
                raise ChunkError(f"chunk stream {chunk_stream_id} begins with a header of type {kind}")
            stream = self._streams[chunk_stream_id] = _ChunkStream()
        return stream

    def _header(
        self, stream: _ChunkStream, kind: int, at: int, size: int, field24: int | None, extended: int | None
    ) -> None:
        if kind == 3 and stream.open:
            return
        if kind < 3:
            if stream.open:
                raise ChunkError("a message begins inside another of its chunk stream")
            stream.extended = extended
            time = field24 if extended is None else extended
            stream.delta = time or 0
            stream.size = size
        if kind < 2:
            stream.type_id = self._buffer[at + 6]
        if kind == 0:
            (stream.stream_id,) = struct.unpack_from("<I", self._buffer, at + 7)
            stream.timestamp = stream.delta
        else:
            stream.timestamp = (stream.timestamp + stream.delta) & 0xFFFFFFFF
        stream.open = True

    def _body(self, stream: _ChunkStream) -> Message | None:
        """Take the chunk's payload; the message when that was its last."""
        take, start = self._needed, self._offset
        part = self._buffer[start : start + take]
        self._offset = start + take
        self._available -= take
        self._current, self._needed = None, 1
        received = stream.received + take
        if received < stream.size:
            stream.parts.append(part)
            stream.received = received
            self._pending += take
            if self._pending > 2 * self._max_message_bytes:
                raise ChunkError("too many bytes in unfinished messages")
            return None
        if stream.parts:
            self._pending -= stream.received
            stream.parts.append(part)
            part = b"".join(stream.parts)
            stream.parts.clear()
            stream.received = 0
        stream.open = False
        return Message(stream.type_id, stream.stream_id, stream.timestamp, part)


def pack_message(chunk_stream_id: int, message: Message, chunk_size: int = DEFAULT_CHUNK_SIZE) -> bytes:
    """The message as one type 0 chunk and type 3 continuations; `chunk_stream_id` is 2..63."""
    timestamp = message.timestamp & 0xFFFFFFFF
    extended = struct.pack(">I", timestamp) if timestamp >= _EXTENDED else b""
    head = struct.pack(">I", min(timestamp, _EXTENDED))[1:] + struct.pack(">I", len(message.payload))[1:]
    out = bytearray(bytes((chunk_stream_id,)) + head + bytes((message.type_id,)))
    out += struct.pack("<I", message.stream_id) + extended
    out += message.payload[:chunk_size]
    for offset in range(chunk_size, len(message.payload), chunk_size):
        out += bytes((0xC0 | chunk_stream_id,)) + extended + message.payload[offset : offset + chunk_size]
    return bytes(out)
