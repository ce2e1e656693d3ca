"""Workers as their heartbeats show them."""

import json
from collections.abc import Mapping

from operators.core.pooling import Worker

BEAT_FRESH_SECONDS = 4.0
PREFIX = "worker/"


def workers_by_pool(
    heartbeats: Mapping[str, str], now: float, leaving: frozenset[str] = frozenset()
) -> dict[str, list[Worker]]:
    """Live workers of every pool; a beat that is old or cannot be read is no worker.

    Those in `leaving` (pods) count as draining although nobody has told them yet: they keep what has a publisher.
    """
    pools: dict[str, list[Worker]] = {}
    for name, text in heartbeats.items():
        if not name.startswith(PREFIX):
            continue
        pool, _, pod = name.removeprefix(PREFIX).partition("/")
        try:
            body = json.loads(text)
            if now - float(body["ts_ms"]) / 1000 > BEAT_FRESH_SECONDS:
                continue
            streams = tuple(str(item) for item in body.get("streams") or ())
            if pod in leaving:
                streams = tuple(stream for stream in streams if _receives(heartbeats, stream, pod, now))
            worker = Worker(
                pod=pod,
                url=str(body["url"]),
                units=int(body["units"]),
                streams=streams,
                draining=body.get("draining") is True or pod in leaving,
            )
        except (ValueError, KeyError, TypeError):
            continue
        pools.setdefault(pool, []).append(worker)
    return pools


def _receives(heartbeats: Mapping[str, str], stream: str, pod: str, now: float) -> bool:
    """Whether media of the stream arrives at this pod; a beat that cannot be read or is old is none."""
    try:
        body = json.loads(heartbeats[f"transcoder/{stream}/{pod}"])
        return body["receiving"] is True and now - float(body["ts_ms"]) / 1000 <= BEAT_FRESH_SECONDS
    except (ValueError, KeyError, TypeError):
        return False
