"""The work queue: one worker a key, nothing missed, failures come back."""

import asyncio
from collections import Counter

from operators.runtime.queue import Backoff, RetryAfter, WorkQueue

QUICK = Backoff(first_seconds=0.01, most_seconds=0.02)


async def settle(queue: WorkQueue[str], seconds: float = 0.2) -> None:
    task = asyncio.create_task(queue.run())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_adding_twice_is_adding_once() -> None:
    seen: Counter[str] = Counter()

    async def reconcile(key: str) -> None:
        seen[key] += 1

    queue: WorkQueue[str] = WorkQueue(reconcile, workers=4)
    for key in ("a", "b", "a", "a"):
        await queue.add(key)
    await settle(queue)
    assert seen == {"a": 1, "b": 1}


async def test_a_key_is_never_worked_on_twice_at_a_time_and_a_change_meanwhile_is_not_lost() -> None:
    running: Counter[str] = Counter()
    runs: Counter[str] = Counter()

    async def reconcile(key: str) -> None:
        running[key] += 1
        assert running[key] == 1
        if not runs[key]:
            await queue.add(key)
            await queue.add(key)
        await asyncio.sleep(0.02)
        runs[key] += 1
        running[key] -= 1

    queue: WorkQueue[str] = WorkQueue(reconcile, workers=4)
    await queue.add("a")
    await settle(queue)
    assert runs == {"a": 2}


async def test_a_failure_is_retried_until_it_works() -> None:
    attempts: list[str] = []

    async def reconcile(key: str) -> None:
        attempts.append(key)
        if len(attempts) < 4:
            raise OSError("the API server is away")

    queue: WorkQueue[str] = WorkQueue(reconcile, workers=1, backoff=QUICK)
    await queue.add("a")
    await settle(queue, 0.4)
    assert attempts == ["a"] * 4


async def test_retry_after_and_requeue() -> None:
    times: list[float] = []

    async def reconcile(_: str) -> float | None:
        times.append(asyncio.get_running_loop().time())
        if len(times) == 1:
            raise RetryAfter(0.05, "not yet")
        return 0.05 if len(times) == 2 else None

    queue: WorkQueue[str] = WorkQueue(reconcile, workers=1)
    await queue.add("a")
    await settle(queue, 0.4)
    assert len(times) == 3


def test_backoff_grows_and_stops_growing() -> None:
    delays = [Backoff().delay(failures, lambda: 1.0) for failures in (1, 2, 3, 20)]
    assert delays == [0.5, 1.0, 2.0, 60.0]
