"""Whether the source can be a rendition as it is, without being encoded again; free of IO.

Players need key frames at least once a segment and frames in the order of their display, so a source is passed through
only while it gives both. That cannot be known before it has been seen for a while: it is believed until it breaks its
word, and then it is encoded from the next frame on.
"""

from workloads.common import flv
from workloads.transcoder.config import Ladder
from workloads.transcoder.encode.intake import Arrival
from workloads.transcoder.source import Source

PROTOCOLS = ("rtmp", "srt")
"""Publishers over WebRTC make a key frame when somebody asks, and change their size as they like."""
_LONGEST_CUTS = 1.25
_MAX_RATE = 1.6
_RATE_WINDOW_MS = 4_000
_AVC = 7


class Passthrough:
    """`add` each arrival; `fits` says whether the source may be a rung now."""

    def __init__(self, ladder: Ladder, protocol: str, *, wanted: bool) -> None:
        self._ladder = ladder
        self._possible = wanted and protocol in PROTOCOLS
        self._longest_ms = ladder.cut_seconds * 1000 * _LONGEST_CUTS
        self._key_ms: int | None = None
        self._configurations: set[bytes] = set()
        self._window_ms = 0
        self._window_bytes = 0
        self._kbps = 0.0

    def add(self, arrival: Arrival) -> None:
        """The publisher's next tag."""
        payload = arrival.tag.payload
        if not self._possible or arrival.tag.kind != flv.VIDEO:
            return
        if len(payload) < 5 or payload[0] & 0x80 or payload[0] & 0x0F != _AVC:
            self._possible = False
        elif arrival.configuration:
            self._configurations.add(payload)
            self._possible = len(self._configurations) == 1
        elif payload[1] == 1:
            self._frame(arrival, payload)

    def fits(self, source: Source) -> bool:
        """Whether the source may be a rung of its own size."""
        short = source.short_side
        rung = next((rung for rung in self._ladder.rungs if rung.short_side == short), None)
        return self._possible and rung is not None and self._kbps <= rung.video_kbps * _MAX_RATE

    def _frame(self, arrival: Arrival, payload: bytes) -> None:
        if int.from_bytes(payload[2:5], "big"):
            self._possible = False  # frames are reordered
        if arrival.key:
            self._key_ms = arrival.at_ms
        elif self._key_ms is None or arrival.at_ms - self._key_ms > self._longest_ms:
            self._possible = False
        self._window_bytes += len(payload)
        passed = arrival.at_ms - self._window_ms
        if passed >= _RATE_WINDOW_MS:
            self._kbps = self._window_bytes * 8 / passed
            self._window_ms, self._window_bytes = arrival.at_ms, 0
