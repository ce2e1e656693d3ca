"""What the publisher sends: found out from the first tags, measured ever after; free of IO."""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workloads.common import amf, flv
from workloads.transcoder import h264

PROBE_MILLISECONDS = 700
PROBE_BYTES = 8 * 1024 * 1024
_WINDOW_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Source:
    """The publisher's media; None where it does not say."""

    width: int | None = None
    height: int | None = None
    fps: float | None = None
    has_video: bool = False
    has_audio: bool = False

    @property
    def short_side(self) -> int | None:
        """The smaller of width and height."""
        return min(self.width, self.height) if self.width and self.height else None


class Probe:
    """Looks at the first tags until it knows enough to start an encoder."""

    def __init__(self) -> None:
        self._metadata: dict[str, Any] = {}
        self._picture: h264.Picture | None = None
        self._video = False
        self._audio = False
        self._span: tuple[int, int] | None = None
        self._bytes = 0

    def add(self, tag: flv.Tag) -> None:
        """Take the next tag."""
        self._bytes += len(tag.payload)
        if tag.kind == flv.SCRIPT:
            self._metadata |= read_metadata(tag.payload)
            return
        if tag.kind == flv.AUDIO:
            self._audio = True
        else:
            self._video = True
            configuration = flv.avc_configuration(tag.payload)
            if configuration:
                self._picture = _picture(configuration)
        if not flv.is_sequence_header(tag.kind, tag.payload):
            first = self._span[0] if self._span else tag.timestamp_ms
            self._span = (first, tag.timestamp_ms)

    def ready(self) -> bool:
        """Whether the source is known, or has had its time to show itself."""
        if self._video and self._audio and (self._picture or self._span):
            return True
        spent = self._span is not None and self._span[1] - self._span[0] >= PROBE_MILLISECONDS
        return spent or self._bytes >= PROBE_BYTES

    def result(self) -> Source:
        """What is known so far."""
        picture = self._picture
        fps = _number(self._metadata.get("framerate"), 1, 240) or (picture.fps if picture else None)
        width = picture.width if picture else _number(self._metadata.get("width"), 16, 16_384)
        height = picture.height if picture else _number(self._metadata.get("height"), 16, 16_384)
        return Source(
            width=int(width) if width else None,
            height=int(height) if height else None,
            fps=fps,
            has_video=self._video,
            has_audio=self._audio,
        )


class Meter:
    """Bit rate and frame rate over the last seconds, by wall clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._marks: deque[tuple[float, int, int]] = deque()
        self._bytes = 0
        self._frames = 0

    def add(self, size: int, frames: int) -> None:
        """Count bytes and video frames that just came."""
        now = self._clock()
        self._bytes += size
        self._frames += frames
        self._marks.append((now, size, frames))
        self._forget(now)

    def kbps(self) -> float:
        """Kilobits per second over the window."""
        return self._rate(lambda: self._bytes * 8 / 1000)

    def fps(self) -> float:
        """Frames per second over the window."""
        return self._rate(lambda: float(self._frames))

    def _rate(self, total: Callable[[], float]) -> float:
        now = self._clock()
        self._forget(now)
        if not self._marks:
            return 0.0
        return total() / max(1.0, min(_WINDOW_SECONDS, now - self._marks[0][0]))

    def _forget(self, now: float) -> None:
        while self._marks and now - self._marks[0][0] > _WINDOW_SECONDS:
            _, size, frames = self._marks.popleft()
            self._bytes -= size
            self._frames -= frames


def read_metadata(payload: bytes) -> dict[str, Any]:
    """The properties of an onMetaData tag; empty for anything else."""
    try:
        values = amf.decode(payload)
    except amf.AmfError:
        return {}
    if len(values) >= 2 and values[0] == "onMetaData" and isinstance(values[1], dict):
        return values[1]
    return {}


def _picture(configuration: bytes) -> h264.Picture | None:
    try:
        return h264.picture_from_configuration(configuration)
    except h264.SpsError:
        return None


def _number(value: Any, low: float, high: float) -> float | None:
    usable = isinstance(value, float) and math.isfinite(value) and low <= value <= high
    return float(value) if usable else None
