"""What a reconcile of a Channel has found out before it wants anything: keys, programme, use, and whether the spec can
be followed at all."""

from dataclasses import dataclass

from operators.api import Channel, LiveStream
from operators.api.base import seconds
from operators.api.channel import Mode, Usage
from operators.api.livestream_status import StreamPhase
from operators.api.playback import TokenMode
from operators.channel import names
from operators.channel.acceptance import acceptance
from operators.channel.jwk import Jwk
from operators.channel.keys import (
    ROTATE_ANNOTATION,
    KeyState,
    next_playback_keys,
    next_state,
    stored_key,
    stored_playback_keys,
)
from operators.channel.observe import ChannelObserved
from operators.channel.programme import Place, Programme, ProgrammeError, Window, resolve, window
from operators.channel.usage import is_output, usage
from operators.core.conditions import Fact
from operators.core.platform import Platform
from operators.core.times import epoch_or_none


@dataclass(frozen=True, slots=True)
class View:
    """`keys` is None when the owner keeps the stream key; `line` is empty unless the channel is Linear."""

    accepted: Fact
    keys: KeyState | None
    playback_keys: tuple[Jwk, ...]
    used: Usage
    line: tuple[Programme, ...] = ()
    span: Window | None = None

    @property
    def follows_programme(self) -> bool:
        """Whether a programme is to be shown now."""
        return bool(self.line) and self.accepted.status is True

    @property
    def keeps_children(self) -> bool:
        """A spec that cannot be followed leaves what runs as it is; one that is suspended does not."""
        return self.accepted.status is not True and self.accepted.reason != "Suspended"


def look(channel: Channel, observed: ChannelObserved, platform: Platform, now: float) -> View:
    """The view of this moment."""
    line, span, unresolved = _programme(channel, now)
    return View(
        accepted=acceptance(channel, observed, platform, unresolved),
        keys=_stream_keys(channel, observed, now),
        playback_keys=_playback_keys(channel, observed, now),
        used=usage(channel, observed.streams, platform, now),
        line=line,
        span=span,
    )


def key_secret_of(channel: Channel) -> str:
    """The Secret that hosts and the playout take the stream key from."""
    given = channel.spec.ingest.key_secret_ref
    return given.name if given else names.key_secret(channel.metadata.name)


def output_of(channel: Channel, observed: ChannelObserved) -> LiveStream | None:
    """The 24/7 stream of a Linear channel."""
    return next((stream for stream in observed.streams if is_output(stream, channel)), None)


def present_stream(channel: Channel, observed: ChannelObserved) -> LiveStream | None:
    """The stream that the channel's page shows: its output, the live one, or the oldest that waits for its host."""
    if channel.spec.mode == Mode.LINEAR:
        return output_of(channel, observed)
    order = (StreamPhase.LIVE, StreamPhase.INTERRUPTED, StreamPhase.STANDBY)
    found = [stream for stream in observed.streams if stream.status.phase in order and not stream.deleting]
    return min(found, key=lambda stream: order.index(StreamPhase(stream.status.phase or "")), default=None)


def _programme(channel: Channel, now: float) -> tuple[tuple[Programme, ...], Window | None, ProgrammeError | None]:
    programming = channel.spec.programming
    if channel.spec.mode != Mode.LINEAR or programming is None:
        return (), None, None
    span = window(programming, now)
    place = Place(channel.metadata.namespace, channel.metadata.name, channel.metadata.uid)
    try:
        return resolve(programming, place, span), span, None
    except ProgrammeError as error:
        return (), span, error


def _stream_keys(channel: Channel, observed: ChannelObserved, now: float) -> KeyState | None:
    if channel.spec.ingest.key_secret_ref is not None:
        return None
    name, known = channel.metadata.name, channel.status.ingest
    return next_state(
        channel.spec.ingest.key_rotation,
        stored_key(observed.child("Secret", names.key_secret(name))),
        stored_key(observed.child("Secret", names.next_key_secret(name))),
        rotated_at=epoch_or_none(known.key_rotated_at) if known else None,
        rotate_seen=known.rotate_seen if known else "",
        asked=channel.metadata.annotations.get(ROTATE_ANNOTATION, "")[:253],
        fresh=observed.fresh.stream_key,
        now=now,
    )


def _playback_keys(channel: Channel, observed: ChannelObserved, now: float) -> tuple[Jwk, ...]:
    token = channel.spec.playback.token
    if token.mode == TokenMode.NONE:
        return ()
    stored = stored_playback_keys(observed.child("Secret", names.playback_secret(channel)))
    rotation = seconds(token.key_rotation)
    return next_playback_keys(stored, rotation_seconds=rotation, fresh=observed.fresh.playback_keys, now=now)
