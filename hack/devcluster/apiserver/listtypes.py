"""How the lists and maps of built-in kinds merge: facts of the Kubernetes API that its Python models do not carry.

Two families that differ by history: `patchStrategy`/`patchMergeKey` (strategic merge patch) and
`x-kubernetes-list-type`/`-map-keys` (server-side apply). A Service port merges by `port` in the first and by
`port`+`protocol` in the second, so one table holds both. Lists not named here are atomic, maps granular.
"""

from __future__ import annotations

from typing import NamedTuple


class ListRule(NamedTuple):
    """Merge semantics of one list field. Empty `keys` with list type `map` never occurs."""

    strategy: str
    merge_key: str
    list_type: str
    keys: tuple[str, ...]


def by(key: str, *more: str, strategy: str = "merge", ssa: bool = True) -> ListRule:
    """A list of objects merged by `key` (and, in server-side apply, `more`)."""
    return ListRule(strategy, key, "map", (key, *more)) if ssa else ListRule(strategy, key, "atomic", ())


SET = ListRule("merge", "", "set", ())
CONDITIONS = by("type")

LISTS: dict[tuple[str, str], ListRule] = {
    ("V1ObjectMeta", "finalizers"): SET,
    ("V1ObjectMeta", "ownerReferences"): by("uid"),
    ("V1PodSpec", "containers"): by("name"),
    ("V1PodSpec", "initContainers"): by("name"),
    ("V1PodSpec", "ephemeralContainers"): by("name"),
    ("V1PodSpec", "volumes"): by("name", strategy="merge,retainKeys"),
    ("V1PodSpec", "imagePullSecrets"): by("name"),
    ("V1PodSpec", "hostAliases"): by("ip"),
    ("V1PodSpec", "topologySpreadConstraints"): by("topologyKey", "whenUnsatisfiable"),
    ("V1PodSpec", "resourceClaims"): by("name", strategy="merge,retainKeys"),
    ("V1PodSpec", "schedulingGates"): by("name"),
    ("V1PodStatus", "podIPs"): by("ip"),
    ("V1PodStatus", "hostIPs"): by("ip", ssa=False),
    ("V1Container", "env"): by("name"),
    ("V1Container", "ports"): by("containerPort", "protocol"),
    ("V1Container", "volumeMounts"): by("mountPath"),
    ("V1Container", "volumeDevices"): by("devicePath"),
    ("V1EphemeralContainer", "env"): by("name"),
    ("V1EphemeralContainer", "ports"): by("containerPort", "protocol"),
    ("V1EphemeralContainer", "volumeMounts"): by("mountPath"),
    ("V1EphemeralContainer", "volumeDevices"): by("devicePath"),
    ("V1ResourceRequirements", "claims"): ListRule("", "", "map", ("name",)),
    ("V1ServiceSpec", "ports"): by("port", "protocol"),
    ("V1ServiceAccount", "secrets"): by("name"),
    ("V1NodeSpec", "podCIDRs"): SET,
    ("V1NodeStatus", "addresses"): by("type"),
    ("V1CustomResourceDefinitionStatus", "conditions"): ListRule("", "", "map", ("type",)),
    ("V1MutatingWebhookConfiguration", "webhooks"): by("name"),
    ("V1ValidatingWebhookConfiguration", "webhooks"): by("name"),
    ("V1MutatingWebhook", "matchConditions"): by("name"),
    ("V1ValidatingAdmissionPolicySpec", "matchConditions"): by("name"),
    ("V1ValidatingAdmissionPolicySpec", "variables"): by("name"),
    ("V1ValidatingWebhook", "matchConditions"): by("name"),
    ("V1HorizontalPodAutoscalerStatus", "conditions"): CONDITIONS,
    ("V1PersistentVolumeClaimStatus", "conditions"): CONDITIONS,
    ("V1JSONSchemaProps", "x-kubernetes-validations"): ListRule("merge", "rule", "map", ("rule",)),
    ("V1TopologySpreadConstraint", "matchLabelKeys"): ListRule("", "", "atomic", ()),
}

ATOMIC_DEFINITIONS = frozenset(
    {
        *["V1LabelSelector", "V1NodeSelector", "V1NodeSelectorTerm", "V1ObjectReference", "V1LocalObjectReference"],
        *["V1SecretKeySelector", "V1ConfigMapKeySelector", "V1ObjectFieldSelector", "V1ResourceFieldSelector"],
        *["V1OwnerReference", "V1TypedLocalObjectReference", "V1SecretReference", "V1EndpointAddress"],
        *["CoreV1EndpointPort", "DiscoveryV1EndpointPort", "V1RoleRef", "RbacV1Subject", "V1TopologySelectorTerm"],
        *["V1ScopeSelector", "V1ScopedResourceSelectorRequirement", "V1FileKeySelector", "V1MatchResources"],
        *["V1ServiceBackendPort", "V1ParamKind", "V1ParamRef", "V1Variable", "V1NamedRuleWithOperations"],
    }
)

ATOMIC_MAPS = frozenset({("V1PodSpec", "nodeSelector"), ("V1ServiceSpec", "selector")})

RETAIN_KEYS = frozenset({("V1DeploymentSpec", "strategy")})

KEY_DEFAULTS: dict[tuple[str, str], dict[str, str]] = {
    ("V1Container", "ports"): {"protocol": "TCP"},
    ("V1EphemeralContainer", "ports"): {"protocol": "TCP"},
    ("V1ServiceSpec", "ports"): {"protocol": "TCP"},
}

QUANTITIES = frozenset(
    {
        *[("V1ResourceRequirements", name) for name in ("limits", "requests")],
        *[("V1VolumeResourceRequirements", name) for name in ("limits", "requests")],
        *[("V1NodeStatus", name) for name in ("capacity", "allocatable")],
        *[("V1ResourceQuotaStatus", name) for name in ("hard", "used")],
        *[("V1LimitRangeItem", name) for name in ("default", "defaultRequest", "max", "min", "maxLimitRequestRatio")],
        *[("V2MetricTarget", name) for name in ("averageValue", "value")],
        *[("V2MetricValueStatus", name) for name in ("averageValue", "value")],
        *[("V1PersistentVolumeClaimStatus", name) for name in ("capacity", "allocatedResources")],
        ("V1ResourceQuotaSpec", "hard"),
        ("V1PersistentVolumeSpec", "capacity"),
        ("V1EmptyDirVolumeSource", "sizeLimit"),
        ("V1ResourceFieldSelector", "divisor"),
        ("V1ContainerStatus", "allocatedResources"),
        ("V2HPAScalingRules", "tolerance"),
        ("V1PodSpec", "overhead"),
    }
)

MICRO_TIMES = frozenset(
    {
        *[("V1LeaseSpec", name) for name in ("acquireTime", "renewTime")],
        *[(kind, "eventTime") for kind in ("CoreV1Event", "EventsV1Event")],
        *[(kind, "lastObservedTime") for kind in ("CoreV1EventSeries", "EventsV1EventSeries")],
    }
)


def list_rule(definition: str, field: str) -> ListRule:
    """The rule of a list field; `conditions` of every status merge by `type`."""
    rule = LISTS.get((definition, field))
    if rule is not None:
        return rule
    return CONDITIONS if field == "conditions" and definition.endswith("Status") else ListRule("", "", "atomic", ())
