"""Sizes of a Deployment's ReplicaSets when its size changes in the middle of a roll-out, or while it is paused. Pure.

Source: pkg/controller/deployment/sync.go (scale) and util/deployment_util.go. Trap avoided: giving all new pods to the
new ReplicaSet would put an untested version in front of most users; each keeps its share instead.
"""

import math
from collections.abc import Sequence

from hack.devcluster.controllers.rollout import (
    DESIRED,
    MAXIMUM,
    available,
    is_rolling,
    limits_of,
    plan_sizes,
    revision,
    size,
    wanted_replicas,
)
from hack.devcluster.objects import Obj, annotations_of, meta, name_of, spec_of, status_of


def size_annotations(deployment: Obj) -> dict[str, str]:
    """What each active ReplicaSet says of the Deployment it was sized for."""
    total = wanted_replicas(deployment)
    return {DESIRED: str(total), MAXIMUM: str(total + (limits_of(deployment).surge if is_rolling(deployment) else 0))}


def is_scaling_event(deployment: Obj, sets: Sequence[Obj]) -> bool:
    """Whether an active ReplicaSet was sized for another number of replicas."""
    wanted = str(wanted_replicas(deployment))
    return any(size(entry) and annotations_of(entry).get(DESIRED, wanted) != wanted for entry in sets)


def scaled_sizes(deployment: Obj, current: Obj | None, sets: Sequence[Obj]) -> dict[str, int]:
    """Wanted sizes by name; ReplicaSets that keep theirs may be left out."""
    total = wanted_replicas(deployment)
    active = [entry for entry in sets if size(entry)]
    if len(active) <= 1:
        only = active[0] if active else current or max(sets, key=revision, default=None)
        return {name_of(only): total} if only is not None else {}
    if current is not None and _saturated(current, total):
        return {name_of(entry): 0 for entry in active if name_of(entry) != name_of(current)}
    if not is_rolling(deployment):
        return {}
    allowed = total + limits_of(deployment).surge if total else 0
    missing = allowed - sum(size(entry) for entry in active)
    ordered = sorted(active, key=lambda entry: str(meta(entry).get("creationTimestamp")), reverse=missing > 0)
    ordered.sort(key=size, reverse=True)
    sizes: dict[str, int] = {}
    added = 0
    for entry in ordered:
        share = _share(deployment, entry, missing, added)
        sizes[name_of(entry)] = size(entry) + share
        added += share
    # What rounding left over goes to the largest.
    sizes[name_of(ordered[0])] = max(0, sizes[name_of(ordered[0])] + missing - added)
    return sizes


def next_sizes(deployment: Obj, current: Obj | None, sets: Sequence[Obj], *, pods_left: int) -> dict[str, int]:
    """By name: scaled in place while paused or after a change of the size, else the roll-out's next step."""
    if not spec_of(deployment).get("paused") and not is_scaling_event(deployment, sets):
        return plan_sizes(deployment, current, sets, pods_left=pods_left)
    # Those that keep their size are from now on sized for the new number.
    return {**{name_of(entry): size(entry) for entry in sets if size(entry)}, **scaled_sizes(deployment, current, sets)}


def _saturated(replica_set: Obj, total: int) -> bool:
    sized_for = annotations_of(replica_set).get(DESIRED)
    return sized_for == str(total) and size(replica_set) == total and available(replica_set) == total


def _share(deployment: Obj, replica_set: Obj, missing: int, added: int) -> int:
    if missing == added:
        return 0
    fraction = _fraction(deployment, replica_set)
    return min(fraction, missing - added) if missing > 0 else max(fraction, missing - added)


def _fraction(deployment: Obj, replica_set: Obj) -> int:
    total = wanted_replicas(deployment)
    if total == 0:
        return -size(replica_set)
    text = annotations_of(replica_set).get(MAXIMUM, "")
    before = int(text) if text.isdigit() else int(status_of(deployment).get("replicas") or 0)
    if not before:
        return 0
    exact = size(replica_set) * (total + limits_of(deployment).surge) / before
    return math.floor(exact + 0.5) - size(replica_set)
