"""What a channel's streams use, against its quota. The 24/7 output of a Linear channel is the channel itself and does
not count."""

from collections.abc import Iterable, Sequence

from operators.api import Channel, LiveStream
from operators.api.base import seconds
from operators.api.channel import Usage
from operators.channel import names
from operators.channel.observe import OVER, owned_by
from operators.core.conditions import Fact
from operators.core.platform import Platform
from operators.livestream.acceptance import transcode_millicores
from operators.livestream.airtime import seconds_on_air
from operators.livestream.lifecycle import not_yet_due
from operators.livestream.status import reported_viewers

STEP_SECONDS = 60
"""A status moves by whole minutes of air time: it is no clock."""


def is_output(stream: LiveStream, channel: Channel) -> bool:
    """Whether this is the stream that a Linear channel is always on."""
    return stream.metadata.name == names.linear(channel) and owned_by(stream, channel)


def counted(channel: Channel, streams: Iterable[LiveStream]) -> list[LiveStream]:
    """The streams that the quota is about."""
    return [stream for stream in streams if not is_output(stream, channel)]


def usage(channel: Channel, streams: Sequence[LiveStream], platform: Platform, now: float) -> Usage:
    """The present use; streams that wait for their time use nothing yet."""
    mine = counted(channel, streams)
    holding = [item for item in mine if item.status.phase not in OVER and not not_yet_due(item, now)]
    before = channel.status.usage.viewers if channel.status.usage else 0
    viewers = sum(item.status.viewers for item in streams if item.status.phase not in OVER)
    return Usage(
        streams=len(holding),
        viewers=reported_viewers(before, viewers),
        millicores=sum(transcode_millicores(item, channel, platform) for item in holding),
        seconds_today=int(seconds_on_air(mine, now)) // STEP_SECONDS * STEP_SECONDS,
    )


def within_quota(channel: Channel, used: Usage, streams: Sequence[LiveStream]) -> Fact:
    """The condition `WithinQuota`; the reason names the first limit that is passed."""
    quota = channel.spec.quota
    daily = seconds(quota.max_daily_duration)
    kbps = max((item.status.ingest.bitrate_kbps for item in streams if item.status.ingest), default=0)
    limits = (
        ("StreamsExceeded", used.streams, quota.max_concurrent_streams, "streams at a time"),
        ("ViewersExceeded", used.viewers, quota.max_viewers, "viewers"),
        ("MillicoresExceeded", used.millicores, quota.max_transcode_millicores, "millicores of transcoding"),
        ("DailyDurationExceeded", used.seconds_today, int(daily), "seconds on air in this UTC day"),
        ("BitrateExceeded", kbps, quota.max_bitrate_kbps, "kbps from one publisher"),
    )
    for reason, amount, limit, unit in limits:
        if limit and amount > limit:
            return Fact("WithinQuota", False, reason, f"{amount} {unit}; the channel's quota is {limit}.")
    return Fact("WithinQuota", True, "WithinQuota")
