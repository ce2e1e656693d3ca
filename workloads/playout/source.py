"""One source of the programme: an encoder whose frames wait here until it is on air, and are passed on from then.

A source is ready once picture and sound have begun. A live one begins with its newest key frame when it goes on air,
because what came before is old news; a film begins at its beginning.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence

from workloads.playout.process import Process
from workloads.playout.schedule import Programme
from workloads.playout.transport import MEDIA_PIDS, VIDEO_PID, Frames, TransportError, pid_of

STALL_SECONDS = 1.5
_READ_BYTES = 65_536
_MOST_WAITING_BYTES = 32 * 1024 * 1024

logger = logging.getLogger(__name__)

Frame = tuple[list[bytes], int | None]
Sink = Callable[[list[bytes], int | None], None]


class Source:
    """Made by `start`, ended by `stop`. `at` is the moment (Unix seconds) from which it is to be on air."""

    def __init__(self, programme: Programme, process: Process, *, at: float) -> None:
        self.programme = programme
        self.at = at
        self.born = time.monotonic()
        self._process = process
        self._frames = Frames()
        self._waiting: deque[Frame] = deque()
        self._waiting_bytes = 0
        self._sink: Sink | None = None
        self._heard = time.monotonic()
        self._broken = ""
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, programme: Programme, command: Sequence[str], *, at: float) -> "Source":
        """Start the encoder. OSError when it cannot be started."""
        return cls(programme, await Process.start(command), at=at)

    @property
    def ready(self) -> bool:
        """Whether it can go on air."""
        return self._frames.begun

    @property
    def ended(self) -> bool:
        """Whether nothing comes any more."""
        return self._reading.done()

    @property
    def complete(self) -> bool:
        """Whether it ended because it was over, not because something went wrong."""
        exited = self._process.exited
        return self.ended and not self._broken and exited.done() and exited.result() == 0

    @property
    def stalled(self) -> bool:
        """Whether it says nothing although it should."""
        return self.ready and time.monotonic() - self._heard > STALL_SECONDS

    @property
    def trouble(self) -> str:
        """What went wrong."""
        return self._broken or self._process.last_words or ("it stalls" if self.stalled else "it ended")

    def take_over(self, sink: Sink, *, live: bool) -> None:
        """Go on air: what has waited is passed on now, the rest as it comes."""
        if live:
            for _ in range(_newest_key(list(self._waiting))):
                self._waiting.popleft()
        while self._waiting:
            sink(*self._waiting.popleft())
        self._waiting_bytes = 0
        self._sink = sink

    def begins(self, *, live: bool) -> dict[int, int]:
        """Time of the first frame by PID, as `take_over` will pass them on."""
        frames = list(self._waiting)
        first: dict[int, int] = {}
        for packets, moment in frames[_newest_key(frames) if live else 0 :]:
            if moment is not None:
                first.setdefault(pid_of(packets[0]), moment)
        return first or dict(self._frames.first)

    async def stop(self) -> None:
        """End the encoder."""
        self._sink = None
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading
        await self._process.stop()

    async def _read(self) -> None:
        output = self._process.output
        while output is not None:
            data = await output.read(_READ_BYTES)
            if not data:
                break
            self._heard = time.monotonic()
            try:
                for packets, moment in self._frames.feed(data):
                    self._pass_on(packets, moment)
            except TransportError as error:
                self._broken = str(error)
                self._process.kill()
                break
        await self._process.exited

    def _pass_on(self, packets: list[bytes], moment: int | None) -> None:
        if self._sink is not None:
            self._sink(packets, moment)
            return
        self._waiting.append((packets, moment))
        self._waiting_bytes += sum(len(packet) for packet in packets)
        if self._waiting_bytes > _MOST_WAITING_BYTES:
            self._broken = "it waits for its time with more than memory holds"
            self._process.kill()


def _newest_key(frames: Sequence[Frame]) -> int:
    """Index of the newest key frame behind which there is sound as well; 0 when there is none."""
    heard: set[int] = set()
    for index in range(len(frames) - 1, -1, -1):
        packets, moment = frames[index]
        if moment is None:
            continue
        heard.add(pid_of(packets[0]))
        if pid_of(packets[0]) == VIDEO_PID and len(heard) == len(MEDIA_PIDS) and _is_key(packets[0]):
            return index
    return 0


def _is_key(packet: bytes) -> bool:
    """Whether the packet is marked as a point of random access."""
    return bool(packet[3] & 0x20 and packet[4] > 0 and packet[5] & 0x40)
