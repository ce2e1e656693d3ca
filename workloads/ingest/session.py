"""The server's side of one RTMP connection as a state machine; free of IO (Adobe "RTMP 1.0", sections 5.4 to 7).

Feed it bytes, pull events, send what `output` returns. Events are pulled one at a time because the caller decides on a
publish request before the messages behind it may count.
"""

import struct
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from workloads.common import amf, flv
from workloads.ingest.chunk import DEFAULT_CHUNK_SIZE, ChunkError, ChunkReader, Message, pack_message
from workloads.ingest.handshake import Handshake, HandshakeError

SET_CHUNK_SIZE, ABORT, ACKNOWLEDGEMENT, USER_CONTROL, WINDOW_SIZE, PEER_BANDWIDTH = 1, 2, 3, 4, 5, 6
DATA_AMF3, COMMAND_AMF3, DATA_AMF0, COMMAND_AMF0, AGGREGATE = 15, 17, 18, 20, 22
APPLICATION: Final = "live"

_STREAM_BEGIN, _PING_REQUEST, _PING_RESPONSE = 0, 6, 7
_WINDOW_BYTES = 5_000_000
_OUT_CHUNK_SIZE = 4096
_MAX_CHUNK_SIZE = 0xFFFFFF
_CONTROL_STREAM, _COMMAND_STREAM, _STATUS_STREAM = 2, 3, 5
_MESSAGE_STREAM_ID = 1
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


@dataclass(frozen=True, slots=True)
class Media:
    """Payload of one FLV tag, in the order in which it came."""

    kind: int
    timestamp_ms: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class PublishEnd:
    """The peer ended its publication."""


Event = PublishRequest | Media | PublishEnd


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
        self._received = 0
        self._acknowledged = 0
        self._ack_window = _WINDOW_BYTES // 2

    @property
    def greeted(self) -> bool:
        """Whether the handshake is complete."""
        return self._handshake.done

    def feed(self, data: bytes) -> None:
        """Take bytes from the peer; ProtocolError when they are not RTMP."""
        self._received += len(data)
        if self._handshake.done:
            self._chunks.feed(data)
        else:
            try:
                self._out.append(self._handshake.feed(data))
            except HandshakeError as error:
                raise ProtocolError("handshake", str(error)) from error
            if self._handshake.done:
                self._chunks.feed(self._handshake.rest())
        if self._handshake.done and self._received - self._acknowledged >= self._ack_window:
            self._acknowledged = self._received
            self._control(ACKNOWLEDGEMENT, struct.pack(">I", self._received & 0xFFFFFFFF))

    def next_event(self) -> Event | None:
        """The next event, or None until more bytes come; ProtocolError when the peer breaks the protocol."""
        while not self._events:
            try:
                message = self._chunks.next()
                if message is None:
                    return None
                self._dispatch(message)
            except ChunkError as error:
                raise ProtocolError("chunk", str(error)) from error
            except (amf.AmfError, struct.error) as error:
                raise ProtocolError("command", str(error)) from error
        return self._events.popleft()

    def output(self) -> bytes:
        """Bytes to send, once."""
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
        if kind in (flv.AUDIO, flv.VIDEO):
            self._media(kind, message.timestamp, payload)
        elif kind in (DATA_AMF0, DATA_AMF3):
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

    def _media(self, kind: int, timestamp_ms: int, payload: bytes) -> None:
        if self._publishing and payload:
            self._events.append(Media(kind, timestamp_ms, payload))

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
        properties = {"fmsVer": "FMS/3,5,3,888", "capabilities": 127.0, "mode": 1.0}
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
