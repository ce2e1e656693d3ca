"""Follow the event stream and feed the features, as one member of a consumer group.

Several replicas share the group: each event goes to one of them, and what a dead one had taken is claimed by another.
An event may therefore come twice; the store counts it once by its id. The group's place in the stream lives in Redis,
so a restart goes on where the last acknowledged event was. Trap avoided: one malformed event must not stop the group,
so what cannot be read is counted, acknowledged and left behind.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import Counter, Histogram
from pydantic import BaseModel, ConfigDict, Field, Json, ValidationError
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from ml_serving.features.definitions import DAY_MS, View
from ml_serving.features.store import CoViewStore, total
from workloads.common.events import STREAM
from workloads.common.loops import going_on

KIND = "product.view"
BATCH = 256
BLOCK_MS = 1000
CLAIM_AFTER_MS = 15_000
CLAIM_EVERY_SECONDS = 10.0
FORGET_CONSUMER_MS = 600_000
SKEW_MS = 300_000

EVENTS = Counter("haat_ml_events_total", "Events read, by what became of them", ["outcome"])
AGE = Histogram(
    "haat_ml_event_age_seconds",
    "Time from an event to its place in the features",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 30, 300),
)

logger = logging.getLogger(__name__)
Entries = list[tuple[str, dict[str, str] | None]]


class _Data(BaseModel):
    """The part of an event that its kind defines."""

    model_config = ConfigDict(extra="ignore", strict=True)

    sku: str = Field(min_length=1, max_length=64)


class _Fields(BaseModel):
    """The fields of an event on the stream that a view needs."""

    model_config = ConfigDict(extra="ignore")

    id: str = Field(min_length=1, max_length=64)
    stream: str = Field(min_length=3, max_length=320, pattern=r"^[^{}]+$")
    user: str = Field(min_length=1, max_length=128)
    ts_ms: int = Field(ge=0)
    # Read by pydantic's own parser: json.loads answers deep nesting with RecursionError, which is no ValueError.
    data: Json[_Data]


def view_of(fields: Mapping[str, str], *, now_ms: int, keep_days: int) -> View | None:
    """The product view in an event; None for other kinds and for views too old to be counted.

    Raises ValueError for a view that cannot be read or that lies in the future.
    """
    if fields.get("kind") != KIND:
        return None
    found = _Fields.model_validate(fields)
    if found.ts_ms > now_ms + SKEW_MS:
        raise ValueError("ts_ms lies in the future")
    if found.ts_ms < now_ms - keep_days * DAY_MS:
        return None
    return View(id=found.id, stream=found.stream, user=found.user, sku=found.data.sku, ts_ms=found.ts_ms)


def reason_of(error: ValueError) -> str:
    """Field and reason in one line, without the value, which may be long or personal."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"[:200]


class EventFeed:
    """One member of the group; `run` until cancelled."""

    def __init__(
        self,
        redis: Redis,
        store: CoViewStore,
        *,
        consumer: str,
        clock: Callable[[], float] = time.time,
        stream: str = STREAM,
    ) -> None:
        self._redis = redis
        self._store = store
        self._consumer = consumer
        self._clock = clock
        self._stream = stream
        self.group = f"features-co-view-{store.definition.version}"

    async def run(self) -> None:
        """Read, count and acknowledge; an absent Redis is waited for."""
        claimed_at, pause = 0.0, 0.0
        while going_on():
            try:
                if time.monotonic() - claimed_at > CLAIM_EVERY_SECONDS:
                    claimed_at = time.monotonic()
                    await self.take_over()
                await self.step()
                pause = 0.0
            except (RedisError, OSError) as error:
                if isinstance(error, ResponseError) and str(error).startswith("NOGROUP"):
                    await self._join_in_time()
                    continue
                if not pause:
                    logger.warning("events are not read: %r", error)
                pause = min(5.0, max(0.2, pause * 2))
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))

    async def _join_in_time(self) -> None:
        try:
            await self.join()
        except (RedisError, OSError) as error:
            logger.warning("the group is not made: %r", error)
            await asyncio.sleep(random.uniform(0.2, 0.5))

    async def join(self) -> None:
        """Make the group at the oldest retained event, unless it exists."""
        try:
            await self._redis.xgroup_create(self._stream, self.group, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    async def step(self, *, block_ms: int = BLOCK_MS) -> int:
        """Handle the next events; the number of entries read."""
        answer: Any = await self._redis.xreadgroup(
            self.group, self._consumer, {self._stream: ">"}, count=BATCH, block=block_ms
        )
        entries = _entries(answer, self._stream)
        await self._handle(entries)
        return len(entries)

    async def take_over(self) -> int:
        """Handle what other members took and did not finish; forget members that are gone."""
        start, handled = "0-0", 0
        while True:
            answer = await self._redis.xautoclaim(
                self._stream, self.group, self._consumer, CLAIM_AFTER_MS, start_id=start, count=BATCH
            )
            start, entries = answer[0], answer[1]
            await self._handle(entries)
            handled += len(entries)
            if start == "0-0":
                break
        for member in await self._redis.xinfo_consumers(self._stream, self.group):
            gone = member["pending"] == 0 and member["idle"] > FORGET_CONSUMER_MS
            if gone and member["name"] != self._consumer:
                await self._redis.xgroup_delconsumer(self._stream, self.group, member["name"])
        return handled

    async def _handle(self, entries: Entries) -> None:
        if not entries:
            return
        now_ms = int(self._clock() * 1000)
        views = [view for _, fields in entries if (view := self._read(fields, now_ms)) is not None]
        for outcome, number in total(await self._store.apply(views)).items():
            EVENTS.labels(outcome.value).inc(number)
        for view in views:
            AGE.observe(max(0, now_ms - view.ts_ms) / 1000)
        await self._redis.xack(self._stream, self.group, *(entry for entry, _ in entries))

    def _read(self, fields: Mapping[str, str] | None, now_ms: int) -> View | None:
        try:
            view = view_of(fields or {}, now_ms=now_ms, keep_days=self._store.definition.keep_days)
        except ValueError as error:
            EVENTS.labels("malformed").inc()
            logger.info("an event is left out: %s", reason_of(error))
            return None
        if view is None:
            EVENTS.labels("not_wanted").inc()
        return view


def _entries(answer: Any, stream: str) -> Entries:
    """Entries of one stream from XREADGROUP's answer: pairs in protocol 2, an object of batches in protocol 3."""
    if isinstance(answer, dict):
        return [entry for batch in answer.get(stream, []) for entry in batch]
    return [entry for name, batch in answer or [] if name == stream for entry in batch]
