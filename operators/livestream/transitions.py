"""What a reconcile tells about a LiveStream, and when time alone will change its plan."""

from collections.abc import Sequence

from operators.api import LiveStream
from operators.api.base import seconds
from operators.api.livestream_status import StreamPhase
from operators.core.conditions import Fact
from operators.core.plan import Event
from operators.core.scaling import Decision
from operators.core.times import epoch
from operators.livestream.lifecycle import Lifecycle, expected_until, start_deadline

RESCALE_SECONDS = 15.0
"""A room above its floor is looked at again this often, because going down is a matter of time alone."""
OVER = (StreamPhase.ENDED, StreamPhase.DRAINING, StreamPhase.FAILED)
QUIET_REASONS = ("PodsNotReady", "Creating", "NotScheduled")


def transitions(
    stream: LiveStream,
    phase: str,
    scaled: Decision,
    facts: Sequence[Fact],
    end_reason: str,
) -> tuple[Event, ...]:
    """Events for what changed since the last status."""
    before = stream.status.phase
    accepted = next(fact for fact in facts if fact.type == "Accepted")
    events = []
    if phase != before:
        if accepted.status is not True and phase != StreamPhase.FAILED:
            events.append(Event("Warning", accepted.reason, accepted.message))
        else:
            detail = f" ({end_reason})" if end_reason else ""
            if phase == StreamPhase.FAILED:
                detail += f": {_blocked_by(stream)}"
            warn = phase in (StreamPhase.INTERRUPTED, StreamPhase.FAILED)
            events.append(
                Event("Warning" if warn else "Normal", f"Phase{phase}", f"{before or 'New'} -> {phase}{detail}")
            )
    known = stream.status.fanout.replicas if stream.status.fanout else 0
    if known and scaled.replicas != known and phase not in OVER:
        events.append(Event("Normal", "Scaled", f"fan-out {known} -> {scaled.replicas}: {scaled.reason}"))
    return (*events, *_troubles(stream, facts))


def _blocked_by(stream: LiveStream) -> str:
    """What kept the stream from being ready, as it was told last."""
    ready = next((item for item in stream.status.conditions if item.type == "Ready"), None)
    return f"{ready.reason}. {ready.message}".strip() if ready else "it was never ready"


def _troubles(stream: LiveStream, facts: Sequence[Fact]) -> list[Event]:
    """A component that cannot start is told once for each reason."""
    known = {condition.type: condition.reason for condition in stream.status.conditions}
    return [
        Event("Warning", fact.reason, fact.message)
        for fact in facts
        if fact.type in ("IngestReady", "ChatReady", "CapacityReserved")
        and fact.status is False
        and fact.reason not in QUIET_REASONS
        and fact.message
        and known.get(fact.type) != fact.reason
    ]


def deadline(stream: LiveStream, life: Lifecycle, scaled: Decision, now: float) -> float | None:
    """Seconds until time alone changes the plan."""
    schedule = stream.spec.schedule
    moments = []
    if scaled.reason in ("Steady", "ScaleUp", "ScaleDown", "Panic") and life.ended_at is None:
        moments.append(now + RESCALE_SECONDS)
    if life.ended_at is not None:
        moments += [life.ended_at + 10, life.ended_at + seconds(stream.spec.fanout.drain)]
        moments.append(life.ended_at + stream.spec.ttl_seconds_after_ended)
    else:
        if schedule.start_at:
            moments.append(epoch(schedule.start_at) - seconds(schedule.prepare_before))
        if schedule.end_at:
            moments.append(epoch(schedule.end_at))
        if life.started_at is not None:
            moments.append(life.started_at + seconds(schedule.max_duration))
        elif (given_up := start_deadline(stream)) is not None:
            moments.append(given_up)
        if life.interrupted_at is not None:
            moments.append(expected_until(stream, life.interrupted_at))
            moments.append(life.interrupted_at + seconds(schedule.end_after_idle))
    ahead = [moment - now for moment in moments if moment > now]
    return min(ahead) + 0.05 if ahead else None
