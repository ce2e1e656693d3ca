"""Admission inside the server: namespace lifecycle, service accounts and priorities of pods, Secret data, Service
addresses, quotas, and the CRDs' own rules. Everything here is synchronous and happens in the same step as the
write.
"""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

from hack.devcluster.apiserver import crds, podsecurity, quantity, validation
from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.allocation import ServiceAllocator
from hack.devcluster.apiserver.calls import Call
from hack.devcluster.apiserver.rest import Rest
from hack.devcluster.apiserver.store import Stored

Obj = dict[str, Any]
_PROTECTED = frozenset({"default", "kube-system", "kube-public"})
_PRIORITIES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


class Admission:
    """Hooks of `rest`."""

    def __init__(self, rest: Rest, allocator: ServiceAllocator) -> None:
        self._rest = rest
        self._store = rest.store
        self._allocator = allocator
        rest.hooks.admit.append(self.admit)
        rest.hooks.validate.append(self.validate)
        rest.hooks.deleting.append(self.deleting)

    def admit(self, call: Call, obj: Obj, old: Obj | None) -> None:
        """Change or refuse a write."""
        key = call.resource.store_key
        if call.subresource in ("status", "finalize"):
            return
        if old is None and call.resource.namespaced:
            self._namespace(call, obj)
        if key == "secrets":
            _merge_string_data(obj)
        elif key == "services":
            self._allocator.fill(obj, old)
        elif key == "pods" and old is None:
            self._pod(call, obj)
        elif key == crds.STORE_KEY:
            self._crd(obj, old)
        elif key.endswith("webhookconfigurations.admissionregistration.k8s.io"):
            call.warnings.append("devcluster keeps webhook configurations but does not call admission webhooks")
        if old is None:
            self._quota(call, obj)

    def validate(self, call: Call, obj: Obj, old: Obj | None) -> list[err.Cause]:
        """Rules of the kind."""
        resource = call.resource
        if resource.crd is not None:
            causes: list[err.Cause] = resource.crd.validate(obj, old)
            return causes
        if call.subresource:
            return []
        return validation.validate(resource.store_key, obj, old)

    def deleting(self, call: Call, stored: Stored) -> None:
        """Namespaces that stay."""
        if call.resource.store_key == "namespaces" and stored.name in _PROTECTED:
            raise err.forbidden("namespaces", "", stored.name, "this namespace may not be deleted")

    def _namespace(self, call: Call, obj: Obj) -> None:
        stored = self._store.collection("namespaces").get("", call.namespace)
        if stored is None:
            raise err.not_found("namespaces", "", call.namespace)
        if stored.fields.get("status.phase") == "Terminating":
            why = f"unable to create new content in namespace {call.namespace} because it is being terminated"
            problem = err.forbidden(call.resource.plural, call.resource.group, obj["metadata"].get("name", ""), why)
            cause = err.Cause(
                "metadata.namespace", f"namespace {call.namespace} is being terminated", "NamespaceTerminating"
            )
            problem.details = {**(problem.details or {}), "causes": [cause.as_dict()]}
            raise problem

    def _pod(self, call: Call, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        account = spec.setdefault("serviceAccountName", "default")
        spec["serviceAccount"] = account
        found = self._store.collection("serviceaccounts").get(call.namespace, account)
        if found is None:
            why = f'error looking up service account {call.namespace}/{account}: serviceaccount "{account}" not found'
            raise err.forbidden("pods", "", obj["metadata"].get("name", ""), why)
        secrets = found.load().get("imagePullSecrets")
        if secrets and not spec.get("imagePullSecrets"):
            spec["imagePullSecrets"] = secrets
        self._security(call, obj)
        self._priority(obj, spec)
        self._limit_range(call, spec)
        tolerations = spec.setdefault("tolerations", [])
        for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
            if not any(
                item.get("key") in (key, None) and item.get("effect") in ("NoExecute", None) for item in tolerations
            ):
                tolerations.append({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})

    def _security(self, call: Call, obj: Obj) -> None:
        namespace = self._store.collection("namespaces").get("", call.namespace)
        level = namespace.labels.get(podsecurity.LABEL, "") if namespace is not None else ""
        found = podsecurity.violations(obj["spec"], level) if level in podsecurity.LEVELS else []
        if found:
            why = f'violates PodSecurity "{level}:latest": ' + ", ".join(found)
            raise err.forbidden("pods", "", obj["metadata"].get("name", ""), why)

    def _priority(self, obj: Obj, spec: Obj) -> None:
        name = spec.get("priorityClassName")
        spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
        if not name:
            spec.setdefault("priority", 0)
            return
        stored = self._store.collection("priorityclasses.scheduling.k8s.io").get("", name)
        if stored is None and name not in _PRIORITIES:
            raise err.forbidden(
                "pods", "", obj["metadata"].get("name", ""), f"no PriorityClass with name {name} was found"
            )
        spec["priority"] = stored.load().get("value", 0) if stored is not None else _PRIORITIES[name]

    def _limit_range(self, call: Call, spec: Obj) -> None:
        for stored in self._store.collection("limitranges").scan(call.namespace):
            for item in (stored.load().get("spec") or {}).get("limits") or ():
                if item.get("type") != "Container":
                    continue
                for container in spec.get("containers") or ():
                    resources = container.setdefault("resources", {})
                    for part, source in (("limits", "default"), ("requests", "defaultRequest")):
                        for name, value in (item.get(source) or {}).items():
                            resources.setdefault(part, {}).setdefault(name, value)

    def _crd(self, obj: Obj, old: Obj | None) -> None:
        causes = crds.check(obj, self._rest.registry.types)
        if old is not None:
            for field in ("group", "scope"):
                if old["spec"].get(field) != obj["spec"].get(field):
                    causes.append(err.immutable(f"spec.{field}", obj["spec"].get(field)))
        if causes:
            raise err.invalid("CustomResourceDefinition", "apiextensions.k8s.io", obj["metadata"]["name"], causes)
        finalizers = obj["metadata"].get("finalizers") or []
        if crds.FINALIZER not in finalizers and not obj["metadata"].get("deletionTimestamp"):
            obj["metadata"]["finalizers"] = [*finalizers, crds.FINALIZER]
        obj["status"] = crds.accepted_status(obj, self._rest.stamp())

    def _quota(self, call: Call, obj: Obj) -> None:
        """Object counts, and requests and limits of pods, against the ResourceQuotas of the namespace."""
        quotas = list(self._store.collection("resourcequotas").scan(call.namespace)) if call.namespace else []
        if not quotas:
            return
        asked = usage_of(call.resource.store_key, obj)
        for stored in quotas:
            quota = stored.load()
            hard = (quota.get("spec") or {}).get("hard") or {}
            touched = {name: value for name, value in asked.items() if name in hard}
            if not touched or (quota.get("spec") or {}).get("scopes") or (quota.get("spec") or {}).get("scopeSelector"):
                continue
            used = self._used(call.namespace, set(touched))
            over = [name for name, value in touched.items() if used[name] + value > quantity.value_of(hard[name])]
            if over:
                words = [",".join(f"{name}={_text(source[name])}" for name in over) for source in (touched, used)]
                limit = ",".join(f"{name}={hard[name]}" for name in over)
                why = f"exceeded quota: {stored.name}, requested: {words[0]}, used: {words[1]}, limited: {limit}"
                raise err.forbidden(call.resource.plural, call.resource.group, obj["metadata"].get("name", ""), why)

    def _used(self, namespace: str, names: set[str]) -> dict[str, Decimal]:
        used = dict.fromkeys(names, Decimal(0))
        for resource in self._rest.registry.stored():
            counted = (
                {f"count/{resource.qualified}", resource.plural}
                if not resource.group
                else {f"count/{resource.qualified}"}
            )
            if not names & counted and not (resource.store_key == "pods" and names - counted):
                continue
            for stored in self._store.collection(resource.store_key).scan(namespace):
                for name, value in usage_of(resource.store_key, stored.load()).items():
                    if name in used:
                        used[name] += value
        return used


def usage_of(store_key: str, obj: Obj) -> dict[str, Decimal]:
    """What an object counts for in a quota."""
    if store_key == "pods" and (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return {}
    usage = {f"count/{store_key}": Decimal(1)}
    if "." not in store_key:
        usage[store_key] = Decimal(1)
    if store_key == "pods":
        for container in (obj.get("spec") or {}).get("containers") or ():
            for part, values in (container.get("resources") or {}).items():
                for name, value in (values or {}).items() if isinstance(values, dict) else ():
                    key = f"{part}.{name}"
                    usage[key] = usage.get(key, Decimal(0)) + quantity.value_of(value)
                    if part == "requests":
                        usage[name] = usage.get(name, Decimal(0)) + quantity.value_of(value)
    return usage


def _text(value: Decimal) -> str:
    return quantity.canonical(format(value, "f"))


def _merge_string_data(obj: Obj) -> None:
    strings = obj.pop("stringData", None)
    if strings:
        data = obj.setdefault("data", {}) or {}
        obj["data"] = data | {key: base64.b64encode(value.encode()).decode() for key, value in strings.items()}
