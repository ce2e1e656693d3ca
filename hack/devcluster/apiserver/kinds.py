"""The served kinds: a table of the built-in ones, and a registry to which CRDs are added.

One `Resource` is one (group, version, plural). Several of them may share a collection of the store: the versions of a
CRD, and the two APIs of Event.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from hack.devcluster.apiserver.schema import Node, Types

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Scale:
    """JSON paths (as key tuples) of a scale subresource; `selector` may be empty."""

    spec: tuple[str, ...]
    status: tuple[str, ...]
    selector: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resource:
    """One served resource."""

    group: str
    version: str
    kind: str
    plural: str
    definition: str = ""
    namespaced: bool = True
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    status: bool = True
    scale: Scale | None = None
    subresources: tuple[tuple[str, str, str, tuple[str, ...]], ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    collection: str = ""
    list_kind: str = ""
    crd: Any = None

    @property
    def api_version(self) -> str:
        """`apps/v1` or `v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def store_key(self) -> str:
        """Name of the collection in the store."""
        return self.collection or (f"{self.plural}.{self.group}" if self.group else self.plural)

    @property
    def qualified(self) -> str:
        """`deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


_WORKLOAD_SCALE = Scale(("spec", "replicas"), ("status", "replicas"), ("status", "selector"))
_READ, _MADE = ("get",), ("create",)
_POD_SUBS = (
    ("attach", "", "PodAttachOptions", ("create", "get")),
    ("binding", "v1", "Binding", _MADE),
    ("eviction", "policy/v1", "Eviction", _MADE),
    ("exec", "", "PodExecOptions", ("create", "get")),
    ("log", "", "Pod", _READ),
    ("portforward", "", "PodPortForwardOptions", ("create", "get")),
)
_TOKEN = (("token", "authentication.k8s.io/v1", "TokenRequest", _MADE),)


def _core(kind: str, plural: str, short: str = "", **more: Any) -> Resource:
    return _named(Resource("", "v1", kind, plural, "V1" + kind), short, more)


def _in(group: str, kind: str, plural: str, short: str = "", **more: Any) -> Resource:
    return _named(Resource(group, "v1", kind, plural, "V1" + kind), short, more)


def _named(resource: Resource, short: str, more: dict[str, Any]) -> Resource:
    more = {"singular": resource.kind.lower(), "short_names": tuple(short.split()), **more}
    return replace(resource, **more)


_ALL = ("all",)
_FLAT: dict[str, Any] = {"status": False}
_CLUSTER: dict[str, Any] = {"namespaced": False}
_API_EXTENSION: dict[str, Any] = {"categories": ("api-extensions",)}
_REVIEW: dict[str, Any] = {"status": False, "verbs": _MADE, "namespaced": False}
_RBAC, _ADMISSION = "rbac.authorization.k8s.io", "admissionregistration.k8s.io"

BUILTINS: tuple[Resource, ...] = (
    _core("Namespace", "namespaces", "ns", **_CLUSTER, subresources=(("finalize", "", "Namespace", ("update",)),)),
    _core("Pod", "pods", "po", categories=_ALL, subresources=_POD_SUBS),
    _core("Service", "services", "svc", categories=_ALL),
    _core("Endpoints", "endpoints", "ep", **_FLAT),
    _core("ConfigMap", "configmaps", "cm", **_FLAT),
    _core("Secret", "secrets", **_FLAT),
    _core("ServiceAccount", "serviceaccounts", "sa", **_FLAT, subresources=_TOKEN),
    _core("Event", "events", "ev", **_FLAT, definition="CoreV1Event"),
    _core("Node", "nodes", "no", **_CLUSTER),
    _core("PersistentVolumeClaim", "persistentvolumeclaims", "pvc"),
    _core("PersistentVolume", "persistentvolumes", "pv", **_CLUSTER),
    _core("LimitRange", "limitranges", "limits", **_FLAT),
    _core("ResourceQuota", "resourcequotas", "quota"),
    _core("PodTemplate", "podtemplates", **_FLAT),
    _in("apps", "Deployment", "deployments", "deploy", categories=_ALL, scale=_WORKLOAD_SCALE),
    _in("apps", "ReplicaSet", "replicasets", "rs", categories=_ALL, scale=_WORKLOAD_SCALE),
    _in("apps", "StatefulSet", "statefulsets", "sts", categories=_ALL, scale=_WORKLOAD_SCALE),
    _in("apps", "DaemonSet", "daemonsets", "ds", categories=_ALL),
    _in("apps", "ControllerRevision", "controllerrevisions", **_FLAT),
    _in("batch", "Job", "jobs", categories=_ALL),
    _in("batch", "CronJob", "cronjobs", "cj", categories=_ALL),
    _in("networking.k8s.io", "Ingress", "ingresses", "ing"),
    _in("networking.k8s.io", "IngressClass", "ingressclasses", **_CLUSTER, **_FLAT),
    _in("networking.k8s.io", "NetworkPolicy", "networkpolicies", "netpol", **_FLAT),
    _in("policy", "PodDisruptionBudget", "poddisruptionbudgets", "pdb"),
    _named(
        Resource(
            "autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "V2HorizontalPodAutoscaler"
        ),
        "hpa",
        {"categories": _ALL},
    ),
    _in("coordination.k8s.io", "Lease", "leases", **_FLAT),
    _in("discovery.k8s.io", "EndpointSlice", "endpointslices", **_FLAT),
    _in("events.k8s.io", "Event", "events", "ev", **_FLAT, definition="EventsV1Event", collection="events"),
    _in(_RBAC, "Role", "roles", **_FLAT),
    _in(_RBAC, "RoleBinding", "rolebindings", **_FLAT),
    _in(_RBAC, "ClusterRole", "clusterroles", **_FLAT, **_CLUSTER),
    _in(_RBAC, "ClusterRoleBinding", "clusterrolebindings", **_FLAT, **_CLUSTER),
    _in(
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        "crd crds",
        **_CLUSTER,
        categories=("api-extensions",),
    ),
    _in("scheduling.k8s.io", "PriorityClass", "priorityclasses", "pc", **_FLAT, **_CLUSTER),
    _in("storage.k8s.io", "StorageClass", "storageclasses", "sc", **_FLAT, **_CLUSTER),
    _in("node.k8s.io", "RuntimeClass", "runtimeclasses", **_FLAT, **_CLUSTER),
    _in(
        _ADMISSION,
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        **_FLAT,
        **_CLUSTER,
        categories=("api-extensions",),
    ),
    _in(
        _ADMISSION,
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        **_FLAT,
        **_CLUSTER,
        categories=("api-extensions",),
    ),
    _in(_ADMISSION, "ValidatingAdmissionPolicy", "validatingadmissionpolicies", **_CLUSTER, **_API_EXTENSION),
    _in(
        _ADMISSION,
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        **_FLAT,
        **_CLUSTER,
        **_API_EXTENSION,
    ),
    _in("authentication.k8s.io", "TokenReview", "tokenreviews", **_REVIEW),
    _in("authentication.k8s.io", "SelfSubjectReview", "selfsubjectreviews", **_REVIEW),
    _in("authorization.k8s.io", "SubjectAccessReview", "subjectaccessreviews", **_REVIEW),
    _in("authorization.k8s.io", "SelfSubjectAccessReview", "selfsubjectaccessreviews", **_REVIEW),
    _in("authorization.k8s.io", "SelfSubjectRulesReview", "selfsubjectrulesreviews", **_REVIEW),
    _in(
        "authorization.k8s.io",
        "LocalSubjectAccessReview",
        "localsubjectaccessreviews",
        **{**_REVIEW, "namespaced": True},
    ),
)


