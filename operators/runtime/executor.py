"""Carries out a plan: apply what differs, delete what is surplus, publish, write the status, tell what happened.

Comparing before applying keeps a settled object at zero calls. The status is written last, so that it never promises a
child that was refused.
"""

import asyncio
import logging
from collections.abc import Mapping

from operators.api.base import API_VERSION, Resource
from operators.core.diff import is_applied, with_hash
from operators.core.plan import Manifest, ObjectRef, Plan
from operators.core.times import rfc3339
from operators.runtime.client import ApiError, KubeClient
from operators.runtime.context import Context
from operators.runtime.metrics import APPLIES

MANAGER = "haat-operators"
FINALIZER = "haat.dev/cleanup"

logger = logging.getLogger(__name__)


async def execute(
    context: Context, owner: Resource, plan: Plan, live: Mapping[tuple[str, str], Manifest]
) -> float | None:
    """Carry `plan` out for `owner`; `live` are its children now. Seconds until the next wanted reconcile, or None."""
    client = context.client
    if not owner.deleting and not plan.delete_self:
        await _hold(client, owner)
    await asyncio.gather(*(_apply(client, item, live) for item in plan.applies))
    for ref in plan.deletes:
        await client.delete(ref)
        APPLIES.labels(ref.kind, "delete", "200").inc()
    await context.publisher.publish(plan.publications)
    if plan.status and not (owner.deleting and plan.release):
        await _write_status(client, owner, plan)
    await _tell(context, owner, plan)
    if plan.delete_self:
        await client.delete(reference(owner))
    if plan.release:
        await _release(client, owner)
    return plan.requeue_after


def reference(owner: Resource) -> ObjectRef:
    """The custom resource itself."""
    return ObjectRef(API_VERSION, owner.kind_name, owner.metadata.namespace, owner.metadata.name)


async def _apply(client: KubeClient, manifest: Manifest, live: Mapping[tuple[str, str], Manifest]) -> None:
    wanted = with_hash(manifest)
    kind = manifest["kind"]
    if is_applied(wanted, live.get((kind, manifest["metadata"]["name"]))):
        return
    try:
        await client.apply(wanted, manager=MANAGER)
    except ApiError as error:
        APPLIES.labels(kind, "apply", str(error.status)).inc()
        raise
    APPLIES.labels(kind, "apply", "200").inc()


async def _write_status(client: KubeClient, owner: Resource, plan: Plan) -> None:
    live = owner.status.model_dump(by_alias=True, exclude_none=True, mode="json")  # type: ignore[attr-defined]
    if _same(live, plan.status):
        return
    body = _identity(owner) | {"status": plan.status}
    try:
        await client.apply(body, manager=f"{MANAGER}-status", subresource="status")
    except ApiError as error:
        if error.status != 404:
            raise
    APPLIES.labels(owner.kind_name, "status", "200").inc()


def _same(live: Manifest, wanted: Manifest) -> bool:
    """Whether the stored status, with the schema's defaults left out, says just what is wanted."""
    empty: tuple[object, ...] = ("", 0, (), [], {}, None)
    keys = live.keys() | wanted.keys()
    return all(
        _pruned(live.get(key)) == _pruned(wanted.get(key)) or (live.get(key) in empty and wanted.get(key) in empty)
        for key in keys
    )


def _pruned(value: object) -> object:
    if isinstance(value, dict):
        return {key: _pruned(item) for key, item in value.items() if item not in ("", 0, None, [], {})}
    if isinstance(value, list | tuple):
        return [_pruned(item) for item in value]
    return value


async def _hold(client: KubeClient, owner: Resource) -> None:
    if FINALIZER not in owner.metadata.finalizers:
        body = _identity(owner)
        body["metadata"] = body["metadata"] | {"finalizers": [FINALIZER]}
        await client.apply(body, manager=f"{MANAGER}-finalizer")


async def _release(client: KubeClient, owner: Resource) -> None:
    """Take our finalizer off, and only ours, if the object is still the one that we saw."""
    if FINALIZER not in owner.metadata.finalizers:
        return
    left = [item for item in owner.metadata.finalizers if item != FINALIZER]
    body = {"metadata": {"finalizers": left or None, "resourceVersion": owner.metadata.resource_version}}
    ref = reference(owner)
    try:
        await client.merge(ref, body)
    except ApiError as error:
        if error.status != 404:
            raise


async def _tell(context: Context, owner: Resource, plan: Plan) -> None:
    regarding = {
        "apiVersion": API_VERSION,
        "kind": owner.kind_name,
        "namespace": owner.metadata.namespace,
        "name": owner.metadata.name,
        "uid": owner.metadata.uid,
    }
    now = rfc3339(context.clock())
    for event in plan.events:
        logger.info(event.message, extra={"kind": owner.kind_name, "object": owner.id, "reason": event.reason})
        try:
            await context.client.post_event(regarding, event, component=MANAGER, now=now)
        except ApiError as error:
            logger.warning("event is lost: %s", error, extra={"object": owner.id})


def _identity(owner: Resource) -> Manifest:
    metadata = {"name": owner.metadata.name, "namespace": owner.metadata.namespace}
    return {"apiVersion": API_VERSION, "kind": owner.kind_name, "metadata": metadata}
