"""Channel: the long-lived home of a creator's streams: keys, policy, and the defaults that its streams inherit."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from operators.api.base import (
    READY_COLUMN,
    Column,
    Condition,
    DateTime,
    Model,
    Resource,
    map_list,
    ready_columns,
    rules,
    set_list,
)
from operators.api.common import Encoding, Interactions, ModelUse


class Protocol(StrEnum):
    """A way to publish."""

    RTMP = "RTMP"


class Ingest(Model):
    """How hosts of this channel publish."""

    protocols: Annotated[tuple[Protocol, ...], set_list(3)] = (Protocol.RTMP,)


class Quota(Model):
    """Limits of one channel."""

    max_concurrent_streams: int = Field(1, ge=1, le=100)


class DeletionPolicy(StrEnum):
    """What deleting a channel does to its live streams: Retain waits for them to end, Delete ends them."""

    RETAIN = "Retain"
    DELETE = "Delete"


class ChannelSpec(Model):
    """Desired state of a Channel."""

    display_name: str = Field(min_length=1, max_length=120)
    slug: str = Field(
        min_length=3,
        max_length=40,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        json_schema_extra=rules(("self == oldSelf", "slug is immutable")),
    )
    ingest: Ingest = Field(default_factory=Ingest)
    encoding: Encoding = Field(default_factory=Encoding)
    interactions: Interactions = Field(default_factory=Interactions)
    models: Annotated[tuple[ModelUse, ...], map_list("role", 8)] = ()
    quota: Quota = Field(default_factory=Quota)
    suspended: bool = Field(False, description="Refuse to publish on this channel; running streams end.")
    deletion_policy: DeletionPolicy = DeletionPolicy.RETAIN


class ChannelPhase(StrEnum):
    """Derived from the conditions, for people."""

    OFFLINE = "Offline"
    STANDBY = "Standby"
    ON_AIR = "OnAir"
    SUSPENDED = "Suspended"
    TERMINATING = "Terminating"


class ActiveStream(Model):
    """A LiveStream of the channel that has not ended."""

    name: str
    phase: str
    started_at: DateTime | None = None


class ChannelIngestStatus(Model):
    """Where and with what to publish."""

    url: str = ""
    key_secret: str = ""


class ChannelStatus(Model):
    """Observed state of a Channel."""

    observed_generation: int = 0
    conditions: Annotated[tuple[Condition, ...], map_list("type", 16)] = ()
    phase: ChannelPhase | None = None
    ingest: ChannelIngestStatus | None = None
    active_streams: Annotated[tuple[ActiveStream, ...], map_list("name", 100)] = ()
    streams: int = Field(0, ge=0)


class Channel(Resource):
    """A creator's channel."""

    kind_name = "Channel"
    plural = "channels"
    short_names = ("lch",)
    description = "A creator's channel: stream keys, room policy and defaults for its LiveStreams."
    columns = (
        Column(name="Slug", path=".spec.slug"),
        Column(name="Phase", path=".status.phase"),
        READY_COLUMN,
        Column(name="Streams", type="integer", path=".status.streams"),
        *ready_columns(),
    )

    spec: ChannelSpec
    status: ChannelStatus = Field(default_factory=ChannelStatus)
