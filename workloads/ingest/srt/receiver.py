"""What the receiving side of an SRT connection knows about sequence numbers; free of IO, `now` comes in.

Packets leave in order. A gap is reported at once and then periodically; one that stays open for the connection's
latency is given up, since live media must go on. The trap is a peer that jumps far ahead: what lies beyond the window
is ignored, so memory and loss reports stay bounded.
"""

from workloads.ingest.srt.packet import after, distance, ranges

WINDOW_PACKETS = 8192
Gap = tuple[int, int]


class Receiver:
    """`take` what comes, `deliver` what may leave. `lost` counts packets that were given up."""

    def __init__(self, first: int, *, latency_seconds: float) -> None:
        self.lost = 0
        self.duplicates = 0
        self.latency_seconds = latency_seconds
        self._next = first
        self._ahead = first
        self._held: dict[int, tuple[float, bytes]] = {}
        self._missing: dict[int, float] = {}
        self._asked: dict[int, float] = {}

    @property
    def acknowledged(self) -> int:
        """Everything before this sequence number has arrived or was given up."""
        return next(iter(self._missing), self._ahead)

    @property
    def space(self) -> int:
        """Packets that may still come before the window is full."""
        return max(0, WINDOW_PACKETS - distance(self._ahead, self._next))

    def take(self, sequence: int, payload: bytes, now: float) -> list[Gap]:
        """Take a packet; the gaps that it opened."""
        offset = distance(sequence, self._next)
        if offset < 0 or sequence in self._held:
            self.duplicates += 1
            return []
        if offset >= WINDOW_PACKETS:
            return []
        self._held[sequence] = (now, payload)
        ahead = distance(sequence, self._ahead)
        if ahead < 0:
            self._missing.pop(sequence, None)
            self._asked.pop(sequence, None)
            return []
        opened = [after(self._ahead, index) for index in range(ahead)]
        self._missing.update(dict.fromkeys(opened, now))
        self._asked.update(dict.fromkeys(opened, now))
        self._ahead = after(sequence)
        return ranges(opened)

    def forget(self, first: int, last: int) -> None:
        """The peer will not send these again."""
        if not 0 <= distance(last, first) < WINDOW_PACKETS:
            return
        for sequence in [item for item in self._missing if distance(item, first) >= 0 >= distance(item, last)]:
            self._give_up(sequence)

    def deliver(self, now: float) -> list[bytes]:
        """The packets that are next in order; gaps older than the latency are skipped."""
        for sequence in [item for item, since in self._missing.items() if now - since >= self.latency_seconds]:
            self._give_up(sequence)
        found = []
        while self._next != self._ahead and self._next not in self._missing:
            entry = self._held.pop(self._next, None)
            if entry:
                found.append(entry[1])
            self._next = after(self._next)
        return found

    def overdue(self, now: float, seconds: float) -> list[Gap]:
        """The open gaps that were last reported `seconds` ago, oldest first; they count as reported now."""
        found = [sequence for sequence, asked in self._asked.items() if now - asked >= seconds]
        self._asked.update(dict.fromkeys(found, now))
        return ranges(found)

    def _give_up(self, sequence: int) -> None:
        del self._missing[sequence]
        del self._asked[sequence]
        self.lost += 1
