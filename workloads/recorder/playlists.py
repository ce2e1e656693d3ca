"""Playlists and WebVTT files of a recording as text; free of IO.

An ended recording has VOD playlists. One that grows has a window: an EVENT playlist until it is longer than the window,
a sliding one from then on. Numbers count segments from the recording's beginning, since those of two transcoders do not
follow each other.
"""

import math
from datetime import UTC, datetime

from workloads.common.mediatime import MEDIA_EPOCH_SECONDS
from workloads.recorder import layout
from workloads.recorder.timeline import Placed, Timeline

VERSION = 7
TILE_WIDTH, TILE_HEIGHT, COLUMNS = 160, 90, 10


def master(timeline: Timeline) -> str:
    """The multivariant playlist."""
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    sound = next((name for name, item in timeline.renditions.items() if not item.video), "")
    codec = timeline.renditions[sound].codec if sound else ""
    peak_of_sound, average_of_sound = bandwidth(timeline, sound) if sound else (0, 0)
    if sound:
        lines.append(
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="main",DEFAULT=YES,AUTOSELECT=YES,'
            f'CHANNELS="2",URI="{sound}/media.m3u8"'
        )
    entries: list[str] = []
    below = (0, 0)
    for name, item in reversed(list(timeline.renditions.items())):
        if not item.video:
            continue
        measured = bandwidth(timeline, name)
        # On easy pictures a small rung can measure more than a large one; players order rungs by these figures.
        below = (max(measured[0], below[0] + 1), max(measured[1], below[1] + 1))
        values = [
            f"BANDWIDTH={below[0] + peak_of_sound}",
            f"AVERAGE-BANDWIDTH={below[1] + average_of_sound}",
            f'CODECS="{",".join(filter(None, (item.codec, codec)))}"',
            f"RESOLUTION={item.width}x{item.height}",
        ]
        values += [f"FRAME-RATE={item.fps:.3f}"] if item.fps else []
        values += ['AUDIO="audio"'] if sound else []
        entries.insert(0, f"#EXT-X-STREAM-INF:{','.join(values)}\n{name}/media.m3u8")
    return "\n".join([*lines, *entries]) + "\n"


def bandwidth(timeline: Timeline, name: str) -> tuple[int, int]:
    """Peak and average bits per second; short segments at the ends of sessions say nothing of the peak."""
    segments = timeline.segments(name)
    longest = max((segment.duration for segment in segments), default=0.0)
    whole = [segment for segment in segments if segment.duration > longest / 2]
    if not whole:
        return 1, 1
    peak = max(segment.size * 8 / segment.duration for segment in whole)
    average = sum(segment.size for segment in whole) * 8 / sum(segment.duration for segment in whole)
    return math.ceil(peak), math.ceil(average)


def media(timeline: Timeline, name: str, *, window_seconds: float | None = None) -> str:
    """A rendition's playlist: all of it, or with a window what lies in the last seconds of a growing recording."""
    placed = timeline.placed(name)
    listed = placed if window_seconds is None else _window(placed, window_seconds)
    target = max((math.floor(item.segment.duration + 0.5) for item in listed), default=1)
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}", f"#EXT-X-TARGETDURATION:{max(1, target)}"]
    first = listed[0].number if listed else 0
    if window_seconds is None:
        lines.append("#EXT-X-PLAYLIST-TYPE:VOD")
    elif not first:
        lines.append("#EXT-X-PLAYLIST-TYPE:EVENT")
    lines.append(f"#EXT-X-MEDIA-SEQUENCE:{first}")
    cuts, init = listed[0].cuts if listed else 0, ""
    if cuts:
        lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{cuts}")
    lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    for item in listed:
        lines += ["#EXT-X-DISCONTINUITY"] * (item.cuts - cuts)
        if item.segment.init != init:
            lines.append(f'#EXT-X-MAP:URI="init-{item.segment.init}.mp4"')
        if item is listed[0] or item.cuts != cuts or not item.number % 10:
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{date(item.segment.start)}")
        lines += [f"#EXTINF:{item.segment.duration:.5f},", f"{item.segment.msn}.m4s"]
        cuts, init = item.cuts, item.segment.init
    if window_seconds is None:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def sprites(timeline: Timeline, *, portrait: bool = False) -> str:
    """WebVTT: which tile of which sheet shows which seconds of play time."""
    width, height = (TILE_HEIGHT, TILE_WIDTH) if portrait else (TILE_WIDTH, TILE_HEIGHT)
    cues = []
    places = [(slot, timeline.play_time(at)) for slot, at in sorted(timeline.thumbnails.items())]
    shown = [(slot, at) for slot, at in places if at is not None]
    whole = timeline.seconds(timeline.reference) if timeline.reference else 0.0
    for index, (slot, at) in enumerate(shown):
        begin = at if index else 0.0
        end = shown[index + 1][1] if index + 1 < len(shown) else whole
        if end <= begin:
            continue
        sheet, tile = divmod(slot, layout.TILES)
        x, y = tile % COLUMNS * width, tile // COLUMNS * height
        cues.append(f"{clock(begin)} --> {clock(end)}\nsprites/{sheet}.jpg#xywh={x},{y},{width},{height}\n")
    return "\n".join(["WEBVTT\n", *cues])


def date(media_time: float) -> str:
    """Wall-clock time of a media time, RFC 3339 in UTC with milliseconds."""
    stamp = datetime.fromtimestamp(MEDIA_EPOCH_SECONDS + media_time, UTC)
    return stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock(seconds: float) -> str:
    """A WebVTT time."""
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def _window(placed: list[Placed], seconds: float) -> list[Placed]:
    """The last segments that fill the window; all of them for a window of 0."""
    if seconds <= 0:
        return placed
    found = 0.0
    for count, item in enumerate(reversed(placed), start=1):
        found += item.segment.duration
        if found >= seconds:
            return placed[-count:]
    return placed
