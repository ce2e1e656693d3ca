"""ConfigMap `<name>-stream`: stream.json, what transcoder and fan-out need to know of their stream."""

import json
from typing import Any

from operators.api import Channel, LiveStream
from operators.api.base import Ref, seconds
from operators.api.common import Encoding, Latency, LatencyMode, Recording
from operators.core.children import child
from operators.core.plan import Manifest
from operators.core.platform import Ladder, Platform
from operators.livestream import names

STREAM_FILE = "stream.json"
_PART_SECONDS = {LatencyMode.ULTRA_LOW: 0.1, LatencyMode.LOW: 0.2, LatencyMode.STANDARD: 0.5}


def build_config_map(stream: LiveStream, channel: Channel, platform: Platform) -> Manifest:
    """The ConfigMap with stream.json."""
    return child(
        stream,
        api_version="v1",
        kind="ConfigMap",
        name=names.config_map(stream),
        component="stream-config",
        data={STREAM_FILE: json.dumps(document(stream, channel, platform), indent=1, sort_keys=True)},
    )


def document(stream: LiveStream, channel: Channel, platform: Platform) -> dict[str, Any]:
    """stream.json as the contracts page describes it."""
    encoding = effective_encoding(stream, channel)
    ladder = chosen_ladder(encoding, platform)
    latency = encoding.latency or Latency()
    shortest = _PART_SECONDS[latency.mode]
    return {
        "stream": stream.id,
        "uid": stream.metadata.uid,
        "title": stream.spec.title,
        "language": stream.spec.language,
        "channel": {"name": channel.metadata.name, "slug": channel.spec.slug},
        "ladder": {
            "rungs": [rung.model_dump(mode="json") for rung in ladder.rungs],
            "audio_kbps": ladder.audio_kbps,
            "gop_seconds": ladder.gop_seconds,
            "segment_seconds": ladder.segment_seconds,
            "part_seconds": min(ladder.part_seconds, shortest) if latency.mode != LatencyMode.STANDARD else shortest,
        },
        "codecs": [codec.value for codec in encoding.codecs] or ["H264"],
        "latency": {"mode": latency.mode.value, "target_seconds": latency.target_seconds},
        "hardware": stream.spec.transcode.hardware.value,
        "ingest": {
            "protocols": sorted(channel.spec.ingest.protocols),
            "redundant": channel.spec.ingest.redundant,
            "max_bitrate_kbps": channel.spec.quota.max_bitrate_kbps,
        },
        "max_viewers": channel.spec.quota.max_viewers,
        "recording": recording_document(stream, channel),
        "co_hosts": [item.model_dump(mode="json") for item in stream.spec.co_hosts],
        **rules_of_the_room(channel, policy=stream.spec.moderation_policy_ref),
        "interrupt_after_seconds": platform.interrupt_after_seconds,
        "drain_seconds": seconds(stream.spec.fanout.drain),
    }


def effective_recording(stream: LiveStream, channel: Channel | None) -> Recording:
    """What is kept of the broadcast: the stream's own wish over the channel's; nothing without either."""
    return stream.spec.recording or (channel.spec.recording if channel else Recording())


def recording_document(stream: LiveStream, channel: Channel | None) -> dict[str, Any]:
    """`recording` of stream.json and of the directory entry."""
    recording = effective_recording(stream, channel)
    return {
        "enabled": recording.enabled,
        "storage": recording.storage_ref.name if recording.storage_ref else "",
        "retention_seconds": seconds(recording.retention),
        "dvr_window_seconds": seconds(recording.dvr_window),
        "highlights": recording.highlights,
    }


def rules_of_the_room(channel: Channel, *, policy: Ref | None = None) -> dict[str, Any]:
    """Chat and the other interactions, as stream.json and channel.json give them."""
    interactions = channel.spec.interactions
    chat = interactions.chat
    moderation = policy or chat.moderation_policy_ref
    return {
        "chat": {
            "enabled": chat.enabled,
            "slow_mode_seconds": seconds(chat.slow_mode),
            "max_length": chat.max_length,
            "moderation_policy": moderation.name if moderation else "",
        },
        "interactions": {
            "reactions": interactions.reactions,
            "polls": interactions.polls,
            "gifts": interactions.gifts,
            "co_hosts": interactions.co_hosts,
            "translation_languages": sorted(interactions.translation.languages),
        },
    }


def effective_encoding(stream: LiveStream, channel: Channel) -> Encoding:
    """The stream's wishes over the channel's defaults; a stream never encodes higher than its channel allows."""
    own, default = stream.spec.encoding, channel.spec.encoding
    heights = [height for height in (own.max_height, default.max_height) if height]
    return Encoding(
        ladder_ref=own.ladder_ref or default.ladder_ref,
        latency=own.latency or default.latency,
        codecs=own.codecs or default.codecs,
        max_height=min(heights) if heights else None,
    )


def chosen_ladder(encoding: Encoding, platform: Platform) -> Ladder:
    """The ladder without the rungs above `maxHeight`; the lowest rung always stays."""
    name = encoding.ladder_ref.name if encoding.ladder_ref else "default"
    ladder = platform.ladders[name]
    top = encoding.max_height or max(rung.height for rung in ladder.rungs)
    lowest = min(ladder.rungs, key=lambda rung: rung.height)
    kept = tuple(rung for rung in ladder.rungs if rung.height <= top) or (lowest,)
    return ladder.model_copy(update={"rungs": kept})
