"""LiveStream: one broadcast session, from the first pod to the last viewer."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from operators.api.base import (
    READY_COLUMN,
    Column,
    DateTime,
    Duration,
    Model,
    Ref,
    Resource,
    map_list,
    ready_columns,
    rules,
    set_list,
)
from operators.api.common import (
    Encoding,
    Language,
    PodTemplate,
    Recording,
    Resources,
    StreamModelUse,
)
from operators.api.livestream_status import LiveStreamStatus


class DesiredState(StrEnum):
    """Auto follows the publisher and the schedule, Live does not wait for `startAt`; Ended is final."""

    AUTO = "Auto"
    LIVE = "Live"
    ENDED = "Ended"


class Schedule(Model):
    """When the stream may be live. Durations count from the moments that their names say."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            (
                "!has(self.startAt) || !has(self.endAt) || timestamp(self.endAt) > timestamp(self.startAt)",
                "endAt must be after startAt",
            )
        )
    }

    start_at: DateTime | None = None
    end_at: DateTime | None = None
    prepare_before: Duration = "5m"
    max_duration: Duration = "12h"
    end_after_idle: Duration = Field("10m", description="End after this long without media, once it was live.")
    interrupt_grace: Duration = Field("60s", description="How long it is on air without media; then it stands by.")


class Placement(StrEnum):
    """Where the transcoder runs: on a warm worker of a pool, or in a pod of the stream's own."""

    POOLED = "Pooled"
    DEDICATED = "Dedicated"


class Hardware(StrEnum):
    """What encodes the video."""

    AUTO = "Auto"
    CPU = "CPU"
    NVENC = "NVENC"
    VAAPI = "VAAPI"


