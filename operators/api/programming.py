"""The programme of a Linear channel: slots by cron in a time zone, and what fills the gaps."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from operators.api.base import Duration, Model, ObjectName, TimeZone, map_list, rules

Uri = Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^(https?|file|s3)://[^\s]+$")]


class GapPolicy(StrEnum):
    """What is on air between two slots."""

    SLATE = "Slate"
    REPEAT_LAST = "RepeatLast"
    SHUFFLE = "Shuffle"


class StreamTemplate(Model):
    """A LiveStream that the slot brings up for its host."""

    title: str = Field(min_length=1, max_length=200)
    description: str = Field("", max_length=2000)
    prepare_before: Duration = "5m"


class Slot(Model):
    """One recurring programme; of two that overlap the higher priority is on air."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            (
                "[has(self.vodUri), has(self.streamTemplate), has(self.relayChannel)].filter(given, given).size() == 1",
                "give exactly one of vodUri, streamTemplate and relayChannel",
            ),
        )
    }

    name: Annotated[str, Field(min_length=1, max_length=30, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    cron: str = Field(
        min_length=9,
        max_length=100,
        pattern=r"^\S+\s+\S+\s+\S+\s+\S+\s+\S+$",
        description="Minute, hour, day of month, month, day of week, in the programme's time zone.",
    )
    duration: Duration
    priority: int = Field(0, ge=-1000, le=1000)
    vod_uri: Uri | None = None
    stream_template: StreamTemplate | None = None
    relay_channel: ObjectName | None = None


class Programming(Model):
    """What a Linear channel shows, around the clock."""

    timezone: TimeZone = "UTC"
    slate_uri: Uri | None = Field(None, description="Shown when nothing else is; default: a picture that Haat makes.")
    gap_policy: GapPolicy = GapPolicy.SLATE
    horizon: Duration = Field("6h", description="How far ahead the programme is resolved.")
    slots: Annotated[tuple[Slot, ...], map_list("name", 200, min_items=1, required=True)]
