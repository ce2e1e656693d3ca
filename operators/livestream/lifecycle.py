"""Where a broadcast stands in time: when it is due, how long it is expected back, when and why it is over."""

from dataclasses import dataclass

from operators.api import LiveStream
from operators.api.base import seconds
from operators.api.livestream import DesiredState
from operators.api.livestream_status import StreamPhase
from operators.core.conditions import Fact
from operators.core.times import epoch, epoch_or_none
from operators.livestream.observe import StreamObserved

FAILED_TO_START = "FailedToStart"
NEVER_READY = (StreamPhase.PENDING, StreamPhase.PROVISIONING)


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Where the broadcast stands in time; every member is a Unix time or None."""

    started_at: float | None
    interrupted_at: float | None
    ended_at: float | None
    end_reason: str


def lifecycle(stream: LiveStream, observed: StreamObserved, accepted: Fact, now: float) -> Lifecycle:
    """Start, interruption and end of the broadcast, carried on from the last status."""
    status, beat = stream.status, observed.transcoder
    playing = beat is not None and beat.receiving and beat.playable
    started = epoch_or_none(status.started_at) or (now if playing else None)
    interrupted = None
    if started is not None and not (beat and beat.receiving):
        interrupted = epoch_or_none(status.interrupted_at) or now
    ended = epoch_or_none(status.ended_at)
    reason = status.end_reason
    if ended is None:
        suspended = started is not None and accepted.reason == "ChannelSuspended"
        reason = "ChannelSuspended" if suspended else _end_reason(stream, started, interrupted, now)
        ended = now if reason else None
    return Lifecycle(started, interrupted, ended, reason)


def _end_reason(stream: LiveStream, started: float | None, interrupted: float | None, now: float) -> str:
    schedule = stream.spec.schedule
    if stream.spec.desired_state == DesiredState.ENDED:
        return "Requested"
    if started is None and missed_start(stream, now):
        return FAILED_TO_START
    if schedule.end_at and now >= epoch(schedule.end_at):
        return "EndAtReached"
    if started is not None and now - started >= seconds(schedule.max_duration):
        return "MaxDurationReached"
    if interrupted is not None and now - interrupted >= seconds(schedule.end_after_idle):
        return "Idle"
    return ""


def start_deadline(stream: LiveStream) -> float | None:
    """When a stream that could not be made ready is given up: its `endAt`, or when it would have been on air for
    `maxDuration`. None for one that has no time of its own: it waits until it can be."""
    schedule = stream.spec.schedule
    if schedule.end_at:
        return epoch(schedule.end_at)
    return epoch(schedule.start_at) + seconds(schedule.max_duration) if schedule.start_at else None


def missed_start(stream: LiveStream, now: float) -> bool:
    """Whether the deadline is over and the last look found a stream that nobody could have published to."""
    deadline = start_deadline(stream)
    return deadline is not None and now >= deadline and stream.status.phase in NEVER_READY


def expected_until(stream: LiveStream, interrupted_at: float) -> float:
    """How long an interrupted stream counts as on air; afterwards it stands by for a host, until it ends as idle."""
    return interrupted_at + seconds(stream.spec.schedule.interrupt_grace)


def not_yet_due(stream: LiveStream, now: float) -> bool:
    """Whether the stream still waits for its time to be prepared; `desiredState: Live` waits for nothing."""
    schedule = stream.spec.schedule
    if stream.spec.desired_state == DesiredState.LIVE:
        return False
    return bool(schedule.start_at) and now < epoch(schedule.start_at or "") - seconds(schedule.prepare_before)


def drained(stream: LiveStream, observed: StreamObserved, life: Lifecycle, now: float) -> bool:
    """Whether the room of an ended stream may close: everybody left, or the drain time is over."""
    if life.ended_at is None:
        return False
    waited = now - life.ended_at
    return waited >= seconds(stream.spec.fanout.drain) or (waited >= 10 and observed.room.connections == 0)
