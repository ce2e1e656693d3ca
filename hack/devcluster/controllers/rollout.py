"""The pure part of a Deployment: which ReplicaSets exist at which size next, and what the status says.

Source: pkg/controller/deployment (rolling.go, recreate.go, sync.go, progress.go). Invariants: never more than
replicas + maxSurge pods, never fewer than replicas - maxUnavailable available ones by the rollout's own doing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hack.devcluster.objects import (
    Obj,
    annotations_of,
    condition,
    format_time,
    int_or_percent,
    labels_of,
    merge_condition,
    meta,
    name_of,
    parse_time,
    spec_of,
    stable_hash,
    status_of,
)

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"


@dataclass(frozen=True, slots=True)
class Limits:
    """Resolved rolling-update bounds in pods."""

    surge: int
    unavailable: int


def template_hash(template: Obj) -> str:
    """Label value that tells templates apart; metadata.labels without the hash itself."""
    labels = {
        key: value for key, value in ((template.get("metadata") or {}).get("labels") or {}).items() if key != HASH_LABEL
    }
    metadata = {**(template.get("metadata") or {}), "labels": labels}
    return stable_hash({"metadata": _pruned(metadata), "spec": _pruned(template.get("spec") or {})})


def _pruned(value: Any) -> Any:
    """Without nulls, so that an explicit null and an absent field hash alike."""
    if isinstance(value, dict):
        return {key: _pruned(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_pruned(item) for item in value]
    return value


def wanted_replicas(deployment: Obj) -> int:
    value = spec_of(deployment).get("replicas")
    return 1 if value is None else int(value)


def limits_of(deployment: Obj) -> Limits:
    """maxSurge rounds up, maxUnavailable down; both zero would never move, then unavailable is 1."""
    strategy = (spec_of(deployment).get("strategy") or {}).get("rollingUpdate") or {}
    total = wanted_replicas(deployment)
    surge = int_or_percent(strategy.get("maxSurge", "25%"), total, round_up=True)
    unavailable = int_or_percent(strategy.get("maxUnavailable", "25%"), total, round_up=False)
    return Limits(surge, unavailable or (1 if surge == 0 else 0))


def size(replica_set: Obj) -> int:
    return int(spec_of(replica_set).get("replicas") or 0)


def _count(replica_set: Obj, name: str) -> int:
    return int(status_of(replica_set).get(name) or 0)


def available(replica_set: Obj) -> int:
    return _count(replica_set, "availableReplicas")


def revision(replica_set: Obj) -> int:
    text = annotations_of(replica_set).get(REVISION, "0")
    return int(text) if text.isdigit() else 0


def find_current(deployment: Obj, sets: Sequence[Obj]) -> Obj | None:
    """The ReplicaSet of the present template, the oldest when there are several."""
    wanted = template_hash(spec_of(deployment).get("template") or {})
    same = [entry for entry in sets if labels_of(entry).get(HASH_LABEL) == wanted]
    return min(same, key=lambda entry: (str(meta(entry).get("creationTimestamp")), name_of(entry)), default=None)


def plan_sizes(deployment: Obj, current: Obj | None, sets: Sequence[Obj], *, pods_left: int) -> dict[str, int]:
    """Next sizes. `pods_left` counts the old ReplicaSets' pods that still exist (Recreate waits for none)."""
    total = wanted_replicas(deployment)
    old = [entry for entry in sets if current is None or name_of(entry) != name_of(current)]
    if current is None:
        return {}
    if (spec_of(deployment).get("strategy") or {}).get("type") == "Recreate":
        sizes = {name_of(entry): 0 for entry in old if size(entry)}
        if not sizes and pods_left == 0 and size(current) != total:
            sizes[name_of(current)] = total
        return sizes
    return _rolling(total, limits_of(deployment), current, old)


def _rolling(total: int, limits: Limits, current: Obj, old: Sequence[Obj]) -> dict[str, int]:
    all_pods = size(current) + sum(size(entry) for entry in old)
    if size(current) > total:
        return {name_of(current): total}
    room = total + limits.surge - all_pods
    if size(current) < total and room > 0:
        return {name_of(current): min(size(current) + room, total)}
    return _shrink_old(total, limits, current, old, all_pods)


def _shrink_old(total: int, limits: Limits, current: Obj, old: Sequence[Obj], all_pods: int) -> dict[str, int]:
    """Unready old pods go first, they do not count for availability; then ready ones as far as availability allows."""
    least = total - limits.unavailable
    new_unavailable = size(current) - _count(current, "availableReplicas")
    budget = all_pods - least - new_unavailable
    if budget <= 0:
        return {}
    sizes = {name_of(entry): size(entry) for entry in old}
    ordered = sorted(old, key=revision)
    for entry in ordered:
        unready = max(0, size(entry) - _count(entry, "availableReplicas"))
        cut = min(budget, unready)
        sizes[name_of(entry)] -= cut
        budget -= cut
    up = available(current) + sum(available(entry) for entry in old)
    spare = max(0, up - least)
    for entry in ordered:
        cut = min(spare, sizes[name_of(entry)], _count(entry, "availableReplicas"))
        sizes[name_of(entry)] -= cut
        spare -= cut
    return {name_of(entry): sizes[name_of(entry)] for entry in old if sizes[name_of(entry)] != size(entry)}


