"""Settings of the fan-out container, and `stream.json`, the stream whose room it holds."""

import logging
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_settings import NoDecode

from workloads.common.mounted import ConfigError, read_document
from workloads.common.settings import Settings

logger = logging.getLogger(__name__)


class FanoutSettings(Settings):
    """Environment of the fan-out, beside what every container has.

    `broker` memory is a room of one pod without Redis: no history after a restart, and nothing can be bought.
    `allowed_origins` are pages that may open a socket, separated by commas; empty allows all.
    """

    broker: Literal["redis", "memory"] = "redis"
    allowed_origins: Annotated[frozenset[str], NoDecode] = frozenset()
    hello_seconds: float = Field(10.0, gt=0)
    ping_seconds: int = Field(25, ge=1)
    dead_seconds: float = Field(60.0, gt=0)
    deflate: bool = True
    ring_events: int = Field(256, ge=16)
    drop_ephemeral_bytes: int = Field(64 * 1024, ge=4096)
    skip_chat_bytes: int = Field(256 * 1024, ge=4096)
    close_slow_bytes: int = Field(1024 * 1024, ge=4096)
    close_slow_seconds: float = Field(10.0, gt=0)
    unsent_low_bytes: int = Field(128 * 1024, ge=4096)

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return frozenset(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


class Chat(BaseModel):
    """Rules of the room's chat."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    enabled: bool = True
    slow_mode_seconds: float = Field(0, ge=0, le=3600)
    max_length: int = Field(300, ge=1, le=4000)


class StreamSpec(BaseModel):
    """`stream.json` (docs/explanation/contracts.md), as far as the room needs it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stream: str = Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    uid: str = ""
    chat: Chat = Chat()


def load_stream(path: Path) -> StreamSpec:
    """The stream whose room this pod holds; ConfigError when the file is missing or wrong."""
    return read_document(path, StreamSpec)


class StreamFile:
    """`stream.json`, read again when it changes: chat rules take effect without a restart."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = self._read_stamp()
        self.spec = load_stream(path)

    def refresh(self) -> bool:
        """Take a change over; a wrong or missing file leaves the last good rules in force. True when they changed."""
        stamp = self._read_stamp()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            fresh = load_stream(self._path)
        except ConfigError as error:
            logger.warning("the stream's rules stay as they are: %s", error)
            return False
        if fresh.stream != self.spec.stream:
            logger.error("stream.json names another stream; the room stays", extra={"found": fresh.stream})
            return False
        changed, self.spec = fresh != self.spec, fresh
        return changed

    def _read_stamp(self) -> tuple[int, int]:
        try:
            status = self._path.stat()
        except OSError:
            # During the symlink swap of a ConfigMap update the file is briefly away.
            return 0, 0
        return status.st_mtime_ns, status.st_size
