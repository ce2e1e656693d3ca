"""The capacity floor of a sale: read by the LiveStream's own reconcile, so that one writer scales the fan-out."""

from operators.api import FlashSale
from operators.api.base import seconds
from operators.api.flashsale import SalePhase, SaleState
from operators.core.scaling import floor_for
from operators.core.times import epoch, epoch_or_none

_OVER = (SalePhase.COMPLETED, SalePhase.CANCELLED, SalePhase.FAILED)


def window(sale: FlashSale) -> tuple[float, float]:
    """From when until when (Unix seconds) the sale holds capacity."""
    capacity = sale.spec.capacity
    ends = epoch_or_none(sale.status.ended_at) or epoch(sale.spec.ends_at)
    return (
        epoch(sale.spec.starts_at) - seconds(capacity.prewarm.lead_time),
        ends + seconds(capacity.cooldown.after),
    )


def floor_of(sale: FlashSale, per_replica: int, now: float) -> int:
    """Fan-out replicas that the sale holds now; 0 outside its window."""
    begins, ends = window(sale)
    inactive = sale.spec.state == SaleState.CANCELLED or sale.status.phase in _OVER or sale.deleting
    if inactive or not begins <= now < ends:
        return 0
    capacity = sale.spec.capacity
    return floor_for(capacity.expected_viewers, capacity.headroom_percent, per_replica)
