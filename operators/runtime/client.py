"""The Kubernetes calls that the operators make: get, server-side apply, delete, events.

Plain manifests in and out, configured by `kubernetes.aio`. Every call has a time-out;
errors are `ApiError` with the status code, so that callers decide without knowing the client library.
"""

import json
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec
import uuid_utils
from kubernetes.aio import config
from kubernetes.aio.client import Configuration

from operators.core.plan import Event, Manifest, ObjectRef
from operators.runtime.transport import HttpTransport, Transport

APPLY = "application/apply-patch+yaml"
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
TIMEOUT_SECONDS = 10
PLURALS = {
    "Channel": "channels",
    "LiveStream": "livestreams",
    "FlashSale": "flashsales",
    "ConfigMap": "configmaps",
    "Secret": "secrets",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
    "Deployment": "deployments",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "Ingress": "ingresses",
    "RayService": "rayservices",
    "NetworkPolicy": "networkpolicies",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "ScaledObject": "scaledobjects",
    "HTTPRoute": "httproutes",
    "Job": "jobs",
    "DaemonSet": "daemonsets",
    "Pod": "pods",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Event": "events",
}


class ApiError(Exception):
    """The API server refused or failed; `status` 0 means that it could not be reached."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class KubeClient:
    """One connection pool to the API server; use as an async context manager."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @classmethod
    async def connect(cls) -> "KubeClient":
        """From KUBECONFIG where it is set, else from the pod's service account."""
        configuration = Configuration()
        await config.load_config(client_configuration=configuration)
        return cls(HttpTransport(configuration, seconds=TIMEOUT_SECONDS))

    async def __aenter__(self) -> "KubeClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.close()

    async def get(self, ref: ObjectRef) -> Manifest | None:
        """The object, or None when there is none."""
        try:
            return await self.call("GET", path(ref))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def apply(self, manifest: Manifest, *, manager: str, force: bool, subresource: str = "") -> Manifest:
        """Server-side apply: the fields of the manifest become `manager`'s; without `force` a field of another manager
        with another value is a conflict (409)."""
        metadata = manifest["metadata"]
        ref = ObjectRef(manifest["apiVersion"], manifest["kind"], metadata.get("namespace", ""), metadata["name"])
        query = [("fieldManager", manager), ("force", "true" if force else "false")]
        return await self.call("PATCH", path(ref, subresource), body=manifest, query=query, content_type=APPLY)

    async def merge(self, ref: ObjectRef, patch: Manifest) -> Manifest:
        """JSON merge patch (RFC 7386)."""
        return await self.call("PATCH", path(ref), body=patch, content_type="application/merge-patch+json")

    async def delete(self, ref: ObjectRef) -> None:
        """Delete in the background; an object that is gone already is fine."""
        try:
            await self.call("DELETE", path(ref), body={"propagationPolicy": "Background"})
        except ApiError as error:
            if error.status != 404:
                raise

    async def post_event(self, regarding: dict[str, str], event: Event, *, component: str, now: str) -> None:
        """One core/v1 Event on the object."""
        namespace = regarding["namespace"]
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{regarding['name']}.{uuid_utils.uuid7().hex}", "namespace": namespace},
            "involvedObject": regarding,
            "type": event.type,
            "reason": event.reason,
            "message": event.message[:1024],
            "source": {"component": component},
            "reportingComponent": component,
            "reportingInstance": component,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        await self.call("POST", f"/api/v1/namespaces/{namespace}/events", body=body)

    async def serves(self, api_version: str) -> bool:
        """Whether the API server serves this group and version."""
        try:
            await self.call("GET", f"/apis/{api_version}")
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    async def names_without(self, ref: ObjectRef, label: str, *, most: int) -> frozenset[str] | None:
        """Names of the objects of `ref`'s kind and namespace that do not carry `label`; None for more than `most`."""
        query = [("labelSelector", f"!{label}"), ("limit", str(most))]
        found = await self.call("GET", collection(ref), query=query, accept=METADATA_ONLY)
        if found["metadata"].get("continue"):
            return None
        return frozenset(item["metadata"]["name"] for item in found.get("items") or ())

    async def watch(
        self, url_path: str, *, query: list[tuple[str, str]], idle_seconds: float
    ) -> AsyncGenerator[tuple[str, Manifest], None]:
        """(type, object) of each event, until the API server ends the watch. ApiError, also for an event of that type
        and for a silence of `idle_seconds`."""
        target, headers = f"{url_path}?{urlencode(query)}", {"Accept": "application/json"}
        try:
            async with await self._transport.stream(target, headers=headers, idle_seconds=idle_seconds) as answer:
                if answer.status != 200:
                    raise ApiError(answer.status, _reason(await answer.read()))
                async for line in answer.content:
                    event = msgspec.json.decode(line)
                    if event["type"] == "ERROR":
                        raise ApiError(int(event["object"].get("code") or 0), str(event["object"].get("message")))
                    yield event["type"], event["object"]
        except (OSError, TimeoutError, aiohttp.ClientError, ValueError) as error:
            raise ApiError(0, f"the watch broke: {error}") from error

    async def call(
        self,
        method: str,
        url_path: str,
        *,
        body: Any = None,
        query: list[tuple[str, str]] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Manifest:
        """One request with JSON in and out."""
        headers = {"Accept": accept, "Content-Type": content_type}
        target = f"{url_path}?{urlencode(query)}" if query else url_path
        try:
            status, text = await self._transport.request(method, target, headers=headers, body=body)
        except (OSError, TimeoutError, aiohttp.ClientError) as error:
            raise ApiError(0, f"the API server does not answer: {error}") from error
        if not 200 <= status <= 299:
            raise ApiError(status, _reason(text))
        try:
            document: Manifest = msgspec.json.decode(text) if text else {}
        except msgspec.DecodeError as error:
            raise ApiError(status, f"the API server's answer cannot be read: {error}") from error
        return document


def collection(ref: ObjectRef) -> str:
    """URL path of all objects of a kind in the namespace."""
    base = f"/apis/{ref.api_version}" if "/" in ref.api_version else f"/api/{ref.api_version}"
    scope = f"/namespaces/{ref.namespace}" if ref.namespace else ""
    return f"{base}{scope}/{PLURALS[ref.kind]}"


def path(ref: ObjectRef, subresource: str = "") -> str:
    """URL path of one object."""
    return f"{collection(ref)}/{ref.name}" + (f"/{subresource}" if subresource else "")


def _reason(body: bytes) -> str:
    text = body.decode(errors="replace")
    try:
        return str(json.loads(text).get("message", text))
    except (ValueError, AttributeError):
        return text[:500]