class Transcode(Model):
    """How the stream is transcoded."""

    placement: Placement = Field(
        Placement.POOLED,
        json_schema_extra=rules(("self == oldSelf", "transcode.placement is immutable: make a new LiveStream")),
    )
    pool_ref: Ref | None = Field(None, description="Transcoder pool of the platform configuration; default: `default`.")
    redundancy: int = Field(1, ge=1, le=2, description="2 keeps a second transcoder ready; Dedicated only.")
    hardware: Hardware = Hardware.AUTO
    resources: Resources = Field(default_factory=Resources)
    priority_class_name: str = Field("", max_length=63, pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$")


class Fanout(Model):
    """The WebSocket pods of the room."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            ("self.minReplicas <= self.maxReplicas", "minReplicas must not exceed maxReplicas"),
        )
    }

    min_replicas: int = Field(1, ge=0, le=1000, description="0: no pod until the first viewer knocks at the edge.")
    max_replicas: int = Field(10, ge=1, le=1000)
    connections_per_replica: int = Field(5000, ge=1, le=100_000)
    target_utilization_percent: int = Field(70, ge=10, le=100)
    drain: Duration = "120s"
    scale_to_zero_after: Duration | None = Field(None, description="Keep no pod after this long without sockets.")


class Delivery(Model):
    """Edge pods of the stream's own: not offered, a stream that asks for them is not accepted."""

    min_replicas: int = Field(0, ge=0, le=100)
    max_replicas: int = Field(0, ge=0, le=100)


class StreamDelivery(Model):
    """Who delivers the media."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            ("self.edge.minReplicas <= self.edge.maxReplicas", "edge.minReplicas must not exceed edge.maxReplicas"),
        )
    }

    edge: Delivery = Field(default_factory=Delivery)


class AutoscalingProvider(StrEnum):
    """Who changes the number of fan-out pods: Native is the operator itself; Auto takes KEDA, then HPA, then Native."""

    AUTO = "Auto"
    KEDA = "KEDA"
    HPA = "HPA"
    NATIVE = "Native"
    NONE = "None"


class ScalingProfile(StrEnum):
    """How a crowd comes: Spiky keeps twice the measured need and gives it back later."""

    STEADY = "Steady"
    SPIKY = "Spiky"


class CoHostRole(StrEnum):
    """What a guest may do."""

    GUEST = "Guest"
    HOST = "Host"


class CoHostProtocol(StrEnum):
    """How a guest publishes."""

    WHIP = "WHIP"
    RTMP = "RTMP"
    SRT = "SRT"


class Autoscaling(Model):
    """Scaling of the fan-out."""

    provider: AutoscalingProvider = AutoscalingProvider.AUTO
    expected_viewers: int = Field(0, ge=0, le=10_000_000, description="Capacity to hold ready before anybody comes.")
    profile: ScalingProfile = ScalingProfile.STEADY


class CoHost(Model):
    """A guest on stage."""

    user_id: str = Field(min_length=1, max_length=128)
    role: CoHostRole = CoHostRole.GUEST
    ingest_protocol: CoHostProtocol = CoHostProtocol.WHIP


class Pull(Model):
    """A source that the platform reads, instead of waiting for a publisher."""

    uri: str = Field(
        min_length=8,
        max_length=2048,
        pattern=r"^(https?|rtmps?|srt|file)://[^\s]+$",
        description="H.264 with AAC; private addresses and files only where the platform allows them.",
    )


class LiveStreamSpec(Model):
    """Desired state of a LiveStream."""

    channel: Ref = Field(json_schema_extra=rules(("self.name == oldSelf.name", "channel is immutable")))
    title: str = Field(min_length=1, max_length=200)
    description: str = Field("", max_length=2000)
    language: Language = "en"
    tags: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=40)], ...], set_list(20)] = ()
    thumbnail_uri: str = Field("", max_length=2048, pattern=r"^(https?://[^\s]+)?$")
    desired_state: DesiredState = Field(
        DesiredState.AUTO,
        json_schema_extra=rules(("oldSelf != 'Ended' || self == 'Ended'", "an ended stream stays ended")),
    )
    paused: bool = Field(False, description="Leave the children as they are.")
    schedule: Schedule = Field(default_factory=Schedule)
    encoding: Encoding = Field(default_factory=Encoding)
    transcode: Transcode = Field(default_factory=Transcode)
    pull: Pull | None = Field(None, description="Where the media comes from, when nobody publishes.")
    fanout: Fanout = Field(default_factory=Fanout)
    delivery: StreamDelivery = Field(default_factory=StreamDelivery)
    autoscaling: Autoscaling = Field(default_factory=Autoscaling)
    co_hosts: Annotated[tuple[CoHost, ...], map_list("userId", 8)] = ()
    catalog_ref: Ref | None = Field(None, description="ConfigMap whose key catalog.json lists the products on sale.")
    moderation_policy_ref: Ref | None = None
    models: Annotated[tuple[StreamModelUse, ...], map_list("role", 8)] = ()
    recording: Recording | None = Field(None, description="Overrides the channel's.")
    template: PodTemplate = Field(default_factory=PodTemplate)
    ttl_seconds_after_ended: int = Field(86400, ge=0, le=31_536_000)


class LiveStream(Resource):
    """One broadcast session of a channel."""

    kind_name = "LiveStream"
    plural = "livestreams"
    short_names = ("lstream",)
    description = "One broadcast session of a Channel: transcoder, room, routes and models of a live shop."
    columns = (
        Column(name="Channel", path=".spec.channel.name"),
        Column(name="Phase", path=".status.phase"),
        READY_COLUMN,
        Column(name="Viewers", type="integer", path=".status.viewers"),
        Column(name="Fanout", type="integer", path=".status.fanout.readyReplicas"),
        Column(name="Worker", path=".status.transcode.worker", priority=1),
        Column(name="URL", path=".status.urls.hls", priority=1),
        *ready_columns(),
    )

    spec: LiveStreamSpec
    status: LiveStreamStatus = Field(default_factory=LiveStreamStatus)
