"""LiveStream: one broadcast session, from the first pod to the last viewer."""

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
    map_list,
    ready_columns,
    rules,
    set_list,
)
from operators.api.common import Encoding, ModelUse


class DesiredState(StrEnum):
    """Auto follows the publisher and the schedule; Ended is final."""

    AUTO = "Auto"
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
    interrupt_grace: Duration = Field("60s", description="How long an interrupted stream is expected back.")


class Placement(StrEnum):
    """Where the transcoder runs: Dedicated gives the stream a pod of its own."""

    DEDICATED = "Dedicated"


class Resources(Model):
    """Requests and limits of a component."""

    cpu: str = Field("", max_length=16, pattern=r"^([0-9]+m?|[0-9]+\.[0-9]+)?$")
    memory: str = Field("", max_length=16, pattern=r"^([0-9]+(Ki|Mi|Gi)?)?$")


class Transcode(Model):
    """How the stream is transcoded."""

    placement: Placement = Placement.DEDICATED
    resources: Resources = Field(default_factory=Resources)


class Fanout(Model):
    """The WebSocket pods of the room."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            ("self.minReplicas <= self.maxReplicas", "minReplicas must not exceed maxReplicas"),
        )
    }

    min_replicas: int = Field(1, ge=1, le=1000)
    max_replicas: int = Field(10, ge=1, le=1000)
    connections_per_replica: int = Field(5000, ge=1, le=100_000)
    target_utilization_percent: int = Field(70, ge=10, le=100)
    drain: Duration = "120s"


class AutoscalingProvider(StrEnum):
    """Who changes the number of fan-out pods: Native is the operator itself."""

    AUTO = "Auto"
    NATIVE = "Native"
    NONE = "None"


class Autoscaling(Model):
    """Scaling of the fan-out."""

    provider: AutoscalingProvider = AutoscalingProvider.AUTO
    expected_viewers: int = Field(0, ge=0, le=10_000_000, description="Capacity to hold ready before anybody comes.")


class LiveStreamSpec(Model):
    """Desired state of a LiveStream."""

    channel: Ref = Field(json_schema_extra=rules(("self.name == oldSelf.name", "channel is immutable")))
    title: str = Field(min_length=1, max_length=200)
    description: str = Field("", max_length=2000)
    language: str = Field("en", min_length=2, max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
    desired_state: DesiredState = Field(
        DesiredState.AUTO,
        json_schema_extra=rules(("oldSelf != 'Ended' || self == 'Ended'", "an ended stream stays ended")),
    )
    paused: bool = Field(False, description="Leave the children as they are.")
    schedule: Schedule = Field(default_factory=Schedule)
    encoding: Encoding = Field(default_factory=Encoding)
    transcode: Transcode = Field(default_factory=Transcode)
    fanout: Fanout = Field(default_factory=Fanout)
    autoscaling: Autoscaling = Field(default_factory=Autoscaling)
    catalog_ref: Ref | None = Field(None, description="ConfigMap whose key catalog.json lists the products on sale.")
    models: Annotated[tuple[ModelUse, ...], map_list("role", 8)] = ()
    ttl_seconds_after_ended: int = Field(86400, ge=0, le=31_536_000)


class StreamPhase(StrEnum):
    """Derived from the conditions, for people."""

    PENDING = "Pending"
    SCHEDULED = "Scheduled"
    PROVISIONING = "Provisioning"
    STANDBY = "Standby"
    LIVE = "Live"
    INTERRUPTED = "Interrupted"
    DRAINING = "Draining"
    ENDED = "Ended"
    FAILED = "Failed"


class Urls(Model):
    """Where to publish, watch and chat."""

    ingest: str = ""
    hls: str = ""
    chat: str = ""


class IngestStatus(Model):
    """What arrives from the publisher."""

    protocol: str = ""
    bitrate_kbps: int = Field(0, ge=0)
    since: DateTime | None = None


class RungStatus(Model):
    """One rendition that viewers can choose."""

    name: str
    width: int = Field(0, ge=0)
    height: int = Field(0, ge=0)


class TranscodeStatus(Model):
    """The transcoder and its renditions."""

    worker: str = ""
    rungs: Annotated[tuple[RungStatus, ...], map_list("name", 16)] = ()


class FanoutStatus(Model):
    """The WebSocket pods."""

    replicas: int = Field(0, ge=0)
    ready_replicas: int = Field(0, ge=0)
    connections: int = Field(0, ge=0)
    floor: int = Field(0, ge=0, description="Replicas held for live or coming sales.")


class Children(Model):
    """How many child objects exist as planned."""

    desired: int = Field(0, ge=0)
    ready: int = Field(0, ge=0)


class LiveStreamStatus(Model):
    """Observed state of a LiveStream."""

    observed_generation: int = 0
    conditions: Annotated[tuple[Condition, ...], map_list("type", 16)] = ()
    phase: StreamPhase | None = None
    reason: str = ""
    urls: Urls | None = None
    key_secret: str = ""
    ingest: IngestStatus | None = None
    transcode: TranscodeStatus | None = None
    fanout: FanoutStatus | None = None
    viewers: int = Field(0, ge=0)
    peak_viewers: int = Field(0, ge=0)
    started_at: DateTime | None = None
    ended_at: DateTime | None = None
    end_reason: str = ""
    interrupted_at: DateTime | None = None
    active_sales: Annotated[tuple[str, ...], set_list(64)] = ()
    children: Children | None = None


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
