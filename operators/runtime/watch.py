"""What kopf does for us: watching, resuming, indexing. Handlers only wake the queue.

`on.event` handlers see every change of a custom resource and of a catalogue, which is what level-triggered reconciling
needs; they do nothing that can fail, because kopf does not retry them. Children are followed by `informer`.
"""

import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import kopf

from operators.api import KINDS
from operators.api.base import GROUP, VERSION
from operators.core.plan import Manifest
from operators.core.times import epoch
from operators.runtime.cache import Cache
from operators.runtime.metrics import WATCH_LAG
from operators.runtime.nostorage import NoDiffBase, NoProgress

Wake = Callable[[tuple[str, str, str]], Awaitable[None]]
RETRIES = (0.2, 0.5, 1.0, *([2.0] * 300))
"""Pauses between tries while the API server is away: ten minutes, and back within two seconds of its return."""
CATALOG_LABEL = "haat.dev/catalog"


def build_registry(cache: Cache, wake: Wake) -> kopf.OperatorRegistry:
    """The handlers and indices of all kinds."""
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry)(_login)
    _indices(registry, cache)
    for kind in KINDS:
        _watch_resource(registry, kind.plural, kind.kind_name, cache, wake)
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

    async def config_map(body: kopf.Body, **_: Any) -> None:
        cache.put_config_map(body)

    for kind in KINDS:
        kopf.index(GROUP, VERSION, kind.plural, id="resources", registry=registry)(resource)
    labels = {CATALOG_LABEL: kopf.PRESENT}
    kopf.index("", "v1", "configmaps", id="config_maps", labels=labels, registry=registry)(config_map)


def _watch_resource(registry: kopf.OperatorRegistry, plural: str, kind: str, cache: Cache, wake: Wake) -> None:
    async def changed(*, namespace: str | None, name: str, body: kopf.Body, type: str | None, **_: Any) -> None:
        cache.indexed = True
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


def _watch_catalogs(registry: kopf.OperatorRegistry, cache: Cache, wake: Wake) -> None:
    async def changed(*, namespace: str | None, name: str, body: kopf.Body, type: str | None, **_: Any) -> None:
        cache.indexed = True
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
