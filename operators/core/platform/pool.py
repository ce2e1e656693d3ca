"""TranscoderPool: warm workers and how many of them stand idle."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from operators.api.base import Duration
from operators.core.platform.part import Part, Size


class EvictionSafe(StrEnum):
    """When a worker with streams may be evicted: never, for upgrades only, or always."""

    NEVER = "Never"
    ON_UPGRADE = "OnUpgrade"
    ALWAYS = "Always"


class PoolUpdate(StrEnum):
    """How workers are replaced: idle ones at once and busy ones when they are idle, or drained one by one."""

    ROLLING_WHEN_IDLE = "RollingWhenIdle"
    DRAIN = "Drain"


class WorkerTemplate(Part):
    """What a worker is made of; an empty image takes the platform's."""

    image: str = ""
    resources: Size = Size(cpu="500m", memory="256Mi", memory_limit="2Gi")
    hardware: str = Field("CPU", pattern=r"^(CPU|NVENC|VAAPI)$")
    node_selector: dict[str, str] = Field(default_factory=dict)


class Buffer(Part):
    """Idle workers that are kept: a number, or a percentage of the busy ones, between bounds of the whole pool."""

    size: Annotated[str | int, Field(union_mode="left_to_right")] = 1
    min: int = Field(1, ge=0, le=10_000)
    max: int = Field(10, ge=1, le=10_000)

    @model_validator(mode="after")
    def _readable(self) -> Self:
        text = str(self.size)
        if not text.removesuffix("%").isdigit():
            raise ValueError(f"size: {text!r} is neither a number nor a percentage such as 20%")
        if self.min > self.max:
            raise ValueError("min must not exceed max")
        return self

    def wanted(self, busy: int) -> int:
        """Idle workers to keep beside `busy` ones."""
        text = str(self.size)
        return -(-busy * int(text[:-1]) // 100) if text.endswith("%") else int(text)


class PoolWindow(Part):
    """A buffer for certain hours; the first window that matches wins."""

    cron: str = Field(pattern=r"^\S+\s+\S+\s+\S+\s+\S+\s+\S+$")
    duration: Duration
    timezone: str = "UTC"
    buffer: Buffer


class Pool(Part):
    """TranscoderPool: warm workers that take several streams each, counted in rung units."""

    template: WorkerTemplate = WorkerTemplate()
    capacity_per_worker: int = Field(8, ge=1, le=10_000)
    buffer: Buffer = Buffer()
    schedule: tuple[PoolWindow, ...] = ()
    update: PoolUpdate = PoolUpdate.ROLLING_WHEN_IDLE
    eviction_safe: EvictionSafe = EvictionSafe.NEVER
