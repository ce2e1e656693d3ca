"""Pools: packing, sizes, and marks on workers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.core.platform import Buffer, Platform, Pool, PoolWindow, Rung
from operators.core.pooling import Allocation, PoolState, Worker, choose, units_of, used_units, wanted_workers
from operators.pool.plan import SHRINK_SECONDS, PoolObserved, plan
from tests.unit.operators.builders import NOW

SATURDAY_NINE = 1_800_090_000.0 - 1_800_090_000.0 % 86_400 + 9 * 3600
POOL = Pool()


def worker(pod: str, units: int = 8, **more: object) -> Worker:
    return Worker(pod, f"http://{pod}:8080", units, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("heights", "units"),
    [
        ((480,), 1),
        ((720,), 2),
        ((1080,), 4),
        ((1440,), 8),
        ((2160,), 16),
        ((720, 480, 360), 4),
        ((2160, 1080, 360), 21),
    ],
)
def test_units_of_a_ladder(heights: tuple[int, ...], units: int) -> None:
    rungs = [Rung(name=f"r{height}", height=height, width=height, video_kbps=100) for height in heights]
    assert units_of(rungs) == units


@pytest.mark.parametrize(
    ("workers", "used", "units", "chosen"),
    [
        pytest.param([], {}, 1, None, id="no worker"),
        pytest.param([worker("a"), worker("b")], {"a": 2}, 4, "a", id="the fullest that has room"),
        pytest.param([worker("a"), worker("b")], {"a": 6}, 4, "b", id="the fullest has no room"),
        pytest.param([worker("a", draining=True), worker("b")], {"a": 2}, 4, "b", id="a draining one takes nobody"),
        pytest.param([worker("a")], {"a": 6}, 4, None, id="full"),
        pytest.param([worker("a"), worker("b")], {"a": 1}, 16, "b", id="too large for any: an empty one"),
        pytest.param([worker("a")], {"a": 1}, 16, None, id="too large and none is empty"),
    ],
)
def test_choose_packs(workers: list[Worker], used: dict[str, int], units: int, chosen: str | None) -> None:
    found = choose(workers, used, units)
    assert (found.pod if found else None) == chosen


@given(st.lists(st.integers(1, 8), max_size=40), st.integers(1, 12))
def test_packing_never_overfills_and_only_refuses_when_nobody_has_room(wishes: list[int], count: int) -> None:
    workers = [worker(f"w{number}") for number in range(count)]
    placed: list[Allocation] = []
    for wish in wishes:
        used = used_units(placed)
        found = choose(workers, used, wish)
        if found is None:
            assert all(used.get(item.pod, 0) + wish > item.units for item in workers)
        else:
            placed.append(Allocation("default", found.pod, wish, "uid"))
    assert all(total <= 8 for total in used_units(placed).values())


@pytest.mark.parametrize(
    ("pool", "used", "pending", "now", "wanted"),
    [
        pytest.param(POOL, {}, 0, NOW, 1, id="the least"),
        pytest.param(POOL, {"a": 4}, 0, NOW, 2, id="one busy, one idle beside it"),
        pytest.param(POOL, {"a": 4}, 20, NOW, 4, id="waiting streams need three more"),
        pytest.param(Pool(buffer=Buffer(size="50%", min=0, max=10)), dict.fromkeys("abc", 1), 0, NOW, 5, id="half more"),
        pytest.param(Pool(buffer=Buffer(size=5, min=0, max=3)), {"a": 1}, 0, NOW, 3, id="at most three"),
        pytest.param(Pool(buffer=Buffer(size=0, min=0, max=1)), dict.fromkeys("abc", 1), 0, NOW, 3,
                     id="never fewer than are busy, whatever the maximum says"),
        pytest.param(Pool(buffer=Buffer(size=0, min=0, max=5)), {}, 0, NOW, 0, id="nothing at all"),
    ],
)  # fmt: skip
def test_wanted_workers(pool: Pool, used: dict[str, int], pending: int, now: float, wanted: int) -> None:
    assert wanted_workers(pool, PoolState(used=used, pending_units=pending), now) == wanted


def test_the_first_open_window_sets_the_buffer() -> None:
    weekend = PoolWindow(cron="0 9 * * *", duration="2h", buffer=Buffer(size=6, min=0, max=20))
    pool = Pool(schedule=(weekend,))
    state = PoolState(used={"a": 1})
    assert wanted_workers(pool, state, SATURDAY_NINE + 60) == 7
    assert wanted_workers(pool, state, SATURDAY_NINE + 7201) == 2


def live(replicas: int) -> dict:
    return {("Deployment", "pool-default"): {"kind": "Deployment", "metadata": {"name": "pool-default"}, "spec": {"replicas": replicas}}}  # fmt: skip


def replicas(observed: PoolObserved, now: float = NOW) -> int:
    made = plan("default", POOL, observed, Platform(), now)
    return int(made.applies[0]["spec"]["replicas"])


def test_a_pool_grows_at_once_and_shrinks_after_a_while() -> None:
    crowded = PoolState(used={"a": 8, "b": 8})
    assert replicas(PoolObserved(crowded, live(1))) == 3
    quiet = PoolState(used={"a": 4})
    first = plan("default", POOL, PoolObserved(quiet, live(5)), Platform(), NOW)
    assert first.applies[0]["spec"]["replicas"] == 5
    assert first.too_many_since == NOW
    assert replicas(PoolObserved(quiet, live(5), too_many_since=NOW), NOW + SHRINK_SECONDS) == 2


def test_a_pool_that_is_not_configured_any_more_goes_when_it_is_idle() -> None:
    busy = plan("old", None, PoolObserved(PoolState(used={"a": 1}), live(1)), Platform(), NOW)
    assert (busy.applies, busy.deletes) == ((), ())
    idle = plan("old", None, PoolObserved(PoolState(), {("Deployment", "pool-old"): {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "pool-old", "namespace": "haat-system"}}}),
        Platform(), NOW)  # fmt: skip
    assert [ref.name for ref in idle.deletes] == ["pool-old"]
