"""A sale's clock and its capacity: how far apart the pods of a shop open it, and when its capacity stands.

The skew is measured with four processes that tap as four pods do, on the real shield and ledger. The pre-warming is a
simulation: the operators' own plans over simulated minutes, against a cluster whose pods take a given time to start.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.report import Figure, figure, note
from operators.api import FlashSale, LiveStream
from operators.core.platform import Platform
from operators.core.times import rfc3339
from operators.flashsale.observe import SaleObserved
from operators.flashsale.sizing import floor_of
from operators.flashsale.status import facts
from tests.contract.commerce.conftest import open_shop, sale_document
from tests.support.servers import ROOT, postgres_server, redis_server

PODS, LEAD = 4, 4.0
SLOW_POD_SECONDS, BURST = 45.0, 10
START = 1_900_000_000.0

TAPPER = """
import asyncio, json, sys, time, uuid
from workloads.common.purchase import Purchases
from workloads.common.redis import connect, connect_listener
from workloads.common.shield import Tap
async def main(url, sale, at, name):
    purchases = Purchases(connect(url), name)
    listening = asyncio.create_task(purchases.listen(connect_listener(url)))
    await asyncio.sleep(max(0.0, at - 0.3 - time.time()))
    early = 0
    while True:
        began = time.time()
        answer = await purchases.buy(Tap(sale, f"user-{name}", "SAREE", 1, uuid.uuid4().hex))
        if answer["status"] == "reserved":
            print(json.dumps({"opened": began, "early": early})); break
        early += began < at
        if time.time() > at + 5:
            raise SystemExit(f"never opened: {answer}")
    listening.cancel()
asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4]))
"""


def run() -> list[Figure]:
    """All figures of a sale's start."""
    return [*asyncio.run(_skew()), _prewarm()]


async def _skew() -> list[Figure]:
    """First tap that was let in, by pod, against the planned start and against the other pods."""
    note(f"{PODS} pods tap before, at and after the start")
    with (
        tempfile.TemporaryDirectory() as one,
        tempfile.TemporaryDirectory() as two,
        redis_server(Path(one)) as redis,
        postgres_server(Path(two)) as postgres,
    ):
        async with open_shop(redis, await postgres.database("bench"), audited=False) as shop:
            document = sale_document(stock=1000, limit=1000, starts_in=LEAD)
            sale, at = await shop.open(document), document["starts_at_ms"] / 1000
            pods = [
                await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-c",
                    TAPPER,
                    *(redis.url, sale, str(at), f"pod-{number}"),
                    cwd=ROOT,
                    stdout=asyncio.subprocess.PIPE,
                )
                for number in range(PODS)
            ]
            answers = await asyncio.wait_for(asyncio.gather(*(pod.communicate() for pod in pods)), 60)
    opened = [json.loads(out)["opened"] for out, _ in answers]
    return [
        figure("start skew across 4 pods", (max(opened) - min(opened)) * 1000, "ms", bar=100),
        figure("latest pod's opening after the planned start", (max(opened) - at) * 1000, "ms", bar=100),
    ]


def _prewarm() -> Figure:
    """Simulated: seconds before the start at which the capacity of a large sale stood."""
    note(f"pre-warming where a pod takes {SLOW_POD_SECONDS:.0f} s and {BURST} start at a time")
    sale = FlashSale.model_validate(
        {
            "metadata": {"name": "drop", "namespace": "shop", "uid": "u"},
            "spec": {
                "stream": {"name": "launch"},
                "startsAt": rfc3339(START),
                "endsAt": rfc3339(START + 3600),
                "items": [{"sku": "A", "title": "A", "price": {"amount": 1, "currency": "BDT"}, "stock": 1}],
                "capacity": {"expectedViewers": 1_000_000, "prewarm": {"leadTime": "5m"}},
            },
        }
    )
    ready, starting, now = 0, 0.0, START - 3600
    while now < START:
        wanted = floor_of(sale, 5000, now, pod_start_seconds=SLOW_POD_SECONDS)
        if wanted > ready:
            starting += 1.0
            if starting >= SLOW_POD_SECONDS:
                ready, starting = min(wanted, ready + BURST), 0.0
        if _prewarmed(sale, ready, now):
            break
        now += 1.0
    return figure(
        "simulated: capacity for a million viewers stands before the start", START - now, "s", bar=60, better="higher"
    )


def _prewarmed(sale: FlashSale, ready: int, now: float) -> bool:
    stream = LiveStream.model_validate(
        {
            "metadata": {"name": "launch", "namespace": "shop", "uid": "s"},
            "spec": {"channel": {"name": "c"}, "title": "t", "fanout": {"maxReplicas": 1000}},
            "status": {"fanout": {"replicas": ready, "readyReplicas": ready}},
        }
    )
    seen = SaleObserved(stream=stream, pod_start_seconds=SLOW_POD_SECONDS)
    return any(fact.type == "Prewarmed" and fact.status for fact in facts(sale, seen, Platform(), now))
