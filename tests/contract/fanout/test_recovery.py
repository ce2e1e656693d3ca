"""Nobody misses an event and nobody gets one twice: over reconnects, pods that die, and a Redis that comes and goes."""

import asyncio
import contextlib
import json
import signal
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from tests.contract.fanout.conftest import Client, Stage
from tests.support.servers import RedisServer, eventually
from workloads.common.tokens import Signer


def offsets(client: Client) -> list[int]:
    return [event["offset"] for event in client.events]


async def tell(stage: Stage, count: int, *, event: str = "sale.countdown") -> int:
    """Publish as the sale service does; the last offset."""
    for number in range(count):
        published = await stage.rooms.publish(stage.room, event, {"n": number})
    return published.offset


async def test_a_client_that_comes_back_gets_exactly_what_it_missed(stage: Stage) -> None:
    pod = await stage.pod()
    await tell(stage, 3)
    before = await stage.join(pod, "rina")
    await before.socket.close()
    await tell(stage, 70)
    after = await stage.join(pod, "rina", since=before.position)
    last = await tell(stage, 2)
    await after.hear_offset(last)
    assert after.welcome["recovered"] is True
    assert offsets(before) + offsets(after) == list(range(1, 76))
    # The control: who does not say where they stand gets a snapshot of the end and is told so.
    stranger = await stage.join(pod, "omar")
    assert stranger.welcome["recovered"] is False
    assert offsets(stranger) == list(range(26, 76))


async def test_long_absence_is_answered_from_the_log_and_a_longer_one_honestly_not(stage: Stage) -> None:
    pod = await stage.pod(HAAT_RING_EVENTS="16")
    first = await tell(stage, 1)
    ann = await stage.join(pod, "ann")
    last = await tell(stage, 200)
    await ann.hear_offset(last)
    position = {"epoch": ann.welcome["epoch"], "offset": first}
    crowd = await asyncio.gather(*(stage.join(pod, f"u{number}", since=position) for number in range(20)))
    for client in crowd:
        assert client.welcome["recovered"] is True
        assert offsets(client) == list(range(2, 202))
    await stage.redis.xtrim(f"haat:room:{{{stage.room}}}:log", maxlen=50, approximate=False)
    too_late = await stage.join(pod, "late", since=position)
    assert too_late.welcome["recovered"] is False
    assert offsets(too_late) == list(range(186, 202))


@pytest.mark.parametrize(
    "since",
    [
        pytest.param({"epoch": "another", "offset": 1}, id="another epoch"),
        pytest.param({"epoch": None, "offset": 999}, id="ahead of everybody"),
    ],
)
async def test_impossible_positions_get_a_snapshot(house: Stage, since: dict[str, Any]) -> None:
    known = await house.join(house.standing, "ann")
    await known.say("something")
    epoch = since["epoch"] or known.welcome["epoch"]
    client = await house.join(house.standing, "eve", since={"epoch": epoch, "offset": since["offset"]})
    assert client.welcome["recovered"] is False
    assert client.welcome["history"]


async def test_a_client_may_hop_between_pods_while_everybody_talks(stage: Stage) -> None:
    pods = [await stage.pod(), await stage.pod()]
    talker = await stage.join(pods[0], "talker")
    heard: list[int] = []
    epoch = talker.welcome["epoch"]

    async def talk() -> None:
        for number in range(60):
            await stage.rooms.publish(stage.room, "chat", {"text": str(number)})
            await asyncio.sleep(0.005)

    talking = asyncio.create_task(talk())
    for hop in range(12):
        position = {"epoch": epoch, "offset": heard[-1] if heard else 0}
        client = await stage.join(pods[hop % 2], "hopper", since=position)
        assert client.welcome["recovered"] is True
        await asyncio.sleep(0.03)
        await client.socket.close()
        await client.closed()
        heard += offsets(client)
    await talking
    last = await stage.join(pods[0], "hopper", since={"epoch": epoch, "offset": heard[-1]})
    await last.hear_offset(60) if heard[-1] < 60 else None
    assert heard + offsets(last) == list(range(1, 61))


async def test_a_pod_dies_without_a_word_and_its_viewers_go_on_elsewhere(stage: Stage) -> None:
    doomed, other = await stage.pod(), await stage.pod()
    viewers = [await stage.join(doomed, f"v{number}") for number in range(10)]
    await tell(stage, 5)
    await asyncio.gather(*(viewer.hear_offset(5) for viewer in viewers))
    doomed.stop(signal.SIGKILL)
    await tell(stage, 5)
    back = [await stage.join(other, f"v{n}", since=viewer.position) for n, viewer in enumerate(viewers)]
    await tell(stage, 5)
    await asyncio.gather(*(viewer.hear_offset(15) for viewer in back))
    for old, new in zip(viewers, back, strict=True):
        assert new.welcome["recovered"] is True
        assert offsets(old) + offsets(new) == list(range(1, 16))


def own_stage(tmp_path: Path, redis: RedisServer, signer: Signer) -> Stage:
    stage = Stage(tmp_path, redis, signer)
    stage.rules()
    return stage


