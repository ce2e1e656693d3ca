"""The Redis side of a worker: its part of the hash `haat:allocations`, and the announcements of changes.

The whole hash grows with the platform and every worker asks for it every two seconds, so Redis picks out what names
the worker. The pick is by text and gives too much rather than too little; what an entry says is decided after parsing.
"""

import asyncio
import json
import logging
import random
from collections.abc import Callable, Collection, Mapping
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from workloads.common.loops import going_on
from workloads.common.redis import connect_listener
from workloads.transcoder.pool.allocations import Allocation, parse

KEY, CHANNEL, INGEST_KEY = "haat:allocations", "haat:allocations:changed", "haat:ingest"
_PAUSE_SECONDS = 1.0

_PICK = """
local all, found, wanted = redis.call('HGETALL', KEYS[1]), {}, {}
for i = 2, #ARGV do wanted[ARGV[i]] = true end
for i = 1, #all, 2 do
  if wanted[all[i]] or string.find(all[i + 1], ARGV[1], 1, true) then
    found[#found + 1] = all[i]
    found[#found + 1] = all[i + 1]
  end
end
return found
"""

logger = logging.getLogger(__name__)

Seen = Mapping[str, Allocation | None]


class MailboxUnavailable(Exception):
    """Redis did not answer; nothing is known."""


class Mailbox:
    """Reads for the worker `pod`. Entries are parsed once for each text, so a broken one is logged once."""

    def __init__(self, store: Redis, url: str, pod: str) -> None:
        self._store = store
        self._url = url
        self._quoted_pod = json.dumps(pod)
        self._pick = store.register_script(_PICK)
        self._parsed: dict[str, tuple[str, Allocation | None]] = {}

    async def read(self, held: Collection[str]) -> Seen:
        """Everything that concerns the worker, and the `held` streams wherever they are; MailboxUnavailable."""
        try:
            flat: list[str] = await self._pick(keys=[KEY], args=[self._quoted_pod, *held])
        except (RedisError, OSError) as error:
            raise MailboxUnavailable(str(error)) from error
        raw = dict(zip(flat[::2], flat[1::2], strict=True))
        self._parsed = {stream: entry for stream, entry in self._parsed.items() if stream in raw}
        return self._understand({stream: raw.get(stream) for stream in (*held, *raw)})

    async def look(self, streams: Collection[str]) -> Seen:
        """The entries of these streams alone; MailboxUnavailable."""
        try:
            values: Any = await self._store.hmget(KEY, list(streams))
        except (RedisError, OSError) as error:
            raise MailboxUnavailable(str(error)) from error
        return self._understand(dict(zip(streams, values, strict=True)))

    async def holder(self, digest: str) -> str:
        """The stream that a key leads to now, by the routes of ingest; empty when there is none; MailboxUnavailable."""
        try:
            raw = await self._store.hget(INGEST_KEY, digest)
            return str(json.loads(raw)["stream"]) if raw else ""
        except (RedisError, OSError) as error:
            raise MailboxUnavailable(str(error)) from error
        except (ValueError, KeyError, TypeError):
            logger.error("unusable entry in %s", INGEST_KEY)
            return ""

    async def listen(self, announced: Callable[[str], None]) -> None:
        """Call `announced` with each stream whose allocation changed, until cancelled.

        It is called with an empty string when anything may have changed: after each new subscription.
        """
        store = connect_listener(self._url)
        try:
            while going_on():
                try:
                    await self._listen_once(store, announced)
                except (RedisError, OSError) as error:
                    logger.info("no announcements of allocations: %s", error)
                await asyncio.sleep(_PAUSE_SECONDS * random.uniform(0.5, 1))
        finally:
            await store.aclose()

    async def _listen_once(self, store: Redis, announced: Callable[[str], None]) -> None:
        async with store.pubsub() as subscription:
            await subscription.subscribe(CHANNEL)
            async for message in subscription.listen():
                announced(str(message["data"]) if message["type"] == "message" else "")

    def _understand(self, raw: Mapping[str, str | None]) -> Seen:
        """Entries as allocations; unusable ones are left out."""
        seen: dict[str, Allocation | None] = {}
        for stream, text in raw.items():
            if text is None:
                seen[stream] = None
                continue
            known = self._parsed.get(stream)
            if known is None or known[0] != text:
                known = self._parsed[stream] = (text, parse(stream, text))
            if known[1] is not None:
                seen[stream] = known[1]
        return seen
