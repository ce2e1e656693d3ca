"""The terms of a FlashSale: reservation, waiting room, who may buy, fraud and prices."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from operators.api.base import Duration, Model, Ref, rules, set_list


class Reservation(Model):
    """How long a reserved unit waits for its payment."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(("!self.oversell", "overselling is not supported: the ledger forbids it"))
    }

    hold: Duration = "120s"
    oversell: bool = False


class AdmissionMode(StrEnum):
    """Who may buy at the opening: everybody at once, a queue in order of arrival, or a drawn order."""

    OPEN = "Open"
    QUEUE = "Queue"
    LOTTERY = "Lottery"


class Admission(Model):
    """The waiting room."""

    mode: AdmissionMode = AdmissionMode.OPEN
    rate_per_second: int = Field(0, ge=0, le=1_000_000, description="0: as fast as the ledger commits.")
    queue_capacity: int = Field(0, ge=0, le=100_000_000, description="0: no limit.")
    token_ttl: Duration = Field("120s", alias="tokenTTL")


class Eligibility(Model):
    """Who may take part."""

    segments: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=63)], ...], set_list(32)] = ()
    countries: Annotated[tuple[Annotated[str, Field(pattern=r"^[A-Z]{2}$", max_length=2)], ...], set_list(250)] = ()
    min_account_age: Duration = "0s"


class FraudMode(StrEnum):
    """Off asks nobody, Monitor only notes the score, Enforce acts on it."""

    OFF = "Off"
    MONITOR = "Monitor"
    ENFORCE = "Enforce"


class OnTimeout(StrEnum):
    """What happens to a buyer when the model does not answer in time."""

    ALLOW = "Allow"
    DENY = "Deny"
    REVIEW = "Review"


class Fraud(Model):
    """Scoring of buyers."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            ("self.mode == 'Off' || has(self.modelRef)", "fraud.mode Monitor and Enforce need fraud.modelRef"),
        )
    }

    model_ref: Ref | None = None
    mode: FraudMode = FraudMode.OFF
    timeout_millis: int = Field(800, ge=50, le=1000)
    on_timeout: OnTimeout = OnTimeout.ALLOW


class Pricing(Model):
    """Prices that a model moves within bounds, as percent of the item's price."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            ("self.floorPercent <= self.ceilingPercent", "pricing.floorPercent must not exceed ceilingPercent"),
        )
    }

    model_ref: Ref | None = None
    floor_percent: int = Field(100, ge=1, le=100)
    ceiling_percent: int = Field(100, ge=1, le=1000)
    min_interval: Duration = "60s"
