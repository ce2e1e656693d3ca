"""The room's socket from hello to chat, with a real pod and a real Redis."""

import asyncio
import json
import time
import uuid
from typing import Any

import httpx
import pytest

from tests.contract.fanout.conftest import Stage
from tests.support.servers import eventually
from workloads.common import heartbeat
from workloads.fanout.presence import RedisDirectory


async def test_two_people_talk_and_a_third_reads_it_later(stage: Stage) -> None:
    pod = await stage.pod()
    rina, omar = await stage.join(pod, "rina"), await stage.join(pod, "omar")
    assert rina.welcome["user"] == {"id": "rina", "name": "Rina", "role": "viewer"}
    assert rina.welcome["state"] == {"pins": [], "viewers": 1, "sale": None, "stream": {"phase": ""}}
    ack = await rina.say("  আসসালামু আলাইকুম 👋🏽  ")
    assert ack["type"] == "ack"
    for client in (rina, omar):
        event = await client.hear_event("chat")
        assert event["data"]["text"] == "আসসালামু আলাইকুম 👋🏽"
        assert event["data"]["user"] == {"id": "rina", "name": "Rina", "role": "viewer"}
        assert (event["offset"], event["room"]) == (ack["offset"], stage.room)
    late = await stage.join(pod, "late")
    assert [event["data"]["text"] for event in late.welcome["history"]] == ["আসসালামু আলাইকুম 👋🏽"]
    assert late.welcome["recovered"] is False


async def test_the_same_message_sent_twice_is_one_message(stage: Stage) -> None:
    one, two = await stage.pod(), await stage.pod()
    here, there = await stage.join(one, "rina"), await stage.join(two, "rina")
    key = str(uuid.uuid4())
    answers = await asyncio.gather(here.say("once", key=key), there.say("once", key=key))
    assert answers[0]["offset"] == answers[1]["offset"]
    # The control: another id is another message, and another person may use the same id.
    other = await stage.join(two, "omar")
    assert (await here.say("once"))["offset"] == 2
    assert (await other.say("mine", key=key))["offset"] == 3
    await there.hear_offset(3)
    assert [event["data"]["text"] for event in there.events] == ["once", "once", "mine"]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        pytest.param("", "data.text", id="empty"),
        pytest.param(" \t ", "data.text", id="blank"),
        pytest.param("\u200b\u200d", "data.text", id="invisible"),
        pytest.param("a\u0000b", "data.text", id="nul"),
        pytest.param("a\nb", "data.text", id="line break"),
        pytest.param("a\u202eb", "data.text", id="turned around"),
        pytest.param("x" * 301, "data.text", id="too long"),
        pytest.param(7, "data.text", id="no text"),
    ],
)
async def test_texts_that_are_refused(house: Stage, text: Any, field: str) -> None:
    rina = await house.join(house.standing, "rina")
    answer = await rina.publish("chat", {"text": text})
    assert (answer["type"], answer["field"]) == ("error", field)
    assert (await rina.say("x" * 300))["offset"] == rina.welcome["offset"] + 1


@pytest.mark.parametrize(
    ("frame", "code", "field"),
    [
        pytest.param({"room": "shop/other"}, "unknown_room", "room", id="another room"),
        pytest.param({"event": "stream.state"}, "unknown_event", "event", id="an event of the system"),
        pytest.param({"event": "pin"}, "forbidden", "event", id="a viewer pins"),
        pytest.param({"id": "not-a-uuid"}, "invalid_frame", "id", id="id is no uuid"),
        pytest.param({"data": []}, "invalid_frame", "data", id="data is no object"),
        pytest.param({"data": {}}, "invalid_frame", "data.text", id="data lacks text"),
        pytest.param({"data": {"text": "\ud800"}}, "bad_frame", None, id="half a surrogate pair"),
    ],
)
async def test_publishes_that_are_refused(house: Stage, frame: dict, code: str, field: str | None) -> None:
    rina = await house.join(house.standing, "rina")
    whole = {"type": "publish", "room": house.room, "event": "chat", "id": str(uuid.uuid4()), "data": {"text": "a"}}
    await rina.send(whole | frame)
    answer = await rina.hear_type("error")
    assert (answer["code"], answer.get("field")) == (code, field)


async def test_slow_mode_and_a_closed_chat_take_effect_while_people_are_in_the_room(stage: Stage) -> None:
    stage.rules(slow_mode_seconds=30)
    one, two = await stage.pod(), await stage.pod()
    rina, elsewhere = await stage.join(one, "rina"), await stage.join(two, "rina")
    key = str(uuid.uuid4())
    first = await rina.say("hello", key=key)
    assert (await rina.say("hello", key=key)) == first, "a repeated send is not a second message"
    for client in (rina, elsewhere):
        refused = await client.say("again")
        assert refused["code"] == "slow_mode"
        assert 0 < refused["retry_after"] <= 30
    assert (await (await stage.join(one, "omar")).say("me too"))["type"] == "ack", "the control: others may speak"
    host = await stage.join(one, "hana", role="host")
    assert [(await host.say(text))["type"] for text in ("a", "b")] == ["ack", "ack"], "hosts are not slowed down"
    stage.rules(enabled=False)

    async def is_closed() -> bool:
        return (await host.say("still open?")).get("code") == "chat_disabled"

    await eventually(is_closed, interval=0.3)


PIN = {"title": "Saree", "price": {"amount": 125000, "currency": "BDT"}, "image": "/assets/a.webp"}


