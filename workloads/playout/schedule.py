"""schedule.json: what is on air when. Read again when the file changes; a file that is wrong leaves the last good one.

Where nothing is planned, the slate is the programme: a playout without a schedule is dull, never dark.
"""

import logging
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from workloads.common.mounted import ConfigError, read_document

Kind = Literal["vod", "stream", "relay", "slate"]

logger = logging.getLogger(__name__)


class Programme(BaseModel):
    """One programme; moments are Unix milliseconds. `began_at_ms` is where the source has its beginning."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    slot: str = ""
    kind: Kind = "slate"
    source: str = ""
    starts_at_ms: int
    ends_at_ms: int
    began_at_ms: int

    @property
    def identity(self) -> tuple[str, str, str, int]:
        """What stays the same when the schedule is resolved again; one slate is like another."""
        return (self.kind, self.slot, self.source, 0 if self.kind == "slate" else self.began_at_ms)


class Schedule(BaseModel):
    """The file, as far as the playout needs it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    slate: str = ""
    planned_until_ms: int = 0
    programmes: tuple[Programme, ...] = Field((), max_length=10_000)

    def at(self, now: float) -> Programme:
        """The programme of a moment (Unix seconds)."""
        moment = round(now * 1000)
        for item in self.programmes:
            if item.starts_at_ms <= moment < item.ends_at_ms:
                return item
        after = [item.starts_at_ms for item in self.programmes if item.starts_at_ms > moment]
        return self.filler(moment, min(after, default=moment + 86_400_000))

    def filler(self, starts_at_ms: int, ends_at_ms: int) -> Programme:
        """The slate between two moments."""
        return Programme(
            kind="slate",
            source=self.slate,
            starts_at_ms=starts_at_ms,
            ends_at_ms=ends_at_ms,
            began_at_ms=starts_at_ms,
        )


class ScheduleFile:
    """The schedule on disk."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self.current = Schedule()

    def refresh(self) -> bool:
        """Look at the file; True when another schedule came of it."""
        if self._path is None:
            return False
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp == self._stamp:
                return False
            self._stamp = stamp
            found = read_document(self._path, Schedule)
        except (OSError, ConfigError) as error:
            logger.warning("the schedule cannot be read; the last good one stays: %s", error)
            return False
        changed, self.current = found != self.current, found
        return changed
