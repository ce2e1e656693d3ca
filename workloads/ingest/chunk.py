"""The RTMP chunk stream: messages from chunks and chunks from messages; free of IO (Adobe "RTMP 1.0", section 5.3).

The trap is type 3. At the start of a message it repeats the last timestamp *delta* (a type 0 before it makes its
absolute timestamp the delta), and it carries an extended timestamp whenever the last header of that chunk stream had
one. Encoders that omit the extended field on continuation chunks exist, so there it is read only when it repeats the
known value.
"""

import struct
from dataclasses import dataclass, field

DEFAULT_CHUNK_SIZE = 128
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
MAX_CHUNK_STREAMS = 64
_EXTENDED = 0xFFFFFF
_HEADER_BYTES = (11, 7, 3, 0)


class ChunkError(ValueError):
    """The bytes are no chunk stream, or break a limit."""


@dataclass(frozen=True, slots=True)
class Message:
    """One RTMP message; `timestamp` is in milliseconds modulo 2**32."""

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
    payload: bytearray = field(default_factory=bytearray)
    open: bool = False


class ChunkReader:
    """Reassembles messages; set `chunk_size` when the peer announces one."""

    def __init__(self, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self.chunk_size = DEFAULT_CHUNK_SIZE
        self._max_message_bytes = max_message_bytes
        self._streams: dict[int, _ChunkStream] = {}
        self._buffer = bytearray()
        self._offset = 0
        self._pending = 0

    def feed(self, data: bytes) -> None:
        """Take bytes from the peer."""
        if self._offset:
            del self._buffer[: self._offset]
            self._offset = 0
        self._buffer += data

    def next(self) -> Message | None:
        """The next whole message, or None until more bytes come; ChunkError when the peer speaks nonsense.

        One message at a time: a "set chunk size" must take effect before the bytes behind it are read.
        """
        while True:
            consumed, message = self._chunk()
            if not consumed:
                return None
            self._offset += consumed
            if message is not None:
                return message

    def abort(self, chunk_stream_id: int) -> None:
        """Forget the half-read message of a chunk stream (protocol control message 2)."""
        stream = self._streams.get(chunk_stream_id)
        if stream:
            self._pending -= len(stream.payload)
            stream.payload.clear()
            stream.open = False

    def _chunk(self) -> tuple[int, Message | None]:
        """Bytes used by the chunk at the cursor (0: not whole yet) and the message it completes."""
        buffer, start = self._buffer, self._offset
        available = len(buffer) - start
        if available < 1:
            return 0, None
        kind, chunk_stream_id, used = self._basic_header(start, available)
        header_bytes = _HEADER_BYTES[kind]
        if not used or available < used + header_bytes:
            return 0, None
        stream = self._stream(chunk_stream_id, kind)
        at = start + used
        used += header_bytes
        field24 = int.from_bytes(buffer[at : at + 3], "big") if kind < 3 else None
        extended: int | None = None
        if field24 == _EXTENDED or (kind == 3 and stream.extended is not None):
            if available < used + 4:
                return 0, None
            (extended,) = struct.unpack_from(">I", buffer, start + used)
            if kind == 3 and stream.open and extended != stream.extended:
                extended = None
            else:
                used += 4
        size = int.from_bytes(buffer[at + 3 : at + 6], "big") if kind < 2 else stream.size
        if size > self._max_message_bytes:
            raise ChunkError(f"message of {size} bytes")
        missing = size - len(stream.payload) if stream.open and kind == 3 else size
        take = min(missing, self.chunk_size)
        if available < used + take:
            return 0, None
        self._header(stream, kind, at, size, field24, extended)
        stream.payload += buffer[start + used : start + used + take]
        self._pending += take
        if self._pending > 2 * self._max_message_bytes:
            raise ChunkError("too many bytes in unfinished messages")
        return used + take, self._finish(stream)

    def _basic_header(self, start: int, available: int) -> tuple[int, int, int]:
        first = self._buffer[start]
        kind, chunk_stream_id = first >> 6, first & 0x3F
        if chunk_stream_id > 1:
            return kind, chunk_stream_id, 1
        size = 2 + chunk_stream_id
        if available < size:
            return kind, 0, 0
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

    def _finish(self, stream: _ChunkStream) -> Message | None:
        if len(stream.payload) < stream.size:
            return None
        message = Message(stream.type_id, stream.stream_id, stream.timestamp, bytes(stream.payload))
        self._pending -= stream.size
        stream.payload.clear()
        stream.open = False
        return message


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
