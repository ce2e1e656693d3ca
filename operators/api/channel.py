"""Channel: the long-lived home of a creator's streams: keys, policy, and the defaults that its streams inherit."""

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
    ObjectName,
    Ref,
    Resource,
    map_list,
    ready_columns,
    rules,
    set_list,
)
from operators.api.common import Encoding, Interactions, ModelUse, Recording
from operators.api.playback import Delivery, Playback
from operators.api.programming import Programming


class Mode(StrEnum):
    """OnDemand goes on air with its LiveStreams; Linear is on air around the clock."""

    ON_DEMAND = "OnDemand"
    LINEAR = "Linear"


class Owner(Model):
    """Who answers for the channel."""

    creator_id: str = Field("", max_length=128)
    team: str = Field("", max_length=128)


class Protocol(StrEnum):
    """A way to publish."""

    RTMP = "RTMP"
    SRT = "SRT"
    WHIP = "WHIP"


class RotationPolicy(StrEnum):
    """When the stream key changes: never, when `haat.dev/rotate-key` changes, or every `interval`."""

    NEVER = "Never"
    ON_DEMAND = "OnDemand"
    INTERVAL = "Interval"


class KeyRotation(Model):
    """Change of the stream key: the old one and the next one both work for ten minutes."""

    policy: RotationPolicy = RotationPolicy.ON_DEMAND
    interval: Duration = "720h"


Cidr = Annotated[str, Field(min_length=3, max_length=43, pattern=r"^[0-9a-fA-F:.]+/[0-9]{1,3}$")]


class Ingest(Model):
    """How hosts of this channel publish."""

    protocols: Annotated[tuple[Protocol, ...], set_list(3)] = (Protocol.RTMP,)
    allowed_cidrs: Annotated[
        tuple[Cidr, ...],
        set_list(64, description="Networks that may publish; empty: all."),
        Field(alias="allowedCIDRs"),
    ] = ()
    redundant: bool = Field(False, description="Accept a second publisher that takes over when the first one stops.")
    key_rotation: KeyRotation = Field(default_factory=KeyRotation)
    key_secret_ref: Ref | None = Field(
        None, description="Secret with key `stream-key` that you keep yourself; none: Haat makes and rotates one."
    )


class Platform(StrEnum):
    """Where a stream is restreamed to."""

    RTMP = "RTMP"
    YOUTUBE = "YouTube"
    FACEBOOK = "Facebook"
    TIKTOK = "TikTok"
    TWITCH = "Twitch"


class Restream(Model):
    """A copy of the stream for another platform."""

    name: ObjectName
    platform: Platform = Platform.RTMP
    url_secret_ref: Ref = Field(description="Secret with key `url`: the publish URL with its key.")


class Quota(Model):
    """Limits of one channel; 0 means no limit where a limit may be left out."""

    max_concurrent_streams: int = Field(1, ge=1, le=100)
    max_viewers: int = Field(0, ge=0, le=100_000_000)
    max_bitrate_kbps: int = Field(0, ge=0, le=60_000)
    max_transcode_millicores: int = Field(0, ge=0, le=10_000_000)
    max_daily_duration: Duration = Field("0s", description="Time on air in one UTC day; 0s: no limit.")


class DeletionPolicy(StrEnum):
    """What deleting a channel does to its live streams: Retain waits for them to end, Delete ends them."""

    RETAIN = "Retain"
    DELETE = "Delete"


