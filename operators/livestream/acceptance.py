"""Whether a LiveStream may exist as it is asked for: references, ladder, pool, models and the channel's quota."""

from operators.api import Channel, LiveStream
from operators.api.base import seconds
from operators.api.livestream import Placement
from operators.core.conditions import Fact
from operators.core.platform import Platform
from operators.core.quantity import millicores
from operators.livestream.children.config import effective_encoding
from operators.livestream.observe import StreamObserved


def acceptance(stream: LiveStream, observed: StreamObserved, platform: Platform) -> Fact:
    """The condition `Accepted`: the first thing that is wrong, with what would help."""
    channel = observed.channel
    if channel is None:
        name = stream.spec.channel.name
        return Fact("Accepted", False, "ChannelNotFound", f"Channel {name} does not exist; waiting for it.")
    if channel.spec.suspended:
        return Fact("Accepted", False, "ChannelSuspended", f"Channel {channel.metadata.name} is suspended.")
    return (
        _quota(stream, observed, channel, platform)
        or _encoding(stream, channel, platform)
        or _models(stream, platform)
        or Fact("Accepted", True, "Accepted")
    )


def _quota(stream: LiveStream, observed: StreamObserved, channel: Channel, platform: Platform) -> Fact | None:
    quota, name = channel.spec.quota, channel.metadata.name
    if len(observed.siblings) >= quota.max_concurrent_streams:
        others = ", ".join(observed.siblings)
        message = f"Channel {name} allows {quota.max_concurrent_streams} at a time: {others}."
        return Fact("Accepted", False, "QuotaExceeded", message)
    wanted = observed.sibling_millicores + transcode_millicores(stream, platform)
    if quota.max_transcode_millicores and wanted > quota.max_transcode_millicores:
        message = (
            f"Channel {name} allows {quota.max_transcode_millicores}m for transcoding; this stream makes it {wanted}m."
        )
        return Fact("Accepted", False, "QuotaExceeded", message)
    daily = seconds(channel.spec.quota.max_daily_duration)
    if daily and observed.seconds_today >= daily:
        message = f"Channel {name} was on air for {observed.seconds_today:.0f} s today; it may {daily:.0f} s a UTC day."
        return Fact("Accepted", False, "DailyDurationReached", message)
    return None


def _encoding(stream: LiveStream, channel: Channel, platform: Platform) -> Fact | None:
    encoding = effective_encoding(stream, channel)
    ladder = encoding.ladder_ref.name if encoding.ladder_ref else "default"
    if ladder not in platform.ladders:
        known = ", ".join(sorted(platform.ladders))
        return Fact("Accepted", False, "LadderNotFound", f"Ladder {ladder} is not configured; known: {known}.")
    if stream.spec.transcode.placement == Placement.POOLED:
        pool = stream.spec.transcode.pool_ref.name if stream.spec.transcode.pool_ref else "default"
        if pool not in platform.pools:
            known = ", ".join(sorted(platform.pools)) or "none"
            return Fact("Accepted", False, "PoolNotFound", f"Pool {pool} is not configured; known: {known}.")
    return None


def _models(stream: LiveStream, platform: Platform) -> Fact | None:
    for use in stream.spec.models:
        model = platform.models.get(use.model_ref.name)
        if model is None:
            known = ", ".join(sorted(platform.models)) or "none"
            message = f"Model {use.model_ref.name} is not configured; known: {known}."
            return Fact("Accepted", False, "ModelNotFound", message)
        if model.role != use.role:
            message = f"Model {use.model_ref.name} is made for {model.role.value}, not for {use.role.value}."
            return Fact("Accepted", False, "ModelRoleMismatch", message)
    return None


def transcode_millicores(stream: LiveStream, platform: Platform) -> int:
    """What the stream's transcoders request."""
    cpu = stream.spec.transcode.resources.cpu or platform.sizes.transcoder.cpu
    return millicores(cpu) * stream.spec.transcode.redundancy
