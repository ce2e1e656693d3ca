"""A flash sale from tap to ledger, with real Redis and PostgreSQL."""

import asyncio
import json
import time
import uuid
from collections import Counter

import pytest

from tests.contract.commerce.conftest import Shop, open_shop, sale_document
from tests.support.servers import PostgresServer, RedisServer, eventually
from workloads.commerce import payments, sales
from workloads.commerce.allocate import Request, allocate
from workloads.common import rooms, shield

BUYERS, UNITS = 500, 100


async def crowd(shop: Shop, sale: str, *, forget_shield: bool) -> Counter[str]:
    """500 people tap at once; with `forget_shield` Redis loses its counts in the middle, as a bad fail-over does."""

    async def tap(number: int) -> str:
        if forget_shield and number % 50 == 25:
            state = shield.keys(sale)[0]
            await shop.redis.hset(state, "left:SAREE", UNITS)
        return await insist(shop, sale, f"user-{number}")

    return Counter(await asyncio.gather(*(tap(number) for number in range(BUYERS))))


async def insist(shop: Shop, sale: str, user: str) -> str:
    """The ledger's answer: who is asked to hold on sends the same key again, as the web page does."""
    key = uuid.uuid4().hex

    async def answered() -> str | None:
        status = str((await shop.buy(sale, user, key=key))["status"])
        return None if status == "hold_on" else status

    return str(await eventually(answered, seconds=60, interval=0.2))


@pytest.mark.parametrize("forget_shield", [False, True], ids=["shield holds", "shield forgets"])
@pytest.mark.race
async def test_500_buyers_for_100_units_sell_exactly_100(shop: Shop, forget_shield: bool) -> None:
    sale = await shop.open(sale_document(stock=UNITS))
    answers = await crowd(shop, sale, forget_shield=forget_shield)
    assert answers == {"reserved": UNITS, "sold_out": BUYERS - UNITS}
    figures = await shop.figures(sale)
    assert (figures.reserved, figures.remaining) == (UNITS, 0)


@pytest.mark.race
async def test_control_without_the_ledgers_guard_the_same_crowd_oversells(
    shared_redis: RedisServer, shared_postgres: PostgresServer
) -> None:
    """The control: constraint dropped and room not counted. If this does not oversell, the test above proves nothing."""

    def unguarded(requests: list[Request], stock: dict, *rest: object, **options: object) -> list[str]:
        plenty = {sku: shield_free(item) for sku, item in stock.items()}
        return allocate(requests, plenty, *rest, **options)  # type: ignore[arg-type]

    def shield_free(item: object) -> object:
        return type(item)(10**6, item.per_user_limit)  # type: ignore[attr-defined, call-arg]

    url = await shared_postgres.database(f"t{uuid.uuid4().hex[:12]}")
    async with open_shop(shared_redis, url, allocate_units=unguarded, audited=False) as shop:
        await shop.pool.execute("ALTER TABLE shop.sku_bucket DROP CONSTRAINT ck_sku_bucket_no_oversell")
        sale = await shop.open(sale_document(stock=UNITS))
        answers = await crowd(shop, sale, forget_shield=True)
        assert answers["reserved"] > UNITS


async def test_the_schema_alone_refuses_an_oversell(shop: Shop) -> None:
    sale = await shop.open(sale_document(stock=1))
    with pytest.raises(Exception, match="no_oversell"):
        await shop.pool.execute("UPDATE shop.sku_bucket SET reserved = 2 WHERE sale_id = $1::uuid", sale)


@pytest.mark.parametrize(
    ("document", "tap", "status"),
    [
        pytest.param({}, {"sku": "NOPE"}, "unknown_sku", id="unknown article"),
        pytest.param({}, {"qty": 2}, "limit", id="more than one may buy"),
        pytest.param({"starts_in": 60}, {}, "not_open", id="too early"),
        pytest.param({"starts_in": -700}, {}, "closed", id="too late"),
        pytest.param({"state": "Paused"}, {}, "not_open", id="paused"),
        pytest.param({"state": "Cancelled"}, {}, "closed", id="cancelled"),
    ],
)
async def test_typed_refusals(shop: Shop, document: dict, tap: dict, status: str) -> None:
    sale = await shop.open(sale_document(**document))
    answer = await shop.buy(sale, "ann", **tap)
    assert answer["status"] == status
    assert answer["detail"]


async def test_a_second_buy_beyond_the_limit_is_refused(shop: Shop) -> None:
    sale = await shop.open(sale_document(limit=1))
    first, second = await shop.buy(sale, "ann"), await shop.buy(sale, "ann")
    assert (first["status"], second["status"]) == ("reserved", "limit")


@pytest.mark.race
async def test_the_same_key_a_hundred_times_is_one_order(shop: Shop) -> None:
    sale = await shop.open(sale_document(limit=5))
    answers = await asyncio.gather(*(shop.buy(sale, "ann", key="the-same-key") for _ in range(100)))
    assert {answer["order_id"] for answer in answers} == {answers[0]["order_id"]}
    assert (await shop.figures(sale)).reserved == 1


async def test_another_users_key_is_another_order(shop: Shop) -> None:
    sale = await shop.open(sale_document())
    ann, bob = await shop.buy(sale, "ann", key="shared-key"), await shop.buy(sale, "bob", key="shared-key")
    assert ann["order_id"] != bob["order_id"]


