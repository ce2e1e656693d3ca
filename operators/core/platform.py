"""The platform configuration: what the operators need to know beyond the custom resources.

The chart writes it as one YAML file (ConfigMap `haat-platform`); names follow the further kinds that may grow from it.
"""

from pydantic import Field

from operators.api.base import Model


class Rung(Model):
    """One rendition of a ladder; `height` is the short side of the picture."""

    name: str
    height: int = Field(ge=120, le=4320)
    width: int = Field(ge=120, le=7680)
    fps: int = Field(30, ge=1, le=120)
    video_kbps: int = Field(ge=50, le=60_000)


class Ladder(Model):
    """The renditions of a stream and how they are cut."""

    rungs: tuple[Rung, ...] = Field(min_length=1)
    audio_kbps: int = 128
    gop_seconds: float = 2.0
    segment_seconds: float = 2.0
    part_seconds: float = 0.2


class ModelApp(Model):
    """A Ray Serve application that a stream may name."""

    role: str
    import_path: str
    route_prefix: str
    min_replicas: int = 1
    max_replicas: int = 1
    num_cpus: float = 0.2


class Images(Model):
    """Container images of the data plane."""

    workloads: str = "haat/workloads:dev"
    models: str = "haat/ml-serving:dev"
    pull_policy: str = "IfNotPresent"


class Size(Model):
    """Requests and limits of a component."""

    cpu: str = "100m"
    memory: str = "128Mi"
    memory_limit: str = "512Mi"


class Sizes(Model):
    """Default sizes by component."""

    transcoder: Size = Size(cpu="500m", memory="256Mi", memory_limit="1Gi")
    fanout: Size = Size()
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


class Platform(Model):
    """The whole file."""

    redis_url: str = "redis://127.0.0.1:6379/0"
    auth_jwks: str = ""
    public_url: str = "http://127.0.0.1:8080"
    rtmp_url: str = "rtmp://127.0.0.1:1935/live"
    rtmp_internal_url: str = ""
    ingress_class: str = "haat"
    images: Images = Images()
    sizes: Sizes = Sizes()
    ladders: dict[str, Ladder] = Field(default_factory=_default_ladder)
    models: dict[str, ModelApp] = Field(default_factory=dict)
    interrupt_after_seconds: float = 5.0
