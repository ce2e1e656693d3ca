"""Reconcile of one FlashSale."""

from operators.api import FlashSale, LiveStream
from operators.api.livestream_status import StreamPhase
from operators.flashsale.observe import SaleObserved, ledger_report
from operators.flashsale.plan import plan
from operators.runtime.context import Context
from operators.runtime.executor import execute


async def reconcile(context: Context, namespace: str, name: str) -> float | None:
    """Bring one FlashSale to its desired state; seconds until the next look, or None."""
    sale = context.cache.sale(namespace, name)
    if sale is None:
        return None
    observed = SaleObserved(
        stream=target(context, sale),
        children=context.cache.children(sale),
        report=ledger_report(context.signals.reports, sale),
    )
    result = plan(sale, observed, context.clock())
    return await execute(context, sale, result, observed.children)


def target(context: Context, sale: FlashSale) -> LiveStream | None:
    """The stream that the sale runs in: the named one, or the channel's oldest that has not ended."""
    namespace = sale.metadata.namespace
    if sale.spec.stream is not None:
        return context.cache.stream(namespace, sale.spec.stream.name)
    if sale.spec.channel is None:
        return None
    for stream in context.cache.streams(namespace):
        if stream.spec.channel.name == sale.spec.channel.name and stream.status.phase != StreamPhase.ENDED:
            return stream
    return None
