"""ServiceCapacity: what a replica of a shared service carries, and how many of them there may be."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from operators.core.platform.part import Part


class SharedService(StrEnum):
    """A service of the platform's namespace that the sales of all shops go through; its name is its Deployment's."""

    COMMERCE = "commerce"
    EDGE = "edge"
    IDENTITY = "identity"


class ServiceCapacity(Part):
    """Bounds of a shared service. `min` is what stands without a sale; the operators own the number of its replicas, or
    the `minReplicas` of the HorizontalPodAutoscaler that `autoscaler` names."""

    rps_per_replica: int = Field(ge=1, le=1_000_000, description="Taps a second of sales that one replica carries.")
    min: int = Field(1, ge=1, le=1000)
    max: int = Field(10, ge=1, le=1000)
    autoscaler: str = Field("", max_length=63, pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError("min must not exceed max")
        return self
