"""Keeps sales on time: takes them over from their resources, opens and closes them by this clock, reports on them.

The operators only say what they want (hash `haat:sales`); what happens, and when, is decided here and told to the rooms
and back to the operators.
"""

import asyncio
import contextlib
import json
import logging
import time
from typing import Any

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from workloads.commerce import ledger, sales, stock_shield
from workloads.commerce.committer import Committer
from workloads.common.loops import going_on
from workloads.common.rooms import Rooms
from workloads.common.shield import Shield

SALES, STATUS, CHANGED = "haat:sales", "haat:sales:status", "haat:sales:changed"
TICK_SECONDS = 0.05
RESYNC_SECONDS = 2.0
REPORT_SECONDS = 1.0

logger = logging.getLogger(__name__)
Failure = (RedisError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Keeper:
    """One keeper works beside one committer, in the same process."""

    def __init__(self, redis: Redis, pool: asyncpg.Pool, committer: Committer) -> None:
        self._redis = redis
        self._pool = pool
        self._committer = committer
        self._rooms = Rooms(redis)
        self._shield = Shield(redis)
        self._sales: dict[str, sales.Sale] = {}
        self._announced: dict[str, set[float]] = {}
        self._phases: dict[str, str] = {}
        self._resync = asyncio.Event()
        self._resync.set()

    async def run(self) -> None:
        """Sync, tick and report until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._forever(self._sync, RESYNC_SECONDS))
            group.create_task(self._forever(self._tick, TICK_SECONDS))
            group.create_task(self._forever(self._report, REPORT_SECONDS))
            group.create_task(self._forever(self._sweep, 1.0))

    async def watch(self, listener: Redis) -> None:
        """Sync at once when an operator announces a change; `listener` comes from `connect_listener`."""
        while going_on():
            try:
                async with listener.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.subscribe(CHANGED)
                    async for _ in pubsub.listen():
                        self._resync.set()
            except (RedisError, OSError) as error:
                logger.warning("announcements are interrupted: %s", error)
                await asyncio.sleep(0.5)

    def nudge(self) -> None:
        """Sync soon."""
        self._resync.set()

    async def _forever(self, work: Any, seconds: float) -> None:
        while going_on():
            try:
                await work()
            except Failure as error:
                logger.warning("%s has to wait: %s", work.__name__.strip("_"), error)
                await asyncio.sleep(0.5)
            await asyncio.sleep(seconds if work != self._sync else 0)

    async def _sync(self) -> None:
        """Take over what the operators want, lead every open sale, and mend shields that Redis lost."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._resync.wait(), RESYNC_SECONDS)
        self._resync.clear()
        wanted: Any = await self._redis.hgetall(SALES)
        for uid, text in wanted.items():
            document = _document(uid, text)
            if document and await sales.take_over(self._pool, document):
                self._committer.suspect.add(uid)
        for uid in [uid for uid in self._sales if uid not in wanted]:
            await sales.cancel(self._pool, uid)
            await self._redis.hdel(STATUS, uid)
        self._sales = {sale.id: sale for sale in await sales.load_open(self._pool)}
        for sale in self._sales.values():
            await self._lead(sale)

    async def _lead(self, sale: sales.Sale) -> None:
        mine, theirs = self._committer.epoch(sale.id), await stock_shield.epoch_of(self._redis, sale.id)
        if mine is None or theirs != mine or sale.id in self._committer.suspect:
            self._committer.suspect.discard(sale.id)
            await self._committer.lead(sale.id)
        else:
            await stock_shield.set_clock(self._redis, sale)

    async def _tick(self) -> None:
        """Let the clock act on each sale: countdown, opening, sold out, closing, settlement."""
        now = time.time()
        for sale in list(self._sales.values()):
            phase = sale.phase(now)
            await self._announce(sale, now)
            if phase != self._phases.get(sale.id):
                await self._enter(sale, phase, before=self._phases.get(sale.id))
                self._phases[sale.id] = phase
            if phase in ("Closed", "Cancelled") and await self._can_settle(sale, now):
                await self._settle(sale)

    async def _announce(self, sale: sales.Sale, now: float) -> None:
        if sale.state != "Scheduled" or now >= sale.starts_at:
            return
        told = self._announced.setdefault(sale.id, set())
        for seconds in sale.announce_before:
            if seconds not in told and now >= sale.starts_at - seconds:
                told.update(item for item in sale.announce_before if item >= seconds)
                await self._tell(sale, "sale.countdown")
                return

    async def _enter(self, sale: sales.Sale, phase: str, *, before: str | None) -> None:
        """A sale has come into a phase: note it in the ledger and tell the room, once."""
        if phase in ("Open", "SoldOut"):
            if await sales.mark(self._pool, sale.id, "opened_at"):
                logger.info(
                    "sale opened", extra={"sale": sale.id, "late_ms": round((time.time() - sale.starts_at) * 1e3)}
                )
                await self._tell(sale, "sale.opened")
                self._resync.set()
            elif phase == "Open" and before in ("Paused", "SoldOut"):
                await self._tell(sale, "sale.opened")
            if phase == "SoldOut":
                await self._tell(sale, "sale.soldout")
        elif phase in ("Closed", "Cancelled"):
            if await sales.mark(self._pool, sale.id, "closed_at") or before is not None:
                await self._tell(sale, "sale.closed")
            self._resync.set()
        elif phase == "Paused":
            await self._tell(sale, "sale.paused")
        elif before is None or before == "Paused":
            await self._tell(sale, "sale.scheduled")

    async def _settle(self, sale: sales.Sale) -> None:
        """Nobody can pay any more: the books of this sale are closed and the operators hear of it a last time."""
        await sales.mark(self._pool, sale.id, "settled_at")
        self._sales.pop(sale.id, None)
        self._committer.drop(sale.id)
        last = await sales.load(self._pool, sale.id)
        if last:
            await self._redis.hset(STATUS, sale.id, json.dumps(_report(last, await sales.figures(self._pool, sale.id))))

    async def _can_settle(self, sale: sales.Sale, now: float) -> bool:
        if now < sale.ends_at and not sale.closed_at:
            return False
        return now >= sale.ends_at + sale.grace_seconds or not await sales.has_held_orders(self._pool, sale.id)

    async def _report(self) -> None:
        """Tell the operators, and the room when the counts moved."""
        changed, self._committer.changed = self._committer.changed, set()
        for sale in self._sales.values():
            figures = await sales.figures(self._pool, sale.id)
            await self._redis.hset(STATUS, sale.id, json.dumps(_report(sale, figures)))
            if sale.id not in changed:
                continue
            sold_out = figures.remaining == 0 and figures.total > 0
            if sold_out and await sales.mark(self._pool, sale.id, "sold_out_at"):
                self._resync.set()
            await self._rooms.broadcast(sale.stream, "sale.tick", await self._board(sale))

    async def _sweep(self) -> None:
        """Give unpaid units back: to the ledger, to the shield, to the room."""
        for item in await ledger.expire_holds(self._pool):
            await self._shield.release(
                sale=item.sale, epoch=item.epoch, user=item.user, sku=item.sku, qty=item.qty, order=item.order_id
            )
            await sales.back_in_stock(self._pool, item.sale)
            self._committer.changed.add(item.sale)
            self._resync.set()

    async def _tell(self, sale: sales.Sale, event: str) -> None:
        fresh = await sales.load(self._pool, sale.id) or sale
        await self._rooms.publish(fresh.stream, event, await self._board(fresh))

    async def _board(self, sale: sales.Sale) -> dict[str, Any]:
        return await board(self._pool, sale)


async def board(pool: asyncpg.Pool, sale: sales.Sale) -> dict[str, Any]:
    """A sale as viewers see it."""
    now = time.time()
    return {
        "id": sale.id,
        "name": sale.name,
        "phase": sale.phase(now),
        "starts_at_ms": int(sale.starts_at * 1000),
        "ends_at_ms": int(sale.ends_at * 1000),
        "server_now_ms": int(now * 1000),
        "items": await sales.items(pool, sale.id),
    }


def _report(sale: sales.Sale, figures: sales.Figures) -> dict[str, Any]:
    now = time.time()
    return {
        "phase": sale.phase(now),
        "generation": sale.generation,
        "total": figures.total,
        "reserved": figures.reserved,
        "sold": figures.sold,
        "remaining": figures.remaining,
        "starts_at_ms": int(sale.starts_at * 1000),
        "started_at": int((sale.opened_at or 0) * 1000),
        "ended_at": int((sale.closed_at or 0) * 1000),
        "epoch": sale.epoch,
        "ts_ms": int(now * 1000),
    }


def _document(uid: str, text: str) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads(text)
        if document["uid"] == uid and document["items"]:
            return document
    except (ValueError, KeyError, TypeError):
        logger.error("haat:sales holds no sale", extra={"uid": uid})
    return None
