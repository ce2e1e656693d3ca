"""What the publisher sent and the encoder may still need: tags in order, from a key frame on; free of IO.

A new encoder begins at the key frame before the first frame that is still to be published, so nothing is lost when it
replaces a running one. Timestamps are unwrapped here and made relative to the encoder's first tag, so every encoder
counts from about zero. Bounded in bytes: the oldest group of pictures goes first.
"""

from collections import deque
from dataclasses import dataclass

from workloads.common import flv

MAX_BYTES = 48 * 1024 * 1024
_WRAP = 1 << 32


@dataclass(frozen=True, slots=True)
class Arrival:
    """A tag with its unwrapped decode time in milliseconds since the session's first tag."""

    at_ms: int
    tag: flv.Tag
    configuration: bool
    key: bool


class Intake:
    """`add` what arrives, `take` what the encoder has not had, `rewind` for the next encoder, `trim` what is done."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._arrivals: deque[Arrival] = deque()
        self._configuration: dict[int, Arrival] = {}
        self._max_bytes = max_bytes
        self._bytes = 0
        self._taken = 0
        self._base_ms = 0
        self._head_due = True
        self._last: int | None = None
        self._last_ms = 0
        self.newest_ms = 0

    def add(self, tag: flv.Tag) -> Arrival:
        """The next tag of the publisher."""
        arrival = Arrival(self._unwrap(tag), tag, _configures(tag), _is_key(tag))
        self._arrivals.append(arrival)
        self._bytes += len(tag.payload)
        if not arrival.configuration:
            self.newest_ms = max(self.newest_ms, arrival.at_ms)
        while self._bytes > self._max_bytes and len(self._arrivals) > 1:
            self._drop_group()
        return arrival

    def take(self) -> bytes:
        """FLV that the encoder has not had yet; empty when it has everything."""
        found = [flv.HEADER, *self._configuration_tags()] if self._head_due and self._arrivals else []
        if found:
            self._head_due = False
        for index in range(self._taken, len(self._arrivals)):
            arrival = self._arrivals[index]
            stamp = max(0, arrival.at_ms - self._base_ms)
            found.append(flv.pack_tag(arrival.tag.kind, stamp, arrival.tag.payload))
        self._taken = len(self._arrivals)
        return b"".join(found)

    def rewind(self, to_ms: int) -> int:
        """Begin again for a new encoder, at the last key frame at or before `to_ms`; the time that is its zero.

        Without such a key frame it begins at the first one that is kept.
        """
        begin = next((index for index, arrival in enumerate(self._arrivals) if arrival.key), 0)
        for index, arrival in enumerate(self._arrivals):
            if arrival.key and arrival.at_ms <= to_ms:
                begin = index
        self._forget(begin)
        self._taken, self._head_due = 0, True
        self._base_ms = next((arrival.at_ms for arrival in self._arrivals if not arrival.configuration), to_ms)
        return self._base_ms

    def key_frames(self) -> list[int]:
        """Times of the key frames that are kept."""
        return [arrival.at_ms for arrival in self._arrivals if arrival.key]

    def frames_between(self, from_ms: int, to_ms: int) -> int:
        """Kept video frames with a decode time in [from_ms, to_ms)."""
        frames = (arrival for arrival in self._arrivals if arrival.tag.kind == flv.VIDEO and not arrival.configuration)
        return sum(from_ms <= arrival.at_ms < to_ms for arrival in frames)

    def trim(self, done_ms: int) -> None:
        """Everything before `done_ms` is published: groups of pictures that ended before it can go."""
        last = 0
        for index, arrival in enumerate(self._arrivals):
            if index > self._taken or arrival.at_ms > done_ms:
                break
            if arrival.key:
                last = index
        self._forget(last)

    def _drop_group(self) -> None:
        """Drop up to the next key frame; all of it when there is none."""
        following = (index for index, arrival in enumerate(self._arrivals) if index and arrival.key)
        self._forget(next(following, len(self._arrivals)))

    def _forget(self, count: int) -> None:
        for _ in range(count):
            arrival = self._arrivals.popleft()
            self._bytes -= len(arrival.tag.payload)
            if arrival.configuration:
                self._configuration[arrival.tag.kind] = arrival
        self._taken = max(0, self._taken - count)

    def _configuration_tags(self) -> list[bytes]:
        kinds = (flv.SCRIPT, flv.VIDEO, flv.AUDIO)
        return [flv.pack_tag(kind, 0, self._configuration[kind].tag.payload) for kind in kinds if self._has(kind)]

    def _has(self, kind: int) -> bool:
        return kind in self._configuration

    def _unwrap(self, tag: flv.Tag) -> int:
        if self._last is None:
            if _configures(tag):
                return 0
            self._last = tag.timestamp_ms
            return 0
        if not _configures(tag):
            difference = (tag.timestamp_ms - self._last + _WRAP // 2) % _WRAP - _WRAP // 2
            self._last = tag.timestamp_ms
            self._last_ms += difference
        return self._last_ms


def _configures(tag: flv.Tag) -> bool:
    return tag.kind == flv.SCRIPT or flv.is_sequence_header(tag.kind, tag.payload)


def _is_key(tag: flv.Tag) -> bool:
    return flv.is_keyframe(tag.kind, tag.payload) and not flv.is_sequence_header(tag.kind, tag.payload)
