"""Does a child that we do not know exist already, as somebody else's?

Asking for each name costs as many calls as making the children. So a lone look is a call, and when several come within
a second, one list of the names that do not carry our owner label serves them all; what does carry it is in the cache of
the watches, or was made by us so lately that they have not shown it. None of these is believed when it finds something:
then the object itself is read, so a refusal is never stale.
What appeared since the list began stays unseen for `FRESH_SECONDS`; the first apply of a child is not by force, so that
such an object is a conflict.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from operators.core.children import OWNER_LABEL
from operators.core.plan import Manifest, ObjectRef, ref_of
from operators.runtime.cache import Cache
from operators.runtime.client import ApiError, KubeClient
from operators.runtime.informer import CHILD_KINDS
from operators.runtime.secrets import Secrets

FRESH_SECONDS = 1.0
REFUSED_SECONDS = 60.0
"""A kind of which there is no list, or too long a one, is looked at by name for this long."""
MADE_SECONDS = 60.0
"""Longer than any watch is behind."""
ALONE = 3
MOST = 500
WATCHED = frozenset(kind for _, kind in CHILD_KINDS)
"""Only of these does the cache know who carries the label: Secrets may not be listed, and nobody follows the streams of
a programme by their owner."""

logger = logging.getLogger(__name__)
Place = tuple[str, str]


@dataclass(slots=True)
class _Window:
    """What happened to a kind in a namespace within the present second; times are monotonic seconds."""

    began: float
    looks: int = 0
    names: asyncio.Task[frozenset[str] | None] | None = None


class Namesakes:
    """See the module's text. `clock` gives monotonic seconds; a list of more than `most` names is not used."""

    def __init__(
        self,
        client: KubeClient,
        cache: Cache,
        secrets: Secrets,
        clock: Callable[[], float] = time.monotonic,
        *,
        most: int = MOST,
    ) -> None:
        self._most = most
        self._client = client
        self._cache = cache
        self._secrets = secrets
        self._clock = clock
        self._windows: dict[Place, _Window] = {}
        self._unlisted_until: dict[Place, float] = {}
        self._made: OrderedDict[tuple[str, str, str], tuple[float, frozenset[str]]] = OrderedDict()

    async def find(self, manifest: Manifest) -> Manifest | None:
        """The object that has the manifest's kind and name, or None. ApiError when nobody can tell."""
        ref = ref_of(manifest)
        if ref.kind == "Secret" and self._secrets.was_absent(ref.namespace, ref.name):
            return None
        if ref.kind not in WATCHED:
            return await self._client.get(ref)
        if not self._cache.has_child(ref.kind, ref.namespace, ref.name) and not self._of_earlier_life(manifest):
            names = await self._names(ref)
            if names is not None and ref.name not in names:
                return None
        return await self._client.get(ref)

    def note_made(self, manifest: Manifest) -> None:
        """A child was made: until the watches show it, an owner of the same name in a later life has to wait for it."""
        now, ref = self._clock(), ref_of(manifest)
        key = (ref.kind, ref.namespace, ref.name)
        self._made[key] = (now, _owners(manifest))
        self._made.move_to_end(key)
        while now - next(iter(self._made.values()))[0] >= MADE_SECONDS:
            self._made.popitem(last=False)

    def _of_earlier_life(self, manifest: Manifest) -> bool:
        ref = ref_of(manifest)
        made = self._made.get((ref.kind, ref.namespace, ref.name))
        return made is not None and made[1] != _owners(manifest)

    async def _names(self, ref: ObjectRef) -> frozenset[str] | None:
        """Names without our label, or None where the name itself has to be asked for."""
        place = (ref.kind, ref.namespace)
        window = self._window(place)
        window.looks += 1
        if self._clock() < self._unlisted_until.get(place, 0.0):
            return None
        if window.names is None:
            if window.looks <= ALONE:
                return None
            window.began = self._clock()
            window.names = asyncio.create_task(self._list(ref))
        return await asyncio.shield(window.names)

    def _window(self, place: Place) -> _Window:
        """The present window; the old ones of other places go as well, so that nothing is kept of namespaces gone."""
        now = self._clock()
        found = self._windows.get(place)
        if found is None or now - found.began >= FRESH_SECONDS:
            busy = found is not None and found.names is not None
            self._windows = {key: item for key, item in self._windows.items() if now - item.began < FRESH_SECONDS}
            self._unlisted_until = {key: until for key, until in self._unlisted_until.items() if until > now}
            found = self._windows[place] = _Window(now, looks=ALONE if busy else 0)
        return found

    async def _list(self, ref: ObjectRef) -> frozenset[str] | None:
        place = (ref.kind, ref.namespace)
        try:
            names = await self._client.names_without(ref, OWNER_LABEL, most=self._most)
        except ApiError as error:
            logger.info("no list of names: %s", error, extra={"kind": ref.kind, "status": error.status})
            names = None
        if names is None:
            self._unlisted_until[place] = self._clock() + REFUSED_SECONDS
        return names


def _owners(manifest: Manifest) -> frozenset[str]:
    return frozenset(reference["uid"] for reference in manifest["metadata"].get("ownerReferences") or ())
