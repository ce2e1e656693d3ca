"""What a worker should host, by what it has read: pure, so that the rules can be tested without Redis.

Only a successful read may take a stream away. One that says that the stream is elsewhere, or is another one under the
same name, counts at once; a stream that is merely missing is kept for a while, because a Redis that has lost
everything is filled again by the operators, and a broadcast should not end for that.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from workloads.transcoder.config import StreamSpec

MISSING_SECONDS = 15.0

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

logger = logging.getLogger(__name__)


class Allocation(BaseModel):
    """A value of the hash `haat:allocations` (docs/explanation/contracts.md).

    `keys` are SHA-256 digests of the stream keys that may publish, in hexadecimal.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    worker: str
    units: int = Field(ge=1)
    uid: str
    keys: tuple[Digest, ...] = ()
    spec: StreamSpec

    @property
    def stream(self) -> str:
        """Stream id."""
        return self.spec.stream

    @model_validator(mode="before")
    @classmethod
    def _needs_an_object(cls, body: object) -> object:
        if not isinstance(body, Mapping):
            raise ValueError("must be an object")
        return body


def parse(stream: str, raw: str) -> Allocation | None:
    """The allocation in a field's value; None when it is unusable, which is logged with the member and the reason."""
    try:
        found = Allocation.model_validate(json.loads(raw))
        if found.stream != stream:
            raise ValueError(f"spec.stream is {found.stream}")
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        logger.error("unusable allocation: %s", reason, extra={"stream": stream})
        return None
    except ValueError as error:
        logger.error("unusable allocation: %s", error, extra={"stream": stream})
        return None
    return found


@dataclass(frozen=True, slots=True)
class Changes:
    """What a read changes, to be done in this order.

    `moved` are the places that streams have elsewhere now; a stream that is replaced is in `gone` and in `host`.
    """

    moved: tuple[Allocation, ...] = ()
    gone: tuple[str, ...] = ()
    host: tuple[Allocation, ...] = ()
    update: tuple[Allocation, ...] = ()


class Table:
    """What the worker `pod` hosts, as of the last read."""

    def __init__(self, pod: str) -> None:
        self.held: dict[str, Allocation] = {}
        self._pod = pod
        self._missing_since: dict[str, float] = {}

    def read(self, seen: Mapping[str, Allocation | None], now: float) -> Changes:
        """Take what a successful read said at `now` (monotonic seconds): None for a stream that is not in the hash.

        Streams that are not in `seen` were not looked at, or their entry is unusable: nothing changes about them.
        """
        moved: list[Allocation] = []
        gone: list[str] = []
        host: list[Allocation] = []
        update: list[Allocation] = []
        for stream, found in seen.items():
            held = self.held.get(stream)
            if found is None:
                if held and self._missed(stream, now):
                    gone.append(stream)
                continue
            self._missing_since.pop(stream, None)
            mine = found.worker == self._pod
            if held and held.uid != found.uid:
                gone.append(stream)
            elif held and not mine:
                moved.append(found)
            elif held and held != found:
                update.append(found)
            if mine and (not held or held.uid != found.uid):
                host.append(found)
        for stream in (*(allocation.stream for allocation in moved), *gone):
            del self.held[stream]
            self._missing_since.pop(stream, None)
        self.held.update((allocation.stream, allocation) for allocation in (*host, *update))
        return Changes(tuple(moved), tuple(gone), tuple(host), tuple(update))

    def failed(self) -> None:
        """A read failed: what was missing before may have come back unseen, so the waiting starts again."""
        self._missing_since.clear()

    def _missed(self, stream: str, now: float) -> bool:
        return now - self._missing_since.setdefault(stream, now) >= MISSING_SECONDS
