"""A pod's service account: token and kubeconfig, kept fresh.

In-cluster configuration needs files at a fixed path of the root file system, which a process without a mount
namespace cannot have; a kubeconfig named by KUBECONFIG serves the same clients and lets RBAC be exercised.
"""

import json
import os
import tempfile
from pathlib import Path

from hack.devcluster.client import ApiClient
from hack.devcluster.objects import Obj, name_of, namespace_of, spec_of, uid_of
from hack.devcluster.resources import SERVICE_ACCOUNTS

TOKEN_SECONDS = 86_400
TokenKind = tuple[str, int]
"""(audience or empty for the API server, life in seconds)."""


def account_name(pod: Obj) -> str:
    return str(spec_of(pod).get("serviceAccountName") or "default")


async def wants_token(client: ApiClient, pod: Obj) -> bool:
    """The pod's word on automountServiceAccountToken, else the account's, else yes. Raises ApiError."""
    asked = spec_of(pod).get("automountServiceAccountToken")
    if asked is not None:
        return bool(asked)
    account = await client.get(SERVICE_ACCOUNTS, namespace_of(pod), account_name(pod))
    return account.get("automountServiceAccountToken") is not False


async def request_token(client: ApiClient, pod: Obj, kind: TokenKind) -> str:
    """A TokenRequest bound to the pod. Raises ApiError."""
    audience, seconds = kind
    spec: Obj = {
        "expirationSeconds": seconds,
        "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": name_of(pod), "uid": uid_of(pod)},
    }
    if audience:
        spec["audiences"] = [audience]
    body: Obj = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    path = SERVICE_ACCOUNTS.path(namespace_of(pod), account_name(pod), "token")
    answer = await client.request("POST", path, body=body)
    return str(answer["status"]["token"])


def write_kubeconfig(folder: Path, *, server: str, ca: bytes, token: str, namespace: str) -> Path:
    """Write token and kubeconfig (JSON is YAML) by rename; returns the kubeconfig's path."""
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / "token", token.encode())
    cluster: Obj = {"server": server}
    if ca:
        _replace(folder / "ca.crt", ca)
        cluster["certificate-authority"] = str(folder / "ca.crt")
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "haat", "cluster": cluster}],
        "users": [{"name": "pod", "user": {"token": token, "tokenFile": str(folder / "token")}}],
        "contexts": [{"name": "pod", "context": {"cluster": "haat", "user": "pod", "namespace": namespace}}],
        "current-context": "pod",
    }
    path = folder / "config"
    _replace(path, json.dumps(config).encode())
    return path


def _replace(path: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.replace(name, path)
