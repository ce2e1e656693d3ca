"""PersistentVolumeClaims: each is bound at once to a folder below the state folder.

Trap avoided: the folder is named by the claim's uid, so that a claim of the same name made anew starts empty.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

from hack.devcluster.client import Conflict, NotFound
from hack.devcluster.controllers.base import Caches, Controller
from hack.devcluster.events import EventRecorder
from hack.devcluster.objects import Obj, is_deleting, name_of, namespace_of, spec_of, status_of, uid_of
from hack.devcluster.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES

STORAGE_CLASS = "haat-local"


def build_volume(claim: Obj, folder: Path) -> Obj:
    """The PersistentVolume of a claim."""
    spec = spec_of(claim)
    return {
        "metadata": {"name": f"pvc-{uid_of(claim)}"},
        "spec": {
            "capacity": {"storage": _size(claim)},
            "accessModes": spec.get("accessModes") or ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": spec.get("storageClassName") or STORAGE_CLASS,
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": namespace_of(claim),
                "name": name_of(claim),
                "uid": uid_of(claim),
            },
            "hostPath": {"path": str(folder)},
        },
    }


def _size(claim: Obj) -> str:
    return str(((spec_of(claim).get("resources") or {}).get("requests") or {}).get("storage") or "1Gi")


class ClaimController(Controller):
    kind = PERSISTENT_VOLUME_CLAIMS
    workers = 1

    def __init__(self, caches: Caches, events: EventRecorder, clock: Callable[[], float], *, folder: Path) -> None:
        self._folder = folder
        self._cleaning: set[asyncio.Task[None]] = set()
        super().__init__(caches, events, clock)

    def subscribe(self) -> None:
        self.objects.on_change(self._on_claim)

    def _on_claim(self, old: Obj | None, new: Obj | None) -> None:
        if new is None and old is not None:
            task = asyncio.get_running_loop().create_task(self._clean(uid_of(old)))
            self._cleaning.add(task)
            task.add_done_callback(self._cleaning.discard)

    async def _clean(self, uid: str) -> None:
        with contextlib.suppress(NotFound):
            await self.client.delete(PERSISTENT_VOLUMES, ("", f"pvc-{uid}"))
        await asyncio.to_thread(shutil.rmtree, self._folder / uid, True)

    async def reconcile(self, obj: Obj) -> float | None:
        if is_deleting(obj) or status_of(obj).get("phase") == "Bound":
            return None
        folder = self._folder / uid_of(obj)
        folder.mkdir(parents=True, exist_ok=True)
        volume = build_volume(obj, folder)
        with contextlib.suppress(Conflict):
            await self.client.create(PERSISTENT_VOLUMES, volume)
        await self.client.patch(
            PERSISTENT_VOLUMES, ("", name_of(volume)), {"status": {"phase": "Bound"}}, subresource="status"
        )
        await self.patch(PERSISTENT_VOLUME_CLAIMS, obj, {"spec": {"volumeName": name_of(volume)}})
        bound: Obj = {
            "phase": "Bound",
            "accessModes": volume["spec"]["accessModes"],
            "capacity": volume["spec"]["capacity"],
        }
        await self.write_status(obj, bound)
        return None
