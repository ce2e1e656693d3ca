"""The commerce plane: taps until the ledger has answered, against one transaction an order on the same server."""

import asyncio
import tempfile
import time
import uuid
from pathlib import Path

from benchmarks.report import Figure, figure, note, percentile
from tests.contract.commerce.conftest import Shop, open_shop, sale_document
from tests.support.servers import postgres_server, redis_server
from workloads.commerce.allocate import Request
from workloads.commerce.ledger import commit_batch

TAPS, CROWD = 5000, 500
FEW_TAPS, FEW = 1000, 20
SINGLE = 300


def run() -> list[Figure]:
    """All figures of this plane."""
    return asyncio.run(_run())


async def _run() -> list[Figure]:
    with (
        tempfile.TemporaryDirectory() as one,
        tempfile.TemporaryDirectory() as two,
        redis_server(Path(one)) as redis,
        postgres_server(Path(two)) as postgres,
    ):
        url = await postgres.database("bench")
        async with open_shop(redis, url) as shop:
            return await _measure(shop)


async def _measure(shop: Shop) -> list[Figure]:
    note(f"{TAPS} taps, {CROWD} at a time, one article")
    rate, _ = await _crowd(shop, TAPS, CROWD)
    note(f"{FEW_TAPS} taps, {FEW} at a time")
    _, times = await _crowd(shop, FEW_TAPS, FEW)
    single = await _one_by_one(shop)
    return [
        figure(
            "durable orders a second, one article, tap to ledger in one process",
            rate,
            "orders/s",
            bar=single,
            better="higher",
            reference="one transaction an order",
            reference_value=single,
        ),
        figure(f"tap to durable answer, {FEW} at a time, p50", percentile(times, 0.5), "ms", bar=25),
        figure(f"tap to durable answer, {FEW} at a time, p99", percentile(times, 0.99), "ms", bar=100),
    ]


async def _crowd(shop: Shop, taps: int, at_a_time: int) -> tuple[float, list[float]]:
    """(orders a second, milliseconds of each tap): a closed loop of buyers of one article."""
    sale = await shop.open(sale_document(stock=taps))
    gate, times = asyncio.Semaphore(at_a_time), []

    async def tap(number: int) -> None:
        async with gate:
            began = time.perf_counter()
            answer = await shop.buy(sale, f"user-{number}")
            assert answer["status"] == "reserved"
            times.append((time.perf_counter() - began) * 1000)

    began = time.perf_counter()
    await asyncio.gather(*(tap(number) for number in range(taps)))
    return taps / (time.perf_counter() - began), times


async def _one_by_one(shop: Shop) -> float:
    """The same ledger with a transaction for each order, as a shop without a committer would do."""
    sale = await shop.open(sale_document(stock=SINGLE))
    epoch = shop.committer.epoch(sale) or 0
    began = time.perf_counter()
    for number in range(SINGLE):
        request = Request(str(uuid.uuid4()), f"user-{number}", "SAREE", 1, "pod", f"key-{number}", epoch)
        await commit_batch(shop.pool, sale, epoch, [request])
    return SINGLE / (time.perf_counter() - began)
