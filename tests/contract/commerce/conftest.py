"""A shop of its own for each test: fresh database, sale keys of its own, committer and keeper running."""

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.support.servers import PostgresServer, RedisServer, eventually
from workloads.commerce import audit, sales
from workloads.commerce.allocate import allocate
from workloads.commerce.committer import Committer
from workloads.commerce.keeper import Keeper
from workloads.commerce.ledger import Allocate
from workloads.commerce.migrate import migrate
from workloads.common.postgres import connect as connect_postgres
from workloads.common.purchase import Purchases
from workloads.common.redis import connect, connect_listener
from workloads.common.shield import Tap


def sale_document(*, stock: int = 100, limit: int = 1, starts_in: float = -1, lasts: float = 600, **extra: Any) -> dict:
    now = time.time()
    return {
        "uid": str(uuid.uuid4()),
        "namespace": "shop",
        "name": "drop",
        "generation": 1,
        "stream": "shop/launch",
        "state": "Scheduled",
        "starts_at_ms": int((now + starts_in) * 1000),
        "ends_at_ms": int((now + starts_in + lasts) * 1000),
        "hold_seconds": 120,
        "grace_seconds": 1,
        "announce_before_seconds": [],
        "items": [
            {
                "sku": "SAREE",
                "title": "Saree",
                "price": {"amount": 1000, "currency": "BDT"},
                "stock": stock,
                "per_user_limit": limit,
            }
        ],
    } | extra


@dataclass
class Shop:
    """Everything between a tap and the ledger."""

    redis: Redis
    pool: Any
    redis_url: str
    committer: Committer
    keeper: Keeper
    purchases: Purchases
    late: list[dict[str, Any]] = field(default_factory=list)

    async def open(self, document: dict[str, Any]) -> str:
        """Publish a sale as the operators do and wait until it is led."""
        await self.redis.hset("haat:sales", document["uid"], json.dumps(document))
        self.keeper.nudge()
        await eventually(lambda: self.committer.leads(document["uid"]))
        return str(document["uid"])

    def buy(self, sale: str, user: str, *, key: str = "", sku: str = "SAREE", qty: int = 1) -> Any:
        """One tap."""
        return self.purchases.buy(Tap(sale, user, sku, qty, key or uuid.uuid4().hex))

    async def figures(self, sale: str) -> sales.Figures:
        return await sales.figures(self.pool, sale)


OpenShop = Callable[..., contextlib.AbstractAsyncContextManager[Shop]]


@contextlib.asynccontextmanager
async def open_shop(
    redis_server: RedisServer, database_url: str, *, allocate_units: Allocate = allocate, audited: bool = True
) -> AsyncIterator[Shop]:
    await migrate(database_url)
    pool = await connect_postgres(database_url)
    redis, reader = connect(redis_server.url), connect(redis_server.url, timeout_seconds=5)
    listener, replies = connect_listener(redis_server.url), connect_listener(redis_server.url)
    committer = Committer(redis, reader, pool, allocate_units=allocate_units)
    keeper = Keeper(redis, pool, committer)
    late: list[dict[str, Any]] = []
    purchases = Purchases(redis, f"pod-{uuid.uuid4().hex[:8]}", on_late=late.append)
    shop = Shop(redis, pool, redis_server.url, committer, keeper, purchases, late)
    work = [committer.run(), keeper.run(), keeper.watch(listener), purchases.listen(replies)]
    tasks = [asyncio.create_task(item) for item in work]
    await asyncio.sleep(0.05)
    try:
        yield shop
        if audited:
            assert await audit.findings(pool) == []
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await redis.delete("haat:sales")
        await pool.close()
        for client in (redis, reader, listener, replies):
            await client.aclose()


@pytest.fixture
async def shop(shared_redis: RedisServer, shared_postgres: PostgresServer) -> AsyncIterator[Shop]:
    url = await shared_postgres.database(f"t{uuid.uuid4().hex[:12]}")
    async with open_shop(shared_redis, url) as running:
        yield running
