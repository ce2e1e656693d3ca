"""The Kubernetes calls that the operators make: get, server-side apply, delete, events.

Plain manifests in and out, over `kubernetes.aio`'s own transport and configuration. Every call has a time-out;
errors are `ApiError` with the status code, so that callers decide without knowing the client library.
"""

import json
from types import TracebackType
from typing import Any

import uuid_utils
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.client.exceptions import ApiException

from operators.core.plan import Event, Manifest, ObjectRef

APPLY = "application/apply-patch+yaml"
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

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    @classmethod
    async def connect(cls) -> "KubeClient":
        """From KUBECONFIG where it is set, else from the pod's service account."""
        configuration = Configuration()
        await config.load_config(client_configuration=configuration)
        return cls(ApiClient(configuration))

    @property
    def api(self) -> ApiClient:
        """The underlying client, for the library's leader election."""
        return self._api

    async def __aenter__(self) -> "KubeClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._api.close()

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

    async def call(
        self,
        method: str,
        url_path: str,
        *,
        body: Any = None,
        query: list[tuple[str, str]] | None = None,
        content_type: str = "application/json",
    ) -> Manifest:
        """One request with JSON in and out."""
        headers = {"Accept": "application/json", "Content-Type": content_type}
        request = await self._api.param_serialize(
            method, url_path, query_params=query or [], header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        try:
            response = await self._api.call_api(*request, _request_timeout=TIMEOUT_SECONDS)
            text = await response.read()
        except ApiException as error:
            raise ApiError(error.status or 0, _reason(error.body) or str(error.reason)) from error
        except (OSError, TimeoutError) as error:
            raise ApiError(0, f"the API server does not answer: {error}") from error
        if not 200 <= response.status <= 299:
            raise ApiError(response.status, _reason(text))
        document: Manifest = json.loads(text) if text else {}
        return document


def path(ref: ObjectRef, subresource: str = "") -> str:
    """URL path of one object."""
    base = f"/apis/{ref.api_version}" if "/" in ref.api_version else f"/api/{ref.api_version}"
    scope = f"/namespaces/{ref.namespace}" if ref.namespace else ""
    return f"{base}{scope}/{PLURALS[ref.kind]}/{ref.name}" + (f"/{subresource}" if subresource else "")


def _reason(body: Any) -> str:
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    try:
        return str(json.loads(text).get("message", text))
    except (ValueError, AttributeError):
        return text[:500]
