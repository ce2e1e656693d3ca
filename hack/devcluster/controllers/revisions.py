"""ControllerRevisions: the history that `kubectl rollout history` shows and `kubectl rollout undo` takes back.

Shared by StatefulSet and DaemonSet. Trap avoided: a roll-back makes an old revision the newest again; its number must
grow, or the next undo would go nowhere. Source: pkg/controller/history.
"""

from collections.abc import Iterable

from hack.devcluster.client import Conflict
from hack.devcluster.controllers.base import Controller
from hack.devcluster.objects import Obj, key_of, labels_of, name_of, namespace_of, owner_reference, spec_of
from hack.devcluster.resources import CONTROLLER_REVISIONS

HASH_LABEL = "controller-revision-hash"
_HISTORY = 10


def number_of(revision: Obj) -> int:
    return int(revision.get("revision") or 0)


def build_revision(owner: Obj, reference: Obj, *, name: str, value: str, number: int) -> Obj:
    """A revision of the owner's template; `value` is the label that its pods carry."""
    template = spec_of(owner).get("template") or {}
    labels = {**((template.get("metadata") or {}).get("labels") or {}), HASH_LABEL: value}
    return {
        "metadata": {
            "name": name,
            "namespace": namespace_of(owner),
            "labels": labels,
            "ownerReferences": [reference],
        },
        # A roll-back applies this as a strategic merge patch: the template is to be replaced, not merged.
        "data": {"spec": {"template": {**template, "$patch": "replace"}}},
        "revision": number,
    }


def surplus_revisions(owner: Obj, known: Iterable[Obj], used: Iterable[str]) -> list[Obj]:
    """Unused revisions beyond revisionHistoryLimit, oldest first; `used` are label values of living pods."""
    limit = spec_of(owner).get("revisionHistoryLimit")
    held = set(used)
    unused = sorted((entry for entry in known if labels_of(entry).get(HASH_LABEL) not in held), key=number_of)
    return unused[: max(0, len(unused) - (_HISTORY if limit is None else int(limit)))]


class RevisionKeeper:
    """Keeps the revisions of one controller's objects."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    async def record(self, owner: Obj, *, name: str, value: str, used: Iterable[str]) -> None:
        """Make the present template's revision the newest, and forget the oldest ones. Raises ApiError."""
        controller = self._controller
        known = controller.children(owner, CONTROLLER_REVISIONS)
        present = next((entry for entry in known if name_of(entry) == name), None)
        newest = max((number_of(entry) for entry in known if entry is not present), default=0)
        if present is None:
            reference = owner_reference(owner, controller.kind)
            await self._create(build_revision(owner, reference, name=name, value=value, number=newest + 1))
        elif number_of(present) <= newest:
            await controller.patch(CONTROLLER_REVISIONS, present, {"revision": newest + 1})
        for entry in surplus_revisions(owner, known, {*used, value}):
            await controller.delete(CONTROLLER_REVISIONS, entry)

    async def _create(self, wanted: Obj) -> None:
        try:
            await self._controller.create(CONTROLLER_REVISIONS, wanted)
        except Conflict:
            existing = await self._controller.client.get(CONTROLLER_REVISIONS, *key_of(wanted))
            self._controller.caches.of(CONTROLLER_REVISIONS).observe(existing)