async def test_viewers_stay_while_redis_restarts_and_miss_nothing(
    tmp_path: Path, own_redis: RedisServer, signer: Signer
) -> None:
    stage = own_stage(tmp_path, own_redis, signer)
    try:
        pod = await stage.pod()
        ann = await stage.join(pod, "ann")
        await ann.say("before")
        await asyncio.to_thread(own_redis.stop)
        refused = await ann.say("while away", key=(key := str(uuid.uuid4())))
        assert refused["code"] == "unavailable"
        assert refused["retry_after"] > 0
        newcomer = await stage.join(pod, "omar")
        assert [event["data"]["text"] for event in newcomer.events] == ["before"], "the room lives on; no local echo"
        await asyncio.to_thread(own_redis.start)
        # Published before the pod listens again: pub/sub alone would lose it.
        await stage.rooms.publish(stage.room, "sale.opened", {"id": "s"})

        async def is_back() -> bool:
            return (await ann.say("while away", key=key))["type"] == "ack"

        await eventually(is_back, interval=0.2)
        for client in (ann, newcomer):
            await client.hear_offset(3)
            assert offsets(client) == [1, 2, 3]
        assert ann.code is None
    finally:
        await stage.close()


async def test_a_redis_that_forgot_everything_begins_a_new_epoch(
    tmp_path: Path, own_redis: RedisServer, signer: Signer
) -> None:
    stage = own_stage(tmp_path, own_redis, signer)
    try:
        pod = await stage.pod()
        host = await stage.join(pod, "hana", role="host")
        pin = {"sku": "S1", "title": "Saree", "price": {"amount": 1, "currency": "BDT"}}
        await host.publish("pin", pin)
        await asyncio.to_thread(own_redis.wipe)
        gap = await host.hear_type("gap")
        assert (gap["epoch"], gap["offset"]) == (host.welcome["epoch"], 1)
        token = stage.token("hana", role="host")
        since = {stage.room: {"epoch": gap["epoch"], "offset": gap["offset"]}}
        await host.send({"type": "hello", "token": token, "rooms": [stage.room], "since": since})
        again = await host.hear_type("welcome")
        assert again["recovered"] is False
        assert again["epoch"] != gap["epoch"]
        assert [item["sku"] for item in again["state"]["pins"]] == ["S1"], "what is shown outlives the store"
        assert (await host.say("hello again"))["offset"] == 1
        key = f"haat:room:{{{stage.room}}}:state"

        async def is_saved() -> bool:
            return bool(json.loads(await stage.redis.hget(key, "pins") or "{}").get("items"))

        await eventually(is_saved)
    finally:
        await stage.close()


async def test_a_rewound_history_is_noticed_and_no_new_event_is_taken_for_an_old_one(stage: Stage) -> None:
    pod = await stage.pod()
    ann = await stage.join(pod, "ann")
    await tell(stage, 5)
    await ann.hear_offset(5)
    # What a crash does to the last second: offsets 4 and 5 never happened, and are given out again.
    base = f"haat:room:{{{stage.room}}}"
    await stage.redis.delete(f"{base}:log")
    await stage.redis.hset(f"{base}:meta", "offset", 3)
    await stage.rooms.publish(stage.room, "sale.soldout", {"id": "s"})
    gap = await ann.hear_type("gap")
    assert (gap["epoch"], gap["offset"]) == (ann.welcome["epoch"], 5)
    await ann.send({"type": "hello", "token": stage.token("ann"), "since": {stage.room: ann.position}})
    again = await ann.hear_type("welcome")
    assert again["recovered"] is False
    assert again["epoch"] != gap["epoch"]
    published = await stage.rooms.publish(stage.room, "sale.closed", {"id": "s"})
    assert (await ann.hear_event("sale.closed"))["offset"] == published.offset


async def test_a_feed_that_died_silently_is_found(stage: Stage) -> None:
    pod = await stage.pod()
    ann = await stage.join(pod, "ann")
    await tell(stage, 1)
    await ann.hear_offset(1)
    # Into the history without a publish: as if the subscription had swallowed it.
    base, epoch = f"haat:room:{{{stage.room}}}", ann.welcome["epoch"]
    event = {"type": "event", "room": stage.room, "event": "sale.opened", "data": {}, "ts_ms": 1}
    await stage.redis.hset(f"{base}:meta", "offset", 2)
    await stage.redis.xadd(f"{base}:log", {"event": json.dumps(event | {"offset": 2, "epoch": epoch})}, id="2-1")
    await ann.hear_offset(2)
    last = await tell(stage, 1)
    await ann.hear_offset(last)
    assert offsets(ann) == [1, 2, 3]


async def test_what_is_no_event_is_left_out(stage: Stage) -> None:
    pod = await stage.pod()
    ann = await stage.join(pod, "ann")
    channel = f"haat:room:{{{stage.room}}}"
    for text in ("not json", "[]", '{"event":7}', '{"event":"chat","offset":9}', '{"event":"chat","offset":-1}'):
        await stage.redis.publish(channel, text)
    await tell(stage, 1)
    await ann.hear_offset(1)
    assert offsets(ann) == [1]


async def test_a_pod_that_starts_before_redis_waits_for_it(
    tmp_path: Path, own_redis: RedisServer, signer: Signer
) -> None:
    stage = own_stage(tmp_path, own_redis, signer)
    try:
        await tell(stage, 2)
        await asyncio.to_thread(own_redis.stop)
        pod = stage.launch()

        async def answers(path: str) -> int:
            with contextlib.suppress(httpx.HTTPError):
                async with httpx.AsyncClient() as http:
                    return (await http.get(f"{pod.http}{path}", timeout=1)).status_code
            return 0

        await eventually(lambda: answers("/healthz"))
        assert await answers("/readyz") == 503
        with pytest.raises(websockets.InvalidStatus) as refused:
            await stage.connect(pod)
        assert refused.value.response.status_code == 503
        await asyncio.to_thread(own_redis.start)
        await asyncio.to_thread(pod.wait_ready)
        assert offsets(await stage.join(pod, "ann")) == [1, 2]
    finally:
        await stage.close()
