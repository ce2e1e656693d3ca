"""Workers as their heartbeats show them."""

import json
from collections.abc import Mapping

from operators.core.pooling import Worker

BEAT_FRESH_SECONDS = 4.0
PREFIX = "worker/"


def workers_by_pool(heartbeats: Mapping[str, str], now: float) -> dict[str, list[Worker]]:
    """Live workers of every pool; a beat that is old or cannot be read is no worker."""
    pools: dict[str, list[Worker]] = {}
    for name, text in heartbeats.items():
        if not name.startswith(PREFIX):
            continue
        pool, _, pod = name.removeprefix(PREFIX).partition("/")
        try:
            body = json.loads(text)
            if now - float(body["ts_ms"]) / 1000 > BEAT_FRESH_SECONDS:
                continue
            worker = Worker(
                pod=pod,
                url=str(body["url"]),
                units=int(body["units"]),
                streams=tuple(str(item) for item in body.get("streams") or ()),
                draining=body.get("draining") is True,
            )
        except (ValueError, KeyError, TypeError):
            continue
        pools.setdefault(pool, []).append(worker)
    return pools
