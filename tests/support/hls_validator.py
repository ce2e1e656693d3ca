"""The rules of low-latency HLS (RFC 8216bis) and CMAF over a live stream: each violation in words.

Playlists are parsed here and not by the code under test, so that both would have to be wrong in the same way.
"""

import re
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from workloads.common.cmaf import boxes
from workloads.common.cmaf.boxes import BoxError
from workloads.common.cmaf.fragment import Fragment, FragmentReader, Init

Fetch = Callable[[str], Awaitable[bytes]]
_PART_FLOOR = 0.85
_PEAK_SLACK = 1.1
_ALIGNED_SECONDS = 0.085


@dataclass(slots=True)
class Part:
    uri: str
    duration: float
    independent: bool


@dataclass(slots=True)
class Segment:
    msn: int
    uri: str = ""
    duration: float = 0.0
    date: float | None = None
    map: str = ""
    discontinuity: bool = False
    parts: list[Part] = field(default_factory=list)


@dataclass(slots=True)
class Playlist:
    target: int = 0
    part_target: float = 0.0
    control: dict[str, str] = field(default_factory=dict)
    segments: list[Segment] = field(default_factory=list)
    hint: str = ""
    reports: int = 0


def attributes(line: str) -> dict[str, str]:
    """The attribute list of a tag."""
    return {key: value.strip('"') for key, value in re.findall(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)', line.partition(":")[2])}


def parse(text: str) -> Playlist:
    """A media playlist; its last segment has no URI while it grows."""
    found, msn, current_map = Playlist(), 0, ""
    pending = Segment(0)
    for line in text.splitlines():
        if line.startswith("#EXT-X-MEDIA-SEQUENCE:"):
            msn = int(line.partition(":")[2])
        elif line.startswith("#EXT-X-TARGETDURATION:"):
            found.target = int(line.partition(":")[2])
        elif line.startswith("#EXT-X-PART-INF:"):
            found.part_target = float(attributes(line)["PART-TARGET"])
        elif line.startswith("#EXT-X-SERVER-CONTROL:"):
            found.control = attributes(line)
        elif line.startswith("#EXT-X-MAP:"):
            current_map = attributes(line)["URI"]
        elif line == "#EXT-X-DISCONTINUITY":
            pending.discontinuity = True
        elif line.startswith("#EXT-X-PROGRAM-DATE-TIME:"):
            pending.date = datetime.fromisoformat(line.partition(":")[2]).timestamp()
        elif line.startswith("#EXT-X-PART:"):
            entry = attributes(line)
            pending.parts.append(Part(entry["URI"], float(entry["DURATION"]), entry.get("INDEPENDENT") == "YES"))
        elif line.startswith("#EXTINF:"):
            pending.duration = float(line[8:].partition(",")[0])
        elif line.startswith("#EXT-X-PRELOAD-HINT:"):
            found.hint = attributes(line)["URI"]
        elif line.startswith("#EXT-X-RENDITION-REPORT:"):
            found.reports += 1
        elif line and not line.startswith("#"):
            pending.uri, pending.msn, pending.map = line, msn, current_map
            found.segments.append(pending)
            pending, msn = Segment(0), msn + 1
    if pending.parts:
        pending.msn, pending.map = msn, current_map
        found.segments.append(pending)
    return found


def check_playlist(text: str) -> list[str]:
    """What a media playlist does against the rules."""
    wrong = [] if text.startswith("#EXTM3U\n") else ["does not begin with #EXTM3U"]
    playlist = parse(text)
    wrong += _check_control(playlist)
    for segment in playlist.segments:
        wrong += _check_segment(segment, playlist)
    for earlier, later in pairwise(playlist.segments):
        if earlier.date is None or later.date is None or later.date <= earlier.date:
            wrong.append(f"segment {later.msn}: dates do not grow")
        elif not later.discontinuity and abs(later.date - earlier.date - earlier.duration) > 0.01:
            wrong.append(f"segment {later.msn}: its date is not the end of the one before it")
    growing = playlist.segments[-1] if playlist.segments and not playlist.segments[-1].uri else None
    following = f"{growing.msn}.{len(growing.parts)}" if growing else f"{playlist.segments[-1].msn + 1}.0"
    if playlist.hint != f"{following}.m4s":
        wrong.append(f"hint {playlist.hint} instead of {following}.m4s")
    return wrong


def _check_control(playlist: Playlist) -> list[str]:
    control, wrong = playlist.control, []
    if control.get("CAN-BLOCK-RELOAD") != "YES":
        wrong.append("no blocking reload")
    if float(control.get("PART-HOLD-BACK", 0)) < 2 * playlist.part_target:
        wrong.append("PART-HOLD-BACK below twice the part target")
    if float(control.get("HOLD-BACK", 0)) < 3 * playlist.target:
        wrong.append("HOLD-BACK below three target durations")
    if float(control.get("CAN-SKIP-UNTIL", 0)) < 6 * playlist.target:
        wrong.append("CAN-SKIP-UNTIL below six target durations")
    return wrong


def _check_segment(segment: Segment, playlist: Playlist) -> list[str]:
    wrong = [] if segment.map else [f"segment {segment.msn}: no map"]
    if segment.uri and round(segment.duration) > playlist.target:
        wrong.append(f"segment {segment.msn}: {segment.duration} s are longer than the target")
    if segment.uri and segment.parts and abs(sum(part.duration for part in segment.parts) - segment.duration) > 0.002:
        wrong.append(f"segment {segment.msn}: its parts do not add up to {segment.duration} s")
    for index, part in enumerate(segment.parts):
        if part.duration > playlist.part_target + 1e-4:
            wrong.append(f"part {part.uri}: {part.duration} s are longer than the part target")
        last = index == len(segment.parts) - 1
        before_key = not last and segment.parts[index + 1].independent
        if not last and not before_key and part.duration < _PART_FLOOR * playlist.part_target - 1e-4:
            wrong.append(f"part {part.uri}: {part.duration} s are under 85 % of the part target")
    return wrong


async def check_media(fetch: Fetch, name: str, codecs: str) -> list[str]:
    """What the bytes of a rendition do against the rules; `fetch` reads below the stream's folder."""
    playlist = parse((await fetch(f"{name}/media.m3u8")).decode())
    wrong: list[str] = []
    expected: int | None = None
    inits: dict[str, Init] = {}
    for segment in [segment for segment in playlist.segments if segment.uri and segment.parts]:
        if segment.map not in inits:
            inits[segment.map] = await _init(fetch, f"{name}/{segment.map}")
            wrong += _check_codec(inits[segment.map], name, codecs)
        init = inits[segment.map]
        expected = None if segment.discontinuity else expected
        collected = b""
        for part in segment.parts:
            data = await fetch(f"{name}/{part.uri}")
            collected += data
            fragments = _fragments(init, data)
            wrong += _check_part(part, fragments, init, expected)
            expected = fragments[-1].decode_time + fragments[-1].duration
        if collected != await fetch(f"{name}/{segment.uri}"):
            wrong.append(f"segment {segment.uri} is not its parts")
        if not segment.parts[0].independent:
            wrong.append(f"segment {segment.uri} does not begin with a key frame")
    return wrong


def _check_part(part: Part, fragments: list[Fragment], init: Init, expected: int | None) -> list[str]:
    wrong = []
    if expected is not None and abs(fragments[0].decode_time - expected) > init.timescale / 1000:
        wrong.append(f"part {part.uri}: begins {fragments[0].decode_time - expected} ticks off")
    duration = sum(fragment.duration for fragment in fragments) / init.timescale
    if abs(duration - part.duration) > 0.001:
        wrong.append(f"part {part.uri}: lasts {duration:.5f} s and not {part.duration}")
    if part.independent != fragments[0].starts_with_sync:
        wrong.append(f"part {part.uri}: INDEPENDENT does not say what it is")
    return wrong


def _check_codec(init: Init, name: str, codecs: str) -> list[str]:
    try:
        record = init.data.index(b"avcC") if b"avcC" in init.data else -1
        own = f"avc1.{init.data[record + 5 : record + 8].hex()}" if record >= 0 else init.codec
        boxes.find(init.data, b"moov", b"mvex", b"trex")
    except BoxError as error:
        return [f"{name}: init segment: {error}"]
    return [] if own in codecs.split(",") else [f"{name}: CODECS says {codecs}, the init segment {own}"]


async def _init(fetch: Fetch, uri: str) -> Init:
    [init] = [item for item in FragmentReader().feed(await fetch(uri)) if isinstance(item, Init)]
    return init


def _fragments(init: Init, data: bytes) -> list[Fragment]:
    reader = FragmentReader()
    list(reader.feed(init.data))
    found = [item for item in reader.feed(data) if isinstance(item, Fragment)]
    for kind, box in boxes.BoxReader().feed(data):
        if kind == b"moof" and struct.unpack_from(">I", box, 0)[0] != len(box):
            raise BoxError("a moof of another size")
    return found


async def check_stream(fetch: Fetch) -> list[str]:
    """Everything about a live stream: playlists, bytes, bit rates and the alignment of its renditions."""
    lines = (await fetch("master.m3u8")).decode().splitlines()
    wrong: list[str] = []
    variants: dict[str, dict[str, str]] = {}
    for tag, uri in pairwise(lines):
        if tag.startswith("#EXT-X-STREAM-INF:"):
            variants[uri.partition("/")[0]] = attributes(tag)
    if not variants:
        return ["the master playlist names no variant"]
    playlists: dict[str, Playlist] = {}
    for name, variant in variants.items():
        text = (await fetch(f"{name}/media.m3u8")).decode()
        wrong += [f"{name}: {what}" for what in check_playlist(text)]
        wrong += [f"{name}: {what}" for what in await check_media(fetch, name, variant["CODECS"])]
        playlists[name] = parse(text)
        for segment in [segment for segment in playlists[name].segments if segment.uri][-3:]:
            rate = len(await fetch(f"{name}/{segment.uri}")) * 8 / segment.duration
            if rate > int(variant["BANDWIDTH"]) * _PEAK_SLACK:
                wrong.append(f"{name}: segment {segment.msn} has {rate:.0f} bit/s, above BANDWIDTH")
    return wrong + check_alignment(playlists)


def check_alignment(playlists: dict[str, Playlist]) -> list[str]:
    """Segments of the same number begin at the same time in every rendition, within two frames.

    Those that begin a session are left out: sound may begin earlier than the picture.
    """
    starts: dict[int, dict[str, float]] = {}
    for name, playlist in playlists.items():
        for segment in playlist.segments[1:]:
            if segment.date is not None and not segment.discontinuity:
                starts.setdefault(segment.msn, {})[name] = segment.date
    return [
        f"segment {msn} begins at {by_name}"
        for msn, by_name in starts.items()
        if max(by_name.values()) - min(by_name.values()) > _ALIGNED_SECONDS
    ]
