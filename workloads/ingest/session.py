"""The server's side of one RTMP connection as a state machine; free of IO (Adobe "RTMP 1.0", sections 5.4 to 7).

Feed it bytes, pull events, send what `output` returns. Events are pulled one at a time because the caller decides on a
publish request before the messages behind it may count.
"""

import struct
from collections import deque
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from workloads.common import amf, flv
from workloads.ingest.chunk import DEFAULT_CHUNK_SIZE, ChunkError, ChunkReader, Message, pack_message
from workloads.ingest.codecs import capabilities, refusal
from workloads.ingest.handshake import Handshake, HandshakeError

SET_CHUNK_SIZE, ABORT, ACKNOWLEDGEMENT, USER_CONTROL, WINDOW_SIZE, PEER_BANDWIDTH = 1, 2, 3, 4, 5, 6
DATA_AMF3, COMMAND_AMF3, DATA_AMF0, COMMAND_AMF0, AGGREGATE = 15, 17, 18, 20, 22
APPLICATION: Final = "live"

_STREAM_BEGIN, _PING_REQUEST, _PING_RESPONSE = 0, 6, 7
_WINDOW_BYTES = 5_000_000
_OUT_CHUNK_SIZE = 65_536
"""Encoders of the ffmpeg family send in chunks of the size that they are told here, so most pictures are one chunk."""
_MAX_CHUNK_SIZE = 0xFFFFFF
_CONTROL_STREAM, _COMMAND_STREAM, _STATUS_STREAM = 2, 3, 5
_MESSAGE_STREAM_ID = 1
_TAGS = (flv.AUDIO, flv.VIDEO)
_EXTENDED_KEYS = {"fourCcList", "videoFourCcInfoMap", "audioFourCcInfoMap"}
_SET_DATA_FRAME = amf.encode("@setDataFrame")


