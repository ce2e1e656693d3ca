"""Settings of the transcoder container, and `stream.json`, the stream that it serves."""

import hmac
import logging
import math
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from workloads.common.mounted import read_document
from workloads.common.settings import Settings
from workloads.transcoder.protect.keys import Drm

logger = logging.getLogger(__name__)


class TranscoderSettings(Settings):
    """Environment of the transcoder, beside what every container has.

    `encoder` is `cpu`, `nvenc`, `vaapi` or `qsv`, and `x264_preset` is translated for it; with `passthrough` a source
    that fits a rung becomes that rung; `shed_wait_seconds` of calm bring a rung back that overload took.
    `content_secret_file` holds the secret that content keys are derived from; without it no stream can be protected.
    With `pool` the pod is a worker of that pool instead of serving the stream of `stream_file`. Its `max_window_bytes`
    are then shared by its streams in proportion to their units; `pool_unit_memory_bytes` is an encoder's memory per
    unit (one more is granted to each; 0: no limit); `pool_drain_seconds` stay below the pod's grace period.
    """

    stream_key_file: Path | None = None
    rtmp_url: str = ""
    ffmpeg: str = ""
    x264_preset: str = "superfast"
    encoder: str = ""
    passthrough: bool = True
    shed_wait_seconds: float = Field(30.0, ge=1)
    content_secret_file: Path | None = None
    dvr_seconds: float = Field(30.0, ge=6)
    max_window_bytes: int = Field(256 * 1024 * 1024, ge=1024 * 1024)
    pool: str = Field("", pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$")
    pool_units: int = Field(8, ge=1, le=1024)
    pool_drain_seconds: float = Field(3570.0, ge=0)
    pool_unit_memory_bytes: int = Field(192 * 1024 * 1024, ge=0)


class Rung(BaseModel):
    """One video rendition of the ladder; its short side is what its name counts."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")
    width: int = Field(ge=16, le=7680)
    height: int = Field(ge=16, le=7680)
    fps: float = Field(ge=1, le=120)
    video_kbps: int = Field(ge=50, le=100_000)

    @property
    def short_side(self) -> int:
        """Lines of the picture in landscape, columns in portrait."""
        return min(self.width, self.height)


class Ladder(BaseModel):
    """What the encoder makes of the source."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rungs: tuple[Rung, ...] = Field(min_length=1, max_length=10)
    audio_kbps: int = Field(128, ge=16, le=512)
    gop_seconds: float = Field(2.0, ge=0.5, le=10)
    segment_seconds: float = Field(2.0, ge=0.5, le=10)
    part_seconds: float = Field(0.2, ge=0.05, le=2)

    @field_validator("rungs")
    @classmethod
    def _names_are_unique(cls, rungs: tuple[Rung, ...]) -> tuple[Rung, ...]:
        names = [rung.name for rung in rungs]
        if len(set(names)) != len(names) or "audio" in names:
            raise ValueError("rung names must be unique and not 'audio'")
        return tuple(sorted(rungs, key=lambda rung: -rung.short_side))

    @property
    def cut_seconds(self) -> float:
        """Length of a segment: the wanted one, rounded up to whole groups of pictures."""
        return max(1, math.ceil(self.segment_seconds / self.gop_seconds - 1e-6)) * self.gop_seconds


class StreamSpec(BaseModel):
    """`stream.json` (docs/explanation/contracts.md), as far as the transcoder needs it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stream: str = Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    uid: str = ""
    title: str = ""
    ladder: Ladder
    captions: tuple[str, ...] = ()
    drm: Drm | None = None


def load_stream(path: Path) -> StreamSpec:
    """The stream that this pod serves; ConfigError when the file is missing or wrong."""
    return read_document(path, StreamSpec)


class StreamKey:
    """The mounted keys, one a line, the stream's own first; read again whenever the file changes."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._keys: tuple[str, ...] = ()

    def own(self) -> str:
        """The stream's own key; empty when there is none."""
        return next(iter(self.read()), "")

    def accepts(self, presented: str) -> bool:
        """Whether a publisher may use this key; without any key nobody may."""
        matches = [hmac.compare_digest(presented.encode(), key.encode()) for key in self.read()]
        return any(matches)

    def read(self) -> tuple[str, ...]:
        """All keys that are accepted now."""
        if self._path is None:
            return ()
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp != self._stamp:
                self._keys = tuple(line.strip() for line in self._path.read_text().splitlines() if line.strip())
                self._stamp = stamp
        except OSError as error:
            # During the symlink swap of a Secret update the file is briefly away: the last key stays good.
            logger.warning("the stream key cannot be read: %s", error)
        return self._keys
