"""What a reconcile tells about a Channel, and when time alone will change its plan."""

from collections.abc import Sequence

from operators.api import Channel
from operators.api.base import seconds
from operators.channel.children.streams import prepares_at, showings
from operators.channel.keys import playback_due_in
from operators.channel.observe import ChannelObserved
from operators.channel.programme import following
from operators.channel.view import View
from operators.core.conditions import Fact
from operators.core.plan import Event

TOLD = ("Accepted", "KeysReady", "Routed", "CDNHealthy", "WithinQuota", "ProgrammingReady")
QUIET_REASONS = ("Creating", "PlayoutNotReady", "WaitingForGateway")
OUTSIDE_SECONDS = 30.0
"""What lies outside of our watches (another channel's slug, somebody's Secret) is looked at again this often."""
AIR_SECONDS = 60.0


def transitions(channel: Channel, view: View, facts: Sequence[Fact], phase: str) -> tuple[Event, ...]:
    """Events for what changed since the last status."""
    before = channel.status.phase
    events = [] if phase == before else [Event("Normal", f"Phase{phase}", f"{before or 'New'} -> {phase}")]
    if view.keys and view.keys.event and view.keys.event != "KeyCreated":
        words = {
            "KeyRotationStarted": "A new stream key works beside the old one for ten minutes.",
            "KeyRotated": "The new stream key is in force; the old one does not work any more.",
        }
        events.append(Event("Normal", view.keys.event, words[view.keys.event]))
    known = {condition.type: condition for condition in channel.status.conditions}
    for fact in facts:
        last = known.get(fact.type)
        if fact.type not in TOLD or fact.reason in QUIET_REASONS:
            continue
        if fact.status is False and (last is None or (last.status, last.reason) != ("False", fact.reason)):
            events.append(Event("Warning", fact.reason, f"{fact.type}: {fact.message}"))
        elif fact.status is True and last is not None and last.status == "False" and last.reason not in QUIET_REASONS:
            events.append(Event("Normal", fact.type, f"{fact.type} is True again (it was: {last.reason})."))
    return tuple(events)


def deadline(
    channel: Channel, observed: ChannelObserved, view: View, facts: Sequence[Fact], now: float
) -> float | None:
    """Seconds until time alone, or something that nobody tells us, changes the plan."""
    token = channel.spec.playback.token
    ahead = [
        view.keys.due_in if view.keys else None,
        playback_due_in(view.playback_keys, rotation_seconds=seconds(token.key_rotation), now=now),
        _programme_due_in(channel, view, now),
        AIR_SECONDS if observed.on_air else None,
        OUTSIDE_SECONDS if _waits_outside(channel, facts) else None,
    ]
    moments = [max(item, 0.0) for item in ahead if item is not None]
    return min(moments) + 0.05 if moments else None


def _waits_outside(channel: Channel, facts: Sequence[Fact]) -> bool:
    reasons = {fact.reason for fact in facts if fact.status is False}
    return channel.spec.ingest.key_secret_ref is not None or "SlugTaken" in reasons


def _programme_due_in(channel: Channel, view: View, now: float) -> float | None:
    """The next programme, the next stream to prepare, or the next window."""
    if view.span is None or channel.spec.programming is None:
        return None
    slots = {slot.name: slot for slot in channel.spec.programming.slots}
    moments = [prepares_at(slots[name], began_at) for name, began_at in showings(view.line)]
    after = following(view.line, now)
    moments += [after.starts_at] if after else []
    moments.append(view.span.begins + (view.span.ends - view.span.begins) / 5)
    ahead = [moment - now for moment in moments if moment > now]
    return min(ahead) if ahead else None
