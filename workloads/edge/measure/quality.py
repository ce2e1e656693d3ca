"""Quality of experience: beacons and CMCD of players, as Prometheus histograms and as a roll-up in Redis.

Hash `haat:qoe`, field `<stream id> <pod>`, written every five seconds over what came in the last thirty. Labels are
bounded: streams beyond the first so many share one, because a label for everything that somebody makes up would fill
the memory of whoever collects.
"""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram
from redis.asyncio import Redis
from redis.exceptions import RedisError

from workloads.common.loops import going_on
from workloads.edge.measure.cmcd import Report

KEY = "haat:qoe"
ROLL_UP_SECONDS, WINDOW_SECONDS = 5.0, 30.0
MAX_STREAMS, MAX_SAMPLES = 200, 5000
OTHERS = "others"
_STARTUP = (0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30)
_KBPS = (200, 400, 800, 1200, 2000, 3000, 5000, 8000, 16000, 40000)
_BUFFER = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Beacon:
    """What a player tells from time to time; times in milliseconds since its last one."""

    session: str = ""
    startup_ms: int | None = None
    watched_ms: int = 0
    stalls: int = 0
    stall_ms: int = 0
    bitrate_kbps: int = 0
    errors: int = 0
    fatal: int = 0


@dataclass(slots=True)
class Window:
    """What came of one stream lately: (epoch second, beacon)."""

    beacons: deque[tuple[float, Beacon]] = field(default_factory=lambda: deque(maxlen=MAX_SAMPLES))


class Quality:
    """Of one process; `run` its roll-up."""

    def __init__(
        self, redis: Redis, pod: str, registry: CollectorRegistry, clock: Callable[[], float] = time.time
    ) -> None:
        self._redis = redis
        self._pod = pod
        self._clock = clock
        self._windows: dict[str, Window] = {}
        self._labels: set[str] = set()
        self._written: set[str] = set()

        def histogram(name: str, text: str, buckets: Sequence[float]) -> Histogram:
            return Histogram(f"haat_qoe_{name}", text, ["stream"], registry=registry, buckets=buckets)

        self._startup = histogram("startup_seconds", "From play to the first picture", _STARTUP)
        self._bitrate = histogram("bitrate_kbps", "Encoded bitrate that players play", _KBPS)
        self._buffer = histogram("buffer_seconds", "Buffer of players (CMCD)", _BUFFER)
        self._starved = Counter("haat_qoe_starved", "Requests after a stall (CMCD)", ["stream"], registry=registry)
        self._stalls = Counter("haat_qoe_stalls", "Stalls of players", ["stream"], registry=registry)
        self._stalled = Counter("haat_qoe_stall_seconds", "Time players stood still", ["stream"], registry=registry)
        self._watched = Counter("haat_qoe_watched_seconds", "Time that players played", ["stream"], registry=registry)
        self._errors = Counter("haat_qoe_errors", "Errors of players", ["stream", "fatal"], registry=registry)

    def report(self, stream: str, report: Report) -> None:
        """What a request told."""
        label = self._label(stream)
        if report.bitrate_kbps:
            self._bitrate.labels(label).observe(report.bitrate_kbps)
        if report.buffer_ms is not None:
            self._buffer.labels(label).observe(report.buffer_ms / 1000)
        if report.starved:
            self._starved.labels(label).inc()

    def beacon(self, stream: str, beacon: Beacon) -> None:
        """What a player told."""
        label = self._label(stream)
        if beacon.startup_ms is not None:
            self._startup.labels(label).observe(beacon.startup_ms / 1000)
        if beacon.bitrate_kbps:
            self._bitrate.labels(label).observe(beacon.bitrate_kbps)
        self._stalls.labels(label).inc(beacon.stalls)
        self._stalled.labels(label).inc(beacon.stall_ms / 1000)
        self._watched.labels(label).inc(beacon.watched_ms / 1000)
        self._errors.labels(label, "false").inc(beacon.errors)
        self._errors.labels(label, "true").inc(beacon.fatal)
        self._windows.setdefault(label, Window()).beacons.append((self._clock(), beacon))

    def _label(self, stream: str) -> str:
        if stream in self._labels or len(self._labels) < MAX_STREAMS:
            self._labels.add(stream)
            return stream
        return OTHERS

    async def roll_up(self) -> None:
        """Write what came lately; RedisError."""
        now = self._clock()
        found = {}
        for stream, window in list(self._windows.items()):
            while window.beacons and window.beacons[0][0] < now - WINDOW_SECONDS:
                window.beacons.popleft()
            if window.beacons:
                found[f"{stream} {self._pod}"] = json.dumps(summary(window.beacons, now))
            else:
                del self._windows[stream]
        gone = self._written - found.keys()
        async with self._redis.pipeline(transaction=False) as pipe:
            for name, body in found.items():
                pipe.hset(KEY, name, body)
            if gone:
                pipe.hdel(KEY, *gone)
            await pipe.execute()
        self._written = set(found)

    async def run(self) -> None:
        """Roll up every five seconds, until cancelled."""
        while going_on():
            await asyncio.sleep(ROLL_UP_SECONDS)
            try:
                await self.roll_up()
            except (RedisError, OSError) as error:
                logger.warning("the quality of playback is not told: %s", error)


def summary(beacons: Sequence[tuple[float, Beacon]] | deque[tuple[float, Beacon]], now: float) -> dict[str, float]:
    """The roll-up of one stream: `{"ts_ms","players","startup_p50_ms","startup_p95_ms","stall_ratio","stalls",
    "bitrate_kbps","errors","fatal"}`; the ratio is of time that players stood still, -1 stands for unknown."""
    told = [beacon for _, beacon in beacons]
    startups = sorted(item.startup_ms for item in told if item.startup_ms is not None)
    rates = [item.bitrate_kbps for item in told if item.bitrate_kbps]
    stalled, watched = sum(item.stall_ms for item in told), sum(item.watched_ms for item in told)
    return {
        "ts_ms": int(now * 1000),
        "players": len({item.session for item in told if item.session}),
        "startup_p50_ms": _percentile(startups, 0.5),
        "startup_p95_ms": _percentile(startups, 0.95),
        "stall_ratio": round(stalled / (stalled + watched), 4) if stalled + watched else -1,
        "stalls": sum(item.stalls for item in told),
        "bitrate_kbps": round(sum(rates) / len(rates)) if rates else -1,
        "errors": sum(item.errors for item in told),
        "fatal": sum(item.fatal for item in told),
    }


def _percentile(ordered: Sequence[int], share: float) -> int:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else -1
