"""What a host needs to start and to watch a broadcast, and what the operators need to know about it."""

from typing import Any

from workloads.transcoder.stream import Stream


def heartbeat(stream: Stream) -> dict[str, Any]:
    """The transcoder's heartbeat (docs/explanation/contracts.md), without `ts_ms`."""
    return {
        "receiving": stream.receiving,
        "playable": stream.playable and stream.receiving,
        "protocol": stream.protocol,
        "bitrate_kbps": round(stream.input.kbps()),
        "since_ms": stream.since_ms,
        "last_media_ms": stream.last_media_ms,
        "speed": stream.speed(),
        "rungs": rungs(stream),
    }


def rungs(stream: Stream) -> dict[str, dict[str, Any]]:
    """State, size, frame rate and measured bit rate of each rung of the ladder."""
    found: dict[str, dict[str, Any]] = {}
    for rung in stream.ladder.rungs:
        encoded = stream.rungs.get(rung.name) or stream.shed.get(rung.name)
        meter = stream.output.get(rung.name)
        if encoded is None:
            found[rung.name] = {"state": "off", "width": rung.width, "height": rung.height, "fps": 0, "kbps": 0}
            continue
        kbps = round(meter.kbps()) if meter else 0
        producing = "live" if stream.receiving and kbps else "idle"
        found[rung.name] = {
            "state": "shed" if rung.name in stream.shed and stream.receiving else producing,
            "width": encoded.width,
            "height": encoded.height,
            "fps": round(meter.fps(), 1) if meter else 0,
            "kbps": kbps,
        }
    return found


def studio(stream: Stream, own_key: str, rtmp_url: str) -> dict[str, Any]:
    """The host's view: where to publish, and how the broadcast does.

    `own_key` is empty where only the key's hash is known.
    """
    beat = heartbeat(stream)
    return {
        "stream": stream.spec.stream,
        "title": stream.spec.title,
        "stream_key": own_key,
        "rtmp_url": rtmp_url,
        "source": {"width": stream.source.width, "height": stream.source.height, "fps": stream.source.fps},
        "fps": round(stream.input.fps(), 1),
        **beat,
    }
