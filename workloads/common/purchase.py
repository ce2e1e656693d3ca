"""Buying from inside a pod: ask the shield, wait for the ledger's answer, tell the buyer exactly one thing.

Each pod listens on a reply channel of its own. An answer that does not come in time becomes "hold on": the buyer may
send the same idempotency key again and will hear what the ledger decided.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from workloads.common.loops import going_on
from workloads.common.shield import STATUS, Shield, Tap, Verdict

ANSWER_SECONDS = 5.0

Result = dict[str, Any]
logger = logging.getLogger(__name__)


def channel(pod: str) -> str:
    """Reply channel of a pod."""
    return f"haat:replies:{pod}"


@dataclass(slots=True)
class _Waiter:
    """One order's answer and how many requests wait for it."""

    future: asyncio.Future[Result]
    users: int = 0


class Purchases:
    """Taps of this pod that wait for the ledger. `on_late` hears answers whose waiter has gone."""

    def __init__(self, redis: Redis, pod: str, *, on_late: Callable[[Result], None] | None = None) -> None:
        self._redis = redis
        self._shield = Shield(redis)
        self._pod = pod
        self._on_late = on_late
        self._waiting: dict[str, _Waiter] = {}

    async def buy(self, tap: Tap) -> Result:
        """The answer to one tap: `{"id", "status", "order_id"?, "hold_expires_ms"?, "detail"?}`."""
        base = {"id": tap.idempotency_key, "sale": tap.sale, "sku": tap.sku}
        waiter = self._waiting.setdefault(tap.order_id, _Waiter(asyncio.get_running_loop().create_future()))
        waiter.users += 1
        try:
            verdict = await self._shield.reserve(tap, reply_to=self._pod)
            if verdict not in (Verdict.RESERVED, Verdict.REPLAY):
                return base | {"status": STATUS[verdict], "detail": DETAILS[verdict]}
            answer = await asyncio.wait_for(asyncio.shield(waiter.future), ANSWER_SECONDS)
            return base | answer
        except (RedisError, OSError, TimeoutError) as error:
            logger.warning("a purchase waits: %s", error or "no answer yet", extra={"order": tap.order_id})
            return base | {"status": "hold_on", "detail": DETAILS[Verdict.HOLD_ON]}
        finally:
            waiter.users -= 1
            if not waiter.users:
                self._waiting.pop(tap.order_id, None)

    async def listen(self, redis: Redis) -> None:
        """Hand out the ledger's answers until cancelled; `redis` comes from `connect_listener`."""
        while going_on():
            try:
                async with redis.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.subscribe(channel(self._pod))
                    async for message in pubsub.listen():
                        self._deliver(message["data"])
            except (RedisError, OSError) as error:
                logger.warning("replies are interrupted: %s", error)
                await asyncio.sleep(0.2)

    def _deliver(self, text: str) -> None:
        for result in json.loads(text)["results"]:
            waiter = self._waiting.get(result["order_id"])
            if waiter is None:
                if self._on_late:
                    self._on_late(result)
            elif not waiter.future.done():
                waiter.future.set_result(result)


DETAILS = {
    Verdict.SOLD_OUT: "Sold out.",
    Verdict.LIMIT: "You already have as many as one person may buy.",
    Verdict.NOT_OPEN: "The sale is not open.",
    Verdict.HOLD_ON: "Hold on, your place is kept; the answer follows.",
    Verdict.UNKNOWN_SKU: "This article is not part of the sale.",
    Verdict.CLOSED: "The sale is over.",
}
