"""Deployment: carries out the rollout plan on ReplicaSets."""

from collections.abc import Sequence

from hack.devcluster.client import Conflict
from hack.devcluster.controllers import rollout
from hack.devcluster.controllers.base import Controller
from hack.devcluster.controllers.proportion import next_sizes, size_annotations
from hack.devcluster.objects import (
    Obj,
    annotations_of,
    clone,
    is_deleting,
    key_of,
    labels_of,
    meta,
    name_of,
    namespace_of,
    owned_by,
    owner_reference,
    spec_of,
)
from hack.devcluster.resources import DEPLOYMENTS, PODS, REPLICA_SETS

_NOT_COPIED = (
    "kubectl.kubernetes.io/last-applied-configuration",
    rollout.REVISION,
    rollout.DESIRED,
    rollout.MAXIMUM,
)


def new_replica_set(deployment: Obj, *, revision: int) -> Obj:
    """The ReplicaSet of the present template, empty at first."""
    template = clone(spec_of(deployment).get("template") or {})
    digest = rollout.template_hash(template)
    labels = {**((template.get("metadata") or {}).get("labels") or {}), rollout.HASH_LABEL: digest}
    template["metadata"] = {**(template.get("metadata") or {}), "labels": labels}
    selector = clone(spec_of(deployment).get("selector") or {})
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), rollout.HASH_LABEL: digest}
    copied = {key: value for key, value in annotations_of(deployment).items() if key not in _NOT_COPIED}
    return {
        "metadata": {
            "name": f"{name_of(deployment)}-{digest}",
            "namespace": namespace_of(deployment),
            "labels": labels,
            "annotations": {**copied, **size_annotations(deployment), rollout.REVISION: str(revision)},
            "ownerReferences": [owner_reference(deployment, DEPLOYMENTS)],
        },
        "spec": {
            "replicas": 0,
            "minReadySeconds": int(spec_of(deployment).get("minReadySeconds") or 0),
            "selector": selector,
            "template": template,
        },
    }


class DeploymentController(Controller):
    kind = DEPLOYMENTS

    def subscribe(self) -> None:
        sets = self.caches.of(REPLICA_SETS)
        sets.on_change(self.enqueue_owner)
        sets.on_change(self.enqueue_by_selector)
        self.caches.of(PODS).on_change(self._on_pod)

    def _on_pod(self, old: Obj | None, new: Obj | None) -> None:
        """A vanished pod matters to Recreate, which waits for the last one."""
        if new is not None or old is None:
            return
        for deployment in self.objects.in_namespace(namespace_of(old)):
            if (spec_of(deployment).get("strategy") or {}).get("type") == "Recreate":
                self.queue.add(key_of(deployment))

    async def reconcile(self, obj: Obj) -> float | None:
        sets = await self.claim(obj, REPLICA_SETS)
        if is_deleting(obj):
            return None
        current = rollout.find_current(obj, sets)
        if current is None and not spec_of(obj).get("paused"):
            current = await self._create(obj, sets)
            if current is not None:
                sets.append(current)
        if current is not None:
            await self._note_revision(obj, current, sets)
        sizes = next_sizes(obj, current, sets, pods_left=self._pods_of_old(current, sets))
        await self._scale(obj, sets, sizes)
        for name in rollout.surplus_history(obj, current, sets):
            await self.delete(REPLICA_SETS, next(entry for entry in sets if name_of(entry) == name))
        fresh = [entry for entry in (self.caches.of(REPLICA_SETS).get(key_of(one)) for one in sets) if entry]
        fresh_current = rollout.find_current(obj, fresh)
        now = self.clock()
        await self.write_status(obj, rollout.deployment_status(obj, fresh_current, fresh, now))
        waiting = rollout.deadline_left(obj, now)
        return waiting + 0.1 if 0 < waiting < 1e6 else None

    async def _create(self, deployment: Obj, sets: Sequence[Obj]) -> Obj | None:
        last = max((rollout.revision(entry) for entry in sets), default=0)
        wanted = new_replica_set(deployment, revision=last + 1)
        try:
            return await self.create(REPLICA_SETS, wanted)
        except Conflict:
            existing = await self.client.get(REPLICA_SETS, *key_of(wanted))
            if owned_by(existing, deployment):
                return self.caches.of(REPLICA_SETS).observe(existing)
            raise

    async def _note_revision(self, deployment: Obj, current: Obj, sets: Sequence[Obj]) -> None:
        """The current ReplicaSet has the highest revision (a roll-back gives an old one a new number)."""
        highest = max((rollout.revision(entry) for entry in sets if entry is not current), default=0)
        number = rollout.revision(current)
        if number <= highest:
            number = highest + 1
            await self.patch(REPLICA_SETS, current, {"metadata": {"annotations": {rollout.REVISION: str(number)}}})
        wait = int(spec_of(deployment).get("minReadySeconds") or 0)
        if int(spec_of(current).get("minReadySeconds") or 0) != wait:
            await self.patch(REPLICA_SETS, current, {"spec": {"minReadySeconds": wait}})
        if annotations_of(deployment).get(rollout.REVISION) != str(number):
            body: Obj = {"metadata": {"annotations": {rollout.REVISION: str(number)}}}
            await self.patch(DEPLOYMENTS, deployment, body)

    async def _scale(self, deployment: Obj, sets: Sequence[Obj], sizes: dict[str, int]) -> None:
        notes = size_annotations(deployment)
        for entry in sets:
            wanted, before = sizes.get(name_of(entry)), rollout.size(entry)
            if wanted is None:
                continue
            stale = any(annotations_of(entry).get(key) != value for key, value in notes.items())
            if wanted == before and not stale:
                continue
            await self.patch(REPLICA_SETS, entry, {"metadata": {"annotations": notes}, "spec": {"replicas": wanted}})
            if wanted != before:
                direction = "up" if wanted > before else "down"
                message = f"Scaled {direction} replica set {name_of(entry)} from {before} to {wanted}"
                self.events.normal(deployment, DEPLOYMENTS, "ScalingReplicaSet", message)

    def _pods_of_old(self, current: Obj | None, sets: Sequence[Obj]) -> int:
        hashes = {labels_of(entry).get(rollout.HASH_LABEL) for entry in sets}
        if current is not None:
            hashes.discard(labels_of(current).get(rollout.HASH_LABEL))
        if not sets:
            return 0
        pods = self.caches.of(PODS).in_namespace(namespace_of(sets[0]))
        uids = {meta(entry)["uid"] for entry in sets if labels_of(entry).get(rollout.HASH_LABEL) in hashes}
        return sum(
            any(reference.get("uid") in uids for reference in meta(pod).get("ownerReferences") or []) for pod in pods
        )
