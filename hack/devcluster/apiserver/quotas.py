"""ResourceQuota: what a namespace uses, in `status.used`, and the refusal of what would go beyond.

Usage is counted from the store when it is asked for, so it cannot drift: plain counts cost nothing, and only quotas on
`requests.*`, `limits.*` or scopes read the pods. Enforcement is upstream's last admission step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver import quantity
from hack.devcluster.apiserver.calls import Call
from hack.devcluster.apiserver.poddefaults import qos_class
from hack.devcluster.apiserver.rest import Rest
from hack.devcluster.apiserver.store import Stored

Obj = dict[str, Any]
Usage = dict[str, Decimal]
ONE = Decimal(1)
COLLECTION = "resourcequotas"
PLAIN = frozenset(
    {"pods", "services", "secrets", "configmaps", "persistentvolumeclaims", "replicationcontrollers", "resourcequotas"}
)
_COMPUTE = ("cpu", "memory", "ephemeral-storage")


class Quotas:
    """Hook of `rest`, and the writer of quota statuses."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._store = rest.store
        rest.hooks.last.append(self.check)

    def check(self, call: Call, obj: Obj, old: Obj | None) -> None:
        """403 when a new object, or the growth of a Service, is more than a quota of its namespace leaves."""
        kept = self._store.collections.get(COLLECTION)
        if kept is None or not call.namespace or call.namespace not in kept.by_namespace or call.subresource:
            return
        key = call.resource.store_key
        before = usage_of(key, old) if old is not None else {}
        asked = {name: value - before.get(name, 0) for name, value in usage_of(key, obj).items()}
        for stored in sorted(kept.scan(call.namespace), key=lambda item: item.name):
            self._check_one(call, stored, obj, {name: value for name, value in asked.items() if value > 0})

    def _check_one(self, call: Call, stored: Stored, obj: Obj, asked: Usage) -> None:
        spec = stored.load().get("spec") or {}
        hard = spec.get("hard") or {}
        key = call.resource.store_key
        if not in_scope(spec, key, obj):
            return
        if key == "pods" and asked:
            self._require(call, stored.name, obj, hard)
        touched = {name: value for name, value in asked.items() if name in hard}
        if not touched:
            return
        used = self.used(call.namespace, touched, spec)
        over = sorted(name for name, value in touched.items() if used[name] + value > quantity.value_of(hard[name]))
        if over:
            words = [",".join(f"{name}={_text(name, source[name])}" for name in over) for source in (touched, used)]
            limit = ",".join(f"{name}={hard[name]}" for name in over)
            why = f"exceeded quota: {stored.name}, requested: {words[0]}, used: {words[1]}, limited: {limit}"
            raise err.forbidden(call.resource.plural, call.resource.group, obj["metadata"].get("name", ""), why)

    @staticmethod
    def _require(call: Call, quota: str, pod: Obj, hard: Mapping[str, Any]) -> None:
        """A quota on requests or limits needs every container to name them."""
        missing: list[str] = []
        for name in sorted(hard):
            part, _, kind = name.rpartition(".")
            if kind not in _COMPUTE or part not in ("", "requests", "limits"):
                continue
            without = sorted(
                item.get("name", "")
                for item in (pod.get("spec") or {}).get("containers") or ()
                if kind not in ((item.get("resources") or {}).get(part or "requests") or {})
            )
            if without:
                missing.append(f"{name} for: {','.join(without)}")
        if missing:
            why = f"failed quota: {quota}: must specify {'; '.join(missing)}"
            raise err.forbidden("pods", "", pod["metadata"].get("name", ""), why)

    def used(self, namespace: str, names: Iterable[str], spec: Mapping[str, Any]) -> Usage:
        """What a namespace uses of some quota resources, within the quota's scopes."""
        used = dict.fromkeys(names, Decimal(0))
        for resource in self._rest.registry.stored():
            key = resource.store_key
            counted = {f"count/{key}", *({key} if key in PLAIN else ())}
            collection = self._store.collections.get(key)
            if collection is None or namespace not in collection.by_namespace:
                continue
            if key in ("pods", "services", "persistentvolumeclaims") or spec.get("scopes") or spec.get("scopeSelector"):
                self._add(used, key, collection.scan(namespace), spec)
                continue
            for name in counted & used.keys():
                used[name] += len(collection.by_namespace[namespace])
        return used

    @staticmethod
    def _add(used: Usage, key: str, objects: Iterable[Stored], spec: Mapping[str, Any]) -> None:
        for stored in objects:
            obj = stored.load()
            if in_scope(spec, key, obj):
                for name, value in usage_of(key, obj).items():
                    if name in used:
                        used[name] += value

    def settle(self, namespace: str) -> None:
        """Write `status` of every quota of a namespace whose usage changed."""
        for stored in list(self._store.collection(COLLECTION).scan(namespace)):
            obj = stored.load()
            spec = obj.get("spec") or {}
            hard = spec.get("hard") or {}
            used = {name: _text(name, value) for name, value in sorted(self.used(namespace, hard, spec).items())}
            status = {"hard": hard, "used": used} if hard else {}
            if obj.get("status") != status:
                obj["status"] = status
                self._store.put(COLLECTION, obj)


