"""Settings of the playout container."""

import logging
from pathlib import Path

from pydantic import Field

from workloads.common.settings import Settings

logger = logging.getLogger(__name__)


class PlayoutSettings(Settings):
    """Environment of the playout, beside what every container has. The picture is the same for every source, because
    the publication goes on through every change of source."""

    channel: str = Field("", pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$")
    schedule_file: Path | None = None
    stream_key_file: Path | None = None
    rtmp_url: str = ""
    public_url: str = ""
    ffmpeg: str = ""
    width: int = Field(1280, ge=160, le=3840, multiple_of=2)
    height: int = Field(720, ge=90, le=2160, multiple_of=2)
    fps: int = Field(30, ge=10, le=60)
    video_kbps: int = Field(3000, ge=100, le=60_000)
    audio_kbps: int = Field(128, ge=32, le=512)
    x264_preset: str = "superfast"


class KeyFile:
    """The mounted stream key; `changed` tells once that another one is there."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known = ""

    def read(self) -> str:
        """The key; the last one while the file is away, as during the swap of a mounted Secret."""
        try:
            text = self._path.read_text().strip() if self._path else ""
        except OSError as error:
            logger.warning("the stream key cannot be read: %s", error.strerror)
            return self._known
        self._known = text or self._known
        return self._known

    def changed(self) -> bool:
        """Whether the file holds another key than the last `read` gave."""
        before = self._known
        return bool(before) and self.read() != before
