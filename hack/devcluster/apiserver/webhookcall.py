"""One AdmissionReview to one webhook, over HTTPS: the question, the answer, and what can be wrong with either.

Errors of the call (`CallFailed`) are what `failurePolicy` is about; a refusal is not. The texts are upstream's, so that
a log line from here finds the same explanations.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
import uuid
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import aiohttp
import msgspec

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.attributes import Attributes
from hack.devcluster.apiserver.kinds import Resource
from hack.devcluster.apiserver.store import Store

Obj = dict[str, Any]
REVIEW = "admission.k8s.io/v1"
MAX_ANSWER = 3 * 1024 * 1024
OPTIONS = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}


class CallFailed(Exception):
    """The webhook could not be asked, or its answer makes no sense."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f'failed calling webhook "{name}": {why}')


def denied(name: str, result: Mapping[str, Any] | None) -> err.ApiError:
    """The refusal of a webhook, as the client sees it."""
    result = result or {}
    said = result.get("message") or result.get("reason")
    text = f'admission webhook "{name}" denied the request' + (f": {said}" if said else " without explanation")
    code = max(int(result.get("code") or 0), 400)
    return err.ApiError(code, str(result.get("reason") or ""), text, details=result.get("details"))


def review_of(request: Attributes, seen: Resource, obj: Obj | None, old: Obj | None) -> tuple[str, Obj]:
    """(uid, AdmissionReview v1); the objects are sent in the version of `seen`."""
    uid = str(uuid.uuid4())
    group, version, kind = request.kind
    if seen is not request.resource:
        version = seen.version
    names = request.resource_names
    verb = {"scale": "UPDATE"}.get(request.subresource, request.operation)
    options: Obj = {"kind": OPTIONS[verb], "apiVersion": "meta.k8s.io/v1"}
    if verb != "DELETE":
        options |= {
            key: request.call.query[key] for key in ("fieldManager", "fieldValidation") if key in request.call.query
        }
    body: Obj = {
        "uid": uid,
        "kind": {"group": group, "version": version, "kind": kind},
        "resource": {"group": seen.group, "version": seen.version, "resource": seen.plural},
        "requestKind": {"group": group, "version": request.kind[1], "kind": kind},
        "requestResource": dict(zip(("group", "version", "resource"), names, strict=True)),
        "operation": request.operation,
        "userInfo": request.call.user.as_info(),
        "object": _versioned(obj, seen, request),
        "oldObject": _versioned(old, seen, request),
        "dryRun": request.dry_run,
        "options": options,
    }
    optional = {"name": request.name, "namespace": request.namespace}
    if request.subresource:
        optional |= {"subResource": request.subresource, "requestSubResource": request.subresource}
    body |= {key: value for key, value in optional.items() if value}
    return uid, {"kind": "AdmissionReview", "apiVersion": REVIEW, "request": body}


def _versioned(obj: Obj | None, seen: Resource, request: Attributes) -> Obj | None:
    return obj if obj is None or seen is request.resource else {**obj, "apiVersion": seen.api_version}


@lru_cache(maxsize=64)
def _trust(bundle: str) -> ssl.SSLContext:
    if not bundle:
        return ssl.create_default_context()
    return ssl.create_default_context(cadata=base64.b64decode(bundle).decode())