class ProtocolError(ValueError):
    """The peer broke the protocol; `stage` is handshake, chunk or command."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(f"{stage}: {reason}")
        self.stage = stage


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """The peer wants to publish with this stream key; answer with `accept` or `refuse`."""

    key: str


class Media(NamedTuple):
    """Payload of one FLV tag, in the order in which it came."""

    kind: int
    timestamp_ms: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Unsupported:
    """The peer publishes what cannot be taken, and why; answer with `refuse`."""

    reason: str


@dataclass(frozen=True, slots=True)
class PublishEnd:
    """The peer ended its publication."""


Event = PublishRequest | Media | Unsupported | PublishEnd


class Session:
    """One connection, from the handshake to the end of its publication."""

    def __init__(self) -> None:
        self._handshake = Handshake()
        self._chunks = ChunkReader()
        self._out: list[bytes] = []
        self._events: deque[Event] = deque()
        self._application = ""
        self._out_chunk_size = DEFAULT_CHUNK_SIZE
        self._publishing = False
        self.received = 0
        self._acknowledged = 0
        self._ack_window = _WINDOW_BYTES // 2

    @property
    def greeted(self) -> bool:
        """Whether the handshake is complete."""
        return self._handshake.done

    def feed(self, data: bytes) -> bool:
        """Take bytes from the peer; whether they may bring events or output. ProtocolError when they are not RTMP."""
        self.received += len(data)
        if self._handshake.done:
            ready = self._chunks.feed(data)
        else:
            ready = True
            try:
                self._out.append(self._handshake.feed(data))
            except HandshakeError as error:
                raise ProtocolError("handshake", str(error)) from error
            if self._handshake.done:
                self._chunks.feed(self._handshake.rest())
        if self.received - self._acknowledged >= self._ack_window and self._handshake.done:
            self._acknowledged = self.received
            self._control(ACKNOWLEDGEMENT, struct.pack(">I", self.received & 0xFFFFFFFF))
            return True
        return ready

    def next_event(self) -> Event | None:
        """The next event, or None until more bytes come; ProtocolError when the peer breaks the protocol."""
        events = self._events
        while not events:
            try:
                message = self._chunks.next()
                if message is None:
                    return None
                if message.type_id in _TAGS:
                    event = self._tag(message.type_id, message.timestamp, message.payload)
                    if event is not None:
                        return event
                else:
                    self._dispatch(message)
            except ChunkError as error:
                raise ProtocolError("chunk", str(error)) from error
            except (amf.AmfError, struct.error) as error:
                raise ProtocolError("command", str(error)) from error
        return events.popleft()

    def output(self) -> bytes:
        """Bytes to send, once."""
        if not self._out:
            return b""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def accept(self) -> None:
        """Answer a publish request: media may come."""
        self._publishing = True
        self._control(USER_CONTROL, struct.pack(">HI", _STREAM_BEGIN, _MESSAGE_STREAM_ID))
        self._status("status", "NetStream.Publish.Start", "publishing")

    def refuse(self, code: str, description: str) -> None:
        """Answer a publish request with an error status; the caller closes the connection afterwards."""
        self._status("error", code, description)

    def _dispatch(self, message: Message) -> None:
        kind, payload = message.type_id, message.payload
        if kind in (DATA_AMF0, DATA_AMF3):
            self._data(message.timestamp, payload[1:] if kind == DATA_AMF3 else payload)
        elif kind == COMMAND_AMF0:
            self._command(amf.decode(payload))
        elif kind == COMMAND_AMF3:
            # The AMF3 envelope of a command is one zero byte before ordinary AMF0 values.
            self._command(amf.decode(payload[1:]))
        elif kind == AGGREGATE:
            self._aggregate(message)
        else:
            self._protocol_control(kind, payload)

    def _protocol_control(self, kind: int, payload: bytes) -> None:
        if kind == SET_CHUNK_SIZE:
            (size,) = struct.unpack_from(">I", payload)
            if not 1 <= size & 0x7FFFFFFF <= _MAX_CHUNK_SIZE:
                raise ChunkError(f"chunk size {size}")
            self._chunks.chunk_size = size & 0x7FFFFFFF
        elif kind == ABORT:
            (chunk_stream_id,) = struct.unpack_from(">I", payload)
            self._chunks.abort(chunk_stream_id)
        elif kind == WINDOW_SIZE:
            (window,) = struct.unpack_from(">I", payload)
            self._ack_window = max(65_536, window // 2)
        elif kind == USER_CONTROL and len(payload) >= 6:
            event, value = struct.unpack_from(">HI", payload)
            if event == _PING_REQUEST:
                self._control(USER_CONTROL, struct.pack(">HI", _PING_RESPONSE, value))

    def _tag(self, kind: int, timestamp_ms: int, payload: bytes) -> Media | Unsupported | None:
        """What a tag of the publication means; tags that come before or after it mean nothing."""
        if not self._publishing or not payload:
            return None
        reason = refusal(kind, payload)
        if reason:
            self._publishing = False
            return Unsupported(reason)
        return Media(kind, timestamp_ms, payload)

    def _media(self, kind: int, timestamp_ms: int, payload: bytes) -> None:
        event = self._tag(kind, timestamp_ms, payload)
        if event is not None:
            self._events.append(event)

    def _data(self, timestamp_ms: int, payload: bytes) -> None:
        self._media(flv.SCRIPT, timestamp_ms, payload.removeprefix(_SET_DATA_FRAME))

    def _aggregate(self, message: Message) -> None:
        reader = flv.TagReader()
        try:
            tags = reader.feed(flv.HEADER + message.payload)
        except flv.FlvError as error:
            raise ProtocolError("chunk", f"aggregate message: {error}") from error
        for tag in tags:
            offset = tag.timestamp_ms - tags[0].timestamp_ms
            self._media(tag.kind, (message.timestamp + offset) & 0xFFFFFFFF, tag.payload)

    def _command(self, values: list[Any]) -> None:
        if len(values) < 2 or not isinstance(values[0], str):
            raise amf.AmfError("a command needs a name and a transaction id")
        name, transaction = values[0], values[1]
        arguments = values[3:]
        if name == "connect":
            self._connect(transaction, values[2] if len(values) > 2 else None)
        elif name == "createStream":
            self._reply("_result", transaction, None, float(_MESSAGE_STREAM_ID))
        elif name == "publish":
            self._publish(arguments)
        elif name in ("deleteStream", "closeStream", "FCUnpublish"):
            if self._publishing:
                self._publishing = False
                self._events.append(PublishEnd())
        elif name == "play":
            self._status("error", "NetStream.Play.StreamNotFound", "this port takes publishers only")
            self._events.append(PublishEnd())
        elif transaction:
            # releaseStream, FCPublish, getStreamLength, _checkbw and their like only want to hear something.
            self._reply("_result", transaction, None, None)

    def _connect(self, transaction: Any, info: Any) -> None:
        self._application = str(info.get("app", "")).strip("/") if isinstance(info, dict) else ""
        self._control(WINDOW_SIZE, struct.pack(">I", _WINDOW_BYTES))
        self._control(PEER_BANDWIDTH, struct.pack(">IB", _WINDOW_BYTES, 2))
        self._control(SET_CHUNK_SIZE, struct.pack(">I", _OUT_CHUNK_SIZE))
        self._out_chunk_size = _OUT_CHUNK_SIZE
        properties: dict[str, object] = {"fmsVer": "FMS/3,5,3,888", "capabilities": 127.0, "mode": 1.0}
        if isinstance(info, dict) and _EXTENDED_KEYS & info.keys():
            properties |= capabilities()
        status = {
            "level": "status",
            "code": "NetConnection.Connect.Success",
            "description": "connected",
            "objectEncoding": 0.0,
        }
        self._reply("_result", transaction, properties, status)

    def _publish(self, arguments: list[Any]) -> None:
        if self._publishing:
            raise amf.AmfError("publish inside a publication")
        name = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        application, _, rest = self._application.partition("/")
        if application != APPLICATION:
            self.refuse("NetStream.Publish.BadName", f"no such application: use rtmp://host/{APPLICATION}/<stream key>")
            self._events.append(PublishEnd())
            return
        # Some encoders put the key at the end of the server's URL and leave the key field empty.
        self._events.append(PublishRequest((name or rest).partition("?")[0].strip("/")))

    def _status(self, level: str, code: str, description: str) -> None:
        info = {"level": level, "code": code, "description": description}
        payload = amf.encode("onStatus", 0.0, None, info)
        self._send(_STATUS_STREAM, Message(COMMAND_AMF0, _MESSAGE_STREAM_ID, 0, payload))

    def _reply(self, name: str, transaction: Any, *values: Any) -> None:
        number = transaction if isinstance(transaction, float) else 0.0
        self._send(_COMMAND_STREAM, Message(COMMAND_AMF0, 0, 0, amf.encode(name, number, *values)))

    def _control(self, kind: int, payload: bytes) -> None:
        self._send(_CONTROL_STREAM, Message(kind, 0, 0, payload))

    def _send(self, chunk_stream_id: int, message: Message) -> None:
        self._out.append(pack_message(chunk_stream_id, message, self._out_chunk_size))
