"""Discovery documents: the classic ones per group version and the aggregated ones that newer clients ask for."""

from __future__ import annotations

from typing import Any

from hack.devcluster.apiserver.kinds import Registry, Resource

AGGREGATED = "apidiscovery.k8s.io"
_STATUS_VERBS = ("get", "patch", "update")
VERSION = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.0+devcluster",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "go1.25",
    "compiler": "gc",
    "platform": "linux/amd64",
}
PATHS = (
    *[
        "/.well-known/openid-configuration",
        "/api",
        "/api/v1",
        "/apis",
        "/healthz",
        "/livez",
        "/openapi/v2",
        "/openapi/v3",
        "/readyz",
        "/version",
    ],
)


def subresources(resource: Resource) -> list[dict[str, Any]]:
    """(name, kind, group, version, verbs) of every subresource."""
    found: list[dict[str, Any]] = []
    if resource.status:
        found.append({"name": "status", "kind": resource.kind, "api_version": "", "verbs": list(_STATUS_VERBS)})
    if resource.scale:
        found.append({"name": "scale", "kind": "Scale", "api_version": "autoscaling/v1", "verbs": list(_STATUS_VERBS)})
    for name, api_version, kind, verbs in resource.subresources:
        found.append({"name": name, "kind": kind, "api_version": api_version, "verbs": list(verbs)})
    return found


def resource_list(registry: Registry, group: str, version: str) -> dict[str, Any]:
    """APIResourceList of a group version."""
    items: list[dict[str, Any]] = []
    for resource in sorted(registry.in_version(group, version), key=lambda item: item.plural):
        entry: dict[str, Any] = {
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": list(resource.verbs),
        }
        if resource.short_names:
            entry["shortNames"] = list(resource.short_names)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        items.append(entry)
        for sub in subresources(resource):
            item = {
                "name": f"{resource.plural}/{sub['name']}",
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": sub["kind"],
                "verbs": sub["verbs"],
            }
            if sub["api_version"]:
                sub_group, _, sub_version = sub["api_version"].rpartition("/")
                item |= {"group": sub_group, "version": sub_version}
            items.append(item)
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": items}


def api_group(registry: Registry, group: str) -> dict[str, Any]:
    """APIGroup."""
    versions = [{"groupVersion": f"{group}/{version}", "version": version} for version in registry.versions(group)]
    return {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": group,
        "versions": versions,
        "preferredVersion": versions[0],
    }


def group_list(registry: Registry) -> dict[str, Any]:
    """APIGroupList."""
    groups = [
        {key: value for key, value in api_group(registry, group).items() if key not in ("kind", "apiVersion")}
        for group in registry.groups()
    ]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def api_versions(address: str) -> dict[str, Any]:
    """APIVersions of the core group."""
    servers = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": servers}


def aggregated(registry: Registry, *, core: bool, version: str) -> dict[str, Any]:
    """APIGroupDiscoveryList for `/api` or `/apis`."""
    items = []
    for group in [""] if core else registry.groups():
        versions = [
            {
                "version": name,
                "freshness": "Current",
                "resources": [
                    _aggregated(item) for item in sorted(registry.in_version(group, name), key=lambda r: r.plural)
                ],
            }
            for name in registry.versions(group)
        ]
        items.append(
            {
                "metadata": {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None},
                "versions": versions,
            }
        )
    return {"kind": "APIGroupDiscoveryList", "apiVersion": f"{AGGREGATED}/{version}", "metadata": {}, "items": items}


def _aggregated(resource: Resource) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    subs = []
    for sub in subresources(resource):
        group, _, version = (sub["api_version"] or resource.api_version).rpartition("/")
        subs.append(
            {
                "subresource": sub["name"],
                "responseKind": {"group": group, "version": version, "kind": sub["kind"]},
                "verbs": sub["verbs"],
            }
        )
    if subs:
        entry["subresources"] = subs
    return entry
