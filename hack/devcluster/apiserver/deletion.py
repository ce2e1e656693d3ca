"""Deleting: preconditions, grace of pods, propagation policies as finalizers, and when an object is really gone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.conform import format_time
from hack.devcluster.apiserver.kinds import Resource
from hack.devcluster.apiserver.store import Store, Stored
from hack.devcluster.apiserver.strategy import GENERATED

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
POLICIES = {"Orphan": ORPHAN, "Foreground": FOREGROUND, "Background": ""}
DEFAULT_GRACE = 30

Obj = dict[str, Any]


def options_of(body: Any, query: Any) -> Obj:
    """DeleteOptions from body and query (the body wins). 400 when malformed."""
    options: Obj = dict(body) if isinstance(body, dict) else {}
    if options.get("kind") not in (None, "", "DeleteOptions"):
        raise err.bad_request(
            f'no kind "{options["kind"]}" is registered for version "{options.get("apiVersion", "")}"'
        )
    if "gracePeriodSeconds" in query and options.get("gracePeriodSeconds") is None:
        text = query["gracePeriodSeconds"]
        if not text.lstrip("-").isdigit():
            raise err.bad_request(f"gracePeriodSeconds: {text!r} is no number")
        options["gracePeriodSeconds"] = int(text)
    for name in ("propagationPolicy", "orphanDependents"):
        if name in query and options.get(name) is None:
            options[name] = query[name] if name == "propagationPolicy" else query[name] == "true"
    policy = options.get("propagationPolicy")
    if policy is not None and policy not in POLICIES:
        cause = err.unsupported_value("propagationPolicy", policy, ["Foreground", "Background", "Orphan", "nil"])
        raise err.invalid("DeleteOptions", "meta.k8s.io", "", [cause])
    return options


def check_preconditions(resource: Resource, obj: Obj, options: Obj) -> None:
    """409 when uid or resourceVersion differ from those asked for."""
    wanted = options.get("preconditions") or {}
    meta = obj["metadata"]
    for field, word in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        if wanted.get(field) is not None and wanted[field] != meta[field]:
            ending = {
                "uid": "The object might have been deleted and then recreated",
                "resourceVersion": "The object might have been modified",
            }
            why = (
                f"the {word} in the precondition ({wanted[field]}) does not match the {word} in record ({meta[field]})."
            )
            raise err.conflict(resource.kind, resource.group, meta["name"], f"{why} {ending[field]}")


def finished(resource: Resource, obj: Obj) -> bool:
    """Whether a terminating object has nothing left that holds it."""
    meta = obj["metadata"]
    if not meta.get("deletionTimestamp") or meta.get("finalizers"):
        return False
    if resource.store_key == "namespaces":
        return not (obj.get("spec") or {}).get("finalizers")
    return not (meta.get("deletionGracePeriodSeconds") or 0)


def _finalizers(obj: Obj, options: Obj) -> list[str]:
    current = list(obj["metadata"].get("finalizers") or ())
    policy = options.get("propagationPolicy")
    if policy is None and options.get("orphanDependents") is not None:
        policy = "Orphan" if options["orphanDependents"] else "Background"
    if policy is None:
        return current
    kept = [name for name in current if name not in (ORPHAN, FOREGROUND)]
    return kept + ([POLICIES[policy]] if POLICIES[policy] else [])


def grace_of(resource: Resource, obj: Obj, options: Obj) -> int:
    """Seconds the object may live on; only pods on a node have any."""
    if resource.store_key != "pods":
        return 0
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    asked = options.get("gracePeriodSeconds")
    grace = spec.get("terminationGracePeriodSeconds", DEFAULT_GRACE) if asked is None else asked
    if grace < 0:
        grace = 1
    if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    return int(grace)


def delete(
    store: Store, resource: Resource, stored: Stored, options: Obj, *, now: datetime, dry_run: bool
) -> tuple[Stored, bool]:
    """(last or terminating state, whether it is gone)."""
    obj = stored.load()
    check_preconditions(resource, obj, options)
    meta = obj["metadata"]
    grace = grace_of(resource, obj, options)
    before = (meta.get("deletionTimestamp"), meta.get("deletionGracePeriodSeconds"), meta.get("finalizers") or [])
    terminating = meta.get("deletionTimestamp") is not None
    if terminating:
        grace = min(grace, meta.get("deletionGracePeriodSeconds") or 0)
    finalizers = _finalizers(obj, options) if not terminating or options.get("propagationPolicy") else before[2]
    if not terminating or grace < (before[1] or 0):
        meta["deletionTimestamp"] = format_time(now + timedelta(seconds=grace))
        meta["deletionGracePeriodSeconds"] = grace
    if finalizers:
        meta["finalizers"] = finalizers
    else:
        meta.pop("finalizers", None)
    if resource.store_key == "namespaces" and (obj.get("spec") or {}).get("finalizers"):
        obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
        meta.pop("deletionGracePeriodSeconds", None)
    if finished(resource, obj):
        return (stored, True) if dry_run else (store.remove(resource.store_key, stored), True)
    if before == (meta.get("deletionTimestamp"), meta.get("deletionGracePeriodSeconds"), meta.get("finalizers") or []):
        return stored, False
    if not terminating and (resource.crd is not None or resource.store_key in GENERATED) and meta.get("generation"):
        meta["generation"] += 1
    return (stored, False) if dry_run else (store.put(resource.store_key, obj), False)
