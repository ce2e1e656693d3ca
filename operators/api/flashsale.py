"""FlashSale: a limited stock at a special price, opened and closed by the sale service's own clock."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from operators.api.base import (
    READY_COLUMN,
    Column,
    Condition,
    DateTime,
    Duration,
    Model,
    Ref,
    Resource,
    TimeZone,
    map_list,
    ready_columns,
    rules,
    set_list,
)
from operators.api.sale_terms import Admission, Eligibility, Fraud, Pricing, Reservation


class SaleState(StrEnum):
    """What the owner wants; Cancelled is final."""

    SCHEDULED = "Scheduled"
    PAUSED = "Paused"
    CANCELLED = "Cancelled"


class Price(Model):
    """Money: integer minor units and an ISO 4217 code."""

    amount: int = Field(ge=0, json_schema_extra={"format": "int64"})
    currency: str = Field(min_length=3, max_length=3, pattern=r"^[A-Z]{3}$")


class SaleItem(Model):
    """One article of the sale."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            ("!has(self.listPrice) || self.listPrice.amount >= self.price.amount", "price must not exceed listPrice"),
        )
    }

    sku: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    title: str = Field(min_length=1, max_length=200)
    price: Price
    list_price: Price | None = None
    stock: int = Field(ge=0, le=10_000_000)
    per_user_limit: int = Field(1, ge=1, le=1000)
    max_per_order: int = Field(0, ge=0, le=1000, description="Most units in one order; 0: perUserLimit.")


class Prewarm(Model):
    """How early capacity must stand."""

    lead_time: Duration = "15m"
    min_ready_percent: int = Field(100, ge=1, le=100)
    nodes: bool = Field(False, description="Hold nodes with pods of low priority that give way to the real ones.")
    image_pre_pull: bool = Field(False, description="Pull the images to every node beforehand.")


class Cooldown(Model):
    """How capacity is given back afterwards: `stepPercent` of it every `interval`."""

    after: Duration = "10m"
    step_percent: int = Field(25, ge=1, le=100)
    interval: Duration = "2m"


class Capacity(Model):
    """The crowd that the sale expects."""

    expected_peak_rps: int = Field(
        0,
        ge=0,
        le=10_000_000,
        description="Taps a second at the opening; commerce, edge and identity are scaled for it.",
    )
    expected_viewers: int = Field(0, ge=0, le=10_000_000)
    headroom_percent: int = Field(30, ge=0, le=500)
    prewarm: Prewarm = Field(default_factory=Prewarm)
    cooldown: Cooldown = Field(default_factory=Cooldown)


class Countdown(Model):
    """When viewers hear of the sale before it opens."""

    announce_before: Annotated[tuple[Duration, ...], set_list(10)] = ("10m", "1m", "10s")


class Settlement(Model):
    """How long after the end open payments may still finish, and where the report goes."""

    grace: Duration = "15m"
    export_ref: Ref | None = Field(None, description="Object store of the platform configuration for the report.")


