"""The buy button over the socket, with the real shield, committer and ledger."""

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.contract.commerce.conftest import Shop, open_shop, sale_document
from tests.contract.fanout.conftest import Client, Pod, Stage
from tests.support.servers import PostgresServer, RedisServer


@contextlib.asynccontextmanager
async def market(stage: Stage, redis: RedisServer, postgres: PostgresServer) -> AsyncIterator[tuple[Shop, Pod]]:
    pod = await stage.pod()
    url = await postgres.database(f"t{uuid.uuid4().hex[:12]}")
    async with open_shop(redis, url) as shop:
        yield shop, pod


async def tap(client: Client, sale: str, *, key: str = "", **members: Any) -> dict[str, Any]:
    key = key or str(uuid.uuid4())
    await client.send({"type": "buy", "sale": sale, "sku": "SAREE", "qty": 1, "id": key} | members)
    return await client.hear(lambda m: m["type"] in ("order.result", "error") and m.get("id") == members.get("id", key))


async def test_30_people_for_10_units_in_the_room(
    stage: Stage, shared_redis: RedisServer, shared_postgres: PostgresServer
) -> None:
    async with market(stage, shared_redis, shared_postgres) as (shop, pod):
        people = [await stage.join(pod, f"buyer-{number}") for number in range(30)]
        sale = await shop.open(sale_document(stock=10, stream=stage.room))
        await people[0].hear_event("sale.opened")
        results = await asyncio.gather(*(tap(person, sale) for person in people))
        assert Counter(result["status"] for result in results) == {"reserved": 10, "sold_out": 20}
        winner = next(n for n, result in enumerate(results) if result["status"] == "reserved")
        assert results[winner]["order_id"]
        assert results[winner]["hold_expires_ms"] > 0
        for number, person in enumerate(people):
            await person.hear_event("sale.soldout")
            private = [message for message in person.heard if message["type"] == "order.result"]
            assert private == [], f"{number} heard of somebody else's order"
        figures = await shop.figures(sale)
        assert (figures.reserved, figures.remaining) == (10, 0)
        late = await stage.join(pod, "late")
        board = late.welcome["state"]["sale"]
        assert (board["id"], board["phase"], board["items"][0]["left"]) == (sale, "SoldOut", 0)


async def test_all_windows_of_a_buyer_hear_it_and_a_second_tap_is_the_same_order(
    stage: Stage, shared_redis: RedisServer, shared_postgres: PostgresServer
) -> None:
    async with market(stage, shared_redis, shared_postgres) as (shop, pod):
        phone, laptop = await stage.join(pod, "rina"), await stage.join(pod, "rina")
        stranger = await stage.join(pod, "omar")
        sale = await shop.open(sale_document(stock=5, limit=1, stream=stage.room))
        await phone.hear_event("sale.opened")
        key = str(uuid.uuid4())
        first = await tap(phone, sale, key=key)
        assert first["status"] == "reserved"
        assert await laptop.hear_type("order.result") == first
        assert (await tap(phone, sale, key=key))["order_id"] == first["order_id"]
        assert (await tap(phone, sale))["status"] == "limit"
        assert (await tap(phone, sale, sku="NOPE"))["status"] == "unknown_sku"
        assert not [message for message in stranger.heard if message["type"] == "order.result"]
        assert (await shop.figures(sale)).reserved == 1


async def test_a_late_answer_still_finds_its_buyer(
    stage: Stage, shared_redis: RedisServer, shared_postgres: PostgresServer
) -> None:
    async with market(stage, shared_redis, shared_postgres) as (shop, pod):
        rina, omar = await stage.join(pod, "rina"), await stage.join(pod, "omar")
        sale = await shop.open(sale_document(stock=5, stream=stage.room))
        await rina.hear_event("sale.opened")
        blocker = await shop.pool.acquire()
        transaction = blocker.transaction()
        await transaction.start()
        await blocker.execute("SELECT 1 FROM shop.sale WHERE id = $1::uuid FOR UPDATE", sale)
        first = await tap(rina, sale)
        assert first["status"] == "hold_on"
        assert (await rina.say("the room goes on"))["type"] == "ack"
        await transaction.rollback()
        await shop.pool.release(blocker)
        answer = await rina.hear_type("order.result")
        assert (answer["id"], answer["status"], answer["sku"]) == (first["id"], "reserved", "SAREE")
        assert "user" not in answer
        assert not [message for message in omar.heard if message["type"] == "order.result"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param({"sale": "drop"}, "sale", id="sale is no uuid"),
        pytest.param({"id": "1"}, "id", id="id is no uuid"),
        pytest.param({"sku": ""}, "sku", id="no sku"),
        pytest.param({"sku": "a b"}, "sku", id="sku with a space"),
        pytest.param({"qty": 0}, "qty", id="nothing"),
        pytest.param({"qty": -1}, "qty", id="less than nothing"),
        pytest.param({"qty": 1.5}, "qty", id="half of one"),
        pytest.param({"qty": 10**9}, "qty", id="everything"),
    ],
)
async def test_taps_that_are_refused(house: Stage, change: dict[str, Any], field: str) -> None:
    client = await house.join(house.standing, "rina")
    frame = {"type": "buy", "sale": str(uuid.uuid4()), "sku": "SAREE", "qty": 1, "id": str(uuid.uuid4())}
    await client.send(frame | change)
    error = await client.hear_type("error")
    assert (error["code"], error["field"]) == ("invalid_frame", field)


async def test_a_sale_nobody_knows(house: Stage) -> None:
    client = await house.join(house.standing, "rina")
    assert (await tap(client, str(uuid.uuid4())))["status"] == "hold_on"


async def test_hammering_the_button_is_limited_and_said_so(house: Stage) -> None:
    client = await house.join(house.standing, "hammer")
    sale = str(uuid.uuid4())
    for _ in range(40):
        await client.send({"type": "buy", "sale": sale, "sku": "SAREE", "qty": 1, "id": str(uuid.uuid4())})
    error = await client.hear_type("error")
    assert error["code"] == "rate_limited"
    assert error["retry_after"] > 0
    assert (await client.say("not closed for it"))["type"] == "ack"
