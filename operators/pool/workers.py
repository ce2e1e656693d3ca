"""Workers as allocations may use them now: what heartbeats say, and which of them are to go."""

from operators.core.pooling import Worker
from operators.pool.children import owner_label
from operators.pool.observe import workers_by_pool
from operators.pool.rollout import leaving_names
from operators.runtime.context import Context


def current_workers(context: Context) -> dict[str, list[Worker]]:
    """Live workers by pool."""
    platform = context.platform()
    pods = [
        pod for name in platform.pools for pod in context.cache.pods_labelled(platform.namespace, owner_label(name))
    ]
    return workers_by_pool(context.signals.heartbeats, context.clock(), leaving_names(pods))