class ChannelSpec(Model):
    """Desired state of a Channel."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            ("has(self.programming) == (self.mode == 'Linear')", "give programming if and only if mode is Linear"),
        )
    }

    display_name: str = Field(min_length=1, max_length=120)
    slug: str = Field(
        min_length=3,
        max_length=40,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        json_schema_extra=rules(("self == oldSelf", "slug is immutable")),
    )
    owner: Owner = Field(default_factory=Owner)
    mode: Mode = Mode.ON_DEMAND
    ingest: Ingest = Field(default_factory=Ingest)
    encoding: Encoding = Field(default_factory=Encoding)
    playback: Playback = Field(default_factory=Playback)
    delivery: Delivery = Field(default_factory=Delivery)
    interactions: Interactions = Field(default_factory=Interactions)
    recording: Recording = Field(default_factory=Recording)
    restream: Annotated[tuple[Restream, ...], map_list("name", 10)] = ()
    models: Annotated[tuple[ModelUse, ...], map_list("role", 8)] = ()
    quota: Quota = Field(default_factory=Quota)
    programming: Programming | None = None
    suspended: bool = Field(False, description="Refuse to publish on this channel; running streams end.")
    deletion_policy: DeletionPolicy = DeletionPolicy.RETAIN


class ChannelPhase(StrEnum):
    """Derived from the conditions, for people."""

    OFFLINE = "Offline"
    STANDBY = "Standby"
    ON_AIR = "OnAir"
    DEGRADED = "Degraded"
    SUSPENDED = "Suspended"
    TERMINATING = "Terminating"


class ActiveStream(Model):
    """A LiveStream of the channel that has not ended."""

    name: str
    phase: str
    started_at: DateTime | None = None


class IngestUrl(Model):
    """Where to publish with one protocol (without the key)."""

    protocol: Protocol
    url: str = Field("", max_length=2048)


class ChannelIngestStatus(Model):
    """Where and with what to publish."""

    urls: Annotated[tuple[IngestUrl, ...], map_list("protocol", 3)] = ()
    key_secret: str = ""
    key_version: str = Field("", max_length=128, description="Version of keySecretRef's Secret that streams have.")
    next_key_secret: str = Field("", description="While a rotation overlaps: the Secret with the key that follows.")
    key_rotated_at: DateTime | None = None
    rotate_seen: str = Field("", max_length=253, description="The value of haat.dev/rotate-key that was acted on.")


class PlaybackStatus(Model):
    """Where the channel's present stream is watched."""

    page: str = ""
    hls: str = ""
    dash: str = ""
    whep: str = ""
    chat: str = ""


class Programme(Model):
    """One programme on the air or to come."""

    slot: str = ""
    source: str = ""
    started_at: DateTime | None = None
    ends_at: DateTime | None = None


class ProgrammingStatus(Model):
    """The programme of a Linear channel."""

    now: Programme | None = None
    next: Programme | None = None
    planned_until: DateTime | None = None


class CdnStatus(Model):
    """Health of one provider as the edge measured it."""

    provider: str
    healthy: bool | None = None
    effective_weight: int = Field(0, ge=0)
    checked_at: DateTime | None = None


class Usage(Model):
    """What the channel's streams use, against its quota."""

    streams: int = Field(0, ge=0)
    viewers: int = Field(0, ge=0)
    millicores: int = Field(0, ge=0)
    seconds_today: int = Field(0, ge=0)


class ChannelStatus(Model):
    """Observed state of a Channel."""

    observed_generation: int = 0
    conditions: Annotated[tuple[Condition, ...], map_list("type", 16)] = ()
    phase: ChannelPhase | None = None
    ingest: ChannelIngestStatus | None = None
    playback: PlaybackStatus | None = None
    active_streams: Annotated[tuple[ActiveStream, ...], map_list("name", 100)] = ()
    streams: int = Field(0, ge=0)
    programming: ProgrammingStatus | None = None
    cdns: Annotated[tuple[CdnStatus, ...], map_list("provider", 8)] = ()
    usage: Usage | None = None


class Channel(Resource):
    """A creator's channel."""

    kind_name = "Channel"
    plural = "channels"
    short_names = ("lch",)
    description = "A creator's channel: stream keys, room policy and defaults for its LiveStreams."
    columns = (
        Column(name="Slug", path=".spec.slug"),
        Column(name="Mode", path=".spec.mode"),
        Column(name="Phase", path=".status.phase"),
        READY_COLUMN,
        Column(name="Streams", type="integer", path=".status.streams"),
        Column(name="OnAir", path=".status.programming.now.slot", priority=1),
        Column(name="URL", path=".status.playback.page", priority=1),
        *ready_columns(),
    )

    spec: ChannelSpec
    status: ChannelStatus = Field(default_factory=ChannelStatus)
