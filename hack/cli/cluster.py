"""What `haat up` asks of a cluster: apply manifests, read objects, wait."""

import asyncio
import base64
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from hack.cli.errors import UserError
from hack.devcluster.client import ApiClient, ApiError, NotFound

Manifest = dict[str, Any]
APPLY = "application/apply-patch+yaml"
MANAGER = "haat-cli"
_PATHS = {
    "Namespace": "/api/v1/namespaces",
    "ConfigMap": "/api/v1/namespaces/{ns}/configmaps",
    "Secret": "/api/v1/namespaces/{ns}/secrets",
    "Deployment": "/apis/apps/v1/namespaces/{ns}/deployments",
    "Channel": "/apis/haat.dev/v1alpha1/namespaces/{ns}/channels",
    "LiveStream": "/apis/haat.dev/v1alpha1/namespaces/{ns}/livestreams",
    "FlashSale": "/apis/haat.dev/v1alpha1/namespaces/{ns}/flashsales",
}
KINDS = {"channels": "Channel", "livestreams": "LiveStream", "flashsales": "FlashSale"}


def documents(path: Path, variables: dict[str, str]) -> list[Manifest]:
    """Manifests of a YAML file with `${NAME}` filled in."""
    text = path.read_text()
    for name, value in variables.items():
        text = text.replace(f"${{{name}}}", value)
    return [document for document in yaml.safe_load_all(text) if document]


async def apply(client: ApiClient, manifests: Iterable[Manifest]) -> None:
    """Server-side apply of each."""
    for manifest in manifests:
        params = {"fieldManager": MANAGER, "force": "true"}
        await client.request("PATCH", url(manifest), body=manifest, params=params, content_type=APPLY)


async def read(client: ApiClient, kind: str, namespace: str, name: str) -> Manifest | None:
    """The object, or None."""
    try:
        return await client.request("GET", object_url(kind, namespace, name))
    except NotFound:
        return None


async def delete(client: ApiClient, kind: str, namespace: str, name: str, *, wait_seconds: float = 30.0) -> None:
    """Delete and wait until it is gone."""
    await client.request("DELETE", object_url(kind, namespace, name))
    deadline = time.monotonic() + wait_seconds
    while await read(client, kind, namespace, name):
        if time.monotonic() > deadline:
            raise UserError(f"{kind} {namespace}/{name} is still being deleted; look at `kubectl describe`.")
        await asyncio.sleep(0.2)


async def secret_text(client: ApiClient, namespace: str, name: str, key: str) -> str | None:
    """One decoded value of a Secret."""
    secret = await read(client, "Secret", namespace, name)
    value = ((secret or {}).get("data") or {}).get(key)
    return base64.b64decode(value).decode() if value else None


async def wait_served(client: ApiClient, path: str, *, wait_seconds: float = 30.0) -> None:
    """Wait until the API serves a path."""
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            await client.request("GET", path)
        except ApiError as error:
            if time.monotonic() > deadline:
                raise UserError(f"the API server does not serve {path}: {error}") from error
            await asyncio.sleep(0.1)
        else:
            return


def url(manifest: Manifest) -> str:
    """URL path of a manifest's object."""
    metadata = manifest["metadata"]
    return object_url(manifest["kind"], metadata.get("namespace", ""), metadata["name"])


def object_url(kind: str, namespace: str, name: str) -> str:
    """URL path of an object."""
    return f"{_PATHS[kind].format(ns=namespace)}/{name}"


def collection_url(kind: str, namespace: str | None) -> str:
    """URL path of a kind's list, in one namespace or in all."""
    path = _PATHS[kind]
    return path.format(ns=namespace) if namespace else path.replace("namespaces/{ns}/", "")
