"""Secrets that the operators look at, remembered for a minute.

They may not list or watch Secrets (other people's are none of our business), so each look is a call. What we wrote
ourselves is remembered too; a Secret that somebody deleted is noticed within `FRESH_SECONDS` and made again.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from operators.core.plan import Manifest, ObjectRef
from operators.runtime.client import KubeClient

FRESH_SECONDS = 60.0
ABSENT_SECONDS = 1.0
MOST = 10_000


class Secrets:
    """Secrets by (namespace, name)."""

    def __init__(self, client: KubeClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], tuple[float, Manifest]] = OrderedDict()
        self._absent: OrderedDict[tuple[str, str], float] = OrderedDict()

    async def get(self, namespace: str, name: str, *, fresh: bool = False) -> Manifest | None:
        """The Secret, or None; only one that exists is remembered. `fresh` asks in any case."""
        key = (namespace, name)
        known = self._known.get(key)
        if known and not fresh and self._clock() - known[0] < FRESH_SECONDS:
            return known[1]
        asked = self._clock()
        found = await self._client.get(ObjectRef("v1", "Secret", namespace, name))
        if found is None:
            self._note_absent(key, asked)
        if found is None or found["metadata"].get("deletionTimestamp"):
            self._known.pop(key, None)
            return None
        self.put(found)
        return found

    def was_absent(self, namespace: str, name: str) -> bool:
        """Whether a look within the last `ABSENT_SECONDS` found no such Secret."""
        asked = self._absent.get((namespace, name))
        return asked is not None and self._clock() - asked < ABSENT_SECONDS

    def put(self, secret: Manifest) -> None:
        """A Secret as the API server answered it."""
        key = (secret["metadata"]["namespace"], secret["metadata"]["name"])
        self._absent.pop(key, None)
        self._known[key] = (self._clock(), secret)
        self._known.move_to_end(key)
        if len(self._known) > MOST:
            self._known.popitem(last=False)

    def forget(self, namespace: str, name: str) -> None:
        """Look again next time."""
        self._known.pop((namespace, name), None)

    def _note_absent(self, key: tuple[str, str], asked: float) -> None:
        self._absent[key] = asked
        self._absent.move_to_end(key)
        while asked - next(iter(self._absent.values())) >= ABSENT_SECONDS:
            self._absent.popitem(last=False)
