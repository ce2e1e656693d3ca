"""What the data plane reads of a stream: its directory entry, its ingest routes, its catalogue.

Keys are published as their SHA-256, or sealed, so that Redis never holds one that could be used to publish.
"""

import json
from collections.abc import Iterable

from operators.api import LiveStream
from operators.api.channel import Protocol
from operators.api.livestream_status import StreamPhase
from operators.core.children import HTTP_PORT
from operators.core.plan import Publication
from operators.core.platform import Platform
from operators.livestream import names
from operators.livestream.children.config import effective_recording, recording_document
from operators.livestream.children.secret import digest
from operators.livestream.observe import StreamObserved
from operators.livestream.placement import pooled

STREAMS_KEY, INGEST_KEY, CATALOGS_KEY = "haat:streams", "haat:ingest", "haat:catalogs"
KEYS_KEY, PULLS_KEY = "haat:ingest:keys", "haat:ingest:pulls"
MOVING = (StreamPhase.LIVE, StreamPhase.INTERRUPTED)
CATALOG_CHANNEL = "haat:catalogs:changed"


def urls(stream: LiveStream, platform: Platform) -> dict[str, str]:
    """Where to publish (without the key), watch and chat."""
    base = platform.public_url
    return {
        "ingest": platform.rtmp_url,
        "page": f"{base}/s/{stream.id}",
        "hls": f"{base}/hls/{stream.id}/master.m3u8",
        "dash": f"{base}/hls/{stream.id}/manifest.mpd",
        **({"whep": f"{base}/whep/{stream.id}"} if platform.whip_url else {}),
        "chat": f"{base.replace('http', 'ws', 1)}/ws/{stream.id}",
    }


def publications(
    stream: LiveStream, observed: StreamObserved, platform: Platform, phase: str, *, live: bool
) -> tuple[Publication, ...]:
    """What the data plane reads of this stream."""
    result = [Publication(STREAMS_KEY, stream.id, _directory_entry(stream, observed, platform, phase))]
    target = transcoder_url(stream, observed)
    if live and not target and pooled(stream) and stream.status.phase in MOVING:
        # Between two workers: a route that leads nowhere for a moment lets the publisher try again, none ends it.
        return tuple(result)
    if not live or not target:
        away = [Publication(INGEST_KEY, field, None) for field in ingest_fields(observed)]
        return (*result, *away, *(Publication(key, stream.id, None) for key in (KEYS_KEY, PULLS_KEY)))
    route = json.dumps(
        {
            "stream": stream.id,
            "uid": stream.metadata.uid,
            "target": target,
            "allowed_cidrs": sorted(observed.channel.spec.ingest.allowed_cidrs) if observed.channel else [],
            "protocols": sorted(_protocols(observed)),
            "max_bitrate_kbps": observed.channel.spec.quota.max_bitrate_kbps if observed.channel else 0,
        },
        sort_keys=True,
    )
    result += [Publication(INGEST_KEY, field, route) for field in ingest_fields(observed)]
    by_name = json.dumps(ingest_keys(observed)) if platform.srt_url and Protocol.SRT in _protocols(observed) else None
    result.append(Publication(KEYS_KEY, stream.id, by_name, sealed=True))
    result.append(Publication(PULLS_KEY, stream.id, _pull_order(stream, observed), sealed=True))
    if observed.catalog is not None:
        result.append(Publication(CATALOGS_KEY, stream.id, observed.catalog, announce=CATALOG_CHANNEL))
    return tuple(result)


def withdrawn(stream: LiveStream, observed: StreamObserved) -> tuple[Publication, ...]:
    """Take everything back that was published."""
    fields = [(STREAMS_KEY, stream.id), (CATALOGS_KEY, stream.id), (KEYS_KEY, stream.id)]
    fields.append((PULLS_KEY, stream.id))
    fields += [(INGEST_KEY, field) for field in ingest_fields(observed)]
    return tuple(Publication(key, field, None) for key, field in fields)


def revocations(revoked: Iterable[str]) -> tuple[Publication, ...]:
    """The routes of keys that do not lead to this stream any more."""
    return tuple(Publication(INGEST_KEY, field, None) for field in revoked)


def transcoder_url(stream: LiveStream, observed: StreamObserved) -> str:
    """Base URL of the transcoder that has the stream; empty while there is none."""
    if pooled(stream):
        return observed.host.url if observed.host else ""
    return _service_url(observed, active_transcoder(stream, observed))


def active_transcoder(stream: LiveStream, observed: StreamObserved) -> str:
    """The transcoder that has the publisher; of two, the second one only while the first is not there."""
    first, second = names.transcoder(stream), names.standby(stream)
    if stream.spec.transcode.redundancy < 2:
        return first
    beat = observed.transcoder
    working = second if beat and beat.receiving and beat.pod.startswith(f"{second}-") else first
    other = first if working == second else second
    return working if _ready(observed, working) or not _ready(observed, other) else other


def _ready(observed: StreamObserved, name: str) -> bool:
    deployment = observed.child("Deployment", name) or {}
    return bool((deployment.get("status") or {}).get("readyReplicas"))


def ingest_keys(observed: StreamObserved) -> list[str]:
    """Every key that leads to this stream; of a channel's streams one has the channel's key."""
    keys = observed.keys.accepted() if observed.holds_channel_key else [observed.keys.stream_key]
    return [key for key in keys if key]


def ingest_fields(observed: StreamObserved) -> list[str]:
    """SHA-256 of these keys."""
    return [digest(key) for key in ingest_keys(observed)]


def _pull_order(stream: LiveStream, observed: StreamObserved) -> str | None:
    """What ingest is to read, with the key that leads to the stream's transcoder."""
    if stream.spec.pull is None or not (keys := ingest_keys(observed)):
        return None
    return json.dumps({"uri": stream.spec.pull.uri, "key": keys[0]})


def _protocols(observed: StreamObserved) -> tuple[Protocol, ...]:
    return observed.channel.spec.ingest.protocols if observed.channel else (Protocol.RTMP,)


def _directory_entry(stream: LiveStream, observed: StreamObserved, platform: Platform, phase: str) -> str:
    channel = observed.channel
    entry = {
        "uid": stream.metadata.uid,
        "title": stream.spec.title,
        "description": stream.spec.description,
        "language": stream.spec.language,
        "channel": channel.spec.display_name if channel else stream.spec.channel.name,
        "slug": channel.spec.slug if channel else "",
        "phase": phase,
        "origin": transcoder_url(stream, observed),
        "tags": sorted(stream.spec.tags),
        "thumbnail": stream.spec.thumbnail_uri or thumbnail_of_recorder(stream, observed, phase),
        "recording": recording_document(stream, observed.channel),
        "started_at": stream.status.started_at,
        "viewers": observed.room.viewers,
        "models": observed.models_url,
        "room": _ready(observed, names.fanout(stream)),
        "hls": f"/hls/{stream.id}/master.m3u8",
        "ws": f"/ws/{stream.id}",
    }
    return json.dumps(entry, sort_keys=True)


def thumbnail_of_recorder(stream: LiveStream, observed: StreamObserved, phase: str) -> str:
    """Where the recorder keeps the newest picture of a stream that it records; empty when it takes none."""
    recording = effective_recording(stream, observed.channel)
    return f"/thumbs/{stream.id}/latest.jpg" if recording.enabled and phase in MOVING else ""


def _service_url(observed: StreamObserved, name: str) -> str:
    service = observed.child("Service", name) or {}
    address = (service.get("spec") or {}).get("clusterIP") or ""
    return f"http://{address}:{HTTP_PORT}" if address and address != "None" else ""
