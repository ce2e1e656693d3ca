"""The resource verbs over HTTP: decode the body, call `rest`, choose the representation."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from hack.devcluster.apiserver import deletion, eventapi, options, printing
from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.accept import Form
from hack.devcluster.apiserver.calls import Call
from hack.devcluster.apiserver.http import answer, decode_json, decode_yaml, head_of, is_watch, read_body
from hack.devcluster.apiserver.kinds import Resource
from hack.devcluster.apiserver.listing import Page, list_body, list_meta, scope_of, take_page
from hack.devcluster.apiserver.patching import Patching
from hack.devcluster.apiserver.rest import Rest, Stale
from hack.devcluster.apiserver.store import Stored
from hack.devcluster.apiserver.strategy import RETURNS_DELETED
from hack.devcluster.apiserver.watching import Encoder, Watcher, error_frame

BOOKMARK_SECONDS = 30.0
STALE_TRIES = 4
T = TypeVar("T")
Sub = Callable[[web.BaseRequest, Call, Form], Any]


class Handlers:
    """Dispatch by method. `subresources`, `reviews` (by plural) and `groups` are handlers added by the server."""

    def __init__(self, rest: Rest, patching: Patching) -> None:
        self.rest = rest
        self.patching = patching
        self.subresources: dict[str, Sub] = {}
        self.reviews: dict[str, Sub] = {}
        self.groups: dict[str, Sub] = {}
        self.watchers: set[Watcher] = set()

    async def handle(self, request: web.BaseRequest, call: Call, form: Form) -> web.StreamResponse:
        """One call on a resource."""
        resource = call.resource
        if resource.group in self.groups:
            served: web.StreamResponse = await self.groups[resource.group](request, call, form)
            return served
        if resource.plural in self.reviews and resource.verbs == ("create",):
            if request.method != "POST":
                raise err.method_not_allowed()
            result: web.StreamResponse = await self.reviews[resource.plural](request, call, form)
            return result
        if call.subresource and call.subresource != "status":
            return await self._subresource(request, call, form)
        if call.subresource == "status" and not resource.status:
            raise err.no_route()
        return await self._verb(request, call, form)

    async def _subresource(self, request: web.BaseRequest, call: Call, form: Form) -> web.StreamResponse:
        served = {name for name, *_ in call.resource.subresources} | ({"scale"} if call.resource.scale else set())
        handler = self.subresources.get(call.subresource)
        if call.subresource.split("/")[0] == "proxy":
            raise err.not_implemented("the proxy subresource; use an Ingress or the address of the pod")
        if call.subresource not in served:
            if call.resource.crd is not None:
                raise err.not_found(call.resource.plural, call.resource.group, call.name)
            raise err.no_route()
        if handler is None:
            raise err.not_implemented(f"{call.resource.plural}/{call.subresource}")
        result: web.StreamResponse = await handler(request, call, form)
        return result

    async def _verb(self, request: web.BaseRequest, call: Call, form: Form) -> web.StreamResponse:
        match request.method, bool(call.name):
            case (("GET" | "HEAD"), True):
                if is_watch(call.query):
                    return await self._watch(request, call, form)
                return self._one(call, self.rest.find(call.resource, call.namespace, call.name), form)
            case (("GET" | "HEAD"), False):
                return await self._watch(request, call, form) if is_watch(call.query) else self._list(call, form)
            case "POST", False:
                return await self._create(request, call, form)
            case "PUT", True:
                options.check_write(call.query, "UpdateOptions")
                return self._one(call, await self._replace(call, await read_body(request, call)), form)
            case "PATCH", True:
                options.check_write(call.query, "PatchOptions")
                self.patching.check_media(call, request.content_type)
                body = await self._patch_body(request, call)
                stored, status = await self._again(lambda: self.patching.patch(call, request.content_type, body))
                return self._one(call, stored, form, status=status)
            case "DELETE", True:
                return await self._delete(request, call, form)
            case "DELETE", False:
                return await self._delete_collection(request, call, form)
        raise err.method_not_allowed()

    async def _patch_body(self, request: web.BaseRequest, call: Call) -> Any:
        raw = await request.read()
        return decode_yaml(raw) if request.content_type.endswith("yaml") else decode_json(raw, call)

    async def _replace(self, call: Call, body: Any) -> Stored:
        async def work() -> Stored:
            obj = self.rest.fit(call, copy.deepcopy(body) if slow else body)
            stored = self.rest.find(call.resource, call.namespace, call.name)
            return await self.rest.replace(call, stored, obj)

        slow = self.rest.hooks.mutate is not None
        versioned = isinstance(body, dict) and (body.get("metadata") or {}).get("resourceVersion")
        return await (work() if versioned else self._again(work))

    async def _again(self, work: Callable[[], Awaitable[T]]) -> T:
        """Try anew when the object changed while a webhook was asked."""
        for _ in range(STALE_TRIES):
            with contextlib.suppress(Stale):
                return await work()
        return await work()

    async def _create(self, request: web.BaseRequest, call: Call, form: Form) -> web.StreamResponse:
        if call.resource.namespaced and not call.namespace:
            raise err.method_not_allowed()
        options.check_write(call.query, "CreateOptions")
        obj = self.rest.fit(call, await read_body(request, call))
        return self._one(call, await self.rest.create(call, obj), form, status=201)

    def render(self, resource: Resource, stored: Stored) -> bytes:
        """The object's JSON in the version of the resource."""
        if resource.definition == "EventsV1Event":
            return msgspec.json.encode(eventapi.from_core(stored.load()))
        return stored.render(head_of(resource))

    def _one(self, call: Call, stored: Stored, form: Form, *, status: int = 200) -> web.Response:
        raw = self.encoder(call.resource, form, call)(stored)
        return answer(raw, form, status=status, warnings=call.warnings)

    def encoder(self, resource: Resource, form: Form, call: Call) -> Encoder:
        """Stored -> bytes for single objects and watch events."""
        if form.shape == "Table":
            include = call.query.get("includeObject", "")
            return lambda stored: msgspec.json.encode(
                printing.table(
                    resource,
                    [self.rest.view(resource, stored)],
                    version=form.version,
                    include=include,
                    now=self.rest.now(),
                )
            )
        if form.shape == "PartialObjectMetadata":
            return lambda stored: msgspec.json.encode(printing.partial(stored.load(), form.version))
        if resource.definition == "EventsV1Event":
            return lambda stored: self.render(resource, stored)
        head = head_of(resource)
        return lambda stored: stored.render(head)

    def _list(self, call: Call, form: Form) -> web.Response:
        resource = call.resource
        if "list" not in resource.verbs:
            raise err.method_not_allowed()
        scope = scope_of(resource, call.namespace, call.query)
        page = take_page(self.rest.store, self.rest.store.collection(resource.store_key), scope, call.query)
        return answer(self._page(call, page, form), form, warnings=call.warnings)

    def _page(self, call: Call, page: Page, form: Form) -> bytes:
        resource = call.resource
        if form.shape == "Table":
            objects = [self.rest.view(resource, item) for item in page.items]
            include = call.query.get("includeObject", "")
            body = printing.table(resource, objects, version=form.version, include=include, now=self.rest.now())
            body["metadata"] = list_meta(page)
            return msgspec.json.encode(body)
        if form.shape == "PartialObjectMetadata":
            parts = [printing.partial(item.load(), form.version) for item in page.items]
            head = {"kind": "PartialObjectMetadataList", "apiVersion": f"meta.k8s.io/{form.version}"}
            return msgspec.json.encode({**head, "metadata": list_meta(page), "items": parts})
        if resource.definition == "EventsV1Event":
            return list_body(resource, page, [self.render(resource, item) for item in page.items])
        head_bytes = b"{" if resource.crd is None else head_of(resource)
        return list_body(resource, page, [item.render(head_bytes) for item in page.items])

    async def _delete(self, request: web.BaseRequest, call: Call, form: Form) -> web.StreamResponse:
        chosen = deletion.options_of(await read_body(request), call.query)
        resource = call.resource

        async def work() -> tuple[Stored, Stored, bool]:
            found = self.rest.find(resource, call.namespace, call.name)
            return found, *(await self.rest.delete(call, found, chosen))

        stored, state, gone = await self._again(work)
        if not gone or resource.store_key in RETURNS_DELETED:
            return self._one(call, state, form)
        details: dict[str, Any] = {"name": stored.name, "kind": resource.plural, "uid": stored.uid}
        if resource.group:
            details["group"] = resource.group
        body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        return answer(msgspec.json.encode(body), Form(yaml=form.yaml))

    async def _delete_collection(self, request: web.BaseRequest, call: Call, form: Form) -> web.StreamResponse:
        resource = call.resource
        if resource.namespaced and not call.namespace:
            raise err.method_not_allowed()
        if "deletecollection" not in resource.verbs or resource.store_key in ("namespaces", "services"):
            raise err.method_not_allowed()
        chosen = deletion.options_of(await read_body(request), call.query)
        scope = scope_of(resource, call.namespace, call.query)
        page = take_page(self.rest.store, self.rest.store.collection(resource.store_key), scope, call.query)
        for stored in page.items:
            await self.rest.delete(call, stored, chosen)
        return answer(self._page(call, page, form), form, warnings=call.warnings)

    async def _watch(self, request: web.BaseRequest, call: Call, form: Form) -> web.StreamResponse:
        resource, query = call.resource, dict(call.query)
        if "watch" not in resource.verbs:
            raise err.method_not_allowed()
        if call.name:
            query["fieldSelector"] = ",".join(filter(None, [query.get("fieldSelector"), f"metadata.name={call.name}"]))
        initial = options.check_watch(query)
        scope = scope_of(resource, call.namespace, query)
        seconds = options.number(query, "timeoutSeconds") or random.randint(1800, 3600)
        version = options.version(query, watch=True)
        collection = self.rest.store.collection(resource.store_key)
        variant = "|".join((resource.api_version, form.shape, form.version, query.get("includeObject", ""))).encode()
        watcher = Watcher(collection, scope, variant=variant, encoder=self.encoder(resource, form, call))
        response = web.StreamResponse(headers={"Content-Type": form.content_type})
        response.enable_chunked_encoding()
        try:
            watcher.start(None if initial or not version else version)
        except err.ApiError as problem:
            await response.prepare(request)
            await response.write(error_frame(problem))
            return response
        if initial:
            watcher.bookmark(self.rest.store.version, self._bookmark_head(resource, form), initial_end=True)
        self.watchers.add(watcher)
        try:
            await response.prepare(request)
            await self._stream(response, watcher, call, form, seconds)
        finally:
            watcher.stop()
            self.watchers.discard(watcher)
        return response

    def _bookmark_head(self, resource: Resource, form: Form) -> dict[str, str]:
        if form.shape:
            return {"kind": form.shape, "apiVersion": f"meta.k8s.io/{form.version}"}
        return {"kind": resource.kind, "apiVersion": resource.api_version}

    async def _stream(
        self, response: web.StreamResponse, watcher: Watcher, call: Call, form: Form, seconds: int
    ) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        bookmarks = options.truth(call.query.get("allowWatchBookmarks", ""))
        next_mark = loop.time() + BOOKMARK_SECONDS
        while not watcher.closed:
            left = deadline - loop.time()
            if left <= 0:
                break
            chunk = await watcher.frames(min(left, max(next_mark - loop.time(), 0.01)))
            if not chunk and bookmarks and (loop.time() >= next_mark or deadline - loop.time() <= 0):
                watcher.bookmark(self.rest.store.version, self._bookmark_head(call.resource, form))
                next_mark = loop.time() + BOOKMARK_SECONDS
                chunk = await watcher.frames(0)
            elif not chunk:
                next_mark = max(next_mark, loop.time() + 1)
            if chunk:
                await response.write(chunk)
        chunk = await watcher.frames(0) if watcher.closed else b""
        if chunk:
            await response.write(chunk)

    def end_watches(self, collection: str) -> None:
        """End the watches of a kind that is served no more."""
        for watcher in [item for item in self.watchers if item.collection == collection]:
            watcher.end()

    def shutdown(self) -> None:
        """End every watch."""
        for watcher in list(self.watchers):
            watcher.end()
