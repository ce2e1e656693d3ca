"""ModelDeployment: the models that a stream or channel may name."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from operators.api.common import ModelRole
from operators.core.platform.part import Part


class Runtime(StrEnum):
    """What serves a model: Ray Serve, or somebody else at a URL."""

    RAY_SERVE = "RayServe"
    EXTERNAL = "External"


class Artifact(Part):
    """Where the weights lie and what they must hash to."""

    uri: str = ""
    sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")


class ModelFallback(Part):
    """What callers do without the model."""

    policy: str = Field("Popularity", pattern=r"^(Popularity|Skip|Allow|Deny)$")


class Canary(Part):
    """Share of requests, in percent, that a new version gets."""

    weight: int = Field(0, ge=0, le=100)


class Slo(Part):
    """What callers may expect."""

    p95_millis: int = Field(100, ge=1, le=60_000)


class ModelApp(Part):
    """ModelDeployment: a model that a stream or channel may name."""

    role: ModelRole
    runtime: Runtime = Runtime.RAY_SERVE
    image: str = ""
    import_path: str = ""
    route_prefix: str = ""
    url: str = ""
    artifact: Artifact = Artifact()
    args: dict[str, str | int | float | bool] = Field(default_factory=dict)
    min_replicas: int = Field(1, ge=0, le=1000)
    max_replicas: int = Field(1, ge=1, le=1000)
    target_ongoing_requests: int = Field(4, ge=1, le=10_000)
    num_cpus: float = Field(0.2, ge=0, le=256)
    canary: Canary = Canary()
    slo: Slo = Slo()
    fallback: ModelFallback = ModelFallback()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.runtime == Runtime.EXTERNAL and not self.url:
            raise ValueError("url is needed with runtime External")
        if self.runtime != Runtime.EXTERNAL and not (self.import_path and self.route_prefix):
            raise ValueError("importPath and routePrefix are needed with this runtime")
        if self.min_replicas > self.max_replicas:
            raise ValueError("minReplicas must not exceed maxReplicas")
        return self
