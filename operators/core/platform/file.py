"""The whole platform file and its validation."""

from enum import StrEnum
from typing import Self

from pydantic import Field, ValidationError, model_validator

from operators.api.base import seconds
from operators.core.platform.capacity import ServiceCapacity, SharedService
from operators.core.platform.cdn import CdnProvider
from operators.core.platform.ladder import Ladder, Rung
from operators.core.platform.model import ModelApp
from operators.core.platform.part import Part, Size
from operators.core.platform.pool import Pool


class Images(Part):
    """Container images of the data plane."""

    workloads: str = "haat/workloads:dev"
    models: str = "haat/ml-serving:dev"
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()


class Sizes(Part):
    """Default sizes by component."""

    transcoder: Size = Size(cpu="500m", memory="256Mi", memory_limit="1Gi")
    fanout: Size = Size()
    playout: Size = Size(cpu="250m", memory="128Mi", memory_limit="1Gi")
    models: Size = Size(cpu="250m", memory="768Mi", memory_limit="3Gi")


def _default_ladder() -> dict[str, Ladder]:
    return {
        "default": Ladder(
            rungs=(
                Rung(name="720p", width=1280, height=720, video_kbps=2800),
                Rung(name="480p", width=854, height=480, video_kbps=1400),
                Rung(name="360p", width=640, height=360, video_kbps=800),
            )
        )
    }


class Autoscaling(Part):
    """What KEDA asks when it scales a room."""

    prometheus_url: str = ""


class NetworkPolicies(Part):
    """Whether streams and channels get NetworkPolicies, and what they must let through."""

    enabled: bool = True
    gateway_namespaces: tuple[str, ...] = ("haat-system", "ingress-nginx", "kube-system")


class RolloutPolicy(StrEnum):
    """When a new pod template reaches a stream that has started: when it has ended, or at once."""

    WHEN_IDLE = "WhenIdle"
    IMMEDIATE = "Immediate"


class Platform(Part):
    """The whole file."""

    redis_url: str = "redis://127.0.0.1:6379/0"
    auth_jwks: str = ""
    namespace: str = "haat-system"
    public_url: str = "http://127.0.0.1:8080"
    rtmp_url: str = "rtmp://127.0.0.1:1935/live"
    rtmp_internal_url: str = ""
    srt_url: str = ""
    whip_url: str = ""
    ingress_class: str = "haat"
    priority_class: str = ""
    rollout_policy: RolloutPolicy = RolloutPolicy.WHEN_IDLE
    balloon_priority_class: str = "haat-balloon"
    images: Images = Images()
    sizes: Sizes = Sizes()
    ladders: dict[str, Ladder] = Field(default_factory=_default_ladder)
    pools: dict[str, Pool] = Field(default_factory=lambda: {"default": Pool()})
    models: dict[str, ModelApp] = Field(default_factory=dict)
    capacity: dict[SharedService, ServiceCapacity] = Field(default_factory=dict)
    cdn_providers: dict[str, CdnProvider] = Field(default_factory=dict)
    autoscaling: Autoscaling = Autoscaling()
    network_policies: NetworkPolicies = NetworkPolicies()
    interrupt_after_seconds: float = Field(5.0, ge=1, le=300)

    @model_validator(mode="after")
    def _has_defaults(self) -> Self:
        if "default" not in self.ladders:
            raise ValueError("ladders: one named `default` is needed")
        for name, pool in self.pools.items():
            for window in pool.schedule:
                if seconds(window.duration) <= 0:
                    raise ValueError(f"pools.{name}.schedule: a window needs a duration above 0s")
        return self


class PlatformError(ValueError):
    """The file is wrong; the text names each field and the reason."""


def parse(document: object) -> Platform:
    """The configuration of a parsed YAML document; PlatformError lists what is wrong with it."""
    try:
        return Platform.model_validate(document or {})
    except ValidationError as error:
        problems = [f"{'.'.join(str(part) for part in item['loc']) or '.'}: {item['msg']}" for item in error.errors()]
        raise PlatformError("; ".join(problems)) from error
