"""Applying hack/samples: a channel, a stream with its test source, and a flash sale that starts soon.

What ended in an earlier run is made anew, so that each `make up` shows a running shop; what still runs is left alone.
"""

import time
from datetime import UTC, datetime
from typing import Any

from hack.cli import cluster
from hack.cli.paths import SAMPLES
from hack.devcluster.client import ApiClient

NAMESPACE, STREAM, SALE = "shop", "launch", "launch-sale"
SALE_STARTS_IN_SECONDS, SALE_LASTS_SECONDS = 180, 3600
_STREAM_OVER = ("Ended", "Failed", "Draining")
_SALE_OVER = ("SoldOut", "Cooldown", "Completed", "Cancelled", "Failed")


async def apply(client: ApiClient) -> None:
    """Bring the samples to a fresh or running state."""
    await _drop_finished(client, "FlashSale", SALE, _SALE_OVER)
    await _drop_finished(client, "LiveStream", STREAM, _STREAM_OVER)
    await cluster.apply(client, cluster.documents(SAMPLES / "shop.yaml", {}))
    await cluster.apply(client, cluster.documents(SAMPLES / "test-source.yaml", {}))
    if await cluster.read(client, "FlashSale", NAMESPACE, SALE) is None:
        now = time.time()
        variables = {
            "STARTS_AT": _rfc3339(now + SALE_STARTS_IN_SECONDS),
            "ENDS_AT": _rfc3339(now + SALE_STARTS_IN_SECONDS + SALE_LASTS_SECONDS),
        }
        await cluster.apply(client, cluster.documents(SAMPLES / "flashsale.yaml", variables))


async def _drop_finished(client: ApiClient, kind: str, name: str, over: tuple[str, ...]) -> None:
    live: dict[str, Any] | None = await cluster.read(client, kind, NAMESPACE, name)
    if live is None:
        return
    ended = (live.get("status") or {}).get("phase") in over
    past = kind == "FlashSale" and _epoch(live["spec"]["endsAt"]) < time.time() + 300
    if ended or past:
        await cluster.delete(client, kind, NAMESPACE, name)


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
