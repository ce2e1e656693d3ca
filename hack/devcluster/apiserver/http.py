"""The HTTP shell: paths to calls, errors to Status bodies, representations, watch streams.

It holds no rule of the API. Routing is by hand because every path has the same shape and this is the hottest code.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import msgspec
import yaml
from aiohttp import web

from hack.devcluster.apiserver import duplicates, protobuf
from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.accept import Form, negotiate
from hack.devcluster.apiserver.auth import Authenticator
from hack.devcluster.apiserver.calls import Call, User
from hack.devcluster.apiserver.kinds import Registry, Resource

log = logging.getLogger(__name__)
MAX_BODY = 3 * 1024 * 1024
_EXTRA = "impersonate-extra-"
_UNSAFE = re.compile(r"[^\x20-\x7e]|[\"\\]")


@dataclass(frozen=True, slots=True)
class Target:
    """What a resource path names."""

    group: str
    version: str
    namespace: str
    plural: str
    name: str
    subresource: str
    watch: bool


def parse_path(parts: list[str]) -> Target | None:
    """The target of `/api/v1/…` or `/apis/<group>/<version>/…`, split at slashes; None for other paths."""
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    watch = rest[0] == "watch" and len(rest) > 1
    if watch:
        rest = rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and not (len(rest) == 3 and rest[2] in ("status", "finalize")):
        namespace, rest = rest[1], rest[2:]
    rest += ["", "", ""]
    return Target(group, version, namespace, rest[0], rest[1], "/".join(part for part in rest[2:] if part), watch)


Dispatch = Callable[[web.BaseRequest, Call, Form], Awaitable[web.StreamResponse]]
Plain = Callable[[web.BaseRequest, list[str], Form], Awaitable[web.StreamResponse | None]]
Authorize = Callable[[User, str, Target], None]


class Shell:
    """The aiohttp handler. `resources` serves objects, `plain` everything else (discovery, health, OpenAPI)."""

    def __init__(
        self,
        registry: Registry,
        authenticator: Authenticator,
        *,
        authorize: Authorize,
        authorize_path: Callable[[User, str, str], None],
        resources: Dispatch,
        plain: Plain,
    ) -> None:
        self._registry = registry
        self._authenticator = authenticator
        self._authorize = authorize
        self._authorize_path = authorize_path
        self._resources = resources
        self._plain = plain

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; nothing escapes as an exception."""
        try:
            return await self._route(request)
        except err.ApiError as problem:
            return failure(problem)
        except web.HTTPRequestEntityTooLarge:
            return failure(err.ApiError(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728"))
        except ConnectionError:
            return web.Response(status=499)  # the client went away: nobody reads this
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return failure(err.ApiError(500, "InternalError", "Internal error occurred: see the API server's log"))

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        user = self._authenticator.user_of(request.headers.get("Authorization"))
        if "Impersonate-User" in request.headers:
            user = self._impersonate(user, request)
        elif any(key.lower().startswith("impersonate-") for key in request.headers):
            raise err.bad_request("requested impersonation without impersonating a user name")
        path = request.path
        parts = path.strip("/").split("/")
        target = parse_path(parts)
        if target is None:
            self._authorize_path(user, verb_of_method(request.method), path)
            answer = await self._plain(request, parts, negotiate_plain(request))
            return answer if answer is not None else web.Response(status=404, text="404 page not found\n")
        self._authorize(user, verb_of(request, target), target)
        resource = self._registry.find(target.group, target.version, target.plural)
        if resource is None or (target.namespace and not resource.namespaced):
            if resource is None and target.version not in self._registry.versions(target.group):
                return web.Response(status=404, text="404 page not found\n")
            raise err.no_route()
        call = Call(
            user=user,
            resource=resource,
            namespace=target.namespace,
            name=target.name,
            subresource=target.subresource,
            query=request.query if not target.watch else {**request.query, "watch": "true"},
            agent=request.headers.get("User-Agent", "unknown"),
        )
        return await self._resources(request, call, negotiate_for(request, target))

    def _impersonate(self, user: User, request: web.BaseRequest) -> User:
        """The user to act as; the real one needs the verb `impersonate`."""
        name = request.headers["Impersonate-User"]
        groups = request.headers.getall("Impersonate-Group", [])
        account = name.split(":") if name.startswith("system:serviceaccount:") and name.count(":") == 3 else None
        wanted = [("serviceaccounts", account[2], account[3])] if account else [("users", "", name)]
        wanted += [("groups", "", group) for group in groups]
        for plural, namespace, target in wanted:
            self._authorize(user, "impersonate", Target("", "v1", namespace, plural, target, "", watch=False))
        uid, extra = request.headers.get("Impersonate-Uid", ""), dict[str, list[str]]()
        group = "authentication.k8s.io"
        if uid:
            self._authorize(user, "impersonate", Target(group, "v1", "", "uids", uid, "", watch=False))
        for header in dict.fromkeys(key.lower() for key in request.headers if key.lower().startswith(_EXTRA)):
            key = unquote(header.removeprefix(_EXTRA))
            extra[key] = request.headers.getall(header)
            for value in extra[key]:
                self._authorize(user, "impersonate", Target(group, "v1", "", "userextras", value, key, watch=False))
        if account and not groups:
            groups = ["system:serviceaccounts", f"system:serviceaccounts:{account[2]}"]
        if name != "system:anonymous" and "system:authenticated" not in groups:
            groups = [*groups, "system:authenticated"]
        return User(name, uid=uid, groups=tuple(groups), extra=extra)


def negotiate_plain(request: web.BaseRequest) -> Form:
    """Non-resource paths answer JSON even when the client would like something else."""
    try:
        return negotiate(request.headers.get("Accept", ""))
    except err.ApiError:
        return Form()


def negotiate_for(request: web.BaseRequest, target: Target) -> Form:
    """The form of a resource answer; logs and upgrades are not negotiated."""
    if target.subresource in ("log", "exec", "attach", "portforward"):
        return Form()
    return negotiate(request.headers.get("Accept", ""))


_METHOD_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def verb_of_method(method: str) -> str:
    """The verb of a non-resource request."""
    return method.lower()


def is_watch(query: Any) -> bool:
    """Whether a list request asks for a stream."""
    return query.get("watch", "") in ("1", "true", "True")


def verb_of(request: web.BaseRequest, target: Target) -> str:
    """The RBAC verb."""
    verb = _METHOD_VERBS.get(request.method, request.method.lower())
    if not target.name and not target.subresource:
        if verb == "get":
            return "watch" if target.watch or is_watch(request.query) else "list"
        if verb == "delete":
            return "deletecollection"
    return verb


async def read_body(request: web.BaseRequest, call: Call | None = None) -> Any:
    """The decoded body, None when empty; duplicate fields are noted in `call`.

    400 for bad syntax, 415 for a type that is not JSON, YAML or protobuf.
    """
    raw = await request.read()
    if len(raw) > MAX_BODY:
        raise err.ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {MAX_BODY}")
    if not raw:
        return None
    media = request.content_type
    if media == protobuf.MEDIA:
        return protobuf.decode(raw)
    if media in ("application/yaml", "application/x-yaml", "text/yaml"):
        return decode_yaml(raw)
    if media not in ("application/json", "application/octet-stream", "text/plain") and not media.endswith("+json"):
        raise err.unsupported_media("application/json, application/yaml, application/vnd.kubernetes.protobuf")
    return decode_json(raw, call)


def decode_json(raw: bytes, call: Call | None = None) -> Any:
    """JSON, or 400. Duplicate fields are noted in `call`."""
    try:
        if call is not None and call.query.get("fieldValidation") != "Ignore":
            call.duplicates += duplicates.paths(raw)
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise err.bad_request(f"unable to decode the body as JSON: {problem}") from problem


_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def decode_yaml(raw: bytes) -> Any:
    """YAML (JSON is tried first: most clients send it under the YAML content type), or 400."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        value = yaml.load(raw, Loader=_YAML)  # noqa: S506 - a safe loader
        return msgspec.json.decode(msgspec.json.encode(value))  # dates become text
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as problem:
        raise err.bad_request(f"error decoding YAML: {problem}") from problem


def failure(problem: err.ApiError) -> web.Response:
    """The answer of an error."""
    response = web.Response(
        status=problem.code, body=msgspec.json.encode(problem.status()), content_type="application/json"
    )
    if problem.retry_after:
        response.headers["Retry-After"] = str(problem.retry_after)
    if problem.code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="kubernetes"'
    return response


def answer(raw: bytes, form: Form, *, status: int = 200, warnings: list[str] | None = None) -> web.Response:
    """A body of JSON bytes in the asked form."""
    if form.yaml:
        raw = yaml.safe_dump(msgspec.json.decode(raw), sort_keys=False, allow_unicode=True).encode()
    response = web.Response(status=status, body=raw, headers={"Content-Type": form.content_type})
    for text in warnings or ():
        response.headers.add("Warning", f'299 - "{_UNSAFE.sub(_escape, text)}"')
    return response


def _escape(match: re.Match[str]) -> str:
    char = match.group(0)
    return "\\" + char if char in '"\\' else "?"


def head_of(resource: Resource) -> bytes:
    """The start of an object's JSON in the version of the resource."""
    return b'{"apiVersion":"' + resource.api_version.encode() + b'","kind":"' + resource.kind.encode() + b'",'
