"""EncodingLadder: the renditions that a stream may name."""

from itertools import pairwise
from typing import Self

from pydantic import Field, model_validator

from operators.api.common import Codec
from operators.core.platform.part import Part


class Rung(Part):
    """One rendition of a ladder; `height` is the short side of the picture."""

    name: str
    height: int = Field(ge=120, le=4320)
    width: int = Field(ge=120, le=7680)
    fps: int = Field(30, ge=1, le=120)
    video_kbps: int = Field(ge=50, le=60_000)
    codec: Codec = Codec.H264
    profile: str = "high"
    optional: bool = False


class Ladder(Part):
    """EncodingLadder: the renditions of a stream and how they are cut."""

    rungs: tuple[Rung, ...] = Field(min_length=1, max_length=12)
    audio_kbps: int = Field(128, ge=16, le=512)
    gop_seconds: float = Field(2.0, gt=0, le=10)
    segment_seconds: float = Field(2.0, gt=0, le=10)
    part_seconds: float = Field(0.2, gt=0, le=2)

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        heights = [rung.height for rung in self.rungs]
        if len(set(heights)) != len(heights):
            raise ValueError("rungs: each height may occur once")
        by_height = sorted(self.rungs, key=lambda rung: rung.height)
        if any(low.video_kbps >= high.video_kbps for low, high in pairwise(by_height)):
            raise ValueError("rungs: a higher rung needs more videoKbps than the lower ones")
        ratio = self.segment_seconds / self.gop_seconds
        if abs(ratio - round(ratio)) > 1e-6 or ratio < 1:
            raise ValueError("gopSeconds must divide segmentSeconds")
        return self
