"""The sweep: one read of the heartbeats and ledger reports a second, and who must be reconciled because of them.

Pods never write to the API server and the operators never poll pods: both meet in two Redis hashes. Only a change of
what a status would show wakes a reconcile, so a thousand steady streams cost one HGETALL a second.
"""

import json
import logging
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from operators.api import Channel
from operators.channel.observe import cdn_probes, playout_beat
from operators.core.scaling import PANIC_SECONDS, STABLE_SECONDS, Sample
from operators.livestream.observe import (
    ProbeBeat,
    RoomBeat,
    TranscoderBeat,
    probe_beat,
    restream_beat,
    room_beat,
    transcoder_beat,
)
from operators.livestream.status import KEEPS_UP, reported_viewers

HEARTBEATS, REPORTS, KNOCKS, CDN_HEALTH = "haat:heartbeats", "haat:sales:status", "haat:knocks", "haat:cdn:health"
FORGET_SECONDS = 30.0
HISTORY_SECONDS = 900.0
KNOCK_SECONDS = 5.0
BLIND_SECONDS = 4.0
LATENCY_SECONDS = 15.0
WINDOWS_SECONDS = (1.5, PANIC_SECONDS, STABLE_SECONDS)

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Signals:
    """The last sweep and what is remembered between sweeps."""

    heartbeats: dict[str, str] = field(default_factory=dict)
    reports: dict[str, str] = field(default_factory=dict)
    knocks: dict[str, float] = field(default_factory=dict)
    cdn_health: dict[str, str] = field(default_factory=dict)
    history: dict[str, deque[Sample]] = field(default_factory=dict)
    seen: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    read_at: float = 0.0
    back_at: float = 0.0

    def blind(self, now: float) -> bool:
        """Whether nothing is known of the pods: Redis does not answer, or they have not all spoken since it does."""
        return now - self.read_at > BLIND_SECONDS or now - self.back_at < BLIND_SECONDS

    seen_channels: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def transcoder(self, stream: str, now: float) -> TranscoderBeat | None:
        """The transcoder's last word."""
        return transcoder_beat(self.heartbeats, stream, now)

    def room(self, stream: str, now: float) -> RoomBeat:
        """The room's pods together."""
        return room_beat(self.heartbeats, stream, now)

    def probe(self, stream: str, now: float) -> ProbeBeat | None:
        """What a probe measured last."""
        return probe_beat(self.heartbeats, stream, now)

    def restreams(self, stream: str, now: float) -> dict[str, str] | None:
        """How the copies for other platforms are doing."""
        return restream_beat(self.heartbeats, stream, now)

    def samples(self, stream: str) -> tuple[Sample, ...]:
        """Connections over the last minutes."""
        return tuple(self.history.get(stream, ()))

    def changed_streams(self, streams: Iterable[str], now: float) -> list[str]:
        """Streams whose visible state differs from that at the last call; remembers samples on the way."""
        changed = []
        for stream in streams:
            beat, room = self.transcoder(stream, now), self.room(stream, now)
            if room.pods:
                self._remember(stream, Sample(now, room.connections))
            before = self.seen.get(stream)
            shown = reported_viewers(before[-1] if before else 0, room.viewers)
            knocked = int(self.knocks.get(stream, 0.0) // KNOCK_SECONDS)
            late = self._late(stream, now, before)
            copies = tuple(sorted((self.restreams(stream, now) or {}).items()))
            state = (_media_state(beat), late, copies, room.pods, knocked, *self._trend(stream, now), shown)
            if state != before:
                self.seen[stream] = state
                changed.append(stream)
        return changed

    def changed_channels(self, channels: Iterable[Channel], now: float) -> list[str]:
        """Channels of whose providers or playout a status would show something else than at the last call."""
        probes, seen = cdn_probes(self.cdn_health, now), {}
        for channel in channels:
            cdns = tuple(probes.get(use.provider) for use in channel.spec.delivery.cdns)
            linear = channel.spec.programming is not None
            beat = playout_beat(self.heartbeats, channel.id, now) if linear else None
            seen[channel.id] = (beat, *(probe.healthy if probe else None for probe in cdns))
        changed = [name for name, state in seen.items() if state != self.seen_channels.get(name, (None,))]
        self.seen_channels = seen
        return changed

    def changed_sales(self, reports: Mapping[str, str]) -> list[str]:
        """Uids of sales whose report differs from the last one (its time stamp aside); takes the new ones over."""
        changed = [uid for uid in reports.keys() | self.reports.keys() if _report(reports, uid) != self._known(uid)]
        self.reports = dict(reports)
        return changed

    def forget(self, stream: str) -> None:
        """Drop what is remembered of a stream that is gone."""
        self.history.pop(stream, None)
        self.seen.pop(stream, None)

    def _late(self, stream: str, now: float, before: tuple[Any, ...] | None) -> tuple[int, float]:
        """The probe's median and when it was taken over: it moves by a tenth, and at most every 15 seconds."""
        kept: tuple[int, float] = before[1] if before else (0, 0.0)
        probe = self.probe(stream, now)
        if probe is None or (kept[0] and now - kept[1] < LATENCY_SECONDS):
            return kept
        shown = reported_viewers(kept[0], probe.p50)
        return kept if shown == kept[0] else (shown, now)

    def _known(self, uid: str) -> Any:
        return _report(self.reports, uid)

    def _trend(self, stream: str, now: float) -> tuple[int, ...]:
        """Connections as each window of the autoscaler sees them: a window that rolls on can change its decision."""
        history = self.history.get(stream, ())
        windows = [[sample.connections for sample in history if now - sample.at <= span] for span in WINDOWS_SECONDS]
        means = [_scale(round(sum(window) / len(window))) if window else 0 for window in windows]
        return (*means, _scale(max((sample.connections for sample in history), default=0)))

    def _remember(self, stream: str, sample: Sample) -> None:
        history = self.history.setdefault(stream, deque())
        history.append(sample)
        while history and sample.at - history[0].at > HISTORY_SECONDS:
            history.popleft()


async def read(redis: Redis, signals: Signals) -> Mapping[str, str]:
    """Read both hashes: heartbeats go into `signals`, the sale reports are returned. Old heartbeats are removed."""
    pipeline = redis.pipeline(transaction=False)
    pipeline.hgetall(HEARTBEATS)
    pipeline.hgetall(REPORTS)
    pipeline.hgetall(KNOCKS)
    pipeline.hgetall(CDN_HEALTH)
    heartbeats, reports, knocks, signals.cdn_health = await pipeline.execute()
    now = time.time()
    if signals.read_at and now - signals.read_at > BLIND_SECONDS:
        signals.back_at = now
    signals.read_at = now
    dead = [name for name, text in heartbeats.items() if _is_old(text, now)]
    if dead:
        await redis.hdel(HEARTBEATS, *dead)
    signals.knocks = {stream: int(moment) / 1000 for stream, moment in knocks.items() if moment.isdigit()}
    signals.heartbeats = {name: text for name, text in heartbeats.items() if name not in dead}
    result: Mapping[str, str] = reports
    return result


def _media_state(beat: TranscoderBeat | None) -> tuple[Any, ...]:
    """What a status would show of the transcoder, without the figures that change all the time."""
    if beat is None:
        return (None,)
    rungs = tuple((rung.name, rung.width, rung.height, rung.state) for rung in beat.rungs)
    return (beat.pod, beat.receiving, beat.playable, rungs, beat.since, beat.speed >= KEEPS_UP or not beat.speed)


def _scale(connections: int) -> int:
    """Connections rounded to about a tenth, so that each single viewer does not wake a reconcile."""
    return connections if connections < 10 else round(connections, 1 - len(str(connections)))


def _report(reports: Mapping[str, str], uid: str) -> Any:
    try:
        body = json.loads(reports[uid])
    except (KeyError, ValueError):
        return None
    return {key: value for key, value in body.items() if key != "ts_ms"} if isinstance(body, dict) else None


def _is_old(text: str, now: float) -> bool:
    try:
        return now - float(json.loads(text)["ts_ms"]) / 1000 > FORGET_SECONDS
    except (ValueError, KeyError, TypeError):
        return True
