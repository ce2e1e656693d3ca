"""Reading Kubernetes objects as plain JSON: names, owners, selectors, conditions, times.

Everything here is pure. Objects stay dicts because the agent passes on fields it does not know; a typed model would
drop them.
"""

import copy
import hashlib
import json
import random
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from hack.devcluster.resources import Resource

Obj = dict[str, Any]
Key = tuple[str, str]
"""Namespace (empty for cluster kinds) and name."""

_SAFE_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def meta(obj: Obj) -> Obj:
    found: Obj = obj.get("metadata") or {}
    return found


def name_of(obj: Obj) -> str:
    return str(meta(obj).get("name", ""))


def namespace_of(obj: Obj) -> str:
    return str(meta(obj).get("namespace", ""))


def uid_of(obj: Obj) -> str:
    return str(meta(obj).get("uid", ""))


def key_of(obj: Obj) -> Key:
    return namespace_of(obj), name_of(obj)


def labels_of(obj: Obj) -> dict[str, str]:
    return meta(obj).get("labels") or {}


def annotations_of(obj: Obj) -> dict[str, str]:
    return meta(obj).get("annotations") or {}


def spec_of(obj: Obj) -> Obj:
    found: Obj = obj.get("spec") or {}
    return found


def status_of(obj: Obj) -> Obj:
    found: Obj = obj.get("status") or {}
    return found


def is_deleting(obj: Obj) -> bool:
    return bool(meta(obj).get("deletionTimestamp"))


def resource_version(obj: Obj) -> int:
    """The version as a number (0 when it is not one: then it is older than any other)."""
    text = str(meta(obj).get("resourceVersion", ""))
    return int(text) if text.isdigit() else 0


def controller_of(obj: Obj) -> Obj | None:
    """The owner reference with `controller: true`, if any."""
    for reference in meta(obj).get("ownerReferences") or []:
        if reference.get("controller"):
            found: Obj = reference
            return found
    return None


def owned_by(obj: Obj, owner: Obj) -> bool:
    reference = controller_of(obj)
    return reference is not None and reference.get("uid") == uid_of(owner)


def owner_reference(owner: Obj, resource: Resource) -> Obj:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def object_reference(obj: Obj, resource: Resource) -> Obj:
    reference = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": name_of(obj),
        "uid": uid_of(obj),
    }
    if namespace_of(obj):
        reference["namespace"] = namespace_of(obj)
    return reference


def matches_labels(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in wanted.items())


def matches_selector(selector: Obj | None, labels: Mapping[str, str]) -> bool:
    """Evaluate a LabelSelector. None matches nothing and {} everything, as the API defines it."""
    if selector is None:
        return False
    if not matches_labels(selector.get("matchLabels") or {}, labels):
        return False
    return all(_matches_expression(expression, labels) for expression in selector.get("matchExpressions") or [])


def _matches_expression(expression: Obj, labels: Mapping[str, str]) -> bool:
    key, operator, values = expression.get("key", ""), expression.get("operator"), expression.get("values") or []
    if operator == "In":
        return labels.get(key) in values
    if operator == "NotIn":
        return labels.get(key) not in values
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    return False


def format_time(moment: float, *, micro: bool = False) -> str:
    """Epoch seconds as RFC 3339 in UTC; the API's Time has whole seconds, MicroTime six digits."""
    stamp = datetime.fromtimestamp(moment, UTC)
    return stamp.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str | None) -> float | None:
    """Epoch seconds of an RFC 3339 stamp, None for an absent or malformed one."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def condition(obj: Obj, kind: str) -> Obj | None:
    for entry in status_of(obj).get("conditions") or []:
        if entry.get("type") == kind:
            found: Obj = entry
            return found
    return None


def condition_true(obj: Obj, kind: str) -> bool:
    found = condition(obj, kind)
    return found is not None and found.get("status") == "True"


def merge_condition(
    previous: Iterable[Obj], *, kind: str, status: str, now: float, reason: str = "", message: str = "", **extra: Any
) -> list[Obj]:
    """Conditions with one set; lastTransitionTime moves only when the status does."""
    fresh: Obj = {"type": kind, "status": status, **extra}
    if reason:
        fresh["reason"] = reason
    if message:
        fresh["message"] = message
    merged: list[Obj] = []
    placed = False
    for entry in previous:
        if entry.get("type") != kind:
            merged.append(entry)
            continue
        same = entry.get("status") == status
        fresh["lastTransitionTime"] = entry.get("lastTransitionTime") if same else format_time(now)
        merged.append(fresh)
        placed = True
    if not placed:
        fresh["lastTransitionTime"] = format_time(now)
        merged.append(fresh)
    return merged


def pod_ready(pod: Obj) -> bool:
    return condition_true(pod, "Ready")


def pod_active(pod: Obj) -> bool:
    """Neither finished nor being deleted."""
    return status_of(pod).get("phase") not in ("Succeeded", "Failed") and not is_deleting(pod)


def pod_available(pod: Obj, *, min_ready_seconds: int, now: float) -> bool:
    found = condition(pod, "Ready")
    if found is None or found.get("status") != "True":
        return False
    since = parse_time(found.get("lastTransitionTime"))
    return min_ready_seconds == 0 or (since is not None and now - since >= min_ready_seconds)


def int_or_percent(value: Any, total: int, *, round_up: bool) -> int:
    """Resolve an IntOrString such as 1 or "25%" against a total."""
    if isinstance(value, int):
        return value
    text = str(value)
    if not text.endswith("%"):
        return int(text)
    share = int(text[:-1]) * total
    return -(-share // 100) if round_up else share // 100


def stable_hash(value: Any) -> str:
    """Short label-safe digest of a JSON value (the role of pod-template-hash)."""
    digest = hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).digest()
    return "".join(_SAFE_ALPHABET[byte % len(_SAFE_ALPHABET)] for byte in digest[:10])


def random_suffix(length: int = 5) -> str:
    return "".join(random.choices(_SAFE_ALPHABET, k=length))


def clone(obj: Obj) -> Obj:
    return copy.deepcopy(obj)
