"""What a new transcoder needs to begin in the middle of a publication: decoder configuration and the frames since the
last key frame.

Bounded in bytes and in time: a publisher with endless groups of pictures costs memory only up to the limits, and then a
new transcoder waits for the next key frame.
"""

from workloads.common import flv

MAX_BYTES = 16 * 1024 * 1024
MAX_MILLISECONDS = 6_000


class GopCache:
    """Remembers packed tags as they pass."""

    def __init__(self, max_bytes: int = MAX_BYTES, max_milliseconds: int = MAX_MILLISECONDS) -> None:
        self._max_bytes = max_bytes
        self._max_milliseconds = max_milliseconds
        self._configuration: dict[int, bytes] = {}
        self._tags: list[bytes] = []
        self._bytes = 0
        self._first_ms = 0
        self._last_ms = 0

    def add(
        self, kind: int, timestamp_ms: int, payload: bytes, packed: bytes, *, configuration: bool | None = None
    ) -> None:
        """Take note of a tag; `packed` is its FLV form, `configuration` whether it sets up a decoder, where known."""
        if configuration is None:
            configuration = kind == flv.SCRIPT or flv.is_sequence_header(kind, payload)
        if configuration:
            # A new decoder configuration makes the frames before it undecodable.
            if kind == flv.VIDEO:
                self._forget()
            self._configuration[kind] = packed
            return
        if flv.is_keyframe(kind, payload):
            self._forget()
            self._first_ms = timestamp_ms
        elif not self._tags and (kind != flv.AUDIO or flv.VIDEO in self._configuration):
            return
        if not self._tags:
            self._first_ms = timestamp_ms
        self._tags.append(packed)
        self._bytes += len(packed)
        self._last_ms = timestamp_ms
        if self._bytes > self._max_bytes or self._span_ms() > self._max_milliseconds:
            self._forget()

    def replay(self) -> list[bytes]:
        """File header, configuration and the frames since the last key frame, ready to send."""
        configuration = [
            self._configuration[kind] for kind in (flv.SCRIPT, flv.VIDEO, flv.AUDIO) if kind in self._configuration
        ]
        return [flv.HEADER, *configuration, *self._tags]

    def age_ms(self) -> int:
        """How much media `replay` holds."""
        return self._span_ms() if self._tags else 0

    def _span_ms(self) -> int:
        span = (self._last_ms - self._first_ms) & 0xFFFFFFFF
        return span if span < 0x80000000 else 0

    def _forget(self) -> None:
        self._tags.clear()
        self._bytes = 0
