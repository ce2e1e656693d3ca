"""The same list of events gives the same counts in memory and in Redis, and one event counts once there too."""

import asyncio
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_serving.features.definitions import DAY_MS, CoView, CoViewTable, Outcome, View, day_of
from ml_serving.features.store import CoViewStore
from tests.support.servers import RedisServer
from workloads.common.redis import connect

NOON = 20_000 * DAY_MS + DAY_MS // 2
SKUS = "ABCDE"
EVENTS = st.lists(
    st.tuples(
        st.integers(min_value=0, max_value=40),
        st.sampled_from("uv"),
        st.sampled_from(SKUS),
        st.integers(min_value=0, max_value=3 * 3_600_000) | st.just(DAY_MS),
    ),
    max_size=40,
)
DEFINITIONS = st.builds(
    CoView,
    window_products=st.integers(min_value=1, max_value=6),
    max_products=st.integers(min_value=1, max_value=6),
    max_neighbours=st.integers(min_value=1, max_value=6),
)


async def both(url: str, definition: CoView, views: list[View]) -> None:
    """Apply the events to both and compare everything that an answer may read."""
    redis = connect(url)
    try:
        store, table = CoViewStore(redis, definition), CoViewTable(definition=definition)
        assert await store.apply(views) == [table.apply(view) for view in views]
        for sku in SKUS if views else ():
            for today in (day_of(NOON), day_of(NOON) + 1):
                stream = views[0].stream
                assert await store.days(stream, sku, today=today) == table.days(stream, sku, today=today)
    finally:
        await redis.aclose()


@given(events=EVENTS, definition=DEFINITIONS)
@settings(max_examples=60, deadline=None)
def test_online_equals_offline(
    shared_redis: RedisServer, events: list[tuple[int, str, str, int]], definition: CoView
) -> None:
    stream = f"parity/{uuid.uuid4().hex}"
    known: dict[int, View] = {}
    views = [
        # The same id again is the same event, delivered again.
        known.setdefault(number, View(id=str(number), stream=stream, user=user, sku=sku, ts_ms=NOON + at))
        for number, user, sku, at in events
    ]
    asyncio.run(both(shared_redis.url, definition, views))


async def test_replicas_that_count_the_same_events_at_once_count_each_once(shared_redis: RedisServer) -> None:
    stream = f"race/{uuid.uuid4().hex}"
    views = [View(id=str(n), stream=stream, user=f"u{n // 2}", sku="AB"[n % 2], ts_ms=NOON + n) for n in range(200)]
    clients = [connect(shared_redis.url) for _ in range(3)]
    try:
        stores = [CoViewStore(client, CoView()) for client in clients]
        outcomes = await asyncio.gather(*(store.apply(views) for store in stores))
        found = await stores[0].days(stream, "A", today=day_of(NOON))
    finally:
        for client in clients:
            await client.aclose()
    assert sum(outcome is Outcome.COUNTED for each in outcomes for outcome in each) == 200
    assert found[day_of(NOON)].views == {"A": 100, "B": 100}
    assert found[day_of(NOON)].pairs == {"B": 100}


async def test_every_key_expires(shared_redis: RedisServer) -> None:
    stream = f"expiry/{uuid.uuid4().hex}"
    redis = connect(shared_redis.url)
    try:
        store = CoViewStore(redis, CoView())
        await store.apply([View(id=sku, stream=stream, user="u", sku=sku, ts_ms=NOON) for sku in "AB"])
        keys = [key async for key in redis.scan_iter(match=f"*{stream}*")]
        assert len(keys) == 5
        assert all([await redis.ttl(key) > 0 for key in keys])
    finally:
        await redis.aclose()


@pytest.mark.parametrize("sku", ["a:b:c", "শাড়ি", "\x00\r\n", "x" * 64])
async def test_names_from_clients_are_only_names(shared_redis: RedisServer, sku: str) -> None:
    stream = f"names/{uuid.uuid4().hex}"
    redis = connect(shared_redis.url)
    try:
        store = CoViewStore(redis, CoView())
        await store.apply([View(id=each, stream=stream, user="u", sku=each, ts_ms=NOON) for each in (sku, "plain")])
        assert (await store.days(stream, sku, today=day_of(NOON)))[day_of(NOON)].pairs == {"plain": 1}
    finally:
        await redis.aclose()
