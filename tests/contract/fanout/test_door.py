"""Who gets in, who does not, and what bad frames lead to: typed answers, and nobody else notices."""

import asyncio
import contextlib
import os
import struct
import uuid
from typing import Any

import pytest
import websockets

from tests.contract.fanout.conftest import Client, Pod, Stage
from workloads.common.tokens import Signer, new_private_key


def forged(stage: Stage) -> str:
    signer = Signer(new_private_key())
    return signer.issue(sub="eve", name="Eve", role="host", streams=["*"], ttl_seconds=60)


@pytest.mark.parametrize(
    ("token", "code"),
    [
        pytest.param(lambda stage: "", "token_missing", id="none"),
        pytest.param(lambda stage: "a.b.c", "token_invalid", id="garbage"),
        pytest.param(forged, "token_invalid", id="forged"),
        pytest.param(lambda stage: stage.token("eve", ttl=-5), "token_invalid", id="expired"),
        pytest.param(lambda stage: stage.token("eve", streams=["shop/other"]), "token_foreign", id="another stream's"),
    ],
)
async def test_bad_tokens(house: Stage, token: Any, code: str) -> None:
    client = await house.connect(house.standing)
    await client.send({"type": "hello", "token": token(house), "rooms": [house.room]})
    error = await client.hear_type("error")
    assert (error["code"], error["field"]) == (code, "token")
    assert await client.closed() == 4001


async def test_a_token_of_this_stream_alone_is_enough(house: Stage) -> None:
    client = await house.connect(house.standing)
    await client.send({"type": "hello", "token": house.token("ann", streams=[house.room])})
    assert (await client.hear_type("welcome"))["user"]["id"] == "ann"


async def test_silence_at_the_door_ends(stage: Stage) -> None:
    client = await stage.connect(await stage.pod(HAAT_HELLO_SECONDS="0.5"))
    assert (await client.hear_type("error"))["code"] == "hello_missing"
    assert await client.closed() == 4001


async def test_nothing_but_hello_comes_first(house: Stage) -> None:
    client = await house.connect(house.standing)
    await client.send({"type": "buy", "sale": str(uuid.uuid4()), "sku": "A", "qty": 1, "id": str(uuid.uuid4())})
    assert (await client.hear_type("error"))["code"] == "hello_first"
    await client.send({"type": "ping"})
    assert (await client.hear_type("pong"))["now_ms"] > 0
    await client.send({"type": "hello", "token": house.token("ann"), "rooms": ["shop/other"]})
    assert (await client.hear_type("error"))["code"] == "unknown_room"
    await client.send({"type": "hello", "token": house.token("ann"), "rooms": [house.room]})
    await client.hear_type("welcome")


async def test_an_expired_token_reads_on_but_speaks_no_more(stage: Stage) -> None:
    pod = await stage.pod()
    ann, omar = await stage.connect(pod), await stage.join(pod, "omar")
    await ann.send({"type": "hello", "token": stage.token("ann", ttl=2)})
    ann.welcome = await ann.hear_type("welcome")
    await asyncio.sleep(2.1)
    assert (await ann.say("too late"))["code"] == "token_expired"
    await omar.say("hello")
    await ann.hear_event("chat")
    await ann.send({"type": "hello", "token": stage.token("ann")})
    await ann.hear_type("welcome")
    assert (await ann.say("back"))["type"] == "ack"


@pytest.mark.parametrize(
    ("path", "status"), [("/ws/shop/other", 404), ("/elsewhere", 404)], ids=["another room", "no room"]
)
async def test_rooms_that_do_not_exist(house: Stage, path: str, status: int) -> None:
    pod = house.standing
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(f"ws://127.0.0.1:{pod.port}{path}")
    assert refused.value.response.status_code == status
    assert b"unknown_room" in (refused.value.response.body or b"")


async def test_only_listed_origins_when_there_is_a_list(stage: Stage) -> None:
    pod = await stage.pod(HAAT_ALLOWED_ORIGINS="https://shop.example,https://www.shop.example")
    with pytest.raises(websockets.InvalidStatus) as refused:
        await stage.connect(pod, origin="https://evil.example")
    assert refused.value.response.status_code == 403
    assert (await stage.join(pod, "ann", origin="https://shop.example")).welcome["type"] == "welcome"