class Caller:
    """Owner of the client session."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections to webhooks."""
        if self._session is not None:
            await self._session.close()

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self._session

    async def ask(self, hook: Mapping[str, Any], uid: str, review: Obj, *, mutating: bool) -> Obj:
        """The verified `response`. Raises CallFailed."""
        name = str(hook.get("name", ""))
        if "v1" not in (hook.get("admissionReviewVersions") or ()):
            why = "could not create admission objects: webhook does not accept known AdmissionReview versions"
            why += " (v1, v1beta1)"
            raise CallFailed(name, why)
        raw = await self._post(name, hook, msgspec.json.encode(review))
        try:
            answer = msgspec.json.decode(raw)
        except msgspec.DecodeError as problem:
            raise CallFailed(name, f"failed to call webhook: couldn't decode the answer: {problem}") from problem
        return verify(name, uid, answer, mutating=mutating)

    def _address(self, name: str, config: Mapping[str, Any], seconds: int) -> tuple[str, str, str]:
        """(URL to connect to, URL to show, name to expect in the certificate)."""
        if config.get("url"):
            return config["url"], config["url"], ""
        service = config.get("service") or {}
        space, plain = service.get("namespace", ""), service.get("name", "")
        port, path = service.get("port", 443), str(service.get("path") or "/")
        host = f"{plain}.{space}.svc"
        stored = self._store.collection("services").get(space, plain)
        address = (stored.load().get("spec") or {}).get("clusterIP") if stored is not None else None
        if not address or address == "None":
            shown = f'Post "https://{host}:{port}{path}?timeout={seconds}s"'
            raise CallFailed(name, f'failed to call webhook: {shown}: service "{plain}" not found')
        return f"https://{address}:{port}{path}", f"https://{host}:{port}{path}", host

    async def _post(self, name: str, hook: Mapping[str, Any], body: bytes) -> bytes:
        config = hook.get("clientConfig") or {}
        seconds = int(hook.get("timeoutSeconds") or 10)
        url, shown, host = self._address(name, config, seconds)
        query = f"{'&' if '?' in url else '?'}timeout={seconds}s"
        target = f'failed to call webhook: Post "{shown}{query}": '
        try:
            context = _trust(config.get("caBundle") or "")
            async with asyncio.timeout(seconds):
                async with self._http().post(
                    url + query,
                    data=body,
                    ssl=context,
                    server_hostname=host or None,
                    headers={"Content-Type": "application/json", "Accept": "application/json"}
                    | ({"Host": host} if host else {}),
                ) as answer:
                    raw = await answer.content.read(MAX_ANSWER)
        except TimeoutError as problem:
            raise CallFailed(name, target + "context deadline exceeded") from problem
        except (aiohttp.ClientError, OSError, ssl.SSLError, ValueError, binascii.Error) as problem:
            raise CallFailed(name, target + _reason(problem)) from problem
        if answer.status >= 300:
            why = f"failed to call webhook: the server rejected our request for an unknown reason ({answer.status})"
            if answer.status >= 500:
                said = (
                    raw[:2048].decode(errors="replace")
                    if answer.content_type.startswith("text/")
                    else "unknown"
                    if raw
                    else ""
                )
                why = f'failed to call webhook: an error on the server ("{said}") '
                why += "has prevented the request from succeeding"
            elif answer.status == 404:
                why = "failed to call webhook: the server could not find the requested resource"
            raise CallFailed(name, why)
        return raw


def _reason(problem: Exception) -> str:
    if isinstance(problem, aiohttp.ClientConnectorCertificateError | ssl.SSLError):
        return f"tls: failed to verify certificate: x509: {problem}"
    if isinstance(problem, aiohttp.ClientConnectorError):
        cause = problem.os_error
        if isinstance(cause, ConnectionRefusedError):
            return f"dial tcp {problem.host}:{problem.port}: connect: connection refused"
        return f"dial tcp: {cause}"
    return str(problem) or type(problem).__name__


def verify(name: str, uid: str, answer: Any, *, mutating: bool) -> Obj:
    """The `response` of an answer that fits the question. Raises CallFailed."""
    wrong = "received invalid webhook response: "
    if not isinstance(answer, dict) or not isinstance(answer.get("response"), dict):
        raise CallFailed(name, wrong + "webhook response was absent")
    response: Obj = answer["response"]
    if response.get("uid") != uid:
        raise CallFailed(name, wrong + f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    group, _, version = str(answer.get("apiVersion", "")).rpartition("/")
    if (answer.get("apiVersion"), answer.get("kind")) != (REVIEW, "AdmissionReview"):
        got = f"{group}/{version}, Kind={answer.get('kind', '')}"
        raise CallFailed(name, wrong + f"expected webhook response of {REVIEW}, Kind=AdmissionReview, got {got}")
    patch, kind = response.get("patch"), response.get("patchType")
    if not mutating and (patch or kind is not None):
        field = "patch" if patch else "patchType"
        raise CallFailed(name, wrong + f"validating webhook may not return response.{field}")
    if patch and kind is None:
        raise CallFailed(name, wrong + "webhook returned response.patch but not response.patchType")
    if not patch and kind is not None:
        raise CallFailed(name, wrong + "webhook returned response.patchType but not response.patch")
    if patch and kind != "JSONPatch":
        raise CallFailed(name, f'unsupported patch type "{kind}"')
    return response


def patch_of(name: str, response: Mapping[str, Any]) -> list[Obj]:
    """The JSON patch of an answer; empty when there is none. Raises CallFailed."""
    if not response.get("patch"):
        return []
    try:
        patch = msgspec.json.decode(base64.b64decode(response["patch"]))
    except (msgspec.DecodeError, binascii.Error, TypeError, ValueError) as problem:
        raise CallFailed(name, f"received undecodable patch in webhook response: {problem}") from problem
    if not isinstance(patch, list):
        raise CallFailed(name, "received undecodable patch in webhook response: it is no list")
    return patch