class Registry:
    """What is served now. `serial` rises with every change, for caches."""

    def __init__(self) -> None:
        self.types = Types()
        self.serial = 1
        self._by_path: dict[tuple[str, str, str], Resource] = {}
        self._by_kind: dict[tuple[str, str, str], Resource] = {}
        self.add(BUILTINS)

    def add(self, resources: Iterable[Resource]) -> None:
        """Serve more; an entry of the same path is replaced."""
        for resource in resources:
            self._by_path[(resource.group, resource.version, resource.plural)] = resource
            self._by_kind[(resource.group, resource.version, resource.kind)] = resource
        self.serial += 1

    def drop(self, group: str, plural: str) -> None:
        """Stop serving every version of a resource."""
        for key in [key for key in self._by_path if key[0] == group and key[2] == plural]:
            resource = self._by_path.pop(key)
            self._by_kind.pop((group, resource.version, resource.kind), None)
        self.serial += 1

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource of a URL."""
        return self._by_path.get((group, version, plural))

    def of_kind(self, api_version: str, kind: str) -> Resource | None:
        """The resource of an object's head."""
        group, _, version = api_version.rpartition("/")
        return self._by_kind.get((group, version, kind))

    def any_version(self, group: str, plural: str) -> Resource | None:
        """Some served version of a resource."""
        return next((item for item in self._by_path.values() if item.group == group and item.plural == plural), None)

    def stored(self) -> list[Resource]:
        """One resource per collection that can be listed."""
        found: dict[str, Resource] = {}
        for item in self._by_path.values():
            if "list" in item.verbs:
                found.setdefault(item.store_key, item)
        return list(found.values())

    def all(self) -> list[Resource]:
        """Everything that is served."""
        return list(self._by_path.values())

    def versions(self, group: str) -> list[str]:
        """Served versions of a group, preferred first."""
        return sorted({item.version for item in self._by_path.values() if item.group == group}, key=version_rank)

    def groups(self) -> list[str]:
        """Served groups other than core, built-in ones first."""
        return list(dict.fromkeys(item.group for item in self._by_path.values() if item.group))

    def in_version(self, group: str, version: str) -> list[Resource]:
        """Resources of one group version."""
        return [item for item in self._by_path.values() if item.group == group and item.version == version]

    def schema(self, resource: Resource) -> Node:
        """The type of a resource's objects."""
        if resource.crd is not None:
            node: Node = resource.crd.node
            return node
        return self.types.node(resource.definition)


def version_rank(version: str) -> tuple[int, int, int, str]:
    """Sort key of Kubernetes' version order: v2, v1, v1beta2, v1beta1, v1alpha1, then names."""
    match = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if match is None:
        return (3, 0, 0, version)
    stage = {None: 0, "beta": 1, "alpha": 2}[match.group(2)]
    return (stage, -int(match.group(1)), -int(match.group(3) or 0), version)
