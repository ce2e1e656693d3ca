"""Building the shield of a sale from the ledger, and giving units back to it.

A rebuild holds the shield first, empties the stream of reservations into the ledger, raises the epoch, and only then
writes counts: so no reservation is lost, none is counted twice, and a committer that slept through it is fenced.
"""

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
from redis.asyncio import Redis

from workloads.commerce import sales
from workloads.common import shield

Drain = Callable[[], Awaitable[None]]


async def hold(redis: Redis, sale_id: str) -> None:
    """Answer every tap with "hold on" until the shield is rebuilt."""
    state, _, _ = shield.keys(sale_id)
    await redis.hset(state, "state", "Hold")


async def rebuild(redis: Redis, pool: asyncpg.Pool, sale_id: str, *, drain: Drain) -> int:
    """Make the shield say what the ledger says; the new epoch. `drain` commits what waits in the stream."""
    await hold(redis, sale_id)
    await drain()
    epoch = await sales.next_epoch(pool, sale_id)
    sale = await sales.load(pool, sale_id)
    if sale is None:
        raise LookupError(sale_id)
    state_key, buyers_key, _ = shield.keys(sale_id)
    pipeline = redis.pipeline(transaction=True)
    pipeline.delete(state_key, buyers_key)
    pipeline.hset(state_key, mapping=await _state(pool, sale, epoch))
    buyers = await _buyers(pool, sale_id)
    if buyers:
        pipeline.hset(buyers_key, mapping=buyers)
    await pipeline.execute()
    return epoch


async def set_clock(redis: Redis, sale: sales.Sale) -> None:
    """Tell the shield when the sale opens and closes and whether it may; counts stay as they are."""
    state_key, _, _ = shield.keys(sale.id)
    await redis.hset(state_key, mapping=_clock(sale))


async def epoch_of(redis: Redis, sale_id: str) -> int | None:
    """The shield's epoch; None when Redis has lost it."""
    state_key, _, _ = shield.keys(sale_id)
    value = await redis.hget(state_key, "epoch")
    return int(value) if value is not None else None


def _clock(sale: sales.Sale) -> dict[Any, Any]:
    word = {"Scheduled": "Open", "Paused": "Paused", "Cancelled": "Closed"}[sale.state]
    return {
        "state": "Closed" if sale.closed_at else word,
        "opens_ms": int(sale.starts_at * 1000),
        "closes_ms": int(sale.ends_at * 1000),
    }


async def _state(pool: asyncpg.Pool, sale: sales.Sale, epoch: int) -> dict[Any, Any]:
    state: dict[Any, Any] = {"epoch": epoch, **_clock(sale)}
    for item in await sales.items(pool, sale.id):
        state[f"left:{item['sku']}"] = item["left"]
        state[f"limit:{item['sku']}"] = item["per_user_limit"]
    return state


async def _buyers(pool: asyncpg.Pool, sale_id: str) -> dict[Any, Any]:
    key = uuid.UUID(sale_id)
    units = await pool.fetch("SELECT user_id, sku, units FROM shop.buyer WHERE sale_id = $1", key)
    orders = await pool.fetch(
        "SELECT o.id, l.sku, l.qty FROM shop.orders o JOIN shop.order_lines l ON l.order_id = o.id"
        " WHERE o.sale_id = $1 AND o.status IN ('held', 'paid')",
        key,
    )
    buyers: dict[Any, Any] = {f"u:{row['user_id']}:{row['sku']}": row["units"] for row in units}
    return buyers | {f"o:{row['id']}": f"{row['sku']} {row['qty']}" for row in orders}