def in_scope(spec: Mapping[str, Any], store_key: str, obj: Obj) -> bool:
    """Whether a quota with scopes counts an object; scopes are about pods alone."""
    wanted = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    wanted += (spec.get("scopeSelector") or {}).get("matchExpressions") or []
    return not wanted or (store_key == "pods" and all(_fits(item, obj) for item in wanted))


def _fits(item: Mapping[str, Any], pod: Obj) -> bool:
    spec, values = pod.get("spec") or {}, item.get("values") or ()
    match item.get("scopeName"):
        case "Terminating":
            return spec.get("activeDeadlineSeconds") is not None
        case "NotTerminating":
            return spec.get("activeDeadlineSeconds") is None
        case "BestEffort":
            return qos_class(spec) == "BestEffort"
        case "NotBestEffort":
            return qos_class(spec) != "BestEffort"
        case "PriorityClass":
            name = spec.get("priorityClassName", "")
            known = {"In": name in values, "NotIn": name not in values, "Exists": bool(name), "DoesNotExist": not name}
            return known.get(str(item.get("operator")), False)
    return False


def usage_of(store_key: str, obj: Obj) -> Usage:
    """What one object counts for."""
    spec = obj.get("spec") or {}
    usage: Usage = {f"count/{store_key}": ONE}
    if store_key == "pods":
        if (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            return usage
        usage["pods"] = ONE
        _pod_usage(spec, usage)
    elif store_key in PLAIN:
        usage[store_key] = ONE
    if store_key == "services":
        ports = len(spec.get("ports") or ())
        if spec.get("type") == "LoadBalancer":
            usage["services.loadbalancers"] = ONE
        if spec.get("type") == "NodePort":
            usage["services.nodeports"] = Decimal(ports)
    if store_key == "persistentvolumeclaims":
        storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
        if storage is not None:
            usage["requests.storage"] = quantity.value_of(storage)
    return usage


def _pod_usage(spec: Obj, usage: Usage) -> None:
    for part in ("requests", "limits"):
        totals: Usage = {}
        for container in spec.get("containers") or ():
            for name, value in ((container.get("resources") or {}).get(part) or {}).items():
                totals[name] = totals.get(name, Decimal(0)) + quantity.value_of(value)
        for container in spec.get("initContainers") or ():
            for name, value in ((container.get("resources") or {}).get(part) or {}).items():
                totals[name] = max(totals.get(name, Decimal(0)), quantity.value_of(value))
        for name, value in totals.items():
            usage[f"{part}.{name}"] = value
            if part == "requests" and name in _COMPUTE:
                usage[name] = value


def _text(name: str, value: Decimal) -> str:
    return quantity.of_number(value, binary=name.endswith(("memory", "storage")))
