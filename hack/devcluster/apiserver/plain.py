"""Paths that name no object: discovery, health, version, OpenAPI."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from hack.devcluster.apiserver import discovery, openapi
from hack.devcluster.apiserver.accept import Form
from hack.devcluster.apiserver.http import answer
from hack.devcluster.apiserver.kinds import Registry

HEALTH = ("healthz", "livez", "readyz")


class Plain:
    """Handler of the non-resource paths; None means 404."""

    def __init__(self, registry: Registry, *, address: str) -> None:
        self._registry = registry
        self._address = address
        self._openapi = openapi.OpenApi(registry)

    async def handle(self, request: web.BaseRequest, parts: list[str], form: Form) -> web.StreamResponse | None:
        """Answer, or None."""
        head = parts[0]
        if head in HEALTH:
            return web.Response(text="ok")
        if head == "version":
            return _json(discovery.VERSION)
        if head == "openapi" and len(parts) > 1:
            return self._openapi_answer(request, parts)
        if head == "":
            return _json(
                {"paths": sorted([*discovery.PATHS, *(f"/apis/{group}" for group in self._registry.groups())])}
            )
        body = self._discovery(parts, form)
        if body is None:
            return None
        shaped = body.get("kind") == "APIGroupDiscoveryList"
        return answer(msgspec.json.encode(body), form if shaped else Form(yaml=form.yaml))

    def _discovery(self, parts: list[str], form: Form) -> dict[str, Any] | None:
        registry = self._registry
        match parts:
            case ["api"] | ["apis"] if form.shape == "APIGroupDiscoveryList":
                return discovery.aggregated(registry, core=parts[0] == "api", version=form.version)
            case ["api"]:
                return discovery.api_versions(self._address)
            case ["apis"]:
                return discovery.group_list(registry)
            case ["api", "v1"]:
                return discovery.resource_list(registry, "", "v1")
            case ["apis", group] if group in registry.groups():
                return discovery.api_group(registry, group)
            case ["apis", group, version] if version in registry.versions(group):
                return discovery.resource_list(registry, group, version)
        return None

    def _openapi_answer(self, request: web.BaseRequest, parts: list[str]) -> web.StreamResponse | None:
        accept = request.headers.get("Accept", "")
        if parts[1] == "v2":
            if "protobuf" in accept and "json" not in accept:
                return web.Response(body=openapi.V2_PROTOBUF, headers={"Content-Type": openapi.V2_PROTOBUF_TYPE})
            return _json(self._openapi.v2())
        if parts[1:] == ["v3"]:
            return _json(self._openapi.index())
        document = self._openapi.v3("/".join(parts[2:]))
        return None if document is None else web.Response(body=document, content_type="application/json")


def _json(body: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")
