"""Discovery of optional APIs, asked for again once a minute: KEDA or a Gateway may be installed later."""

import logging
import time
from collections.abc import Callable

from operators.core.capabilities import PROBES, Capabilities
from operators.runtime.client import ApiError, KubeClient

FRESH_SECONDS = 60.0

logger = logging.getLogger(__name__)


class Discovery:
    """The last answer; an API server that does not answer leaves it as it is."""

    def __init__(self, client: KubeClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._known = Capabilities()
        self._until = 0.0

    async def current(self) -> Capabilities:
        """What is served now."""
        if self._clock() < self._until:
            return self._known
        self._until = self._clock() + FRESH_SECONDS
        try:
            found = {name: await self._client.serves(version) for name, version in PROBES.items()}
        except ApiError as error:
            logger.warning("discovery has to wait: %s", error)
            return self._known
        self._known = Capabilities(**found)
        return self._known
