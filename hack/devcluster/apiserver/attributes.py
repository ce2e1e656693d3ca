"""A request as admission sees it, and the selection of requests by rules and selectors.

The same selection serves webhooks (`rules`) and policies (`matchConstraints.resourceRules`). `matchPolicy: Equivalent`
also finds a custom resource under another served version of its group; built-in kinds have one version here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hack.devcluster.apiserver.calls import Call
from hack.devcluster.apiserver.kinds import Registry, Resource
from hack.devcluster.apiserver.selectors import match_selector
from hack.devcluster.apiserver.store import Store

Obj = dict[str, Any]
EXEMPT = "admissionregistration.k8s.io"


@dataclass(frozen=True, slots=True)
class Attributes:
    """One admission request. `kind` differs from the resource's for subresources such as scale."""

    call: Call
    operation: str
    kind: tuple[str, str, str]
    resource: Resource
    subresource: str
    name: str
    namespace: str
    obj: Obj | None
    old: Obj | None

    @property
    def resource_names(self) -> tuple[str, str, str]:
        """Group, version, plural."""
        return (self.resource.group, self.resource.version, self.resource.plural)

    @property
    def dry_run(self) -> bool:
        """Whether nothing will be stored."""
        return self.call.dry_run


def of_write(call: Call, obj: Obj | None, old: Obj | None) -> Attributes:
    """The attributes of a create, update or delete."""
    resource = call.resource
    shown = obj if obj is not None else old
    head = shown or {}
    group, _, version = str(head.get("apiVersion", resource.api_version)).rpartition("/")
    operation = "DELETE" if obj is None else "CREATE" if old is None else "UPDATE"
    if call.subresource in ("eviction", "binding"):
        operation = "CREATE"
    meta = head.get("metadata") or {}
    return Attributes(
        call=call,
        operation=operation,
        kind=(group, version, str(head.get("kind", resource.kind))),
        resource=resource,
        subresource=call.subresource,
        name=call.name or str(meta.get("name", "")),
        namespace=call.namespace or (str(meta.get("name", "")) if resource.store_key == "namespaces" else ""),
        obj=obj,
        old=old,
    )


def _has(items: Any, value: str) -> bool:
    return "*" in (items or ()) or value in (items or ())


def rule_matches(rule: Mapping[str, Any], request: Attributes, resource: Resource) -> bool:
    """Whether one rule with operations covers the request, seen as a request on `resource`."""
    scope = rule.get("scope", "*")
    spaced = bool(request.namespace) and resource.store_key != "namespaces"
    if scope != "*" and (scope == "Namespaced") != spaced:
        return False
    if not (_has(rule.get("operations"), request.operation) and _has(rule.get("apiGroups"), resource.group)):
        return False
    if not _has(rule.get("apiVersions"), resource.version):
        return False
    for item in rule.get("resources") or ():
        plural, _, sub = item.partition("/")
        if plural in ("*", resource.plural) and sub in ("*", request.subresource):
            return not rule.get("resourceNames") or request.name in rule["resourceNames"]
    return False


class Selection:
    """Selectors need the labels of the namespace, and equivalent versions the registry."""

    def __init__(self, registry: Registry, store: Store) -> None:
        self._registry = registry
        self._store = store

    def find(self, hook: Mapping[str, Any], rules: Any, request: Attributes) -> Resource | None:
        """The resource as which the hook sees the request; None when it does not ask for it."""
        if request.resource.group == EXEMPT:
            return None
        found = next((request.resource for rule in rules or () if rule_matches(rule, request, request.resource)), None)
        if found is None and hook.get("matchPolicy", "Equivalent") == "Equivalent" and request.resource.crd is not None:
            others = (
                item
                for item in self._registry.all()
                if item.group == request.resource.group and item.plural == request.resource.plural
            )
            found = next((item for item in others for rule in rules or () if rule_matches(rule, request, item)), None)
        if found is None or not self._namespace(hook.get("namespaceSelector"), request):
            return None
        return found if _objects(hook.get("objectSelector"), request) else None

    def _namespace(self, selector: Any, request: Attributes) -> bool:
        if not selector:
            return True
        if request.resource.store_key == "namespaces":
            return match_selector(selector, _labels(request.obj if request.obj is not None else request.old))
        if not request.namespace:
            return True
        stored = self._store.collection("namespaces").get("", request.namespace)
        return stored is not None and match_selector(selector, stored.labels)


def _objects(selector: Any, request: Attributes) -> bool:
    if not selector:
        return True
    return any(match_selector(selector, _labels(obj)) for obj in (request.obj, request.old) if obj is not None)


def _labels(obj: Obj | None) -> Mapping[str, str]:
    return ((obj or {}).get("metadata") or {}).get("labels") or {}
