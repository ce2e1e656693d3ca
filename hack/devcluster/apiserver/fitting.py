"""A decoded body against the type of its kind: head, types, unknown and duplicate fields.

`fieldValidation` decides what happens to a field that the type does not know: refused, reported in a `Warning` header,
or dropped without a word. Go's decoder names a duplicate field once, so each path is reported once.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import msgspec

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.calls import SYSTEM, Call
from hack.devcluster.apiserver.conform import WrongType, conform
from hack.devcluster.apiserver.kinds import Registry

Obj = dict[str, Any]


def fit(registry: Registry, call: Call, obj: Any) -> Obj:
    """Check head and types of a body; unknown fields are dropped, reported or refused as asked. Raises 400."""
    resource = call.resource
    if not isinstance(obj, dict):
        shown = "array" if isinstance(obj, list) else "string" if isinstance(obj, str) else "value"
        why = f"couldn't get version/kind; json parse error: json: cannot unmarshal {shown} into Go value"
        raise err.bad_request(f"the object provided is unrecognized (must be of type {resource.kind}): {why}")
    _head(call, obj)
    unknown: list[str] = []
    conformed(registry, call, obj, unknown)
    problems = [f'duplicate field "{path}"' for path in call.duplicates] + [
        f'unknown field "{path}"' for path in unknown
    ]
    report(call, problems)
    if resource.store_key == "secrets":
        _merge_string_data(obj)
    return obj


def _head(call: Call, obj: Obj) -> None:
    resource = call.resource
    if resource.crd is not None and not obj.get("kind") and call.user is not SYSTEM:
        why = f"Object 'Kind' is missing in '{msgspec.json.encode(obj).decode()[:100]}'"
        raise err.bad_request(f"the object provided is unrecognized (must be of type {resource.kind}): {why}")
    if resource.crd is not None and obj.get("kind") != resource.kind and obj.get("apiVersion") == resource.api_version:
        cause = err.invalid_value("kind", obj.get("kind"), f"must be {resource.kind}")
        raise err.invalid(
            str(obj.get("kind")), resource.group, str((obj.get("metadata") or {}).get("name", "")), [cause]
        )
    kind, version = obj.get("kind") or resource.kind, obj.get("apiVersion") or resource.api_version
    if version != resource.api_version:
        raise err.bad_request(
            f"the API version in the data ({version}) does not match the expected API version ({resource.api_version})"
        )
    if kind != resource.kind:
        raise err.bad_request(
            f'{kind} in version "{resource.version}" cannot be handled as a {resource.kind}: no kind "{kind}" is '
            f'registered for version "{resource.api_version}"'
        )
    obj["kind"], obj["apiVersion"] = kind, version
    if obj.get("metadata") is None:
        obj["metadata"] = {}
    if not isinstance(obj["metadata"], dict):
        raise err.bad_request(
            f'{kind} in version "{resource.version}" cannot be handled as a {kind}: json: cannot unmarshal '
            f"{type(obj['metadata']).__name__} into Go struct field {kind}.metadata of type v1.ObjectMeta"
        )


def conformed(registry: Registry, call: Call, obj: Obj, unknown: list[str], *, keep_empty: bool = False) -> Obj:
    """The object with the types of its kind, in place; 400 for a wrong type. For `keep_empty` see `conform`."""
    resource = call.resource
    try:
        if resource.crd is not None:
            meta = registry.types.node("V1ObjectMeta")
            obj["metadata"] = conform(obj["metadata"], meta, unknown, "metadata", keep_empty=keep_empty)
            resource.crd.prune(obj, unknown)
        else:
            conform(obj, registry.schema(resource), unknown, keep_empty=keep_empty)
    except WrongType as problem:
        kind = resource.kind
        text = problem.message.replace("Go struct field ", f"Go struct field {kind}.")
        text = text.replace(f"{kind}.metadata.", "ObjectMeta.metadata.")
        message = f'{kind} in version "{resource.version}" cannot be handled as a {kind}: json: {text}'
        raise err.bad_request(message) from problem
    return obj


def report(call: Call, problems: Iterable[str]) -> None:
    """Refuse, warn about or pass over problems of strict decoding."""
    texts = list(problems)
    if not texts or call.validation == "Ignore":
        return
    if call.validation == "Warn":
        call.warnings += texts
        return
    listed = "strict decoding error: " + ", ".join(texts)
    kind = call.resource.kind
    listed = f'{kind} in version "{call.resource.version}" cannot be handled as a {kind}: {listed}'
    raise err.bad_request(listed)


def _merge_string_data(obj: Obj) -> None:
    strings = obj.pop("stringData", None)
    if strings:
        data = obj.get("data") or {}
        obj["data"] = data | {key: base64.b64encode(str(value).encode()).decode() for key, value in strings.items()}
