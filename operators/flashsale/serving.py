"""Brings the shared services to the floors of all sales, and looks how they stand.

A refusal never stops a sale from being handed over: it is told on the sale instead, and tried again.
"""

import logging

from operators.core.platform import Platform, ServiceCapacity, SharedService
from operators.core.podtimes import p99_start_seconds
from operators.flashsale.services import MANAGER, LiveService, change, deployment, target, wanted
from operators.runtime.client import ApiError
from operators.runtime.context import Context
from operators.runtime.metrics import APPLIES

AGAIN_SECONDS = 15.0

logger = logging.getLogger(__name__)


async def hold_services(context: Context) -> dict[SharedService, LiveService]:
    """Set every floor that is not as it should be now; how the services stand afterwards."""
    platform, now = context.platform(), context.clock()
    sales = context.cache.sales() if platform.capacity else []
    start = p99_start_seconds(context.cache.all_pods()) if sales else 0.0
    found = {}
    for service, capacity in platform.capacity.items():
        replicas = wanted(sales, capacity, now, pod_start_seconds=start)
        found[service] = await _hold(context, platform, service, capacity, replicas)
    return found


async def _hold(
    context: Context, platform: Platform, service: SharedService, capacity: ServiceCapacity, replicas: int
) -> LiveService:
    where, pods = target(service, capacity, platform), deployment(service, platform)
    try:
        live = await context.client.get(where)
        running = live if where == pods else await context.client.get(pods)
        if live is None or running is None:
            missing = where if live is None else pods
            problem = f"{missing.kind} {missing.name} does not exist in namespace {missing.namespace}"
            return LiveService(replicas, problem=problem)
        if (wish := change(where, live, replicas)) is not None:
            await context.client.apply(wish, manager=MANAGER, force=True)
            APPLIES.labels(where.kind, "floor", "200").inc()
            logger.info("floor of a shared service", extra={"service": service.value, "replicas": replicas})
    except ApiError as error:
        APPLIES.labels(where.kind, "floor", str(error.status)).inc()
        logger.warning("the floor of %s cannot be set: %s", service.value, error)
        return LiveService(replicas, problem=f"{where.kind} {where.name}: {error}"[:500])
    return LiveService(replicas, ready=int((running.get("status") or {}).get("readyReplicas") or 0))
