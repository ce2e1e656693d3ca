"""What a recording consists of: the index documents of its writers, and their union; free of IO.

Every writer keeps a document for each minute of media time and writes it anew while it grows. Documents of several
writers are united by segment name, so that neither order nor repetition matters.
"""

from collections.abc import Iterable

import msgspec

from workloads.recorder import layout


class DamagedDocument(ValueError):
    """A document is none of ours."""


class Rendition(msgspec.Struct, frozen=True):
    """A rung as players have to know it; `width` is 0 for sound, `bandwidth` in bits per second."""

    codec: str
    bandwidth: int = 0
    width: int = 0
    height: int = 0
    fps: float = 0.0

    @property
    def video(self) -> bool:
        """Whether it is a picture."""
        return self.width > 0


class Segment(msgspec.Struct, frozen=True, array_like=True):
    """A stored segment: `start` and `duration` in seconds of media time, `size` in bytes."""

    msn: int
    start: float
    duration: float
    size: int
    init: str
    discontinuity: bool = False

    @property
    def end(self) -> float:
        """Media time of its end."""
        return self.start + self.duration


class Minute(msgspec.Struct):
    """One writer's document of one minute."""

    renditions: dict[str, Rendition] = {}
    segments: dict[str, list[Segment]] = {}
    thumbnails: dict[int, float] = {}


class Head(msgspec.Struct, kw_only=True):
    """`recording.json`: what a recording is. Times in epoch milliseconds; `expires_ms` 0 means never."""

    id: str
    stream: str
    uid: str = ""
    title: str = ""
    state: str = "recording"
    started_ms: int = 0
    ended_ms: int = 0
    duration_ms: int = 0
    expires_ms: int = 0
    retention_seconds: float = 0.0
    dvr_window_seconds: float = 300.0
    highlights: bool = False
    bytes: int = 0
    segments: int = 0
    updated_ms: int = 0
    token: int = 0
    inits: dict[str, list[str]] = {}

    @property
    def ended(self) -> bool:
        """Whether nothing will be added."""
        return self.state == "ended"

    @property
    def recording(self) -> layout.Recording:
        """Where its objects are."""
        return layout.Recording(self.stream, self.id)


_MINUTE = msgspec.json.Decoder(Minute)
_HEAD = msgspec.json.Decoder(Head)


def decode_minute(data: bytes) -> Minute:
    """An index document; DamagedDocument when it is damaged."""
    try:
        return _MINUTE.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DamagedDocument(str(error)) from error


def decode_head(data: bytes) -> Head:
    """A head; DamagedDocument when it is damaged or names another place than its own."""
    try:
        head = _HEAD.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DamagedDocument(str(error)) from error
    if not layout.STREAM.fullmatch(head.stream) or not layout.RECORDING.fullmatch(head.id):
        raise DamagedDocument(f"{head.stream}/{head.id} is no recording's name")
    return head


def encode(document: Minute | Head) -> bytes:
    """The document's bytes."""
    return msgspec.json.encode(document)


def unite(documents: Iterable[Minute]) -> Minute:
    """The union: each segment once, each rendition's segments in the order of time."""
    whole = Minute({}, {}, {})
    rungs: dict[str, dict[int, Segment]] = {}
    for document in documents:
        whole.renditions.update(document.renditions)
        whole.thumbnails.update(document.thumbnails)
        for rung, segments in document.segments.items():
            if layout.RUNG.fullmatch(rung) and rung not in layout.RESERVED_RUNGS:
                rungs.setdefault(rung, {}).update((segment.msn, segment) for segment in segments)
    for rung, by_number in rungs.items():
        if rung in whole.renditions:
            whole.segments[rung] = in_order(by_number.values())
    whole.renditions = {name: whole.renditions[name] for name in whole.segments}
    return whole


def in_order(segments: Iterable[Segment]) -> list[Segment]:
    """By time; what overlaps the one before by more than half its length is left out.

    That happens when two transcoders had the stream at the same moment: both encoded the same seconds.
    """
    kept: list[Segment] = []
    for segment in sorted(segments, key=lambda item: (item.start, item.msn)):
        if kept and kept[-1].end - segment.start > segment.duration / 2:
            continue
        kept.append(segment)
    return kept
