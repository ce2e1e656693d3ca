"""From segments to a progressive MP4 with its index in front: packets are copied, nothing is encoded. Call in a thread.

A clip begins and ends at key frames, and pauses of the broadcast are left out. Trap avoided: segments of two encoders
need two decoder configurations, which one track cannot carry, so that a clip ends where the configuration changes.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet

AnyPacket: TypeAlias = "Packet[Any]"
_TOLERANCE_SECONDS = 0.002


class NoClip(Exception):
    """There is nothing between the two moments that could be cut out."""


@dataclass(frozen=True, slots=True)
class Source:
    """Media of one decoder configuration without a pause: a file with an init segment and segments after it."""

    init: str
    file: Path


@dataclass(frozen=True, slots=True)
class Window:
    """Media time that is taken, and where it stands in the clip; seconds."""

    start: float
    end: float
    at: float


@dataclass(frozen=True, slots=True)
class Cut:
    """What the clip holds: media times of its first and last moment, and its length in seconds."""

    start: float
    end: float
    seconds: float


def remux(video: Sequence[Source], audio: Sequence[Source], start: float, end: float, target: Path) -> Cut:
    """Write the clip of media time `start` to `end` to `target`; NoClip when there is nothing to be written."""
    try:
        windows = list(_windows(_same_init(video), start, end))
        if not windows:
            raise NoClip("no key frame lies between the two moments")
        _write(_same_init(video), _same_init(audio), windows, target)
    except FFmpegError as error:
        raise NoClip(str(error)) from error
    return Cut(windows[0].start, windows[-1].end, sum(window.end - window.start for window in windows))


def _same_init(sources: Sequence[Source]) -> list[Source]:
    kept: list[Source] = []
    for source in sources:
        if kept and source.init != kept[0].init:
            break
        kept.append(source)
    return kept


def _windows(sources: Sequence[Source], start: float, end: float) -> Iterator[Window]:
    """Of each source the part from the last key frame before the beginning to the first one after the end."""
    at = 0.0
    for source in sources:
        keys, last = [], 0.0
        with av.open(str(source.file)) as container:
            for packet in _packets(container):
                if packet.is_keyframe:
                    keys.append(_seconds(packet))
                last = max(last, _seconds(packet) + _duration(packet))
        inside = [key for key in keys if key <= start + _TOLERANCE_SECONDS]
        first = inside[-1] if inside else (keys[0] if keys else last)
        after = next((key for key in keys if key >= end - _TOLERANCE_SECONDS and key > first), last)
        if after > first and first < end:
            yield Window(first, after, at)
            at += after - first


def _write(video: Sequence[Source], audio: Sequence[Source], windows: Sequence[Window], target: Path) -> None:
    opened: list[InputContainer] = []
    try:
        with av.open(str(target), "w", format="mp4", options={"movflags": "faststart"}) as output:
            tracks = []
            for sources in filter(None, (video, audio)):
                containers = [av.open(str(source.file)) for source in sources]
                opened += containers
                track = output.add_stream_from_template(containers[0].streams[0])
                tracks.append(_placed(containers, windows, track))
            for _, _, packet in heapq.merge(*tracks, key=lambda item: (item[0], item[1])):
                output.mux(packet)
    finally:
        for container in opened:
            container.close()


def _placed(
    containers: Sequence[InputContainer], windows: Sequence[Window], track: object
) -> Iterator[tuple[float, int, AnyPacket]]:
    """The packets inside the windows, moved to their place in the clip."""
    index = int(track.index)  # type: ignore[attr-defined]
    for container in containers:
        for packet in _packets(container):
            moment = _seconds(packet)
            window = next((item for item in windows if item.start - 0.001 <= moment < item.end - 0.001), None)
            if window is None or packet.time_base is None or packet.dts is None or packet.pts is None:
                continue
            moved = round((window.start - window.at) / packet.time_base)
            packet.pts, packet.dts = packet.pts - moved, packet.dts - moved
            packet.stream = track
            yield float(packet.dts * packet.time_base), index, packet


def _packets(container: InputContainer) -> Iterator[AnyPacket]:
    return (packet for packet in container.demux(container.streams[0]) if packet.pts is not None and packet.size)


def _seconds(packet: AnyPacket) -> float:
    return float(packet.pts * packet.time_base) if packet.pts is not None and packet.time_base is not None else 0.0


def _duration(packet: AnyPacket) -> float:
    return float(packet.duration * packet.time_base) if packet.duration and packet.time_base is not None else 0.0
