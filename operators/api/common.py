"""Pieces of spec that Channel and LiveStream share."""

from enum import StrEnum

from pydantic import Field

from operators.api.base import Duration, Model, Ref


class LatencyMode(StrEnum):
    """How far behind the camera a viewer may be; decides part and segment length."""

    ULTRA_LOW = "UltraLow"
    LOW = "Low"
    STANDARD = "Standard"


class Latency(Model):
    """The wanted latency of playback."""

    mode: LatencyMode = LatencyMode.LOW


class Encoding(Model):
    """How a stream is encoded; rungs higher than `maxHeight` are left out."""

    ladder_ref: Ref | None = Field(None, description="Ladder of the platform configuration; default: `default`.")
    latency: Latency | None = None
    max_height: int | None = Field(None, json_schema_extra={"enum": [360, 480, 720, 1080, 1440, 2160]})


class Chat(Model):
    """Rules of the room's chat."""

    enabled: bool = True
    slow_mode: Duration = Field("0s", description="Pause between two messages of one viewer.")
    max_length: int = Field(300, ge=1, le=2000)


class Interactions(Model):
    """What viewers may do in the room."""

    chat: Chat = Field(default_factory=Chat)


class ModelRole(StrEnum):
    """What a model does for a stream."""

    RECOMMENDATION = "Recommendation"


class ModelUse(Model):
    """A model that serves this stream."""

    role: ModelRole
    model_ref: Ref


class TrueFalse(StrEnum):
    """Status of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"
