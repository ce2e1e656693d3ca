"""The committer: the only bridge from the shield to the ledger.

It reads the reservations of all sales it leads in batches, commits each batch in one transaction, and publishes what
the ledger then says. Entries leave the stream only after their commit, so a crash anywhere repeats work and loses none.
"""

import asyncio
import json
import logging
from collections import defaultdict
from typing import Any

import asyncpg
from prometheus_client import Counter, Histogram
from redis.asyncio import Redis
from redis.exceptions import RedisError

from workloads.commerce import stock_shield
from workloads.commerce.allocate import Request, allocate
from workloads.commerce.ledger import Allocate, Answer, Fenced, UnknownSale, commit_batch
from workloads.common import shield
from workloads.common.loops import going_on
from workloads.common.purchase import channel
from workloads.common.shield import Shield

BATCH = 1000
BLOCK_MS = 20

ANSWERS = Counter("haat_orders", "Answers of the ledger to buyers.", ["status"])
BATCH_SIZE = Histogram("haat_commit_batch", "Reservations a transaction.", buckets=(1, 5, 20, 50, 200, 500, 1000))
BATCH_SECONDS = Histogram(
    "haat_commit_seconds", "Time of a transaction.", buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2)
)

logger = logging.getLogger(__name__)


class Committer:
    """Leads sales: `lead` takes one over, `run` commits for all of them. `on_change` hears which sale changed."""

    def __init__(self, redis: Redis, reader: Redis, pool: asyncpg.Pool, *, allocate_units: Allocate = allocate) -> None:
        self._redis = redis
        self._reader = reader
        self._pool = pool
        self._shield = Shield(redis)
        self._allocate = allocate_units
        self._epochs: dict[str, int] = {}
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.changed: set[str] = set()
        self.suspect: set[str] = set()

    def leads(self, sale_id: str) -> bool:
        """Whether this committer writes for the sale, with a shield that is built."""
        return sale_id in self._epochs

    def epoch(self, sale_id: str) -> int | None:
        """The epoch under which it writes."""
        return self._epochs.get(sale_id)

    async def lead(self, sale_id: str) -> None:
        """Take a sale over, or rebuild the shield of one that is led already."""
        async with self._locks[sale_id]:
            self._epochs[sale_id] = await stock_shield.rebuild(
                self._redis, self._pool, sale_id, drain=lambda: self._drain(sale_id)
            )
            self.changed.add(sale_id)
            logger.info("leading a sale", extra={"sale": sale_id, "epoch": self._epochs[sale_id]})

    def drop(self, sale_id: str) -> None:
        """Write for this sale no more."""
        self._epochs.pop(sale_id, None)

    async def run(self) -> None:
        """Commit until cancelled. Fenced ends it: another committer leads."""
        while going_on():
            try:
                await self._round()
            except (RedisError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                logger.warning("reservations wait in the stream: %s", error)
                await asyncio.sleep(0.25)

    async def _round(self) -> None:
        if not self._epochs:
            await asyncio.sleep(0.05)
            return
        streams: dict[Any, Any] = {shield.keys(sale)[2]: "0-0" for sale in self._epochs}
        answer: Any = await self._reader.xread(streams, count=BATCH, block=BLOCK_MS)
        for key, entries in answer or ():
            sale_id = str(key).removeprefix("{sale:").partition("}")[0]
            async with self._locks[sale_id]:
                epoch = self._epochs.get(sale_id)
                if epoch is not None:
                    await self._commit(sale_id, epoch, entries)

    async def _drain(self, sale_id: str) -> None:
        """Commit everything that stands in the stream, under the ledger's present epoch."""
        stream = shield.keys(sale_id)[2]
        epoch: int = await self._pool.fetchval("SELECT epoch FROM shop.sale WHERE id = $1::uuid", sale_id)
        entries: Any = await self._redis.xrange(stream, count=BATCH)
        while entries:
            await self._commit(sale_id, epoch, entries)
            entries = await self._redis.xrange(stream, count=BATCH)

    async def _commit(self, sale_id: str, epoch: int, entries: list[tuple[str, dict[str, str]]]) -> None:
        requests = [request for entry in entries if (request := parse(entry)) is not None]
        if requests:
            with BATCH_SECONDS.time():
                try:
                    answers = await commit_batch(self._pool, sale_id, epoch, requests, allocate_units=self._allocate)
                except UnknownSale:
                    answers = [Answer(request, "closed") for request in requests]
            BATCH_SIZE.observe(len(requests))
            await self._settle(sale_id, epoch, answers)
        await self._redis.xdel(shield.keys(sale_id)[2], *(entry_id for entry_id, _ in entries))
        self.changed.add(sale_id)

    async def _settle(self, sale_id: str, epoch: int, answers: list[Answer]) -> None:
        """Give refused units back to the shield and tell the buyers' pods."""
        by_pod: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for answer in answers:
            request = answer.request
            ANSWERS.labels(answer.status).inc()
            by_pod[request.reply_to].append(answer.document() | {"sale": sale_id})
            if answer.status != "reserved":
                self.suspect.add(sale_id)
                await self._release(sale_id, epoch, request)
        pipeline = self._redis.pipeline(transaction=False)
        for pod, results in by_pod.items():
            pipeline.publish(channel(pod), json.dumps({"results": results}))
        await pipeline.execute()

    async def _release(self, sale_id: str, epoch: int, request: Request) -> None:
        await self._shield.release(
            sale=sale_id,
            epoch=epoch,
            user=request.user,
            sku=request.sku,
            qty=request.qty,
            order=request.order_id,
        )


def parse(entry: tuple[str, dict[str, str]]) -> Request | None:
    """A stream entry as a request; None, with a log line, when it is none."""
    entry_id, fields = entry
    try:
        return Request(
            order_id=fields["order"],
            user=fields["user"],
            sku=fields["sku"],
            qty=int(fields["qty"]),
            reply_to=fields["reply"],
            idempotency_key=fields["idem"],
            epoch=int(fields["epoch"]),
            entry=entry_id,
        )
    except (KeyError, ValueError) as error:
        logger.error("a stream entry is no reservation: %r", error, extra={"entry": entry_id})
        return None


__all__ = ["Committer", "Fenced", "parse"]
