"""Admission inside the server: namespace lifecycle, service accounts and priorities of pods, Service addresses, and the
CRDs' own rules. Everything here is synchronous and may run twice on one object, when a webhook changed it.
"""

from __future__ import annotations

from typing import Any

from hack.devcluster.apiserver import crds, podsecurity, validation
from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.allocation import ServiceAllocator
from hack.devcluster.apiserver.calls import Call
from hack.devcluster.apiserver.defaults import job_selector
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
        if key == "services":
            self._allocator.fill(obj, old)
        elif key == "pods" and old is None:
            self._pod(call, obj)
        elif key == "jobs.batch" and old is None:
            job_selector(obj)
        elif key == crds.STORE_KEY:
            self._crd(obj, old)

    def validate(self, call: Call, obj: Obj, old: Obj | None) -> list[err.Cause]:
        """Rules of the kind."""
        resource = call.resource
        if resource.crd is not None:
            causes: list[err.Cause]
            causes, ratcheted = resource.crd.validate(obj, old)
            call.warnings += [f"{cause.field}: {cause.message}" for cause in ratcheted]
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
