"""What happened in the room while the recording grew: pins, chat and sales with their wall-clock time.

The room's history in Redis keeps about a thousand events, so it is read every two seconds and kept in documents by
minute. Lines are united by (epoch, offset): a recorder that takes over reads the history again and repeats nothing.
"""

import asyncio
import json
import logging
from collections.abc import Iterable
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from workloads.common import rooms
from workloads.common.loops import going_on
from workloads.recorder import layout
from workloads.recorder.timeline import Timeline
from workloads.recorder.upload import Uploader

POLL_SECONDS = 2.0
PAGE = 500
MAX_LINES_PER_MINUTE = 20_000
_NEVER_SHOWN = frozenset(("viewers.tick", "sale.tick", "sale.countdown"))

logger = logging.getLogger(__name__)


class Line(msgspec.Struct, frozen=True):
    """An event as it is kept; `ts_ms` is epoch milliseconds."""

    ts_ms: int
    event: str
    data: dict[str, Any]
    offset: int
    epoch: str


class Moment(msgspec.Struct, frozen=True):
    """An event of a replay: `at_ms` is its play time."""

    at_ms: int
    event: str
    data: dict[str, Any]
    ts_ms: int
    offset: int


class Chapter(msgspec.Struct, frozen=True):
    """From one pinned product to the next, in milliseconds of play time."""

    start_ms: int
    end_ms: int
    title: str
    sku: str


_LINE = msgspec.json.Decoder(Line)


class Tail:
    """Follows one room from media time `since` on; `run` it."""

    def __init__(
        self, redis: Redis, recording: layout.Recording, uploader: Uploader, writer: str, since: float
    ) -> None:
        self._redis = redis
        self._recording = recording
        self._uploader = uploader
        self._writer = writer
        self._since_ms = layout.wall_ms(since)
        self._last = "0-0"
        self._minutes: dict[int, dict[tuple[str, int], bytes]] = {}

    async def run(self) -> None:
        """Read until cancelled."""
        while going_on():
            await self.read()
            await asyncio.sleep(POLL_SECONDS)

    async def read(self) -> None:
        """Take in what is new; a Redis that is away is asked again later."""
        log = rooms.keys(self._recording.stream)[1]
        try:
            newest: Any = await self._redis.xrevrange(log, count=1)
            if newest and _place(newest[0][0]) < _place(self._last):
                self._last = "0-0"  # The room's history began anew.
            while True:
                page: Any = await self._redis.xrange(log, min=f"({self._last}", count=PAGE)
                self._take(page)
                if len(page) < PAGE:
                    return
        except (RedisError, OSError) as error:
            logger.debug("the room cannot be read: %s", error, extra={"stream": self._recording.stream})

    def _take(self, page: list[Any]) -> None:
        touched: set[int] = set()
        for identifier, fields in page:
            self._last = str(identifier)
            line = parse_event(str(fields.get("event", "")))
            if line is None or line.ts_ms < self._since_ms:
                continue
            minute = layout.minute_of(layout.media_time(line.ts_ms))
            lines = self._minutes.setdefault(minute, {})
            if len(lines) < MAX_LINES_PER_MINUTE:
                lines[line.epoch, line.offset] = msgspec.json.encode(line)
                touched.add(minute)
        for minute in touched:
            data = b"\n".join(self._minutes[minute].values()) + b"\n"
            self._uploader.publish(self._recording.events(minute, self._writer), data)
        for minute in [minute for minute in self._minutes if minute < max(self._minutes) - 10]:
            del self._minutes[minute]


def parse_event(raw: str) -> Line | None:
    """An event of the room's history; None for one that is of no use in a replay."""
    try:
        body = json.loads(raw)
        line = Line(int(body["ts_ms"]), str(body["event"]), dict(body["data"]), int(body["offset"]), str(body["epoch"]))
    except (ValueError, KeyError, TypeError):
        return None
    return None if line.event in _NEVER_SHOWN else line


def parse_lines(data: bytes) -> list[Line]:
    """The lines of a document; damaged ones are left out."""
    found = []
    for raw in data.splitlines():
        try:
            found.append(_LINE.decode(raw))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return found


def replay(lines: Iterable[Line], timeline: Timeline) -> list[Moment]:
    """The events in the order of play time; what moderators deleted, and what happened beyond either end, is left out.

    What happened while nothing was on the air appears where the media goes on.
    """
    united = {(line.epoch, line.offset): line for line in lines}
    deleted = {
        (line.epoch, target)
        for line in united.values()
        if line.event == "chat.deleted" and isinstance(target := line.data.get("offset"), int)
    }
    banned = {str(line.data.get("user_id", "")) for line in united.values() if line.event == "chat.deleted"} - {""}
    moments = []
    for key, line in sorted(united.items(), key=lambda item: (item[1].ts_ms, item[1].offset)):
        at = timeline.play_time(layout.media_time(line.ts_ms))
        if at is None or key in deleted or line.event == "chat.deleted" or _author(line) in banned:
            continue
        moments.append(Moment(round(at * 1000), line.event, line.data, line.ts_ms, line.offset))
    return moments


def chapters(moments: Iterable[Moment], timeline: Timeline) -> list[Chapter]:
    """A chapter for each pinned product, until the next one is pinned."""
    pins = [moment for moment in moments if moment.event == "pin" and moment.data.get("sku")]
    end = round(timeline.seconds(timeline.reference) * 1000) if timeline.reference else 0
    found = []
    for index, pin in enumerate(pins):
        until = pins[index + 1].at_ms if index + 1 < len(pins) else end
        if until > pin.at_ms:
            sku = str(pin.data["sku"])
            found.append(Chapter(pin.at_ms, until, str(pin.data.get("title") or sku), sku))
    return found


def _author(line: Line) -> str:
    """Who said it; empty for what is no chat."""
    user = line.data.get("user")
    return str(user.get("id", "")) if line.event == "chat" and isinstance(user, dict) else ""


def _place(identifier: str) -> tuple[int, int]:
    first, _, second = str(identifier).partition("-")
    return int(first), int(second or 0)