class Raw:
    """A client that may break every rule."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, pod: Pod) -> "Raw":
        reader, writer = await asyncio.open_connection("127.0.0.1", pod.port)
        head = f"GET /ws/{pod.room} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        head += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        writer.write(head.encode())
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        return cls(reader, writer)

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def close_code(self) -> int:
        """The code of the close frame that ends it, after any number of text frames."""
        async with asyncio.timeout(10):
            while True:
                first, size = await self._reader.readexactly(2)
                if size == 126:
                    size = int.from_bytes(await self._reader.readexactly(2), "big")
                payload = await self._reader.readexactly(size)
                if first == 0x88:
                    return int.from_bytes(payload[:2], "big")


def masked(first: int, payload: bytes) -> bytes:
    """A client's frame with the zero mask."""
    size = bytes((0x80 | len(payload),)) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
    return bytes((first,)) + size + bytes(4) + payload


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(b"\x81\xff" + struct.pack(">Q", 1 << 40) + bytes(4), 1009, id="announces a terabyte"),
        pytest.param(masked(0x01, b"x" * 40000) + masked(0x80, b"x" * 40000), 1009, id="grows by fragments"),
        pytest.param(masked(0x82, b"abc"), 1003, id="binary"),
        pytest.param(masked(0x81, b"\xff\xfe"), 1007, id="not utf-8"),
        pytest.param(b"\x81\x02{}", 1002, id="unmasked"),
        pytest.param(masked(0xC1, b"{}"), 1002, id="compressed without agreement"),
        pytest.param(masked(0x83, b""), 1002, id="reserved opcode"),
        pytest.param(masked(0x09, b""), 1002, id="fragmented ping"),
        pytest.param(masked(0x80, b""), 1002, id="continuation of nothing"),
        pytest.param(masked(0x88, b"\x03\xed"), 1002, id="close code that may not be sent"),
        pytest.param(masked(0x88, b"\x0f\xa0bye"), 4000, id="close is echoed"),
        pytest.param(masked(0x81, b"not json"), 4000, id="not json"),
        pytest.param(masked(0x81, b"[" * 50000), 4000, id="nests without end"),
        pytest.param(bytes(range(256)) * 40, 1002, id="garbage"),
    ],
)
async def test_broken_frames_end_their_connection_and_no_other(house: Stage, data: bytes, code: int) -> None:
    pod = house.standing
    neighbour = await house.join(pod, "neighbour")
    raw = await Raw.open(pod)
    await raw.send(data)
    assert await raw.close_code() == code
    assert (await neighbour.say("still here"))["type"] == "ack"
    assert pod.process.poll() is None


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        pytest.param({"type": "dance"}, "type", id="unknown type"),
        pytest.param({}, "type", id="no type"),
        pytest.param({"type": "hello"}, "token", id="hello without token"),
        pytest.param({"type": "hello", "token": 7}, "token", id="token is a number"),
        pytest.param(
            {"type": "hello", "token": "a", "since": {"shop/a": {"epoch": "e", "offset": -1}}},
            "since[...].offset",
            id="negative offset",
        ),
        pytest.param({"type": "buy", "sale": "a", "id": "b"}, "sku", id="buy without sku"),
    ],
)
async def test_frames_that_lack_something_name_the_field(house: Stage, frame: dict, field: str) -> None:
    client = await house.connect(house.standing)
    await client.send(frame)
    error = await client.hear_type("error")
    assert (error["code"], error["field"]) == ("invalid_frame", field)
    await client.send({"type": "ping"})
    await client.hear_type("pong")


async def test_a_compressed_bomb_is_refused(house: Stage) -> None:
    pod = house.standing
    client = await house.connect(pod)
    await client.socket.send("a" * 70_000)
    assert await client.closed() == 1009


async def test_compression_is_shared_and_optional(house: Stage) -> None:
    pod = house.standing
    packed, plain = await house.join(pod, "packed"), await house.join(pod, "plain", compression=None)
    text = "পণ্যটি কি এখনো আছে? " * 14
    await plain.say(text)
    heard = [await client.hear_event("chat") for client in (packed, plain)]
    assert heard[0] == heard[1]
    assert heard[0]["data"]["text"] == text.strip()


async def test_a_flood_is_answered_and_then_shown_the_door(house: Stage) -> None:
    pod = house.standing
    flooder, neighbour = await house.join(pod, "flooder"), await house.join(pod, "neighbour")

    async def flood(client: Client) -> None:
        for number in range(10_000):
            await client.say_nothing_back(f"spam {number}")

    with contextlib.suppress(websockets.ConnectionClosed):
        await flood(flooder)
    assert await flooder.closed() == 1008
    codes = {message["code"] for message in flooder.heard if message["type"] == "error"}
    assert codes == {"rate_limited"}
    assert (await neighbour.say("calm"))["type"] == "ack"
    assert 0 < sum(event["data"]["text"].startswith("spam") for event in neighbour.events) < 30


async def test_random_bytes_never_kill_a_pod(house: Stage) -> None:
    pod = house.standing
    neighbour = await house.join(pod, "neighbour")
    for _ in range(40):
        raw = await Raw.open(pod)
        await raw.send(os.urandom(300))
    assert (await neighbour.say("alive"))["type"] == "ack"
    assert "Traceback" not in pod.log()


async def test_client_pings_are_answered_and_the_dead_are_cut_off(stage: Stage) -> None:
    pod = await stage.pod(HAAT_PING_SECONDS="1", HAAT_DEAD_SECONDS="2")
    alive, dead = await stage.join(pod, "alive"), await Raw.open(pod)
    await dead.send(masked(0x81, b'{"type":"hello","token":"' + stage.token("dead").encode() + b'"}'))
    assert await (await alive.socket.ping()) >= 0
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await dead.close_code()
    assert (await alive.say("still here"))["type"] == "ack"