def surplus_history(deployment: Obj, current: Obj | None, sets: Sequence[Obj]) -> tuple[str, ...]:
    """Old, empty ReplicaSets beyond revisionHistoryLimit, oldest first."""
    limit = spec_of(deployment).get("revisionHistoryLimit")
    empty = [
        entry
        for entry in sets
        if (current is None or name_of(entry) != name_of(current)) and not size(entry) and not _count(entry, "replicas")
    ]
    keep = 10 if limit is None else int(limit)
    return tuple(name_of(entry) for entry in sorted(empty, key=revision)[: max(0, len(empty) - keep)])


def deployment_status(deployment: Obj, current: Obj | None, sets: Sequence[Obj], now: float) -> Obj:
    """Counts and the conditions Available and Progressing."""
    total = wanted_replicas(deployment)
    available_now = sum(_count(entry, "availableReplicas") for entry in sets)
    replicas = sum(_count(entry, "replicas") for entry in sets)
    updated = _count(current, "replicas") if current else 0
    status: Obj = {
        "observedGeneration": meta(deployment).get("generation", 0),
        "replicas": replicas,
        "updatedReplicas": updated,
        "readyReplicas": sum(_count(entry, "readyReplicas") for entry in sets),
        "availableReplicas": available_now,
        "unavailableReplicas": max(0, total - available_now),
        "terminatingReplicas": sum(_count(entry, "terminatingReplicas") for entry in sets),
    }
    least = total - (limits_of(deployment).unavailable if is_rolling(deployment) else total)
    enough = available_now >= least if is_rolling(deployment) else available_now >= total
    conditions = merge_condition(
        status_of(deployment).get("conditions") or [],
        kind="Available",
        status="True" if enough else "False",
        reason="MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        message=f"Deployment {'has' if enough else 'does not have'} minimum availability.",
        now=now,
    )
    conditions = _replica_failure(current, sets, conditions, now)
    status["conditions"] = _progressing(deployment, current, conditions, status, now)
    return status


def _replica_failure(current: Obj | None, sets: Sequence[Obj], conditions: list[Obj], now: float) -> list[Obj]:
    """ReplicaFailure as a ReplicaSet has it, the current one first; gone when none has it."""
    found = condition(current, "ReplicaFailure") if current else None
    found = found or next((one for one in (condition(entry, "ReplicaFailure") for entry in sets) if one), None)
    if found is None:
        return [entry for entry in conditions if entry.get("type") != "ReplicaFailure"]
    reason, message = str(found.get("reason", "")), str(found.get("message", ""))
    return merge_condition(
        conditions, kind="ReplicaFailure", status=str(found["status"]), reason=reason, message=message, now=now
    )


def is_rolling(deployment: Obj) -> bool:
    return (spec_of(deployment).get("strategy") or {}).get("type") != "Recreate"


def complete(deployment: Obj, status: Obj) -> bool:
    total = wanted_replicas(deployment)
    return bool(
        status["updatedReplicas"] == total and status["replicas"] == total and status["availableReplicas"] >= total
    )


def _progressing(deployment: Obj, current: Obj | None, conditions: list[Obj], status: Obj, now: float) -> list[Obj]:
    name = name_of(current) if current else name_of(deployment)
    previous = condition(deployment, "Progressing") or {}
    if spec_of(deployment).get("paused"):
        value, reason, message = "Unknown", "DeploymentPaused", "Deployment is paused"
    elif complete(deployment, status):
        value, reason = "True", "NewReplicaSetAvailable"
        message = f'ReplicaSet "{name}" has successfully progressed.'
    elif _moved(deployment, status):
        value, reason, message = "True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.'
    elif deadline_left(deployment, now) <= 0:
        value, reason = "False", "ProgressDeadlineExceeded"
        message = f'ReplicaSet "{name}" has timed out progressing.'
    else:
        value = str(previous.get("status", "True"))
        reason = str(previous.get("reason", "ReplicaSetUpdated"))
        message = str(previous.get("message", f'ReplicaSet "{name}" is progressing.'))
    since = previous.get("lastUpdateTime")
    updated = (
        since if since and not _moved(deployment, status) and previous.get("reason") == reason else format_time(now)
    )
    return merge_condition(
        conditions, kind="Progressing", status=value, reason=reason, message=message, now=now, lastUpdateTime=updated
    )


def _moved(deployment: Obj, status: Obj) -> bool:
    """Progress since the last status: newer pods, fewer old ones, more of them ready."""
    before = status_of(deployment)
    old_before = int(before.get("replicas") or 0) - int(before.get("updatedReplicas") or 0)
    return bool(
        before.get("observedGeneration") != status["observedGeneration"]
        or status["updatedReplicas"] > int(before.get("updatedReplicas") or 0)
        or status["replicas"] - status["updatedReplicas"] < old_before
        or status["readyReplicas"] > int(before.get("readyReplicas") or 0)
        or status["availableReplicas"] > int(before.get("availableReplicas") or 0)
    )


def deadline_left(deployment: Obj, now: float) -> float:
    """Seconds until progressDeadlineSeconds is over; infinite when nothing progresses or it has passed already."""
    previous = condition(deployment, "Progressing")
    seconds = spec_of(deployment).get("progressDeadlineSeconds")
    since = parse_time((previous or {}).get("lastUpdateTime"))
    if since is None or (previous or {}).get("reason") in ("NewReplicaSetAvailable", "DeploymentPaused"):
        return float("inf")
    return since + float(600 if seconds is None else seconds) - now
