"""The co-view features in Redis: daily buckets that expire, one script per event, one pipeline per request.

The script makes "counted once" and "both directions" hold although several replicas write. Every key of a stream
carries the stream as its hash tag, so one script touches one slot. Trap avoided: Lua prints large numbers in
exponent form, so all bounds in milliseconds are computed here and passed as text.
"""

from collections.abc import Iterable, Sequence

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from ml_serving.features.definitions import DAY_MS, CoView, DayCounts, Outcome, View, day_of

PREFIX = "haat:features"
_SEEN_SECONDS = 2 * 86_400

APPLY = """
local seen, window, views, pairs = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, sku, ts, since, till = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local seen_s, window_s, keep_s = ARGV[6], ARGV[7], ARGV[8]
local latest, products, neighbours = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])

local function room(key, name, limit)
  return redis.call('HEXISTS', key, name) == 1 or redis.call('HLEN', key) < limit
end
local function count(key, name)
  redis.call('HINCRBY', key, name, 1)
  redis.call('EXPIRE', key, keep_s)
end

if redis.call('SADD', seen, id) == 0 then return 'duplicate' end
redis.call('EXPIRE', seen, seen_s)
redis.call('ZREMRANGEBYSCORE', window, '-inf', '(' .. since)
if redis.call('ZSCORE', window, sku) then
  redis.call('ZADD', window, 'GT', ts, sku)
  redis.call('EXPIRE', window, window_s)
  return 'repeated'
end
if not room(views, sku, products) then return 'full' end
count(views, sku)
local mine = pairs .. sku
for _, other in ipairs(redis.call('ZRANGEBYSCORE', window, since, till)) do
  local theirs = pairs .. other
  if room(mine, other, neighbours) and room(theirs, sku, neighbours) then
    count(mine, other)
    count(theirs, sku)
  end
end
redis.call('ZADD', window, ts, sku)
redis.call('ZREMRANGEBYRANK', window, 0, -latest - 1)
redis.call('EXPIRE', window, window_s)
return 'counted'
"""


class CoViewStore:
    """Reads and writes the features of all streams; RedisError when the server is away."""

    def __init__(self, redis: Redis, definition: CoView) -> None:
        self._redis = redis
        self.definition = definition
        self._apply: AsyncScript = redis.register_script(APPLY)

    async def apply(self, views: Sequence[View]) -> list[Outcome]:
        """Count views in their order; safe to repeat after an error, since each counts once by its id."""
        if not views:
            return []
        async with self._redis.pipeline(transaction=False) as pipeline:
            for view in views:
                await self._apply(keys=self._keys(view), args=self._arguments(view), client=pipeline)
            return [Outcome(answer) for answer in await pipeline.execute()]

    async def days(self, stream: str, sku: str, *, today: int) -> dict[int, DayCounts]:
        """What an answer about `sku` reads: day -> counts, oldest first; days without counts are left out."""
        wanted = range(today - self.definition.keep_days + 1, today + 1)
        async with self._redis.pipeline(transaction=False) as pipeline:
            for day in wanted:
                pipeline.hgetall(f"{self._base(stream)}:views:{day}")
                pipeline.hgetall(f"{self._base(stream)}:pairs:{day}:{sku}")
            answers = iter(await pipeline.execute())
        buckets = {day: DayCounts(views=_counts(next(answers)), pairs=_counts(next(answers))) for day in wanted}
        return {day: counts for day, counts in buckets.items() if counts.views}

    async def ping(self) -> None:
        """Raises RedisError when the server does not answer."""
        await self._redis.ping()

    def _base(self, stream: str) -> str:
        return f"{PREFIX}:{{{stream}}}:co-view-{self.definition.version}"

    def _keys(self, view: View) -> list[str]:
        base, day = self._base(view.stream), day_of(view.ts_ms)
        return [
            f"{base}:seen:{day}",
            f"{base}:window:{view.user}",
            f"{base}:views:{day}",
            f"{base}:pairs:{day}:",
        ]

    def _arguments(self, view: View) -> list[str | int]:
        rule = self.definition
        return [
            view.id,
            view.sku,
            view.ts_ms,
            view.ts_ms - rule.window_ms,
            view.ts_ms + rule.window_ms,
            _SEEN_SECONDS,
            # Twice the window: the definition compares the events' own clocks, which lag behind the server's.
            2 * rule.window_seconds,
            (rule.keep_days + 1) * DAY_MS // 1000,
            rule.window_products,
            rule.max_products,
            rule.max_neighbours,
        ]


def _counts(answer: dict[str, str]) -> dict[str, int]:
    return {name: int(value) for name, value in answer.items()}


def total(outcomes: Iterable[Outcome]) -> dict[Outcome, int]:
    """How often each outcome occurred."""
    sums: dict[Outcome, int] = {}
    for outcome in outcomes:
        sums[outcome] = sums.get(outcome, 0) + 1
    return sums
