"""A stalled reader costs only itself, and a pod that stops sends its viewers on without losing one."""

import asyncio
import json
import socket
import uuid

import httpx
import pytest
import websockets

from tests.contract.fanout.conftest import Stage
from tests.support.servers import eventually


async def stalled(stage: Stage, port: int) -> socket.socket:
    """A viewer that says hello and then reads no byte more."""
    loop = asyncio.get_running_loop()
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await loop.sock_connect(raw, ("127.0.0.1", port))
    head = f"GET /ws/{stage.room} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    head += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    await loop.sock_sendall(raw, head.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += await loop.sock_recv(raw, 512)
    hello = json.dumps({"type": "hello", "token": stage.token("stalled")}).encode()
    await loop.sock_sendall(raw, b"\x81\xfe" + len(hello).to_bytes(2, "big") + bytes(4) + hello)
    return raw


async def metric(stage: Stage, http: str, name: str) -> float:
    text = (await httpx.AsyncClient().get(f"{http}/metrics")).text
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))


async def test_a_stalled_reader_stops_nobody_and_is_given_up(stage: Stage) -> None:
    pod = await stage.pod(HAAT_CLOSE_SLOW_SECONDS="3", HAAT_UNSENT_LOW_BYTES="4096")
    healthy = [await stage.join(pod, f"h{number}") for number in range(5)]
    raw = await stalled(stage, pod.port)

    async def is_in() -> bool:
        return await metric(stage, pod.http, "haat_fanout_viewers ") == 6

    await eventually(is_in)
    text = "x" * 6000
    for number in range(200):
        await stage.rooms.publish(stage.room, "chat", {"text": f"{number} {text}"})
        await stage.rooms.broadcast(stage.room, "sale.tick", {"id": "s", "n": number})
    await asyncio.gather(*(client.hear_offset(200) for client in healthy))
    for client in healthy:
        assert [event["offset"] for event in client.events] == list(range(1, 201))
    drops = await metric(stage, pod.http, 'haat_fanout_drops_total{lane="chat",reason="slow"}')
    assert drops > 0, "the stalled one was not even slow: the test proves nothing"

    async def is_gone() -> bool:
        return await metric(stage, pod.http, "haat_fanout_connections ") == 5

    await eventually(is_gone, seconds=20)
    assert await metric(stage, pod.http, 'haat_fanout_closes_total{code="4008"}') == 1
    raw.close()


async def test_a_viewer_that_was_slow_learns_of_its_gap_and_fills_it(stage: Stage) -> None:
    pod = await stage.pod(HAAT_UNSENT_LOW_BYTES="4096", HAAT_CLOSE_SLOW_SECONDS="60")
    slow = await stage.join(pod, "slow", max_queue=1, compression=None)
    slow.socket.transport.pause_reading()
    text = "x" * 6000
    for number in range(1, 1201):
        await stage.rooms.publish(stage.room, "chat", {"text": f"{number} {text}"})
        if number % 100 == 0:
            await stage.rooms.publish(stage.room, "sale.countdown", {"n": number})
        if await metric(stage, pod.http, 'haat_fanout_drops_total{lane="chat"') if number % 50 == 0 else 0:
            break
    slow.socket.transport.resume_reading()
    gap = await slow.hear_type("gap")
    before = [event["offset"] for event in slow.events if event["offset"] <= gap["offset"]]
    assert before == list(range(1, gap["offset"] + 1)), "everything up to the gap has arrived"
    since = {stage.room: {"epoch": gap["epoch"], "offset": gap["offset"]}}
    await slow.send({"type": "hello", "token": stage.token("slow"), "since": since})
    welcome = await slow.hear_type("welcome")
    assert welcome["recovered"] is True
    missed = [event["offset"] for event in welcome["history"]]
    assert missed == list(range(gap["offset"] + 1, welcome["offset"] + 1))


async def test_a_pod_that_stops_sends_everybody_on(stage: Stage) -> None:
    old, new = await stage.pod(), await stage.pod()
    people = [await stage.join(old, f"p{number}") for number in range(20)]
    ack = await people[0].say("before")
    await asyncio.gather(*(person.hear_offset(ack["offset"]) for person in people))
    stopping = asyncio.create_task(asyncio.to_thread(old.stop))
    for person in people:
        assert 0 <= (await person.hear_type("reconnect"))["after_ms"] <= 2000
        assert await person.closed() == 1012
    assert await stopping == 0
    published = await stage.rooms.publish(stage.room, "sale.opened", {"id": "s"})
    for number, person in enumerate(people):
        again = await stage.join(new, f"p{number}", since=person.position)
        assert again.welcome["recovered"] is True
        assert [event["offset"] for event in again.events] == [published.offset]
    beats = await stage.redis.hgetall("haat:heartbeats")
    assert f"fanout/{stage.room}/{old.name}" not in beats


async def test_a_draining_pod_is_not_ready_and_takes_nobody_in(stage: Stage) -> None:
    pod = await stage.pod(HAAT_DRAIN_SECONDS="3")
    people = await asyncio.gather(*(stage.join(pod, f"p{number}") for number in range(150)))
    stopping = asyncio.create_task(asyncio.to_thread(pod.stop))
    await people[0].hear_type("reconnect")
    ready = await httpx.AsyncClient().get(f"{pod.http}/readyz")
    assert (ready.status_code, ready.json()["status"]) == (503, "draining")
    with pytest.raises(websockets.InvalidStatus) as refused:
        await stage.connect(pod)
    assert refused.value.response.status_code == 503
    assert refused.value.response.headers["Retry-After"] == "1"
    assert await stopping == 0


async def test_wrong_settings_are_named(stage: Stage) -> None:
    for change, word in (
        ({"HAAT_STREAM_FILE": "/nowhere.json"}, "/nowhere.json"),
        ({"HAAT_AUTH_JWKS": ""}, "HAAT_AUTH_JWKS"),
    ):
        pod = stage.launch(**change)
        assert await asyncio.to_thread(pod.process.wait, 20) == 2
        assert word in pod.log()


async def test_a_room_of_one_pod_without_redis(stage: Stage) -> None:
    pod = await stage.pod(HAAT_BROKER="memory", HAAT_REDIS_URL="redis://127.0.0.1:1/0")
    ann, omar = await stage.join(pod, "ann"), await stage.join(pod, "omar")
    await ann.say("hello")
    assert (await omar.hear_event("chat"))["data"]["text"] == "hello"
    await ann.send({"type": "buy", "sale": str(uuid.uuid4()), "sku": "A", "qty": 1, "id": str(uuid.uuid4())})
    assert (await ann.hear_type("error"))["code"] == "unavailable"
