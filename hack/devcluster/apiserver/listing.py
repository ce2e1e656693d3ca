"""Lists: selection, order, pages. A page continues after the last key of the one before, in the present state."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.kinds import Resource
from hack.devcluster.apiserver.selectors import Matcher, parse_fields, parse_labels
from hack.devcluster.apiserver.store import Collection, Store, Stored
from hack.devcluster.apiserver.strategy import supported_fields
from hack.devcluster.apiserver.watching import Scope


@dataclass(frozen=True, slots=True)
class Page:
    """One page: `token` is empty on the last."""

    items: list[Stored]
    version: int
    token: str
    remaining: int


def scope_of(resource: Resource, namespace: str, query: Mapping[str, str]) -> Scope:
    """The selection of a list, watch or deletecollection."""
    return Scope(
        namespace,
        parse_labels(query.get("labelSelector", "")),
        _fields(resource, query),
    )


def _fields(resource: Resource, query: Mapping[str, str]) -> Matcher | None:
    text = query.get("fieldSelector", "")
    if resource.definition == "EventsV1Event":
        text = text.replace("regarding.", "involvedObject.").replace("reportingController", "reportingComponent")
    return parse_fields(text, supported_fields(resource))


def number(query: Mapping[str, str], name: str) -> int:
    """A whole number of the query, 0 when absent; 400 otherwise."""
    text = query.get(name, "")
    if not text:
        return 0
    if not text.isdigit():
        raise err.bad_request(f"invalid {name}: {text!r}: must be a non-negative integer")
    return int(text)


def take_page(store: Store, collection: Collection, scope: Scope, query: Mapping[str, str]) -> Page:
    """The page that the query asks for. 410 for a foreign token, 504 for a version of the future."""
    limit = number(query, "limit")
    wanted = number(query, "resourceVersion")
    match = query.get("resourceVersionMatch", "")
    if match == "Exact" and wanted not in (0, store.version):
        raise err.expired(f"The resourceVersion for the provided list is too old: {wanted}")
    if wanted > store.version:
        raise err.ApiError(
            504, "Timeout", f"Too large resource version: {wanted}, current: {store.version}", retry_after=1
        )
    after, version = _decode(query["continue"]) if query.get("continue") else (None, store.version)
    chosen = [item for item in collection.scan(scope.namespace) if scope.accepts(item)]
    chosen.sort(key=lambda item: (item.namespace, item.name))
    if after is not None:
        chosen = [item for item in chosen if (item.namespace, item.name) > after]
    if not limit or len(chosen) <= limit:
        return Page(chosen, version, "", 0)
    last = chosen[limit - 1]
    return Page(chosen[:limit], version, _encode(last, version), len(chosen) - limit)


def _encode(last: Stored, version: int) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([version, last.namespace, last.name])).decode().rstrip("=")


def _decode(token: str) -> tuple[tuple[str, str], int]:
    try:
        version, namespace, name = msgspec.json.decode(
            base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)), type=tuple[int, str, str]
        )
    except (msgspec.DecodeError, binascii.Error, ValueError) as problem:
        raise err.bad_request("continue key is not valid: it does not come from this server") from problem
    return (namespace, name), version


def list_body(resource: Resource, page: Page, items: list[bytes]) -> bytes:
    """The List object."""
    meta: dict[str, object] = {"resourceVersion": str(page.version)}
    if page.token:
        meta |= {"continue": page.token, "remainingItemCount": page.remaining}
    kind = resource.list_kind or resource.kind + "List"
    head = msgspec.json.encode({"kind": kind, "apiVersion": resource.api_version, "metadata": meta})
    return head[:-1] + b',"items":[' + b",".join(items) + b"]}"