async def test_pins_are_the_same_for_everybody_now_and_later(stage: Stage) -> None:
    pod = await stage.pod()
    host, viewer = await stage.join(pod, "hana", role="host"), await stage.join(pod, "omar")
    for number in (1, 2, 3):
        assert (await host.publish("pin", PIN | {"sku": f"S{number}"}))["type"] == "ack"
        assert (await viewer.hear_event("pin"))["data"] == PIN | {"sku": f"S{number}"}
    refused = await host.publish("pin", PIN | {"sku": "S4"})
    assert (refused["code"], refused["field"]) == ("too_many_pins", "data.sku")
    assert (await host.publish("unpin", {"sku": "S1"}))["type"] == "ack"
    assert (await viewer.hear_event("unpin"))["data"] == {"sku": "S1"}
    assert (await host.publish("unpin", {"sku": "S1"}))["code"] == "not_pinned"
    pod.stop()
    other = await stage.pod()
    state = (await stage.join(other, "late")).welcome["state"]
    assert [pin["sku"] for pin in state["pins"]] == ["S2", "S3"]


async def test_pins_outlive_the_log(stage: Stage) -> None:
    pod = await stage.pod()
    host = await stage.join(pod, "hana", role="moderator")
    await host.publish("pin", PIN | {"sku": "S1"})
    key = f"haat:room:{{{stage.room}}}"
    await eventually(lambda: stage.redis.hget(f"{key}:state", "pins"))
    await stage.redis.delete(f"{key}:log")
    late = await stage.join(await stage.pod(), "late")
    assert [pin["sku"] for pin in late.welcome["state"]["pins"]] == ["S1"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param({"sku": "-bad"}, "data.sku", id="sku"),
        pytest.param({"title": ""}, "data.title", id="title"),
        pytest.param({"image": "javascript:alert(1)"}, "data.image", id="image"),
        pytest.param({"price": {"amount": -1, "currency": "BDT"}}, "data.price.amount", id="amount"),
        pytest.param({"price": {"amount": 1, "currency": "taka"}}, "data.price.currency", id="currency"),
        pytest.param({"price": None}, "data.price", id="price"),
    ],
)
async def test_pins_that_are_refused(house: Stage, change: dict, field: str) -> None:
    host = await house.join(house.standing, "hana", role="host")
    answer = await host.publish("pin", {"sku": "S1"} | PIN | change)
    assert (answer["code"], answer["field"]) == ("invalid_frame", field)


async def test_viewers_are_people_not_sockets_and_are_counted_over_pods(stage: Stage) -> None:
    one, two = await stage.pod(), await stage.pod()
    rina = await stage.join(one, "rina")
    await stage.join(one, "rina")
    await stage.join(two, "omar")
    await rina.hear(lambda m: m.get("event") == "viewers.tick" and m["data"] == {"viewers": 2})
    beat = await stage.redis.hget("haat:heartbeats", f"fanout/{stage.room}/{one.name}")
    assert {key: json.loads(beat)[key] for key in ("connections", "viewers", "draining")} == {
        "connections": 2,
        "viewers": 1,
        "draining": False,
    }
    await stage.join(two, "rafi")
    await stage.join(one, "tara")
    await rina.hear(lambda m: m.get("event") == "viewers.tick" and m["data"] == {"viewers": 4})


async def test_only_fresh_beats_of_other_pods_of_this_room_count(stage: Stage) -> None:
    now = int(time.time() * 1000)
    beats = {
        f"fanout/{stage.room}/me": json.dumps({"viewers": 1000, "ts_ms": now}),
        f"fanout/{stage.room}/fresh": json.dumps({"viewers": 5, "ts_ms": now - 1000}),
        f"fanout/{stage.room}/stale": json.dumps({"viewers": 7, "ts_ms": now - 6000}),
        f"fanout/{stage.room}2/other": json.dumps({"viewers": 9, "ts_ms": now}),
        f"transcoder/{stage.room}/x": json.dumps({"viewers": 9, "ts_ms": now}),
        f"fanout/{stage.room}/damaged": "damaged",
    }
    await stage.redis.hset(heartbeat.KEY, mapping=beats)
    directory = RedisDirectory(stage.redis, "me")
    for text, phase in (('{"phase":"Live"}', "Live"), ("[", ""), ("[]", ""), ('{"phase":null}', "")):
        await stage.redis.hset("haat:streams", stage.room, text)
        assert await directory.look(stage.room) == (5, phase)
    await stage.redis.hdel("haat:streams", stage.room)
    await stage.redis.hdel(heartbeat.KEY, *beats)


async def test_the_streams_phase_is_told_when_it_changes(stage: Stage) -> None:
    await stage.redis.hset("haat:streams", stage.room, json.dumps({"phase": "Standby"}))
    pod = await stage.pod()
    rina = await stage.join(pod, "rina")
    await stage.redis.hset("haat:streams", stage.room, json.dumps({"phase": "Live"}))
    await rina.hear(lambda m: m.get("event") == "stream.state" and m["data"] == {"phase": "Live"})
    assert (await stage.join(pod, "late")).welcome["state"]["stream"] == {"phase": "Live"}
    await stage.redis.hdel("haat:streams", stage.room)


async def test_plain_http_gets_clear_answers(stage: Stage) -> None:
    pod = await stage.pod()
    async with httpx.AsyncClient(base_url=pod.http) as http:
        answer = await http.get(f"/ws/{stage.room}")
        assert (answer.status_code, answer.json()["code"]) == (426, "upgrade_required")
        assert answer.headers["content-type"] == "application/problem+json"
        assert (await http.get("/healthz")).status_code == 200
        metrics = (await http.get("/metrics")).text
        assert "haat_fanout_connections 0.0" in metrics
        assert (await http.get("/nothing")).status_code == 404
