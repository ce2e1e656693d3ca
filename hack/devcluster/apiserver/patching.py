"""PATCH in its four forms, each one read-merge-write in one step."""

from __future__ import annotations

from typing import Any

import msgspec

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver import managed, ssa
from hack.devcluster.apiserver.calls import Call
from hack.devcluster.apiserver.patches import json_patch, merge_patch
from hack.devcluster.apiserver.rest import Obj, Rest
from hack.devcluster.apiserver.store import Stored
from hack.devcluster.apiserver.strategic import strategic_merge

JSON_PATCH, MERGE, STRATEGIC = (
    f"application/{name}+json" for name in ("json-patch", "merge-patch", "strategic-merge-patch")
)
APPLY = "application/apply-patch+yaml"


class Patching:
    """Applies patches through `rest`."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def check_media(self, call: Call, media: str) -> None:
        """415 for a form of patch that the kind does not take."""
        forms = [JSON_PATCH, MERGE, *([STRATEGIC] if call.resource.crd is None else []), APPLY]
        if media not in forms:
            known = call.resource.crd is not None and media == STRATEGIC
            raise err.unsupported_media(", ".join(forms) if known else "")

    async def patch(self, call: Call, media: str, body: Any) -> tuple[Stored, int]:
        """(result, 200 or 201)."""
        if media == APPLY:
            return await self.apply(call, body)
        stored = self._rest.find(call.resource, call.namespace, call.name)
        old = self._rest.view(call.resource, stored)
        new = self.patched(call, media, old, body)
        return await self._rest.replace(call, stored, self._typed_patch(call, media, new), partial=True), 200

    def _typed_patch(self, call: Call, media: str, new: Any) -> Obj:
        """The patched object with the types of its kind; a misfit is a fault of the patch, so 422 instead of 400."""
        if call.resource.crd is not None or media == STRATEGIC:
            return self._rest.fit(call, new)
        shown = msgspec.json.encode(new).decode()
        try:
            return self._rest.fit(call, new)
        except err.ApiError as problem:
            why = problem.message.rpartition("cannot be handled as a ")[2].partition(": ")[2] or problem.message
            raise err.invalid("", "", "", [err.invalid_value("patch", shown, why)]) from problem

    def patched(self, call: Call, media: str, old: Obj, body: Any) -> Any:
        """The patched object. 400 or 422 for a bad patch."""
        if media == JSON_PATCH:
            return json_patch(old, body)
        if not isinstance(body, dict):
            raise err.bad_request(
                "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
            )
        if media == MERGE:
            return merge_patch(old, body)
        return strategic_merge(old, body, self._rest.registry.schema(call.resource))

    async def apply(self, call: Call, body: Any) -> tuple[Stored, int]:
        """Server-side apply; creates the object when it does not exist."""
        resource = call.resource
        config = self._config(call, body)
        stored = self._rest.store.collection(resource.store_key).get(call.namespace, call.name)
        live = self._rest.view(resource, stored) if stored is not None else None
        if live is None and call.subresource:
            raise err.not_found(resource.plural, resource.group, call.name)
        uid = config["metadata"].get("uid")
        if live is None and uid:
            why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise err.conflict(resource.plural, resource.group, call.name, why)
        merged, entries = self._merge(call, live, config)
        if stored is None:
            return await self._rest.create(call, self._rest.fit(call, merged), entries=entries), 201
        for field in ("resourceVersion", "uid"):
            if config["metadata"].get(field):
                merged["metadata"][field] = config["metadata"][field]
        return await self._rest.replace(call, stored, self._rest.fit(call, merged), entries=entries, partial=True), 200

    def _merge(self, call: Call, live: Obj | None, config: Obj) -> tuple[Obj, list[Obj]]:
        resource, space = call.resource, config["metadata"].get("namespace", "")
        try:
            merged, managers = ssa.apply(
                live=live,
                config=config,
                node=self._rest.registry.schema(resource),
                manager=call.query["fieldManager"],
                api_version=resource.api_version,
                subresource=call.target,
                reset=managed.reset_fields(status=resource.status, subresource=call.target),
                force=call.query.get("force", "") in ("1", "true", "True"),
                now=self._rest.stamp(),
            )
        except ssa.SchemaMismatch as problem:
            where = f"{space}/{call.name}; {resource.api_version}, Kind={resource.kind}"
            message = f"failed to create typed patch object ({where}): {problem}"
            raise err.ApiError(500, "", message) from problem
        return merged, managed.encode(managers)

    def _config(self, call: Call, body: Any) -> Obj:
        resource = call.resource
        if not call.query.get("fieldManager"):
            cause = err.required("fieldManager", "is required for apply patch")
            raise err.invalid("PatchOptions", "meta.k8s.io", "", [cause])
        if not isinstance(body, dict):
            raise err.bad_request("error decoding YAML: an apply configuration is an object")
        if body.get("apiVersion") != resource.api_version or body.get("kind") != resource.kind:
            group, _, version = str(body.get("apiVersion") or "").rpartition("/")
            raise err.bad_request(f"invalid object type: {group}/{version}, Kind={body.get('kind', '')}")
        meta = body.setdefault("metadata", {}) or {}
        body["metadata"] = meta
        if not isinstance(meta, dict):
            raise err.bad_request("metadata must be an object")
        if meta.get("managedFields"):
            raise err.bad_request("metadata.managedFields must be nil")
        if meta.setdefault("name", call.name) != call.name:
            raise err.bad_request(
                f"the name of the object ({meta['name']}) does not match the name on the URL ({call.name})"
            )
        if call.namespace and meta.get("namespace", call.namespace) != call.namespace:
            raise err.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        return self._typed(call, body)

    def _typed(self, call: Call, body: Obj) -> Obj:
        """Quantities and times in canonical form, so that a repeated apply finds no difference."""
        if call.resource.crd is not None:
            plain: Obj = _without_nulls(body)
            return plain
        unknown: list[str] = []
        fitted = self._rest.conformed(call, body, unknown, keep_empty=True)
        if unknown:
            space = body["metadata"].get("namespace", "")
            where = f"{space}/{call.name}; {call.resource.api_version}, Kind={call.resource.kind}"
            message = f"failed to create typed patch object ({where}): .{unknown[0]}: field not declared in schema"
            raise err.ApiError(500, "", message)
        return fitted


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
