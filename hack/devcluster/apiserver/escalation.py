"""Nobody grants more than they hold: the checks on writers of roles and bindings.

A role may hold only rules that its writer is allowed, a binding may name only a role whose rules its writer is allowed,
unless the verb `escalate` or `bind` says otherwise. Members of `system:masters` are not asked. Texts are upstream's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.calls import SYSTEM, Call, User
from hack.devcluster.apiserver.rbac import (
    BINDINGS,
    CLUSTER_BINDINGS,
    CLUSTER_ROLES,
    GROUP,
    ROLES,
    Attributes,
    Rbac,
    Rule,
    allows,
    allows_path,
)
from hack.devcluster.apiserver.rest import Rest

Obj = dict[str, Any]
FULL: tuple[Rule, ...] = (
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
)


class Escalation:
    """Hook of `rest`."""

    def __init__(self, rest: Rest, rbac: Rbac) -> None:
        self._rbac = rbac
        rest.hooks.last.append(self.check)

    def check(self, call: Call, obj: Obj, old: Obj | None) -> None:
        """403 when the write would grant what the user does not hold."""
        key = call.resource.store_key
        if call.user is SYSTEM or call.user.master or key not in (ROLES, CLUSTER_ROLES, BINDINGS, CLUSTER_BINDINGS):
            return
        if old is not None and _plain(obj) == _plain(old):
            return
        if key in (ROLES, CLUSTER_ROLES):
            self._role(call, obj, old)
        else:
            self._binding(call, obj)

    def _role(self, call: Call, obj: Obj, old: Obj | None) -> None:
        name = obj["metadata"].get("name", "")
        if self._may(call, "escalate", call.resource.plural, call.name):
            return
        missing = self._missing(call.user, call.namespace, obj.get("rules") or ())
        if missing:
            raise err.forbidden(call.resource.plural, GROUP, name, _words(call.user, missing))
        gathers = any((item or {}).get("aggregationRule") for item in (obj, old))
        if gathers and self._missing(call.user, "", FULL):
            why = "must have cluster-admin privileges to use the aggregationRule"
            raise err.forbidden(call.resource.plural, GROUP, name, why)

    def _binding(self, call: Call, obj: Obj) -> None:
        ref = obj.get("roleRef") or {}
        cluster = ref.get("kind") == "ClusterRole"
        if self._may(call, "bind", "clusterroles" if cluster else "roles", ref.get("name", "")):
            return
        name = obj["metadata"].get("name", "")
        rules = self._rbac.rules_of(ref, call.namespace)
        if rules is None:
            role = "clusterroles" if cluster else "roles"
            raise err.not_found(role, GROUP, ref.get("name", ""))
        missing = self._missing(call.user, call.namespace, rules)
        if missing:
            raise err.forbidden(call.resource.plural, GROUP, name, _words(call.user, missing))

    def _may(self, call: Call, verb: str, plural: str, name: str) -> bool:
        ask = Attributes(verb=verb, group=GROUP, resource=plural, namespace=call.namespace, name=name)
        return self._rbac.permits(call.user, ask)

    def _missing(self, user: User, namespace: str, rules: Iterable[Rule]) -> list[Rule]:
        held = list(self._rbac.rules(user, namespace))
        return [part for rule in rules for part in parts_of(rule) if not any(_covers(own, part) for own in held)]


def _plain(obj: Obj) -> Obj:
    return {key: value for key, value in obj.items() if key != "metadata"}


def parts_of(rule: Rule) -> Iterator[Rule]:
    """A rule as rules of one verb and one thing."""
    for url, verb in product(rule.get("nonResourceURLs") or (), rule.get("verbs") or ()):
        yield {"nonResourceURLs": [url], "verbs": [verb]}
    things = product(rule.get("apiGroups") or (), rule.get("resources") or (), rule.get("verbs") or ())
    for group, resource, verb in things:
        plain: dict[str, Any] = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
        if not rule.get("resourceNames"):
            yield plain
        for name in rule.get("resourceNames") or ():
            yield {**plain, "resourceNames": [name]}


def _covers(own: Rule, part: Rule) -> bool:
    verb = part["verbs"][0]
    if part.get("nonResourceURLs"):
        return allows_path(own, verb, part["nonResourceURLs"][0])
    resource, _, sub = part["resources"][0].partition("/")
    name = (part.get("resourceNames") or [""])[0]
    if own.get("resourceNames") and not name:
        return False
    ask = Attributes(verb=verb, group=part["apiGroups"][0], resource=resource, subresource=sub, name=name)
    return allows(own, ask)


def _words(user: User, missing: list[Rule]) -> str:
    grouped: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for part in missing:
        names = [part.get(key) or [] for key in ("apiGroups", "resources", "nonResourceURLs", "resourceNames")]
        key = tuple("|".join(item) for item in names)
        if part.get("nonResourceURLs"):
            key = (*key, part["verbs"][0])
        fields = dict(zip(("APIGroups", "Resources", "NonResourceURLs", "ResourceNames"), names, strict=True))
        grouped.setdefault(key, {**fields, "Verbs": []})["Verbs"].extend(part["verbs"])
    lines = sorted(
        "{" + ", ".join(f"{name}:{_list(values)}" for name, values in fields.items() if values) + "}"
        for fields in grouped.values()
    )
    head = (
        f'user "{user.name}" (groups={_list(user.groups)}) is attempting to grant RBAC permissions not currently held:'
    )
    return "\n".join([head, *lines])


def _list(values: Iterable[str]) -> str:
    return "[" + " ".join(f'"{value}"' for value in values) + "]"
