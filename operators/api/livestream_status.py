"""What was observed of a LiveStream."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from operators.api.base import Condition, DateTime, Model, map_list, set_list


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
    dash: str = ""
    whep: str = ""
    chat: str = ""
    page: str = ""


class IngestStatus(Model):
    """What arrives from the publisher."""

    protocol: str = ""
    bitrate_kbps: int = Field(0, ge=0)
    since: DateTime | None = None
    last_frame_at: DateTime | None = None


class RungStatus(Model):
    """One rendition that viewers can choose."""

    name: str
    state: str = ""
    width: int = Field(0, ge=0)
    height: int = Field(0, ge=0)
    fps: int = Field(0, ge=0)
    kbps: int = Field(0, ge=0)


class TranscodeStatus(Model):
    """The transcoder and its renditions."""

    worker: str = ""
    pool: str = ""
    units: int = Field(0, ge=0, description="Capacity that is reserved on the worker.")
    standby: str = Field("", description="The second transcoder of a redundant stream.")
    rungs: Annotated[tuple[RungStatus, ...], map_list("name", 16)] = ()


class FanoutStatus(Model):
    """The WebSocket pods."""

    replicas: int = Field(0, ge=0)
    ready_replicas: int = Field(0, ge=0)
    connections: int = Field(0, ge=0)
    selector: str = Field("", description="Label selector of the pods, as the scale subresource wants it.")
    provider: str = Field("", description="Who scales: KEDA, HPA, Native or None.")
    floor: int = Field(0, ge=0, description="Replicas held for live or coming sales.")


class LatencyStatus(Model):
    """Glass to glass as players measured it, in coarse steps."""

    p50: int = Field(0, ge=0)
    p95: int = Field(0, ge=0)


class RecordingStatus(Model):
    """What was kept of the broadcast."""

    uri: str = ""
    duration_seconds: int = Field(0, ge=0)


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
    latency_ms: LatencyStatus | None = None
    recording: RecordingStatus | None = None
    active_sales: Annotated[tuple[str, ...], set_list(64)] = ()
    children: Children | None = None
