"""StatefulSet: pods with stable names and claims of their own, created and replaced in order.

Trap avoided: a pod that terminates still holds its name; its successor is created only after the object is gone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hack.devcluster.client import Conflict
from hack.devcluster.controllers.base import Controller
from hack.devcluster.controllers.podtemplate import pod_from_template
from hack.devcluster.controllers.revisions import HASH_LABEL as REVISION_LABEL
from hack.devcluster.controllers.revisions import RevisionKeeper
from hack.devcluster.objects import (
    Obj,
    clone,
    is_deleting,
    labels_of,
    meta,
    name_of,
    namespace_of,
    pod_available,
    pod_ready,
    spec_of,
    stable_hash,
    status_of,
)
from hack.devcluster.resources import PERSISTENT_VOLUME_CLAIMS, PODS, STATEFUL_SETS


@dataclass(frozen=True, slots=True)
class StatefulPlan:
    """Ordinals to create, pods to delete."""

    create: tuple[int, ...] = ()
    delete: tuple[Obj, ...] = ()


def ordinal_of(stateful_set: Obj, pod: Obj) -> int | None:
    prefix = f"{name_of(stateful_set)}-"
    text = name_of(pod).removeprefix(prefix)
    return int(text) if name_of(pod).startswith(prefix) and text.isdigit() else None


def wanted_replicas(stateful_set: Obj) -> int:
    value = spec_of(stateful_set).get("replicas")
    return 1 if value is None else int(value)


def plan(stateful_set: Obj, pods: Mapping[int, Obj], *, revision: str, now: float) -> StatefulPlan:
    """The next step. Ordered: one at a time, each waits for its predecessors; Parallel: all at once."""
    spec = spec_of(stateful_set)
    parallel = spec.get("podManagementPolicy") == "Parallel"
    first = int((spec.get("ordinals") or {}).get("start") or 0)
    wanted = range(first, first + wanted_replicas(stateful_set))
    broken = tuple(pod for pod in pods.values() if _finished(pod) and not is_deleting(pod))
    if broken:
        return StatefulPlan(delete=broken)
    missing = [ordinal for ordinal in wanted if ordinal not in pods]
    surplus = [pods[ordinal] for ordinal in sorted(pods, reverse=True) if ordinal not in wanted]
    wait = int(spec.get("minReadySeconds") or 0)
    if parallel:
        doomed = tuple(pod for pod in surplus if not is_deleting(pod))
        if missing or doomed:
            return StatefulPlan(tuple(missing), doomed)
    else:
        for ordinal in wanted:
            if ordinal not in pods:
                return StatefulPlan(create=(ordinal,))
            if is_deleting(pods[ordinal]) or not pod_available(pods[ordinal], min_ready_seconds=wait, now=now):
                return _replace_stuck(stateful_set, pods, wanted, revision)
        if surplus:
            return StatefulPlan(delete=(surplus[0],) if not is_deleting(surplus[0]) else ())
    return _update(stateful_set, pods, wanted, revision, wait, now)


def _finished(pod: Obj) -> bool:
    return status_of(pod).get("phase") in ("Succeeded", "Failed")


def _partition(stateful_set: Obj) -> int:
    strategy = spec_of(stateful_set).get("updateStrategy") or {}
    return int((strategy.get("rollingUpdate") or {}).get("partition") or 0)


def _rolls(stateful_set: Obj) -> bool:
    return (spec_of(stateful_set).get("updateStrategy") or {}).get("type") != "OnDelete"


def _replace_stuck(stateful_set: Obj, pods: Mapping[int, Obj], wanted: range, revision: str) -> StatefulPlan:
    """A pod of an old revision that never becomes ready would block the roll-out of its own fix."""
    if not _rolls(stateful_set):
        return StatefulPlan()
    for ordinal in reversed(wanted):
        pod = pods.get(ordinal)
        if pod is None or is_deleting(pod):
            return StatefulPlan()
        if (
            ordinal >= _partition(stateful_set)
            and not pod_ready(pod)
            and labels_of(pod).get(REVISION_LABEL) != revision
        ):
            return StatefulPlan(delete=(pod,))
    return StatefulPlan()


def _update(
    stateful_set: Obj, pods: Mapping[int, Obj], wanted: range, revision: str, wait: int, now: float
) -> StatefulPlan:
    if not _rolls(stateful_set):
        return StatefulPlan()
    for ordinal in reversed(wanted):
        if ordinal < _partition(stateful_set):
            break
        pod = pods.get(ordinal)
        if pod is None or is_deleting(pod):
            return StatefulPlan()
        if labels_of(pod).get(REVISION_LABEL) != revision:
            return StatefulPlan(delete=(pod,))
        if not pod_available(pod, min_ready_seconds=wait, now=now):
            return StatefulPlan()
    return StatefulPlan()


def stateful_status(stateful_set: Obj, pods: Sequence[Obj], *, revision: str, now: float) -> Obj:
    wait = int(spec_of(stateful_set).get("minReadySeconds") or 0)
    updated = sum(labels_of(pod).get(REVISION_LABEL) == revision for pod in pods)
    available = sum(pod_available(pod, min_ready_seconds=wait, now=now) for pod in pods)
    before = str(status_of(stateful_set).get("currentRevision") or revision)
    done = updated == len(pods) == wanted_replicas(stateful_set) and available == len(pods)
    current = revision if done else before
    return {
        "observedGeneration": meta(stateful_set).get("generation", 0),
        "replicas": len(pods),
        "readyReplicas": sum(pod_ready(pod) for pod in pods),
        "availableReplicas": available,
        "updatedReplicas": updated,
        "currentReplicas": sum(labels_of(pod).get(REVISION_LABEL) == current for pod in pods),
        "currentRevision": current,
        "updateRevision": revision,
        "collisionCount": 0,
    }


def build_pod(stateful_set: Obj, ordinal: int, revision: str) -> Obj:
    """The pod of an ordinal, with the volumes of its claims."""
    name = f"{name_of(stateful_set)}-{ordinal}"
    labels = {
        "statefulset.kubernetes.io/pod-name": name,
        "apps.kubernetes.io/pod-index": str(ordinal),
        REVISION_LABEL: revision,
    }
    template = spec_of(stateful_set).get("template") or {}
    pod = pod_from_template(stateful_set, STATEFUL_SETS, template, name=name, labels=labels)
    claims = {
        entry["metadata"]["name"]: f"{entry['metadata']['name']}-{name}" for entry in _claim_templates(stateful_set)
    }
    volumes = [volume for volume in pod["spec"].get("volumes") or [] if volume["name"] not in claims]
    volumes += [{"name": key, "persistentVolumeClaim": {"claimName": value}} for key, value in claims.items()]
    pod["spec"] = {**pod["spec"], "volumes": volumes, "hostname": name}
    if spec_of(stateful_set).get("serviceName"):
        pod["spec"]["subdomain"] = spec_of(stateful_set)["serviceName"]
    return pod


def _claim_templates(stateful_set: Obj) -> list[Obj]:
    return spec_of(stateful_set).get("volumeClaimTemplates") or []


def build_claims(stateful_set: Obj, ordinal: int) -> list[Obj]:
    claims = []
    for template in _claim_templates(stateful_set):
        metadata = template["metadata"]
        labels = {
            **(metadata.get("labels") or {}),
            **((spec_of(stateful_set).get("selector") or {}).get("matchLabels") or {}),
        }
        claims.append(
            {
                "metadata": {
                    "name": f"{metadata['name']}-{name_of(stateful_set)}-{ordinal}",
                    "namespace": namespace_of(stateful_set),
                    "labels": labels,
                },
                "spec": clone(template.get("spec") or {}),
            }
        )
    return claims


class StatefulSetController(Controller):
    kind = STATEFUL_SETS

    def subscribe(self) -> None:
        self._revisions = RevisionKeeper(self)
        pods = self.caches.of(PODS)
        pods.on_change(self.enqueue_owner)
        pods.on_change(self.enqueue_by_selector)
        self.caches.of(PERSISTENT_VOLUME_CLAIMS)

    async def reconcile(self, obj: Obj) -> float | None:
        owned = await self.claim(obj, PODS)
        if is_deleting(obj):
            return None
        revision = f"{name_of(obj)}-{stable_hash(spec_of(obj).get('template') or {})}"
        used = [str(labels_of(pod).get(REVISION_LABEL)) for pod in owned]
        await self._revisions.record(obj, name=revision, value=revision, used=used)
        pods = {ordinal: pod for pod in owned if (ordinal := ordinal_of(obj, pod)) is not None}
        now = self.clock()
        step = plan(obj, pods, revision=revision, now=now)
        for ordinal in step.create:
            await self._create(obj, ordinal, revision)
        for pod in step.delete:
            await self.delete(PODS, pod)
            self.events.normal(obj, STATEFUL_SETS, "SuccessfulDelete", f"delete Pod {name_of(pod)} in StatefulSet")
        fresh = [pod for pod in self.children(obj, PODS) if ordinal_of(obj, pod) is not None]
        await self.write_status(obj, stateful_status(obj, fresh, revision=revision, now=now))
        wait = float(spec_of(obj).get("minReadySeconds") or 0)
        unsettled = any(not pod_available(pod, min_ready_seconds=int(wait), now=now) for pod in fresh)
        return wait + 0.1 if wait and unsettled else None

    async def _create(self, stateful_set: Obj, ordinal: int, revision: str) -> None:
        for claim in build_claims(stateful_set, ordinal):
            key = (namespace_of(claim), name_of(claim))
            if self.caches.of(PERSISTENT_VOLUME_CLAIMS).get(key) is None:
                try:
                    await self.create(PERSISTENT_VOLUME_CLAIMS, claim)
                except Conflict:
                    continue
        pod = await self.create(PODS, build_pod(stateful_set, ordinal, revision))
        self.events.normal(stateful_set, STATEFUL_SETS, "SuccessfulCreate", f"create Pod {name_of(pod)} in StatefulSet")
