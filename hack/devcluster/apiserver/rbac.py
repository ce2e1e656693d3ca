"""RBAC: may this user do that? Roles, ClusterRoles with aggregation, bindings; rules compiled once per change.

Only `system:masters` skips the check. Who may write roles and bindings is `escalation`'s matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.calls import User
from hack.devcluster.apiserver.selectors import match_selector
from hack.devcluster.apiserver.store import Event, Store

GROUP = "rbac.authorization.k8s.io"
ROLES, CLUSTER_ROLES = f"roles.{GROUP}", f"clusterroles.{GROUP}"
BINDINGS, CLUSTER_BINDINGS = f"rolebindings.{GROUP}", f"clusterrolebindings.{GROUP}"
PUBLIC_PATHS = ("/healthz", "/livez", "/readyz", "/version")

Rule = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Attributes:
    """A request as RBAC sees it."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def full(self) -> str:
        """`pods/log`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def allows(rule: Rule, ask: Attributes) -> bool:
    """Whether one policy rule covers a resource request."""
    verbs, groups, resources = rule.get("verbs") or (), rule.get("apiGroups") or (), rule.get("resources") or ()
    if "*" not in verbs and ask.verb not in verbs:
        return False
    if "*" not in groups and ask.group not in groups:
        return False
    wild = f"*/{ask.subresource}" if ask.subresource else ""
    if "*" not in resources and ask.full not in resources and (not wild or wild not in resources):
        return False
    names = rule.get("resourceNames") or ()
    return not names or (bool(ask.name) and ask.name in names)


def allows_path(rule: Rule, verb: str, path: str) -> bool:
    """Whether one policy rule covers a non-resource URL."""
    verbs = rule.get("verbs") or ()
    if "*" not in verbs and verb not in verbs:
        return False
    return any(
        url == "*" or url == path or (url.endswith("*") and path.startswith(url[:-1]))
        for url in rule.get("nonResourceURLs") or ()
    )


class Rbac:
    """The evaluator over the store's roles and bindings."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._bindings: dict[tuple[str, str], list[tuple[str, tuple[Rule, ...]]]] | None = None
        store.observers.append(self._changed)

    def _changed(self, collection: str, _event: Event) -> None:
        if collection.endswith(GROUP):
            self._bindings = None

    def rules(self, user: User, namespace: str) -> Iterable[Rule]:
        """Every rule that holds for the user in a namespace (empty: cluster-wide only)."""
        if self._bindings is None:
            self._bindings = self._compile()
        for subject in (("User", user.name), *(("Group", group) for group in user.groups)):
            for scope, rules in self._bindings.get(subject, ()):
                if not scope or scope == namespace:
                    yield from rules

    def _compile(self) -> dict[tuple[str, str], list[tuple[str, tuple[Rule, ...]]]]:
        compiled: dict[tuple[str, str], list[tuple[str, tuple[Rule, ...]]]] = {}
        for collection in (BINDINGS, CLUSTER_BINDINGS):
            for stored in self._store.collection(collection).scan():
                binding = stored.load()
                rules = self._role(binding.get("roleRef") or {}, stored.namespace)
                for subject in binding.get("subjects") or () if rules else ():
                    compiled.setdefault(_subject(subject, stored.namespace), []).append((stored.namespace, rules))
        return compiled

    def _role(self, ref: Mapping[str, Any], namespace: str) -> tuple[Rule, ...]:
        cluster = ref.get("kind") == "ClusterRole"
        collection = self._store.collection(CLUSTER_ROLES if cluster else ROLES)
        stored = collection.get("" if cluster else namespace, ref.get("name", ""))
        if stored is None:
            return ()
        role = stored.load()
        return tuple(self.aggregated(role) if role.get("aggregationRule") else role.get("rules") or ())

    def rules_of(self, ref: Mapping[str, Any], namespace: str) -> tuple[Rule, ...] | None:
        """The rules of a role that a binding names; None when there is no such role."""
        cluster = ref.get("kind") == "ClusterRole"
        collection = self._store.collection(CLUSTER_ROLES if cluster else ROLES)
        found = collection.get("" if cluster else namespace, ref.get("name", ""))
        return None if found is None else self._role(ref, namespace)

    def aggregated(self, role: Mapping[str, Any]) -> list[Rule]:
        """The rules of an aggregating ClusterRole, from those its selectors choose."""
        selectors = (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()
        found: list[Rule] = []
        for stored in sorted(self._store.collection(CLUSTER_ROLES).scan(), key=lambda item: item.name):
            if stored.name != role["metadata"]["name"] and any(
                match_selector(item, stored.labels) for item in selectors
            ):
                found += [rule for rule in stored.load().get("rules") or () if rule not in found]
        return found

    def reason(self, user: User, ask: Attributes) -> str:
        """Which binding allows a request, in upstream's words; empty when none does or none was asked."""
        if user.master:
            return ""
        subjects = [("User", user.name), *(("Group", name) for name in user.groups)]
        for collection in (CLUSTER_BINDINGS, BINDINGS):
            for stored in sorted(self._store.collection(collection).scan(), key=lambda item: item.name):
                if stored.namespace and stored.namespace != ask.namespace:
                    continue
                binding = stored.load()
                ref = binding.get("roleRef") or {}
                for subject in binding.get("subjects") or ():
                    who = _subject(subject, stored.namespace)
                    if who in subjects and any(allows(rule, ask) for rule in self._role(ref, stored.namespace)):
                        shown = f"{stored.name}/{stored.namespace}" if stored.namespace else stored.name
                        kind = "RoleBinding" if stored.namespace else "ClusterRoleBinding"
                        name = f"{subject.get('name')}/{subject.get('namespace')}"
                        target = name if subject.get("kind") == "ServiceAccount" else subject.get("name")
                        head = f'RBAC: allowed by {kind} "{shown}" of {ref.get("kind")} "{ref.get("name")}"'
                        return f'{head} to {subject.get("kind")} "{target}"'
        return ""

    def permits(self, user: User, ask: Attributes) -> bool:
        """Whether the request is allowed."""
        return user.master or any(allows(rule, ask) for rule in self.rules(user, ask.namespace))

    def permits_path(self, user: User, verb: str, path: str) -> bool:
        """Whether a non-resource request is allowed."""
        if user.master or path.rstrip("/") in PUBLIC_PATHS or path.startswith(("/livez/", "/readyz/", "/healthz/")):
            return True
        return any(allows_path(rule, verb, path) for rule in self.rules(user, ""))

    def check(self, user: User, ask: Attributes) -> None:
        """403 unless allowed."""
        if not self.permits(user, ask):
            raise err.forbidden(ask.resource, ask.group, ask.name, denial(user, ask))

    def check_path(self, user: User, verb: str, path: str) -> None:
        """403 unless allowed."""
        if not self.permits_path(user, verb, path):
            message = f'forbidden: User "{user.name}" cannot {verb} path "{path}"'
            raise err.ApiError(403, "Forbidden", message, details={})


def denial(user: User, ask: Attributes) -> str:
    """Upstream's sentence."""
    where = f'in the namespace "{ask.namespace}"' if ask.namespace else "at the cluster scope"
    return f'User "{user.name}" cannot {ask.verb} resource "{ask.full}" in API group "{ask.group}" {where}'


def _subject(subject: Mapping[str, Any], namespace: str) -> tuple[str, str]:
    if subject.get("kind") == "ServiceAccount":
        return ("User", f"system:serviceaccount:{subject.get('namespace') or namespace}:{subject.get('name')}")
    return (str(subject.get("kind")), str(subject.get("name")))
