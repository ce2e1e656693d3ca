"""What a path under `/vod/` or `/thumbs/` names; free of IO.

Only known names reach the store: nobody can probe it, and no path leads out of a recording's folder.
"""

import re
from dataclasses import dataclass

from workloads.recorder import layout

_STREAM = r"(?P<stream>[a-z0-9][-a-z0-9.]{0,252}/[a-z0-9][-a-z0-9.]{0,252})"
_RUNG = r"[a-z0-9][a-z0-9-]{0,30}"
_FILE = re.compile(
    rf"/vod/{_STREAM}/(?P<recording>[0-9]{{8}}T[0-9]{{6}}Z(?:-[a-z0-9]{{1,12}})?)/"
    rf"(?:(?P<media>(?P<rung>{_RUNG})/media\.m3u8)"
    rf"|(?P<object>{_RUNG}/(?:init-[0-9a-f]{{1,64}}\.mp4|[0-9]{{1,15}}\.m4s)|thumbs/[0-9]{{1,12}}\.(?:jpg|webp)"
    rf"|sprites/[0-9]{{1,12}}\.jpg)"
    r"|(?P<made>master\.m3u8|sprites\.vtt|events|chapters\.json|chapters\.vtt|recording\.json))"
)
_CLIP = re.compile(rf"/vod/{_STREAM}/clips/(?P<clip>[0-9a-f]{{32}})\.mp4")
_LIST = re.compile(rf"/vod/{_STREAM}/?")
_LATEST = re.compile(rf"/thumbs/{_STREAM}/latest\.(?P<kind>jpg|webp)")


@dataclass(frozen=True, slots=True)
class Target:
    """`kind` is list, clip, latest, object, media, or a file that is made; `object` its name in the store."""

    kind: str
    stream: str
    recording: layout.Recording | None = None
    object: str = ""
    rung: str = ""


def classify(path: str) -> Target | None:
    """What the path names; None when that is nothing."""
    if match := _FILE.fullmatch(path):
        recording = layout.Recording(match["stream"], match["recording"])
        if match["media"]:
            return Target("media", recording.stream, recording, rung=match["rung"])
        if match["object"]:
            return Target("object", recording.stream, recording, recording.file(match["object"]))
        return Target(match["made"], recording.stream, recording)
    if match := _CLIP.fullmatch(path):
        return Target("clip", match["stream"], object=layout.clip(match["stream"], match["clip"]))
    if match := _LATEST.fullmatch(path):
        return Target("latest", match["stream"], object=layout.latest_thumbnail(match["stream"], match["kind"]))
    if match := _LIST.fullmatch(path):
        return Target("list", match["stream"])
    return None


def parse_range(value: str) -> tuple[int | None, int | None] | None:
    """First byte and the one after the last of a `Range` header with one range; (None, n) means the last n bytes, None
    that there is no range to be respected (RFC 9110, 14.2)."""
    match = re.fullmatch(r"bytes=([0-9]{0,15})-([0-9]{0,15})", value.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return None, int(match[2])
    first = int(match[1])
    last = int(match[2]) + 1 if match[2] else None
    return None if last is not None and last <= first else (first, last)
