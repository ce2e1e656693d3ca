"""What kopf does for us: watching, resuming, indexing. Handlers only wake the queue.

`on.event` handlers see every change of a resource and of its children, which is what level-triggered reconciling needs;
they do nothing that can fail, because kopf does not retry them.
"""

import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import kopf

from operators.api import KINDS
from operators.api.base import GROUP, VERSION
from operators.core.children import OWNER_LABEL
from operators.core.plan import Manifest
from operators.core.times import epoch
from operators.runtime.cache import Cache
from operators.runtime.metrics import WATCH_LAG
from operators.runtime.nostorage import NoDiffBase, NoProgress

Wake = Callable[[tuple[str, str, str]], Awaitable[None]]
CHILD_KINDS = (
    ("", "v1", "configmaps"),
    ("", "v1", "services"),
    ("", "v1", "serviceaccounts"),
    ("apps", "v1", "deployments"),
    ("policy", "v1", "poddisruptionbudgets"),
    ("networking.k8s.io", "v1", "ingresses"),
    ("networking.k8s.io", "v1", "networkpolicies"),
    ("batch", "v1", "jobs"),
    ("apps", "v1", "daemonsets"),
    ("autoscaling", "v2", "horizontalpodautoscalers"),
    ("rbac.authorization.k8s.io", "v1", "roles"),
    ("rbac.authorization.k8s.io", "v1", "rolebindings"),
    ("keda.sh", "v1alpha1", "scaledobjects"),
    ("ray.io", "v1", "rayservices"),
    ("gateway.networking.k8s.io", "v1", "httproutes"),
)
RETRIES = (0.2, 0.5, 1.0, *([2.0] * 300))
"""Pauses between tries while the API server is away: ten minutes, and back within two seconds of its return."""
POD = ("", "v1", "pods")
CATALOG_LABEL = "haat.dev/catalog"
POOL_KIND = "Pool"
_OWNER_KINDS = {kind.kind_name.lower(): kind.kind_name for kind in KINDS} | {"pool": POOL_KIND}


def build_registry(cache: Cache, wake: Wake) -> kopf.OperatorRegistry:
    """The handlers and indices of all kinds."""
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry)(_login)
    _indices(registry, cache)
    for kind in KINDS:
        _watch_resource(registry, kind.plural, kind.kind_name, cache, wake)
    for group, version, plural in (*CHILD_KINDS, POD):
        _watch_child(registry, (group, version, plural), cache, wake)
    _watch_catalogs(registry, cache, wake)
    return registry


async def _login(**options: Any) -> kopf.ConnectionInfo | None:
    """KUBECONFIG where it is set, else the pod's service account."""
    if os.environ.get("KUBECONFIG"):
        return kopf.login_with_kubeconfig(**options)
    return kopf.login_with_service_account(**options)


def _indices(registry: kopf.OperatorRegistry, cache: Cache) -> None:
    """kopf calls these for everything that exists before it calls any handler; what they return is nothing, because
    the cache keeps what the reconciles need."""

    async def resource(body: kopf.Body, **_: Any) -> None:
        cache.put(body)

    async def child(body: kopf.Body, **_: Any) -> None:
        cache.put_child(body, body.meta.labels[OWNER_LABEL])

    async def config_map(body: kopf.Body, **_: Any) -> None:
        cache.put_config_map(body)

    for kind in KINDS:
        kopf.index(GROUP, VERSION, kind.plural, id="resources", registry=registry)(resource)
    for group, version, plural in (*CHILD_KINDS, POD):
        kopf.index(group, version, plural, id="children", labels={OWNER_LABEL: kopf.PRESENT}, registry=registry)(child)
    labels = {CATALOG_LABEL: kopf.PRESENT}
    kopf.index("", "v1", "configmaps", id="config_maps", labels=labels, registry=registry)(config_map)


def _watch_resource(registry: kopf.OperatorRegistry, plural: str, kind: str, cache: Cache, wake: Wake) -> None:
    async def changed(*, namespace: str | None, name: str, body: kopf.Body, type: str | None, **_: Any) -> None:
        cache.bound = True
        if type == "DELETED":
            cache.drop(body)
        elif type == "MODIFIED":
            _note_lag(kind, body)
        await wake((kind, namespace or "", name))

    kopf.on.event(GROUP, VERSION, plural, registry=registry)(changed)


def _note_lag(kind: str, body: kopf.Body) -> None:
    """API servers note each change with whole seconds, so a lag below one second reads as 0 or 1."""
    times = [item.get("time") for item in body["metadata"].get("managedFields") or () if item.get("time")]
    if times:
        WATCH_LAG.labels(kind).set(max(0.0, time.time() - epoch(max(times)) - 1.0))


def _watch_child(registry: kopf.OperatorRegistry, resource: tuple[str, str, str], cache: Cache, wake: Wake) -> None:
    async def changed(*, namespace: str | None, labels: Any, body: kopf.Body, type: str | None, **_: Any) -> None:
        cache.bound = True
        if type == "DELETED":
            cache.drop_child(body, labels[OWNER_LABEL])
        owner_kind, _, owner_name = labels[OWNER_LABEL].partition(".")
        if owner_kind in _OWNER_KINDS:
            await wake((_OWNER_KINDS[owner_kind], namespace or "", owner_name))

    kopf.on.event(*resource, labels={OWNER_LABEL: kopf.PRESENT}, registry=registry)(changed)


def _watch_catalogs(registry: kopf.OperatorRegistry, cache: Cache, wake: Wake) -> None:
    async def changed(*, namespace: str | None, name: str, body: kopf.Body, type: str | None, **_: Any) -> None:
        cache.bound = True
        if type == "DELETED":
            cache.drop_config_map(body)

        def names_it(stream: Manifest) -> bool:
            return ((stream.get("spec") or {}).get("catalogRef") or {}).get("name") == name

        for stream in cache.streams(namespace or "", that=names_it):
            await wake(("LiveStream", namespace or "", stream.metadata.name))

    kopf.on.event("", "v1", "configmaps", labels={CATALOG_LABEL: kopf.PRESENT}, registry=registry)(changed)


def build_settings() -> kopf.OperatorSettings:
    """kopf without its own persistence, peering or chatter."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.networking.request_timeout = 10
    settings.networking.connect_timeout = 5
    settings.execution.default_backoff = 5
    settings.peering.standalone = True
    settings.persistence.finalizer = "haat.dev/kopf"
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = NoProgress()
    settings.networking.error_backoffs = RETRIES
    settings.watching.reconnect_backoff = 0.2
    return settings
