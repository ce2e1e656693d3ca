"""HLS playlists as text: pure functions of the renditions (RFC 8216bis, protocol version 9 with low latency)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from workloads.common.mediatime import MEDIA_EPOCH_SECONDS
from workloads.transcoder.rendition import Part, Rendition, Segment

VERSION = 9
AUDIO_GROUP = "audio"
_PARTS_LISTED_TARGETS = 3
_SKIP_TARGETS = 6
_HOLD_BACK_TARGETS = 3
_PART_HOLD_BACK_PARTS = 3
_NOMINAL_HEADROOM = 1.1


@dataclass(frozen=True, slots=True)
class Variant:
    """A video rendition as the multivariant playlist names it."""

    rendition: Rendition
    nominal_kbps: int
    fps: float


def master(variants: Sequence[Variant], audio: Rendition | None, audio_kbps: int) -> str:
    """The multivariant playlist, best rung first; rungs without an init segment are left out."""
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    audio_codec = audio.init.codec if audio and audio.init else ""
    audio_peak, audio_average = bandwidth(audio, audio_kbps) if audio and audio_codec else (0, 0)
    if audio and audio_codec:
        lines.append(
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{AUDIO_GROUP}",NAME="main",DEFAULT=YES,AUTOSELECT=YES,'
            f'CHANNELS="2",URI="{audio.name}/media.m3u8"'
        )
    entries: list[list[str]] = []
    below = (0, 0)
    for variant in reversed(variants):
        init = variant.rendition.init
        if init is None:
            continue
        measured = bandwidth(variant.rendition, variant.nominal_kbps)
        # On easy pictures a small rung can measure more than a large one; players order rungs by these figures.
        below = (max(measured[0], below[0] + 1), max(measured[1], below[1] + 1))
        attributes = [
            f"BANDWIDTH={below[0] + audio_peak}",
            f"AVERAGE-BANDWIDTH={below[1] + audio_average}",
            f'CODECS="{",".join(filter(None, (init.codec, audio_codec)))}"',
            f"RESOLUTION={init.width}x{init.height}",
            f"FRAME-RATE={variant.fps:.3f}",
        ]
        if audio_codec:
            attributes.append(f'AUDIO="{AUDIO_GROUP}"')
        entries.append([f"#EXT-X-STREAM-INF:{','.join(attributes)}", f"{variant.rendition.name}/media.m3u8"])
    for entry in reversed(entries):
        lines += entry
    return "\n".join(lines) + "\n"


def bandwidth(rendition: Rendition, nominal_kbps: int) -> tuple[int, int]:
    """Peak and average bits per second over the listed segments; the nominal rate until there is a whole one."""
    segments = rendition.listed()
    longest = max((segment.duration for segment in segments), default=0.0)
    whole = [segment for segment in segments if segment.duration > longest / 2]
    if not whole:
        nominal = int(nominal_kbps * 1000 * _NOMINAL_HEADROOM)
        return nominal, nominal_kbps * 1000
    peak = max(segment.size * 8 / segment.duration for segment in whole)
    average = sum(segment.size for segment in whole) * 8 / sum(segment.duration for segment in whole)
    return math.ceil(peak), math.ceil(average)


def target_duration(rendition: Rendition, cut_seconds: float) -> int:
    """EXT-X-TARGETDURATION: no segment, rounded to the nearest second, is longer."""
    longest = max((segment.duration for segment in rendition.listed()), default=0.0)
    return max(1, math.ceil(cut_seconds - 1e-6), math.floor(longest + 0.5))


def media(rendition: Rendition, *, cut_seconds: float, siblings: Sequence[Rendition] = (), skip: bool = False) -> str:
    """The media playlist; `skip` asks for a delta update (which is a full one while there is nothing to skip)."""
    target = target_duration(rendition, cut_seconds)
    part_target = max(rendition.part_seconds, rendition.longest_part)
    segments = rendition.listed()
    skipped = _skippable(segments, _SKIP_TARGETS * target) if skip else 0
    lines = _header(rendition, segments, target, part_target)
    if skipped:
        lines.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")
    remaining = sum(segment.duration for segment in segments)
    known_init = segments[skipped - 1].init if skipped else ""
    for index, segment in enumerate(segments):
        if index >= skipped:
            with_parts = remaining <= _PARTS_LISTED_TARGETS * target
            lines += _segment_lines(segment, known_init, with_parts=with_parts)
            lines += [f"#EXTINF:{segment.duration:.5f},", f"{segment.msn}.m4s"]
            known_init = segment.init
        remaining -= segment.duration
    if rendition.current:
        lines += _segment_lines(rendition.current, known_init, with_parts=True)
    hinted = len(rendition.current.parts) if rendition.current else 0
    lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{rendition.open_msn}.{hinted}.m4s"')
    lines += [_report(sibling) for sibling in siblings if sibling.segments or sibling.current]
    return "\n".join(lines) + "\n"


def init_uri(version: str) -> str:
    """Address of an init segment: the version keeps caches from mixing two encoders' configurations."""
    return f"init.mp4?v={version}"


def _header(rendition: Rendition, segments: Sequence[Segment], target: int, part_target: float) -> list[str]:
    first = segments[0] if segments else rendition.current
    media_sequence = first.msn if first else rendition.open_msn
    discontinuities = first.discontinuity_sequence - first.discontinuity if first else 0
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        f"#EXT-X-TARGETDURATION:{target}",
        f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={_SKIP_TARGETS * target:.1f},"
        f"HOLD-BACK={_HOLD_BACK_TARGETS * target:.1f},PART-HOLD-BACK={_PART_HOLD_BACK_PARTS * part_target:.3f}",
        f"#EXT-X-PART-INF:PART-TARGET={part_target:.5f}",
        f"#EXT-X-MEDIA-SEQUENCE:{media_sequence}",
    ]
    if discontinuities:
        lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuities}")
    lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    return lines


def _segment_lines(segment: Segment, known_init: str, *, with_parts: bool) -> list[str]:
    lines = ["#EXT-X-DISCONTINUITY"] if segment.discontinuity else []
    if segment.init != known_init:
        lines.append(f'#EXT-X-MAP:URI="{init_uri(segment.init)}"')
    lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{program_date_time(segment.start)}")
    if with_parts:
        lines += [_part_line(segment.msn, index, part) for index, part in enumerate(segment.parts)]
    return lines


def _part_line(msn: int, index: int, part: Part) -> str:
    independent = ",INDEPENDENT=YES" if part.independent else ""
    return f'#EXT-X-PART:DURATION={part.duration:.5f},URI="{msn}.{index}.m4s"{independent}'


def _report(sibling: Rendition) -> str:
    uri = f"../{sibling.name}/media.m3u8"
    if sibling.current:
        msn, part = sibling.current.msn, len(sibling.current.parts) - 1
    else:
        msn, part = sibling.segments[-1].msn, len(sibling.segments[-1].parts) - 1
    return f'#EXT-X-RENDITION-REPORT:URI="{uri}",LAST-MSN={msn},LAST-PART={part}'


def _skippable(segments: Sequence[Segment], boundary_seconds: float) -> int:
    """How many of the oldest segments lie further than the skip boundary from the end."""
    seconds = 0.0
    for count, segment in enumerate(reversed(segments)):
        if seconds >= boundary_seconds:
            return len(segments) - count
        seconds += segment.duration
    return 0


def program_date_time(media_time: float) -> str:
    """Wall-clock time of a media time, RFC 3339 in UTC with milliseconds."""
    stamp = datetime.fromtimestamp(MEDIA_EPOCH_SECONDS + media_time, UTC)
    return stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")
