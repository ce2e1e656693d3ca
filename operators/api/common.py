"""Pieces of spec that Channel and LiveStream share."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from operators.api.base import CpuQuantity, Duration, MemoryQuantity, Model, Ref, map_list, set_list


class LatencyMode(StrEnum):
    """How far behind the camera a viewer may be; decides part and segment length."""

    ULTRA_LOW = "UltraLow"
    LOW = "Low"
    STANDARD = "Standard"


class Latency(Model):
    """The wanted latency of playback."""

    mode: LatencyMode = LatencyMode.LOW
    target_seconds: int = Field(3, ge=1, le=30, description="Glass to glass; above it, WithinSLO is False.")


class Codec(StrEnum):
    """A video codec of the renditions."""

    H264 = "H264"
    H265 = "H265"
    AV1 = "AV1"


class Encoding(Model):
    """How a stream is encoded; rungs higher than `maxHeight` are left out."""

    ladder_ref: Ref | None = Field(None, description="Ladder of the platform configuration; default: `default`.")
    latency: Latency | None = None
    codecs: Annotated[tuple[Codec, ...], set_list(3)] = ()
    max_height: int | None = Field(None, json_schema_extra={"enum": [360, 480, 720, 1080, 1440, 2160]})


class Chat(Model):
    """Rules of the room's chat."""

    enabled: bool = True
    slow_mode: Duration = Field("0s", description="Pause between two messages of one viewer.")
    max_length: int = Field(300, ge=1, le=2000)
    moderation_policy_ref: Ref | None = Field(None, description="Moderation policy of the platform configuration.")


Language = Annotated[str, Field(min_length=2, max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]


class Translation(Model):
    """Languages that a viewer may read the chat in (BCP 47)."""

    languages: Annotated[tuple[Language, ...], set_list(20)] = ()


class Interactions(Model):
    """What viewers may do in the room."""

    chat: Chat = Field(default_factory=Chat)
    reactions: bool = True
    polls: bool = True
    gifts: bool = True
    co_hosts: int = Field(0, ge=0, le=8, description="How many guests may join the host on stage.")
    translation: Translation = Field(default_factory=Translation)


class ModelRole(StrEnum):
    """What a model does for a stream."""

    RECOMMENDATION = "Recommendation"
    SENTIMENT = "Sentiment"
    MODERATION = "Moderation"
    HIGHLIGHT = "Highlight"
    TRANSLATION = "Translation"


class ModelUse(Model):
    """A model that serves this stream."""

    role: ModelRole
    model_ref: Ref


class Isolation(StrEnum):
    """Shared: one RayService of the namespace. Dedicated: the stream's own."""

    SHARED = "Shared"
    DEDICATED = "Dedicated"


class StreamModelUse(ModelUse):
    """A model of one stream, shared with its namespace or its own."""

    isolation: Isolation = Isolation.SHARED


class Recording(Model):
    """What is kept of a broadcast."""

    enabled: bool = False
    storage_ref: Ref | None = Field(None, description="Object store of the platform configuration.")
    retention: Duration = "720h"
    dvr_window: Duration = Field("5m", description="How far viewers may rewind while it is live.")
    highlights: bool = False


class Resources(Model):
    """Requests and limits of a component; empty members keep the platform's default."""

    cpu: CpuQuantity = ""
    memory: MemoryQuantity = ""


class ComponentResources(Model):
    """Resources of one component of a stream."""

    name: Annotated[str, Field(json_schema_extra={"enum": ["transcoder", "fanout", "playout"]})]
    resources: Resources = Field(default_factory=Resources)


class Toleration(Model):
    """A taint that the pods tolerate, as in core/v1."""

    key: str = Field("", max_length=316)
    operator: Annotated[str, Field(json_schema_extra={"enum": ["Exists", "Equal"]})] = "Equal"
    value: str = Field("", max_length=63)
    effect: Annotated[str, Field(json_schema_extra={"enum": ["", "NoSchedule", "PreferNoSchedule", "NoExecute"]})] = ""


class SpreadConstraint(Model):
    """How the pods of a component spread over a topology; the selector is the component's own."""

    topology_key: str = Field(min_length=1, max_length=316)
    max_skew: int = Field(1, ge=1, le=100)
    when_unsatisfiable: Annotated[str, Field(json_schema_extra={"enum": ["ScheduleAnyway", "DoNotSchedule"]})] = (
        "ScheduleAnyway"
    )


LabelMap = Annotated[dict[str, Annotated[str, Field(max_length=253)]], Field(max_length=32)]


class PodTemplate(Model):
    """What a tenant may say about the pods: a short list, not a PodSpec, so that the kind stays small and safe."""

    pod_labels: LabelMap = Field(default_factory=dict)
    pod_annotations: LabelMap = Field(default_factory=dict)
    node_selector: LabelMap = Field(default_factory=dict)
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=16)] = ()
    topology_spread_constraints: Annotated[tuple[SpreadConstraint, ...], map_list("topologyKey", 4)] = ()
    image_pull_secrets: Annotated[tuple[Ref, ...], map_list("name", 4)] = ()
    components: Annotated[tuple[ComponentResources, ...], map_list("name", 3)] = ()
