"""Whether a LiveStream may exist as it is asked for: references, ladder, pool, models and the channel's quota."""

from math import ceil

from operators.api import Channel, LiveStream
from operators.api.base import seconds
from operators.api.livestream import Hardware
from operators.core.conditions import Fact
from operators.core.platform import Platform
from operators.core.pooling import units_of
from operators.core.quantity import millicores
from operators.livestream.children.config import chosen_ladder, effective_encoding
from operators.livestream.observe import StreamObserved
from operators.livestream.placement import pool_name, pooled


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
        or _delivery(stream)
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
    wanted = observed.sibling_millicores + transcode_millicores(stream, channel, platform)
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


def _delivery(stream: LiveStream) -> Fact | None:
    edge = stream.spec.delivery.edge
    if not (edge.min_replicas or edge.max_replicas):
        return None
    message = (
        "spec.delivery.edge: the shared edge serves every stream, and a stream has none of its own; leave both at 0."
    )
    return Fact("Accepted", False, "EdgeNotOffered", message)


def _encoding(stream: LiveStream, channel: Channel, platform: Platform) -> Fact | None:
    encoding = effective_encoding(stream, channel)
    ladder = encoding.ladder_ref.name if encoding.ladder_ref else "default"
    if ladder not in platform.ladders:
        known = ", ".join(sorted(platform.ladders))
        return Fact("Accepted", False, "LadderNotFound", f"Ladder {ladder} is not configured; known: {known}.")
    return _pool(stream, platform) if pooled(stream) else None


def _pool(stream: LiveStream, platform: Platform) -> Fact | None:
    """What asks for pods of the stream's own cannot be had in a pool, whose workers are all as their template says."""
    name, transcode = pool_name(stream), stream.spec.transcode
    pool = platform.pools.get(name)
    if pool is None:
        known = ", ".join(sorted(platform.pools)) or "none"
        return Fact("Accepted", False, "PoolNotFound", f"Pool {name} is not configured; known: {known}.")
    own = {
        "redundancy": transcode.redundancy > 1,
        "resources": bool(transcode.resources.cpu or transcode.resources.memory),
        "priorityClassName": bool(transcode.priority_class_name),
    }
    if asked := [field for field, set_ in own.items() if set_]:
        message = f"spec.transcode.{asked[0]} needs placement Dedicated: a pool's workers are shared and all alike."
        return Fact("Accepted", False, "DedicatedNeeded", message)
    if transcode.hardware not in (Hardware.AUTO, pool.template.hardware):
        message = f"Pool {name} encodes with {pool.template.hardware}, not with {transcode.hardware.value}."
        return Fact("Accepted", False, "HardwareMismatch", message)
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


def transcode_millicores(stream: LiveStream, channel: Channel, platform: Platform) -> int:
    """What the stream's transcoders request: of its own pods, or of a pool's worker the part that its units are."""
    if pooled(stream):
        return _pooled_millicores(stream, channel, platform)
    cpu = stream.spec.transcode.resources.cpu or platform.sizes.transcoder.cpu
    return millicores(cpu) * stream.spec.transcode.redundancy


def _pooled_millicores(stream: LiveStream, channel: Channel, platform: Platform) -> int:
    """0 while its pool or ladder is not there: then it is refused, and transcodes nothing."""
    pool, encoding = platform.pools.get(pool_name(stream)), effective_encoding(stream, channel)
    if pool is None or (encoding.ladder_ref and encoding.ladder_ref.name not in platform.ladders):
        return 0
    units = units_of(chosen_ladder(encoding, platform).rungs)
    return ceil(millicores(pool.template.resources.cpu) * units / pool.capacity_per_worker)
