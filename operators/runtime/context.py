"""Everything that a reconcile may use, built once at start and handed down: no module globals."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from operators.core.platform import Platform
from operators.runtime.cache import Cache
from operators.runtime.client import KubeClient
from operators.runtime.publisher import Publisher
from operators.runtime.signals import Signals


class PlatformFile:
    """The platform configuration, read again when the file changes (a mounted ConfigMap is replaced in place)."""

    def __init__(self, path: Path, *, redis_url: str) -> None:
        self._path = path
        self._redis_url = redis_url
        self._stamp = 0
        self._value = Platform()

    def current(self) -> Platform:
        """The configuration as of now; a file that cannot be read keeps the last good one."""
        stamp = self._path.stat().st_mtime_ns
        if stamp != self._stamp:
            document = yaml.safe_load(self._path.read_text()) or {}
            self._value = Platform.model_validate(document).model_copy(update={"redis_url": self._redis_url})
            self._stamp = stamp
        return self._value


@dataclass(frozen=True, slots=True)
class Context:
    """See the module's text. `clock` gives Unix seconds."""

    client: KubeClient
    cache: Cache
    signals: Signals
    publisher: Publisher
    platform: Callable[[], Platform]
    clock: Callable[[], float] = time.time
    scaled_at: dict[str, float] = field(default_factory=dict)