async def test_paying_sells_and_the_books_balance(shop: Shop) -> None:
    sale = await shop.open(sale_document())
    order = (await shop.buy(sale, "ann"))["order_id"]
    provider = payments.TestProvider()
    await asyncio.gather(*(payments.pay(shop.pool, provider, order_id=order, user="ann") for _ in range(10)))
    figures = await shop.figures(sale)
    assert (figures.reserved, figures.sold) == (0, 1)
    assert await shop.pool.fetchval("SELECT sum(amount) FROM money.entries") == 0
    assert await shop.pool.fetchval("SELECT count(*) FROM money.payments") == 1


async def test_somebody_elses_order_cannot_be_paid(shop: Shop) -> None:
    sale = await shop.open(sale_document())
    order = (await shop.buy(sale, "ann"))["order_id"]
    with pytest.raises(payments.CannotPay, match="no such order"):
        await payments.pay(shop.pool, payments.TestProvider(), order_id=order, user="eve")


async def test_unpaid_units_come_back_and_are_sold_again(shop: Shop) -> None:
    sale = await shop.open(sale_document(stock=1, hold_seconds=1))
    assert (await shop.buy(sale, "ann"))["status"] == "reserved"
    assert (await shop.buy(sale, "bob"))["status"] == "sold_out"

    async def bob_gets_it() -> bool:
        return bool((await shop.buy(sale, "bob"))["status"] == "reserved")

    await eventually(bob_gets_it, seconds=15, interval=0.3)


async def test_an_expired_hold_cannot_be_paid(shop: Shop) -> None:
    sale = await shop.open(sale_document(hold_seconds=0))
    order = (await shop.buy(sale, "ann"))["order_id"]
    with pytest.raises(payments.CannotPay):
        await payments.pay(shop.pool, payments.TestProvider(), order_id=order, user="ann")


@pytest.mark.race
async def test_a_wiped_redis_is_rebuilt_from_the_ledger(
    tmp_path_factory: pytest.TempPathFactory, shared_postgres: PostgresServer
) -> None:
    from tests.support.servers import redis_server

    url = await shared_postgres.database(f"t{uuid.uuid4().hex[:12]}")
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        async with open_shop(server, url) as shop:
            document = sale_document(stock=10)
            sale = await shop.open(document)
            for number in range(4):
                assert (await shop.buy(sale, f"early-{number}"))["status"] == "reserved"
            server.wipe()
            await shop.redis.hset("haat:sales", sale, json.dumps(document))

            async def resumed() -> bool:
                return bool((await shop.buy(sale, f"late-{uuid.uuid4().hex}"))["status"] == "reserved")

            await eventually(resumed, seconds=20, interval=0.2)
            await asyncio.gather(*(shop.buy(sale, f"crowd-{number}") for number in range(30)))
            figures = await shop.figures(sale)
            assert (figures.reserved, figures.remaining) == (10, 0)


@pytest.mark.race
async def test_a_postgres_restart_in_the_middle_loses_nothing(
    tmp_path_factory: pytest.TempPathFactory, shared_redis: RedisServer
) -> None:
    from tests.support.servers import postgres_server

    with postgres_server(tmp_path_factory.mktemp("postgres")) as server:
        async with open_shop(shared_redis, server.url) as shop:
            sale = await shop.open(sale_document(stock=50))
            keys = {f"user-{number}": uuid.uuid4().hex for number in range(120)}
            taps = [asyncio.create_task(shop.buy(sale, user, key=key)) for user, key in keys.items()]
            await asyncio.sleep(0.02)
            server.stop()
            server.start()
            await asyncio.gather(*taps)

            async def settled() -> dict[str, str] | None:
                again = await asyncio.gather(*(shop.buy(sale, user, key=key) for user, key in keys.items()))
                words = {user: answer["status"] for user, answer in zip(keys, again, strict=True)}
                return None if "hold_on" in words.values() else words

            words = await eventually(settled, seconds=40, interval=0.5)
            assert Counter(words.values()) == {"reserved": 50, "sold_out": 70}  # type: ignore[attr-defined]


@pytest.mark.race
async def test_a_fenced_committer_writes_nothing(shop: Shop) -> None:
    from workloads.commerce.ledger import Fenced, commit_batch

    sale = await shop.open(sale_document())
    old = shop.committer.epoch(sale)
    await sales.next_epoch(shop.pool, sale)
    request = Request(str(uuid.uuid4()), "ann", "SAREE", 1, "pod", "key", old or 0)
    with pytest.raises(Fenced):
        await commit_batch(shop.pool, sale, old or 0, [request])


async def test_the_room_hears_countdown_opening_and_sold_out(shop: Shop) -> None:
    room = f"shop/{uuid.uuid4().hex[:8]}"
    document = sale_document(stock=2, starts_in=1.0, stream=room, announce_before_seconds=[10, 0.5])
    sale = await shop.open(document)

    async def heard() -> list[str]:
        log = await shop.redis.xrange(rooms.keys(room)[1])
        return [json.loads(fields["event"])["event"] for _, fields in log]

    await eventually(lambda: time.time() * 1000 > document["starts_at_ms"])
    for user in ("ann", "bob"):

        async def has_it(user: str = user) -> bool:
            return bool((await shop.buy(sale, user, key=f"key-of-{user}"))["status"] == "reserved")

        await eventually(has_it)

    async def sold_out() -> bool:
        return "sale.soldout" in await heard()

    await eventually(sold_out)
    assert [name for name in await heard() if name != "sale.scheduled"] == [
        "sale.countdown",
        "sale.countdown",
        "sale.opened",
        "sale.soldout",
    ]


async def test_a_host_may_start_early_once(shop: Shop) -> None:
    sale = await shop.open(sale_document(starts_in=300))
    assert await sales.start_early(shop.pool, sale, countdown_seconds=3)
    assert await sales.start_early(shop.pool, sale, countdown_seconds=3) is None
