"""The origin's playlists, read: which renditions there are and which segments are finished; free of IO.

Only what the transcoder writes has to be understood (RFC 8216bis); what is unknown is skipped, and a name that is no
segment's never becomes an object's name.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from workloads.common.mediatime import MEDIA_EPOCH_SECONDS
from workloads.recorder import layout

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)')
_MEDIA_URI = re.compile(r"([a-z0-9][a-z0-9-]{0,30})/media\.m3u8(?:\?.*)?")
_SEGMENT_URI = re.compile(r"([0-9]{1,15})\.m4s(?:\?.*)?")
_INIT_URI = re.compile(r"init\.mp4\?v=([0-9a-f]{1,64})")
_RESOLUTION = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")


class PlaylistError(ValueError):
    """The text is no playlist of a transcoder."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A rendition of the multivariant playlist; `width` is 0 for sound. `bandwidth` in bits per second."""

    name: str
    codec: str
    bandwidth: int = 0
    width: int = 0
    height: int = 0
    fps: float = 0.0

    @property
    def video(self) -> bool:
        """Whether it is a picture."""
        return self.width > 0


@dataclass(frozen=True, slots=True)
class Listed:
    """A finished segment of a media playlist; times in seconds of media time."""

    msn: int
    start: float
    duration: float
    init: str
    discontinuity: bool


def attributes(text: str) -> dict[str, str]:
    """An attribute list (RFC 8216, 4.2)."""
    return {key: value.strip('"') for key, value in _ATTRIBUTE.findall(text)}


def parse_master(text: str) -> list[Variant]:
    """The renditions, pictures first in the playlist's order; PlaylistError when it is none."""
    lines = _lines(text)
    sound: list[Variant] = []
    found: list[Variant] = []
    pending: dict[str, str] | None = None
    for line in lines:
        if line.startswith("#EXT-X-MEDIA:"):
            entry = attributes(line.partition(":")[2])
            name = _rung(entry.get("URI", ""))
            if entry.get("TYPE") == "AUDIO" and name:
                sound.append(Variant(name, ""))
        elif line.startswith("#EXT-X-STREAM-INF:"):
            pending = attributes(line.partition(":")[2])
        elif not line.startswith("#") and pending is not None:
            variant = _variant(pending, _rung(line))
            if variant:
                found.append(variant)
            pending = None
    codecs = [codec for entry in found for codec in entry.codec.split(",")]
    audio_codec = next((codec for codec in codecs if codec.startswith(("mp4a", "opus"))), "mp4a.40.2")
    pictures = [_own_codec(entry) for entry in found]
    return [*pictures, *(Variant(entry.name, audio_codec) for entry in sound)]


def parse_media(text: str) -> list[Listed]:
    """The finished segments, oldest first; PlaylistError when it is no media playlist."""
    found: list[Listed] = []
    init, start, duration, discontinuity = "", None, 0.0, False
    for line in _lines(text):
        if line.startswith("#EXT-X-MAP:"):
            match = _INIT_URI.fullmatch(attributes(line.partition(":")[2]).get("URI", ""))
            init = match[1] if match else ""
        elif line.startswith("#EXT-X-PROGRAM-DATE-TIME:"):
            start = _media_time(line.partition(":")[2])
        elif line == "#EXT-X-DISCONTINUITY":
            discontinuity = True
        elif line.startswith("#EXTINF:"):
            duration = _number(line.partition(":")[2].partition(",")[0])
        elif not line.startswith("#"):
            match = _SEGMENT_URI.fullmatch(line)
            if match and init and start is not None and duration > 0:
                found.append(Listed(int(match[1]), start, duration, init, discontinuity))
            start, duration, discontinuity = None, 0.0, False
    return found


def _lines(text: str) -> Iterator[str]:
    lines = text.splitlines()
    if not lines or lines[0].strip() != "#EXTM3U":
        raise PlaylistError("no #EXTM3U in the first line")
    return (line.strip() for line in lines[1:] if line.strip())


def _variant(entry: dict[str, str], name: str) -> Variant | None:
    size = _RESOLUTION.fullmatch(entry.get("RESOLUTION", ""))
    if not name or size is None:
        return None
    bandwidth = entry.get("BANDWIDTH", "")
    return Variant(
        name=name,
        codec=entry.get("CODECS", ""),
        bandwidth=int(bandwidth) if bandwidth.isdecimal() else 0,
        width=int(size[1]),
        height=int(size[2]),
        fps=_number(entry.get("FRAME-RATE", "0")),
    )


def _own_codec(entry: Variant) -> Variant:
    codec = next((item for item in entry.codec.split(",") if not item.startswith(("mp4a", "opus"))), entry.codec)
    return Variant(entry.name, codec, entry.bandwidth, entry.width, entry.height, entry.fps)


def _rung(uri: str) -> str:
    match = _MEDIA_URI.fullmatch(uri)
    return match[1] if match and match[1] not in layout.RESERVED_RUNGS else ""


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise PlaylistError(f"{text!r} is no number") from error
    if not 0 <= value < 1e9:
        raise PlaylistError(f"{text!r} is out of range")
    return value


def _media_time(text: str) -> float:
    try:
        stamp = datetime.fromisoformat(text)
    except ValueError as error:
        raise PlaylistError(f"{text!r} is no date") from error
    if stamp.tzinfo is None:
        raise PlaylistError(f"{text!r} has no time zone")
    return round(stamp.timestamp() - MEDIA_EPOCH_SECONDS, 3)