class FlashSaleSpec(Model):
    """Desired state of a FlashSale."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            ("timestamp(self.endsAt) > timestamp(self.startsAt)", "endsAt must be after startsAt"),
            (
                "timestamp(self.endsAt) - timestamp(self.startsAt) <= duration('24h')",
                "a sale may last 24 hours at most",
            ),
            ("has(self.stream) != has(self.channel)", "give exactly one of stream and channel"),
            ("oldSelf.state != 'Cancelled' || self.state == 'Cancelled'", "a cancelled sale stays cancelled"),
        )
    }

    stream: Ref | None = None
    channel: Ref | None = None
    starts_at: DateTime
    ends_at: DateTime
    display_timezone: TimeZone = "UTC"
    state: SaleState = SaleState.SCHEDULED
    items: Annotated[tuple[SaleItem, ...], map_list("sku", 500, min_items=1, required=True)]
    admission: Admission = Field(default_factory=Admission)
    reservation: Reservation = Field(default_factory=Reservation)
    eligibility: Eligibility = Field(default_factory=Eligibility)
    fraud: Fraud = Field(default_factory=Fraud)
    pricing: Pricing = Field(default_factory=Pricing)
    capacity: Capacity = Field(default_factory=Capacity)
    countdown: Countdown = Field(default_factory=Countdown)
    settlement: Settlement = Field(default_factory=Settlement)
    ttl_seconds_after_finished: int = Field(604800, ge=0, le=31_536_000)


class SalePhase(StrEnum):
    """Derived from the conditions, for people."""

    PENDING = "Pending"
    SCHEDULED = "Scheduled"
    PREWARMING = "Prewarming"
    ARMED = "Armed"
    ACTIVE = "Active"
    SOLD_OUT = "SoldOut"
    PAUSED = "Paused"
    COOLDOWN = "Cooldown"
    COMPLETED = "Completed"
    CANCELLED = "Cancelled"
    FAILED = "Failed"


class StockStatus(Model):
    """Units, from the ledger."""

    total: int = Field(0, ge=0)
    reserved: int = Field(0, ge=0)
    sold: int = Field(0, ge=0)
    remaining: int = Field(0, ge=0)


class CapacityTarget(Model):
    """A component that the sale holds capacity of."""

    component: str
    desired: int = Field(0, ge=0)
    ready: int = Field(0, ge=0)


class CapacityStatus(Model):
    """What was asked for and what stands."""

    targets: Annotated[tuple[CapacityTarget, ...], map_list("component", 8)] = ()
    started_at: DateTime | None = Field(None, description="When pre-warming began.")
    ready_at: DateTime | None = None


class FlashSaleStatus(Model):
    """Observed state of a FlashSale."""

    observed_generation: int = 0
    conditions: Annotated[tuple[Condition, ...], map_list("type", 16)] = ()
    phase: SalePhase | None = None
    stock: StockStatus | None = None
    capacity: CapacityStatus | None = None
    started_at: DateTime | None = None
    ended_at: DateTime | None = None
    start_skew_millis: int | None = None
    message: str = ""


_NOT_OPENED = "!has(oldSelf.status) || !has(oldSelf.status.startedAt)"


def _each_kept(rule: str) -> str:
    """A rule over each article `o` of before and the same article `n` of now.

    Articles are found by the place of their SKU among all SKUs: comparing every pair would cost more than an API server
    lets a rule cost when a sale has 500 of them.
    """
    place = f"[skus.indexOf(o.sku)].all(k, k >= 0 && [self.spec.items[k]].all(n, {rule}))"
    return f"{_NOT_OPENED} || [self.spec.items.map(i, i.sku)].all(skus, oldSelf.spec.items.all(o, {place}))"


class FlashSale(Resource):
    """A limited stock at a special price."""

    kind_name = "FlashSale"
    plural = "flashsales"
    short_names = ("fsale",)
    description = "A limited stock at a special price in a live stream; the ledger can never sell more than the stock."
    columns = (
        Column(name="Phase", path=".status.phase"),
        Column(name="Starts", path=".spec.startsAt"),
        READY_COLUMN,
        Column(name="Sold", type="integer", path=".status.stock.sold"),
        Column(name="Left", type="integer", path=".status.stock.remaining"),
        Column(name="Ends", path=".spec.endsAt", priority=1),
        *ready_columns(),
    )
    root_rules = (
        (
            f"{_NOT_OPENED} || self.spec.startsAt == oldSelf.spec.startsAt",
            "startsAt is frozen once the sale has opened",
        ),
        (
            _each_kept("n.stock >= o.stock"),
            "once the sale has opened, items may be added and stock may grow, nothing else",
        ),
        (_each_kept("n.price == o.price"), "the price of an item is frozen once the sale has opened"),
    )

    spec: FlashSaleSpec
    status: FlashSaleStatus = Field(default_factory=FlashSaleStatus)
