"""Captions as segmented WebVTT beside the picture: one segment for each of a video rendition's, with its number; pure.

Times in the text count from the beginning of the discontinuity sequence, which `X-TIMESTAMP-MAP` ties to media time, so
a caption that lies in two segments says the same in both and players show it once. The trap is a caption that arrives
for a segment that players have read already: it is moved to the growing one.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from workloads.transcoder.package.playlist import VERSION, program_date_time, target_duration
from workloads.transcoder.package.rendition import Rendition, Segment

PREFIX = "captions-"
CONTENT_TYPE = "text/vtt"
MAX_KEPT = 2000
_CLOCK = 90_000
_WRAP = 1 << 33


@dataclass(frozen=True, slots=True)
class Caption:
    """Text between two media times."""

    begin: float
    end: float
    language: str
    text: str


class Captions:
    """The captions of a stream; `languages` are those that its playlists name, in the order of their appearance."""

    def __init__(self, languages: Sequence[str] = ()) -> None:
        self.languages = list(languages)
        self._kept: deque[Caption] = deque(maxlen=MAX_KEPT)

    def add(self, caption: Caption) -> None:
        """A caption; what is long past makes room for it."""
        if caption.language not in self.languages:
            self.languages.append(caption.language)
        self._kept.append(caption)

    def between(self, begin: float, end: float, language: str) -> list[Caption]:
        """Captions that are shown at some time in [begin, end)."""
        found = (item for item in self._kept if item.language == language and item.begin < end and item.end > begin)
        return sorted(found, key=lambda item: item.begin)


def media(rendition: Rendition, cut_seconds: float) -> str:
    """The playlist of a caption rendition: the finished segments of `rendition`, under the same numbers."""
    segments = rendition.listed()
    target = target_duration(rendition, cut_seconds)
    first = segments[0].msn if segments else rendition.open_msn
    discontinuities = segments[0].discontinuity_sequence - segments[0].discontinuity if segments else 0
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        f"#EXT-X-TARGETDURATION:{target}",
        f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK={3 * target:.1f}",
        f"#EXT-X-MEDIA-SEQUENCE:{first}",
    ]
    if discontinuities:
        lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuities}")
    for segment in segments:
        lines += ["#EXT-X-DISCONTINUITY"] if segment.discontinuity else []
        lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{program_date_time(segment.start)}")
        lines += [f"#EXTINF:{segment.duration:.5f},", f"{segment.msn}.vtt"]
    return "\n".join(lines) + "\n"


def segment_text(segment: Segment, epoch: float, captions: Sequence[Caption]) -> str:
    """A WebVTT segment; `epoch` is the media time at which its discontinuity sequence begins."""
    blocks = [f"WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:{round(epoch * _CLOCK) % _WRAP}"]
    for caption in captions:
        begin, end = max(0.0, caption.begin - epoch), max(0.001, caption.end - epoch)
        text = caption.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        blocks.append(f"{_clock(begin)} --> {_clock(end)}\n{text}")
    return "\n\n".join(blocks) + "\n"


def _clock(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest / 1000:06.3f}"
