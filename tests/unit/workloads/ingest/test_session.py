"""The command state machine, driven as ffmpeg and OBS drive it."""

import struct
from typing import Any

import pytest

from workloads.common import amf, flv
from workloads.ingest.chunk import ChunkReader, Message, pack_message
from workloads.ingest.session import Media, ProtocolError, PublishEnd, PublishRequest, Session

C0C1C2 = b"\x03" + bytes(1536) + bytes(1536)


def command(*values: Any, type_id: int = 20, stream_id: int = 0) -> bytes:
    payload = amf.encode(*values)
    return pack_message(3, Message(type_id, stream_id, 0, b"\x00" + payload if type_id == 17 else payload))


def answers(session: Session, *, greeting: bool = False) -> list[list[Any]]:
    """Commands that the server sent."""
    data = session.output()
    reader = ChunkReader()
    reader.feed(data[1 + 1536 * 2 :] if greeting else data)
    found = []
    while (message := reader.next()) is not None:
        if message.type_id == 1:
            reader.chunk_size = struct.unpack(">I", message.payload)[0]
        if message.type_id == 20:
            found.append(amf.decode(message.payload))
    return found


def greeted(app: str = "live") -> Session:
    session = Session()
    session.feed(C0C1C2 + command("connect", 1.0, {"app": app}))
    assert session.next_event() is None
    return session


def requested(app: str = "live", key: str = "sk-1") -> tuple[Session, PublishRequest]:
    session = greeted(app)
    session.feed(command("releaseStream", 2.0, None, key) + command("FCPublish", 3.0, None, key))
    session.feed(command("createStream", 4.0, None) + command("publish", 5.0, None, key, "live", stream_id=1))
    event = session.next_event()
    assert isinstance(event, PublishRequest)
    return session, event


def test_handshake_echoes_c1() -> None:
    session = Session()
    c1 = bytes(8) + bytes(range(256)) * 5 + bytes(248)
    session.feed(b"\x03" + c1)
    out = session.output()
    assert (out[0], out[1 + 4 : 1 + 8], out[1 + 1536 :]) == (3, bytes(4), c1)
    assert not session.greeted
    session.feed(bytes(1536))
    assert session.greeted


def test_connect_announces_window_and_chunk_size_and_succeeds() -> None:
    [result] = answers(greeted(), greeting=True)
    assert result[0] == "_result"
    assert result[3]["code"] == "NetConnection.Connect.Success"


@pytest.mark.parametrize(
    ("app", "name", "key"),
    [("live", "sk-1", "sk-1"), ("live/", "sk-1?token=1", "sk-1"), ("live/sk-1", "", "sk-1")],
    ids=["url form", "query in the key", "key in the server url"],
)
def test_forms_of_the_url(app: str, name: str, key: str) -> None:
    assert requested(app, name)[1].key == key


def test_another_application_is_refused() -> None:
    session = greeted("vod")
    session.feed(command("publish", 5.0, None, "sk-1", "live", stream_id=1))
    assert isinstance(session.next_event(), PublishEnd)
    assert answers(session, greeting=True)[-1][3]["code"] == "NetStream.Publish.BadName"


def test_media_counts_only_after_acceptance() -> None:
    session, _ = requested()
    frame = pack_message(6, Message(flv.VIDEO, 1, 40, b"\x17\x01\x00\x00\x00abc"))
    session.feed(frame)
    assert session.next_event() is None
    session.accept()
    session.feed(frame)
    assert session.next_event() == Media(flv.VIDEO, 40, b"\x17\x01\x00\x00\x00abc")
    assert answers(session, greeting=True)[-1][3]["code"] == "NetStream.Publish.Start"


def test_refusal_names_code_and_level() -> None:
    session, _ = requested()
    session.refuse("NetStream.Publish.BadName", "already publishing")
    status = answers(session, greeting=True)[-1]
    assert (status[0], status[3]["level"], status[3]["description"]) == ("onStatus", "error", "already publishing")


def test_metadata_loses_its_wrapper_and_amf3_its_envelope() -> None:
    session, _ = requested()
    session.accept()
    metadata = amf.encode("onMetaData", {"width": 1280.0})
    session.feed(pack_message(4, Message(18, 1, 0, amf.encode("@setDataFrame") + metadata)))
    session.feed(pack_message(4, Message(15, 1, 0, b"\x00" + metadata)))
    assert session.next_event() == Media(flv.SCRIPT, 0, metadata)
    assert session.next_event() == Media(flv.SCRIPT, 0, metadata)
    session.feed(command("deleteStream", 6.0, None, 1.0, type_id=17))
    assert session.next_event() == PublishEnd()


def test_aggregates_are_taken_apart() -> None:
    session, _ = requested()
    session.accept()
    tags = flv.pack_tag(flv.AUDIO, 500, b"\xaf\x01a") + flv.pack_tag(flv.VIDEO, 520, b"\x27\x01v")
    session.feed(pack_message(6, Message(22, 1, 100, tags)))
    assert session.next_event() == Media(flv.AUDIO, 100, b"\xaf\x01a")
    assert session.next_event() == Media(flv.VIDEO, 120, b"\x27\x01v")


def test_ping_is_answered_and_bytes_are_acknowledged() -> None:
    session = greeted()
    session.output()
    session.feed(pack_message(2, Message(4, 0, 0, struct.pack(">HI", 6, 77))))
    assert session.next_event() is None
    assert struct.pack(">HI", 7, 77) in session.output()
    session.feed(pack_message(2, Message(5, 0, 0, struct.pack(">I", 1))))
    assert session.next_event() is None
    session.feed(pack_message(4, Message(9, 1, 0, bytes(70_000))))
    assert session.output()[7] == 3


@pytest.mark.parametrize(
    ("data", "stage"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "handshake"),
        (C0C1C2 + b"\xff" * 64, "chunk"),
        (C0C1C2 + pack_message(3, Message(20, 0, 0, b"\x99")), "command"),
        (C0C1C2 + pack_message(2, Message(1, 0, 0, bytes(4))), "chunk"),
        (C0C1C2 + pack_message(2, Message(1, 0, 0, b"\x00")), "command"),
    ],
    ids=["another protocol", "no chunk stream", "no AMF", "chunk size zero", "short control message"],
)
def test_nonsense_is_a_protocol_error(data: bytes, stage: str) -> None:
    def talk() -> None:
        session = Session()
        session.feed(data)
        session.next_event()

    with pytest.raises(ProtocolError) as caught:
        talk()
    assert caught.value.stage == stage
