"""Reconcile of one FlashSale."""

from operators.api import FlashSale, LiveStream
from operators.api.livestream_status import StreamPhase
from operators.core.plan import Plan
from operators.core.podtimes import p99_start_seconds
from operators.core.times import epoch
from operators.flashsale.observe import SaleObserved, ledger_report
from operators.flashsale.plan import plan
from operators.flashsale.services import views
from operators.flashsale.serving import hold_services
from operators.runtime.context import Context
from operators.runtime.executor import execute
from operators.runtime.metrics import SALE_PREWARM_MISSING, SALE_START_SKEW


async def reconcile(context: Context, namespace: str, name: str) -> float | None:
    """Bring one FlashSale to its desired state; seconds until the next look, or None."""
    sale = context.cache.sale(namespace, name)
    if sale is None:
        return None
    start = p99_start_seconds(context.cache.all_pods())
    live = await hold_services(context) if sale.spec.capacity.expected_peak_rps else {}
    observed = SaleObserved(
        stream=target(context, sale),
        children=context.cache.children(sale),
        report=ledger_report(context.signals.reports, sale),
        pod_start_seconds=start,
        services=views(sale, context.cache.sales(), context.platform(), live, pod_start_seconds=start),
    )
    now = context.clock()
    result = plan(sale, observed, context.platform(), now)
    _measure(sale, result, now)
    return await execute(context, sale, result, observed.children)


def _measure(sale: FlashSale, result: Plan, now: float) -> None:
    """What the alerts ask: seconds to the start of a sale whose capacity is missing, and how late a sale opened."""
    labels = (sale.metadata.namespace, sale.metadata.name)
    conditions = {item["type"]: item["status"] for item in result.status.get("conditions", [])}
    left = epoch(sale.spec.starts_at) - now
    if conditions.get("Prewarmed") == "False" and left > 0:
        SALE_PREWARM_MISSING.labels(*labels).set(left)
    else:
        SALE_PREWARM_MISSING.remove(*labels)
    if "startSkewMillis" in result.status:
        SALE_START_SKEW.labels(*labels).set(result.status["startSkewMillis"] / 1000)


def target(context: Context, sale: FlashSale) -> LiveStream | None:
    """The stream that the sale runs in: the named one, or the channel's oldest that has not ended."""
    namespace = sale.metadata.namespace
    if sale.spec.stream is not None:
        return context.cache.stream(namespace, sale.spec.stream.name)
    if sale.spec.channel is None:
        return None
    for stream in context.cache.streams_of(namespace, sale.spec.channel.name):
        if stream.status.phase not in (StreamPhase.ENDED, StreamPhase.FAILED):
            return stream
    return None
