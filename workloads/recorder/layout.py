"""Names of objects, all deterministic, and what a name may look like; free of IO.

Two recorders that hold the same segment give it the same name, so taking over, trying again and even recording at the
same time never store anything twice. What is a recorder's own view (its index, its events) carries the writer's name,
so that no write needs a lock in the store.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from workloads.common.mediatime import MEDIA_EPOCH_SECONDS

_NAME = r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?"
STREAM: Final = re.compile(rf"{_NAME}/{_NAME}")
RECORDING: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z(?:-[a-z0-9]{1,12})?")
RUNG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
CLIP: Final = re.compile(r"[0-9a-f]{32}")
VERSION: Final = re.compile(r"[0-9a-f]{1,64}")
RESERVED_RUNGS: Final = frozenset(("index", "events", "thumbs", "sprites"))

MINUTE_SECONDS: Final = 60
THUMBNAIL_SECONDS: Final = 10
TILES: Final = 100
CLIPS: Final = "clips"
CLIP_NOTES: Final = "_clips"

_TYPES: Final = {
    "m3u8": "application/vnd.apple.mpegurl",
    "mp4": "video/mp4",
    "m4s": "video/mp4",
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "vtt": "text/vtt; charset=utf-8",
    "jpg": "image/jpeg",
    "webp": "image/webp",
}


@dataclass(frozen=True, slots=True)
class Recording:
    """Where a recording's objects are: stream id `<namespace>/<name>` and the recording's own id."""

    stream: str
    id: str

    @property
    def root(self) -> str:
        """The folder of all its objects."""
        return f"{self.stream}/{self.id}"

    @property
    def head(self) -> str:
        """What the recording is, and whether it has ended."""
        return f"{self.root}/recording.json"

    @property
    def whole_index(self) -> str:
        """The one index of an ended recording."""
        return f"{self.root}/index.json"

    def segment(self, rung: str, msn: int) -> str:
        """A segment."""
        return f"{self.root}/{rung}/{msn}.m4s"

    def init(self, rung: str, version: str) -> str:
        """An init segment."""
        return f"{self.root}/{rung}/init-{version}.mp4"

    def index(self, minute: int, writer: str) -> str:
        """What one writer stored of the segments that began in a minute of media time."""
        return f"{self.root}/index/{minute:010d}.{writer}.json"

    def events(self, minute: int, writer: str) -> str:
        """What one writer heard in the room in a minute."""
        return f"{self.root}/events/{minute:010d}.{writer}.jsonl"

    def thumbnail(self, slot: int, kind: str = "jpg") -> str:
        """The picture of ten seconds."""
        return f"{self.root}/thumbs/{slot}.{kind}"

    def sprites(self, sheet: int) -> str:
        """A sheet of a hundred small pictures."""
        return f"{self.root}/sprites/{sheet}.jpg"

    def file(self, name: str) -> str:
        """Another file of the recording."""
        return f"{self.root}/{name}"


def recording_id(start: float, uid: str) -> str:
    """Id of the recording whose first segment begins at media time `start`; ids of a stream sort by time."""
    stamp = datetime.fromtimestamp(int(MEDIA_EPOCH_SECONDS + start), UTC).strftime("%Y%m%dT%H%M%SZ")
    tail = re.sub(r"[^a-z0-9]", "", uid.lower())[:12]
    return f"{stamp}-{tail}" if tail else stamp


def latest_thumbnail(stream: str, kind: str = "jpg") -> str:
    """The stream's newest picture."""
    return f"{stream}/latest.{kind}"


def clip(stream: str, clip_id: str) -> str:
    """A clip's file."""
    return f"{stream}/{CLIPS}/{clip_id}.mp4"


def clip_note(clip_id: str) -> str:
    """What a clip is; found without knowing its stream."""
    return f"{CLIP_NOTES}/{clip_id}.json"


def minute_of(media_time: float) -> int:
    """The minute of media time."""
    return int(media_time // MINUTE_SECONDS)


def slot_of(media_time: float) -> int:
    """The ten seconds of media time."""
    return int(media_time // THUMBNAIL_SECONDS)


def content_type(path: str) -> str:
    """Media type by the name's ending."""
    return _TYPES.get(path.rpartition(".")[2], "application/octet-stream")


def is_immutable(path: str) -> bool:
    """Whether the bytes under this name never change."""
    folder, _, name = path.rpartition("/")
    return name.endswith((".m4s", ".mp4")) or (folder.endswith("/thumbs") and name.endswith((".jpg", ".webp")))


def wall_ms(media_time: float) -> int:
    """Epoch milliseconds of a media time."""
    return round((MEDIA_EPOCH_SECONDS + media_time) * 1000)


def media_time(epoch_ms: float) -> float:
    """Media time of epoch milliseconds."""
    return epoch_ms / 1000 - MEDIA_EPOCH_SECONDS
