"""A rendition's frames as they leave the encoder, for whoever cannot wait for parts; on one event loop.

A subscription begins with the init segment and the latest key frame, so that its reader can show a picture at once, and
then gets each fragment as it comes. Every fragment is packed once however many read it. A reader that falls behind is
cut instead of being fed stale frames: the trap is a queue that grows until the pod dies for its slowest reader.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from workloads.common.cmaf.fragment import Fragment, Init, pack_chunk

MAX_LAG_SECONDS = 2.0
MAX_GROUP_BYTES = 32 * 1024 * 1024
_AUDIO_GROUP = 8


@dataclass(frozen=True, slots=True)
class Piece:
    """An init segment, or one CMAF chunk; decoding can begin at an `independent` one. `start` is its media time in
    seconds."""

    data: bytes
    init: bool = False
    independent: bool = False
    start: float = 0.0


class FeedEnded(Exception):
    """There will be no more pieces; `lagging` when it is the reader's own fault."""

    def __init__(self, *, lagging: bool) -> None:
        super().__init__("the reader fell behind" if lagging else "the rendition ended")
        self.lagging = lagging


class Subscription:
    """One reader's queue; made by `Feed.subscribe`, ended by `close`. `cut` is set when the reader fell behind."""

    def __init__(self, feed: "Feed", pieces: list[Piece], clock: Callable[[], float]) -> None:
        now = clock()
        self._feed = feed
        self._clock = clock
        self._queue: deque[tuple[float, Piece]] = deque((now, piece) for piece in pieces)
        self._wake = asyncio.Event()
        self._ended: FeedEnded | None = None
        self.cut = asyncio.Event()

    async def next(self) -> list[Piece]:
        """All pieces that are there, at least one; FeedEnded when there will be none."""
        while not self._queue:
            if self._ended:
                raise self._ended
            self._wake.clear()
            await self._wake.wait()
        pieces = [piece for _, piece in self._queue]
        self._queue.clear()
        return pieces

    def close(self) -> None:
        """Read no more."""
        self._feed.forget(self)

    def put(self, piece: Piece) -> None:
        """The feed's next piece; cuts the reader off when its oldest unread piece is too old."""
        now = self._clock()
        if self._queue and now - self._queue[0][0] > MAX_LAG_SECONDS:
            self.end(lagging=True)
            self._feed.forget(self)
            return
        self._queue.append((now, piece))
        self._wake.set()

    def end(self, *, lagging: bool = False) -> None:
        """There will be no more pieces; what a lagging reader has not read is dropped."""
        self._ended = FeedEnded(lagging=lagging)
        if lagging:
            self._queue.clear()
            self.cut.set()
        self._wake.set()


class Feed:
    """The live end of one rendition: `add_init` and `add` from the encoder, `subscribe` from readers."""

    def __init__(self, *, video: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._video = video
        self._clock = clock
        self._init: Init | None = None
        self._group: list[Fragment] = []
        self._group_bytes = 0
        self._chunks = 0
        self._subscriptions: set[Subscription] = set()

    @property
    def readers(self) -> int:
        """How many subscriptions are open."""
        return len(self._subscriptions)

    def subscribe(self) -> Subscription:
        """Begin to read at the latest key frame; before the first one, wait for it."""
        pieces = [] if self._init is None else [Piece(self._init.data, init=True)]
        pieces += [self._pack(fragment) for fragment in self._group]
        subscription = Subscription(self, pieces, self._clock)
        self._subscriptions.add(subscription)
        return subscription

    def begin(self) -> None:
        """Another encoder's output follows: nobody may begin with what the last one left."""
        self._init = None
        self._group, self._group_bytes = [], 0

    def add_init(self, init: Init) -> None:
        """The decoder configuration of what follows."""
        self._init = init
        self._group, self._group_bytes = [], 0
        self._put(Piece(init.data, init=True))

    def add(self, fragment: Fragment) -> None:
        """The next fragment in decode order."""
        if self._init is None:
            return
        self._remember(fragment)
        if self._subscriptions:
            self._put(self._pack(fragment))

    def forget(self, subscription: Subscription) -> None:
        """A reader left."""
        self._subscriptions.discard(subscription)

    def close(self) -> None:
        """The rendition ends: so do all its readers, after what they have not read yet."""
        for subscription in list(self._subscriptions):
            subscription.end()
        self._subscriptions.clear()

    def _remember(self, fragment: Fragment) -> None:
        if not self._video:
            self._group = [*self._group[1 - _AUDIO_GROUP :], fragment]
            return
        if fragment.starts_with_sync:
            self._group, self._group_bytes = [], 0
        elif not self._group:
            return
        self._group.append(fragment)
        self._group_bytes += len(fragment.data)
        if self._group_bytes > MAX_GROUP_BYTES:
            self._group, self._group_bytes = [], 0

    def _pack(self, fragment: Fragment) -> Piece:
        self._chunks += 1
        timescale = self._init.timescale if self._init else 1
        data = pack_chunk(self._chunks, [fragment])
        return Piece(data, independent=fragment.starts_with_sync, start=fragment.decode_time / timescale)

    def _put(self, piece: Piece) -> None:
        for subscription in list(self._subscriptions):
            subscription.put(piece)
