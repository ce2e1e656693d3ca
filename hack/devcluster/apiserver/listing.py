"""Lists: selection, order, pages. A page continues after the last key of the one before, in the state of the first
page.

The state of a version is rebuilt from the present and the changes since (`Collection.snapshot`), so an open list costs
nothing while it waits; when those changes are forgotten the token answers 410 with another one that reads the present.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver import options
from hack.devcluster.apiserver.kinds import Resource
from hack.devcluster.apiserver.selectors import Matcher, parse_fields, parse_labels
from hack.devcluster.apiserver.store import Collection, Store, Stored
from hack.devcluster.apiserver.strategy import supported_fields
from hack.devcluster.apiserver.watching import Scope


@dataclass(frozen=True, slots=True)
class Page:
    """One page: `token` is empty on the last, `remaining` is 0 when unknown."""

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
    return parse_fields(text, supported_fields(resource), custom=resource.crd is not None)


def take_page(store: Store, collection: Collection, scope: Scope, query: Mapping[str, str]) -> Page:
    """The page that the query asks for. 410 for a version that is forgotten, 504 for one of the future."""
    options.check_list(query)
    limit, wanted = options.number(query, "limit"), options.version(query)
    if wanted > store.version:
        raise options.too_large(wanted, store.version)
    after, version = None, store.version
    if query.get("continue"):
        if wanted:
            raise err.bad_request("specifying resource version is not allowed when using continue")
        after, version = _decode(query["continue"])
        if version < 0:
            version = store.version
    elif wanted and (query.get("resourceVersionMatch") == "Exact" or (limit and "resourceVersionMatch" not in query)):
        version = wanted
    chosen = [item for item in _at(collection, version, store.version, scope, after) if scope.accepts(item)]
    chosen.sort(key=lambda item: (item.namespace, item.name))
    if after is not None:
        chosen = [item for item in chosen if (item.namespace, item.name) > after]
    if not limit or len(chosen) <= limit:
        return Page(chosen, version, "", 0)
    last = chosen[limit - 1]
    counted = scope.labels is None and scope.fields is None
    return Page(chosen[:limit], version, _encode(last, version), len(chosen) - limit if counted else 0)


def _at(
    collection: Collection, version: int, current: int, scope: Scope, after: tuple[str, str] | None
) -> Iterable[Stored]:
    """The objects as they were at a version. Raises 410 when the changes since then are no longer known."""
    if version >= current:
        return collection.scan(scope.namespace)
    if version < collection.forgotten:
        if after is None:
            raise err.expired("The resourceVersion for the provided list is too old.")
        problem = err.expired(INCONSISTENT)
        problem.token = _token(-1, *after)
        raise problem
    return collection.snapshot(version, scope.namespace)


INCONSISTENT = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)
FORMAT = "meta.k8s.io/v1"


def _encode(last: Stored, version: int) -> str:
    return _token(version, last.namespace, last.name)


def _token(version: int, namespace: str, name: str) -> str:
    start = f"{namespace}/{name}" if namespace else name
    raw = msgspec.json.encode({"v": FORMAT, "rv": version, "start": start + "\x00"})
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(token: str) -> tuple[tuple[str, str], int]:
    wrong = "invalid continue token: continue key is not valid"
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        found = msgspec.json.decode(raw, type=dict[str, Any])
        version, start = int(found["rv"]), str(found["start"])
    except (msgspec.DecodeError, binascii.Error, ValueError, KeyError, TypeError) as problem:
        raise err.bad_request(f"{wrong}: {problem}") from problem
    if found.get("v") != FORMAT:
        raise err.bad_request(f"{wrong}: server does not recognize this encoded version {found.get('v')}")
    namespace, _, name = start.removesuffix("\x00").rpartition("/")
    return (namespace, name), version


def list_meta(page: Page) -> dict[str, object]:
    """The `metadata` of a list."""
    meta: dict[str, object] = {"resourceVersion": str(page.version)}
    if page.token:
        meta["continue"] = page.token
    if page.remaining:
        meta["remainingItemCount"] = page.remaining
    return meta


def list_body(resource: Resource, page: Page, items: list[bytes]) -> bytes:
    """The List object."""
    kind = resource.list_kind or resource.kind + "List"
    head = msgspec.json.encode({"kind": kind, "apiVersion": resource.api_version, "metadata": list_meta(page)})
    return head[:-1] + b',"items":[' + b",".join(items) + b"]}"
