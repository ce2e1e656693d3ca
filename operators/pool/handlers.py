"""Reconcile of one pool."""

import asyncio

from operators.core.diff import is_applied, with_hash
from operators.core.pooling import PoolState, Wish, used_units
from operators.pool.children import owner_label
from operators.pool.observe import workers_by_pool
from operators.pool.plan import PoolObserved, plan
from operators.pool.rollout import leaving_names
from operators.pool.workers import current_workers
from operators.runtime.client import ApiError
from operators.runtime.context import Context
from operators.runtime.executor import MANAGER
from operators.runtime.metrics import POOL_UNITS, POOL_WORKERS


async def reconcile(context: Context, name: str) -> float | None:
    """Bring one pool to its desired size; seconds until the next look."""
    platform, now = context.platform(), context.clock()
    pool = platform.pools.get(name)
    owner = owner_label(name)
    state = pool_state(context, name, now)
    observed = PoolObserved(
        state=state,
        children=context.cache.labelled(platform.namespace, owner),
        pods=tuple(context.cache.pods_labelled(platform.namespace, owner)),
        too_many_since=context.pool_since.get(name),
    )
    result = plan(name, pool, observed, platform, now)
    if result.too_many_since is None:
        context.pool_since.pop(name, None)
    else:
        context.pool_since[name] = result.too_many_since
    for patch in result.patches:
        try:
            await context.client.merge(patch.ref, patch.body)
        except ApiError as error:
            if error.status != 404:
                raise
    wanted = [with_hash(item) for item in result.applies]
    await asyncio.gather(
        *(
            context.client.apply(item, manager=MANAGER, force=True)
            for item in wanted
            if not is_applied(item, observed.children.get((item["kind"], item["metadata"]["name"])))
        )
    )
    for ref in result.deletes:
        await context.client.delete(ref)
    await _empty(context, leaving_names(observed.pods))
    POOL_WORKERS.labels(name).set(len(state.workers))
    POOL_UNITS.labels(name, "used").set(sum(state.used.values()))
    POOL_UNITS.labels(name, "capacity").set(sum(worker.units for worker in state.workers))
    return result.requeue_after


async def _empty(context: Context, leaving: frozenset[str]) -> None:
    """Move the streams without a publisher off the workers that are to go."""
    workers = current_workers(context) if leaving else {}
    for stream, held in list(context.allocator.table.items()):
        if held.worker in leaving:
            wish = Wish(held.pool, held.units, held.uid, held.keys, held.spec)
            await context.allocator.ensure(stream, wish, workers)


def pool_state(context: Context, name: str, now: float) -> PoolState:
    """The pool as heartbeats and allocations show it."""
    mine = [item for item in context.allocator.table.values() if item.pool == name]
    pending = sum(wish.units for wish in context.allocator.pending.values() if wish.pool == name)
    workers = tuple(workers_by_pool(context.signals.heartbeats, now).get(name, ()))
    return PoolState(workers=workers, used=used_units(mine), pending_units=pending)
