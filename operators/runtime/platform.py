"""The platform file on disk: read again when it changes, and never replaced by a wrong one.

A mounted ConfigMap is swapped in place. A file that is wrong leaves the last good one in force and is told as an event
on the ConfigMap, with each field and reason; the operators neither crash nor guess.
"""

import logging
from pathlib import Path

import yaml

from operators.core.plan import Event, ObjectRef
from operators.core.platform import Platform, PlatformError, parse
from operators.core.times import rfc3339
from operators.runtime.client import ApiError, KubeClient
from operators.runtime.metrics import PLATFORM_VALID

NAME = "haat-platform"

logger = logging.getLogger(__name__)


class PlatformFile:
    """The last good configuration. `refresh` looks at the file; `current` never fails once there was a good one."""

    def __init__(self, path: Path, *, redis_url: str) -> None:
        self._path = path
        self._redis_url = redis_url
        self._stamp: tuple[int, int] | None = None
        self._value: Platform | None = None
        self.error = ""

    def current(self) -> Platform:
        """The configuration in force; PlatformError while there was none that could be read."""
        if self._value is None:
            self.refresh()
        if self._value is None:
            raise PlatformError(self.error)
        return self._value

    def refresh(self) -> bool:
        """Look at the file; True when another configuration, or another error, came of it."""
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp == self._stamp:
                return False
            self._stamp = stamp
            value = parse(yaml.safe_load(self._path.read_text()))
        except (OSError, yaml.YAMLError, PlatformError) as error:
            changed, self.error = self.error != str(error), str(error)
            PLATFORM_VALID.set(0)
            if changed:
                logger.error("the platform file is wrong; the last good one stays: %s", error)
            return changed
        value = value.model_copy(update={"redis_url": self._redis_url})
        changed = value != self._value or bool(self.error)
        self._value, self.error = value, ""
        PLATFORM_VALID.set(1)
        return changed


async def tell(client: KubeClient, namespace: str, file: PlatformFile, now: float) -> None:
    """One event on the ConfigMap about the file as it is now; a lost event is only logged."""
    event = (
        Event("Warning", "InvalidConfiguration", f"platform.yaml is not taken over: {file.error}")
        if file.error
        else Event("Normal", "ConfigurationLoaded", "platform.yaml is in force.")
    )
    try:
        live = await client.get(ObjectRef("v1", "ConfigMap", namespace, NAME))
        uid = (live or {}).get("metadata", {}).get("uid", "")
        regarding = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": namespace, "name": NAME, "uid": uid}
        await client.post_event(regarding, event, component="haat-operators", now=rfc3339(now))
    except ApiError as error:
        logger.warning("event is lost: %s", error)
