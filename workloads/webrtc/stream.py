"""One stream as this pod reads it: a feed for each rung that somebody watches, one for its sound, and its viewers.

A feed lives as long as it has listeners, and a little longer. When the transcoder is replaced, viewers notice a pause:
the origin is looked up again and reading goes on at the next key frame. Only when that fails for `GIVE_UP_SECONDS` do
the viewers get their goodbye.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import aiohttp

from workloads.common.cmaf.boxes import BoxError
from workloads.common.cmaf.fragment import Fragment, Init
from workloads.common.directory import DirectoryUnavailable
from workloads.common.loops import going_on
from workloads.common.origins import NotLive, Origins, UnknownStream
from workloads.common.problem import Problem
from workloads.webrtc import reader
from workloads.webrtc.estimate import Choice, RungPicker, first_rung
from workloads.webrtc.metrics import Metrics
from workloads.webrtc.reader import FeedLost
from workloads.webrtc.track import Track
from workloads.webrtc.tracks import SoundMaker, VideoMaker
from workloads.webrtc.viewer import Viewer

SOUND = "audio"
SOUND_BPS = 110_000
GIVE_UP_SECONDS = 30.0
LINGER_SECONDS = 5.0
REFRESH_SECONDS = 5.0
_FIRST_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.1, 1.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tools:
    """What all streams of the process share."""

    client: aiohttp.ClientSession
    origins: Origins
    threads: Executor
    metrics: Metrics


@dataclass(slots=True)
class _Watch:
    """A viewer with what chooses its rung; `pinned` is a rung that it asked for."""

    viewer: Viewer
    picker: RungPicker
    pinned: str


class Stream:
    """Made by the registry for the first viewer; `open` it, then `add` viewers; `on_empty` tells that the last left."""

    def __init__(self, stream: str, tools: Tools) -> None:
        self.id = stream
        self.idle_since = time.monotonic()
        self._tools = tools
        self._rungs: list[Choice] = []
        self._has_sound = False
        self._tracks: dict[str, Track] = {}
        self._feeds: dict[str, asyncio.Task[None]] = {}
        self._idle: dict[str, float] = {}
        self._viewers: dict[Viewer, _Watch] = {}
        self._described = 0.0
        self._refreshing: asyncio.Task[None] | None = None

    @property
    def viewers(self) -> int:
        """How many there are."""
        return len(self._viewers)

    async def open(self) -> None:
        """Learn what the stream has; Problem 404 or 503 when it cannot be watched now."""
        if time.monotonic() - self._described < REFRESH_SECONDS and self._rungs:
            return
        try:
            await self._describe()
        except UnknownStream as error:
            raise Problem(404, "unknown_stream", f"There is no stream {self.id}.") from error
        except NotLive as error:
            raise _not_live() from error
        except DirectoryUnavailable as error:
            raise Problem(503, "no_directory", "Streams cannot be found now.", retry_after_seconds=1) from error
        except FeedLost as error:
            self._tools.origins.forget(self.id)
            if error.status == 404:
                raise _not_live() from error
            raise Problem(503, "origin_away", "The stream's source is away.", retry_after_seconds=1) from error
        if not self._rungs:
            raise _not_live()

    def check(self, rung: str) -> None:
        """Problem 404 when a rung was asked for that there is not."""
        if rung and rung not in {choice.name for choice in self._rungs}:
            names = ", ".join(choice.name for choice in self._rungs)
            raise Problem(404, "unknown_rung", f"There is no rung {rung}; there are {names}.")

    def add(self, viewer: Viewer, pinned: str = "") -> None:
        """A viewer begins; `pinned` is the rung to stay on."""
        viewer.estimator.max_bps = 1.5 * self._rungs[0].bps + 1_000_000
        self._viewers[viewer] = _Watch(viewer, RungPicker(time.monotonic()), pinned)
        self._put(viewer, pinned or first_rung(self._rungs, viewer.estimator.bps))
        self._tools.metrics.viewers.labels(self.id).set(len(self._viewers))

    def remove(self, viewer: Viewer) -> None:
        """A viewer left."""
        if self._viewers.pop(viewer, None):
            self._tools.metrics.viewers.labels(self.id).set(len(self._viewers))
            if not self._viewers:
                self.idle_since = time.monotonic()

    def second(self, now: float) -> None:
        """Once a second: rungs of viewers, feeds that nobody listens to."""
        if now - self._described > REFRESH_SECONDS and self._viewers and self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh())
        for watch in self._viewers.values():
            self._choose(watch, now)
        for name, track in list(self._tracks.items()):
            if track.listeners:
                self._idle.pop(name, None)
            elif now - self._idle.setdefault(name, now) > LINGER_SECONDS:
                self._drop(name)

    async def close(self) -> None:
        """End all viewers and feeds."""
        for viewer in list(self._viewers):
            viewer.close()
            self.remove(viewer)
        tasks = [*self._feeds.values(), *([self._refreshing] if self._refreshing else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(KeyError):
            self._tools.metrics.viewers.remove(self.id)

    def _choose(self, watch: _Watch, now: float) -> None:
        if not self._rungs or watch.viewer.track is None:
            return
        names = {choice.name for choice in self._rungs}
        current = watch.viewer.wanted_rung
        wanted = current
        if watch.pinned in names:
            wanted = watch.pinned
        elif watch.viewer.measured or current not in names:
            wanted = watch.picker.pick(self._rungs, current, watch.viewer.estimator.bps, now)
        if wanted != current:
            logger.info("rung changes", extra={"stream": self.id, "from": current, "to": wanted})
            self._put(watch.viewer, wanted)

    def _put(self, viewer: Viewer, rung: str) -> None:
        viewer.watch(self._track(rung), self._track(SOUND) if self._has_sound else None)

    def _track(self, name: str) -> Track:
        track = self._tracks.get(name)
        if track is None:
            sound = name == SOUND
            track = self._tracks[name] = Track(name, keeps_group=not sound)
            maker = SoundMaker(track, self._tools.threads) if sound else VideoMaker(track)
            self._idle[name] = time.monotonic()
            self._feeds[name] = asyncio.create_task(self._follow(name, maker.take))
        return track

    def _drop(self, name: str) -> None:
        self._idle.pop(name, None)
        del self._tracks[name]
        self._feeds.pop(name).cancel()

    async def _describe(self) -> None:
        origin = await self._tools.origins.find(self.id)
        body = await reader.describe(self._tools.client, origin, self.id)
        self._described = time.monotonic()
        self._rungs = parse_rungs(body) if body.get("receiving") else []
        self._has_sound = bool(body.get("audio"))

    async def _refresh(self) -> None:
        """Rungs may change with the publisher's next session; while nobody publishes, the last ones stay."""
        rungs = self._rungs
        try:
            await self._describe()
        except (UnknownStream, NotLive, DirectoryUnavailable, FeedLost):
            self._described = time.monotonic()
        finally:
            self._rungs = self._rungs or rungs
            self._refreshing = None

    async def _follow(self, name: str, take: Callable[[Init | Fragment], Awaitable[None]]) -> None:
        """Read the rendition until it is dropped; end all viewers when it stays away."""
        pause, since = _FIRST_PAUSE_SECONDS, time.monotonic()
        while going_on():
            try:
                origin = await self._tools.origins.find(self.id)
                await reader.read(self._tools.client, f"{origin}/frames/{self.id}/{name}", take)
            except FeedLost as error:
                logger.info("feed lost: %s", error, extra={"stream": self.id, "rung": name})
                self._tools.metrics.feed_failures.inc()
                if error.began:
                    pause, since = _FIRST_PAUSE_SECONDS, time.monotonic()
            except (UnknownStream, NotLive, DirectoryUnavailable, BoxError) as error:
                logger.info("no feed: %r", error, extra={"stream": self.id, "rung": name})
            self._tools.origins.forget(self.id)
            if time.monotonic() - since > GIVE_UP_SECONDS:
                self._give_up(name)
                since = time.monotonic()
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, _MAX_PAUSE_SECONDS)

    def _give_up(self, name: str) -> None:
        """The rendition does not come back: its viewers are told, who may ask for the stream anew."""
        if name == SOUND:
            return
        for viewer in [viewer for viewer in self._viewers if viewer.track and viewer.track.name == name]:
            viewer.close()
            viewer.on_ended("stream ended")


def parse_rungs(body: dict[str, object]) -> list[Choice]:
    """The rungs in a transcoder's description, largest first; what is unusable is left out."""
    listed = body.get("rungs")
    found = []
    for item in listed if isinstance(listed, list) else []:
        name, kbps = (item.get("name"), item.get("kbps")) if isinstance(item, dict) else (None, None)
        if isinstance(name, str) and isinstance(kbps, int | float) and kbps > 0:
            found.append(Choice(name, kbps * 1000 + SOUND_BPS))
    return sorted(found, key=lambda choice: -choice.bps)


def _not_live() -> Problem:
    return Problem(404, "not_live", "Nobody publishes to this stream now.", retry_after_seconds=1)
