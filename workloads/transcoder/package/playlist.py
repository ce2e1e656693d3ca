"""HLS playlists as text: pure functions of the renditions (RFC 8216bis, protocol version 9 with low latency)."""

import base64
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from workloads.common.mediatime import MEDIA_EPOCH_SECONDS
from workloads.transcoder.package.cues import CLASS as CUE_CLASS
from workloads.transcoder.package.cues import Cue
from workloads.transcoder.package.rendition import Part, Rendition, Segment
from workloads.transcoder.protect.keys import Keys, Method

VERSION = 9
LEAD_TAG = "#EXT-X-HAAT-LEAD"
AUDIO_GROUP = "audio"
CAPTIONS_GROUP = "captions"
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


def master(variants: Sequence[Variant], audio: Rendition | None, audio_kbps: int, captions: Sequence[str] = ()) -> str:
    """The multivariant playlist, best rung first; rungs without an init segment are left out. `captions` are the
    languages that there are captions in."""
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    audio_codec = audio.init.codec if audio and audio.init else ""
    audio_peak, audio_average = bandwidth(audio, audio_kbps) if audio and audio_codec else (0, 0)
    if audio and audio_codec:
        lines.append(
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{AUDIO_GROUP}",NAME="main",DEFAULT=YES,AUTOSELECT=YES,'
            f'CHANNELS="2",URI="{audio.name}/media.m3u8"'
        )
    lines += [
        f'#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="{CAPTIONS_GROUP}",NAME="{language}",LANGUAGE="{language}",'
        f'AUTOSELECT=YES,DEFAULT=NO,FORCED=NO,URI="captions-{language.lower()}/media.m3u8"'
        for language in captions
    ]
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
        if captions:
            attributes.append(f'SUBTITLES="{CAPTIONS_GROUP}"')
        entries.append([f"#EXT-X-STREAM-INF:{','.join(attributes)}", f"{variant.rendition.name}/media.m3u8"])
    for entry in reversed(entries):
        lines += entry
    if audio and audio_codec:
        # For those who only listen; players with a picture leave it out by its codecs.
        lines.append(
            f"#EXT-X-STREAM-INF:BANDWIDTH={audio_peak},AVERAGE-BANDWIDTH={audio_average},"
            f'CODECS="{audio_codec}",AUDIO="{AUDIO_GROUP}"'
        )
        lines.append(f"{audio.name}/media.m3u8")
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


def media(
    rendition: Rendition,
    *,
    cut_seconds: float,
    siblings: Sequence[Rendition] = (),
    skip: bool = False,
    cues: Iterable[Cue] = (),
    lead_seconds: float = 0.0,
) -> str:
    """The media playlist; `skip` asks for a delta update (which is a full one while there is nothing to skip), `cues`
    are named as date ranges. `lead_seconds` is how much too late the dates are, for who measures; players ignore the
    tag."""
    target = target_duration(rendition, cut_seconds)
    # What parts really reach: frames rarely fill the wanted length, and no part may be much shorter than the target.
    part_target = rendition.longest_part or rendition.part_seconds
    segments = rendition.listed()
    skipped = _skippable(segments, _SKIP_TARGETS * target) if skip else 0
    lines = _header(rendition, segments, target, part_target)
    lines.append(f"{LEAD_TAG}:{lead_seconds:.3f}")
    if skipped:
        lines.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")
    lines += [_date_range(cue) for cue in cues]
    remaining = sum(segment.duration for segment in segments)
    known = _Known(rendition, segments[skipped - 1] if skipped else None)
    for index, segment in enumerate(segments):
        if index >= skipped:
            with_parts = remaining <= _PARTS_LISTED_TARGETS * target
            lines += _segment_lines(segment, known, with_parts=with_parts)
            lines += [f"#EXTINF:{segment.duration:.5f},", f"{segment.msn}.m4s"]
        remaining -= segment.duration
    if rendition.current:
        lines += _segment_lines(rendition.current, known, with_parts=True)
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


class _Known:
    """What a reader of the lines so far knows: the init segment and the key that hold."""

    def __init__(self, rendition: Rendition, last: Segment | None) -> None:
        self._keys = rendition.protector.keys if rendition.protector else None
        self._init = last.init if last else ""
        self._period = self._keys.period_of(last.msn) if last and self._keys else None

    def needed(self, segment: Segment) -> list[str]:
        """The lines that the segment needs in front of it."""
        period = self._keys.period_of(segment.msn) if self._keys else None
        each = self._keys is not None and self._keys.method == Method.AES_128
        new_map, new_key = segment.init != self._init, each or period != self._period
        lines: list[str] = []
        if new_map:
            # An init segment is not encrypted by AES-128, so no key may hold where it is named.
            whole = self._keys is not None and self._keys.method == Method.AES_128 and self._period is not None
            lines += ["#EXT-X-KEY:METHOD=NONE"] if whole else []
            lines.append(f'#EXT-X-MAP:URI="{init_uri(segment.init)}"')
        if self._keys and (new_key or new_map):
            lines += key_lines(self._keys, segment.msn)
        self._init, self._period = segment.init, period
        return lines


def key_lines(keys: Keys, msn: int) -> list[str]:
    """EXT-X-KEY for segment `msn`.

    For `cbcs` there is no line with the format `identity` beside that of ClearKey: hls.js would prefer it and not play.
    """
    key = keys.of_segment(msn)
    uri = f"/keys/{keys.stream}/{key.period}"
    if keys.method == Method.AES_128:
        # The vector is the segment's number anyway; players disagree about that number for parts.
        return [f'#EXT-X-KEY:METHOD=AES-128,URI="{uri}",IV=0x{msn:032X}']
    kid = base64.b64encode(key.kid).decode()
    return [
        f'#EXT-X-KEY:METHOD=SAMPLE-AES,KEYFORMAT="org.w3.clearkey",KEYFORMATVERSIONS="1",'
        f'KEYID=0x{key.kid.hex().upper()},URI="data:text/plain;base64,{kid}"',
    ]


def _segment_lines(segment: Segment, known: _Known, *, with_parts: bool) -> list[str]:
    lines = ["#EXT-X-DISCONTINUITY"] if segment.discontinuity else []
    lines += known.needed(segment)
    lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{program_date_time(segment.start)}")
    if with_parts:
        lines += [_part_line(segment.msn, index, part) for index, part in enumerate(segment.parts)]
    return lines


def _date_range(cue: Cue) -> str:
    data = json.dumps(cue.data, separators=(",", ":"), ensure_ascii=False).encode().hex().upper()
    duration = f",DURATION={cue.duration:.3f}" if cue.duration else ""
    start = program_date_time(cue.at)
    return (
        f'#EXT-X-DATERANGE:ID="{cue.id}",CLASS="{CUE_CLASS}",START-DATE="{start}"{duration},'
        f'X-KIND="{cue.kind}",X-DATA=0x{data}'
    )


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
