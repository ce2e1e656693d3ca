"""Carries out a plan: apply what differs, delete what is surplus, publish, write the status, tell what happened.

Comparing before applying keeps a settled object at zero calls. The status is written last, so that it never promises a
child that was refused.
"""

import asyncio
import logging
from collections.abc import Mapping

from operators.api.base import API_VERSION, Condition, Metadata, Resource
from operators.core.children import OWNER_LABEL
from operators.core.conditions import Fact, merge
from operators.core.diff import is_applied, with_hash
from operators.core.plan import Event, Manifest, ObjectRef, Patch, Plan, ref_of
from operators.core.rejection import ApplyRejected, rejection_of, with_rejection
from operators.core.times import rfc3339
from operators.runtime.cache import InvalidResource
from operators.runtime.client import ApiError, KubeClient
from operators.runtime.context import Context
from operators.runtime.metrics import APPLIES
from operators.runtime.namesakes import Namesakes
from operators.runtime.queue import RetryAfter

MANAGER = "haat-operators"
FINALIZER = "haat.dev/cleanup"
IMMUTABLE = ("Job",)
"""Kinds whose content may not change once they run."""

logger = logging.getLogger(__name__)


async def execute(
    context: Context, owner: Resource, plan: Plan, live: Mapping[tuple[str, str], Manifest]
) -> float | None:
    """Carry `plan` out for `owner`; `live` are its children now. Seconds until the next wanted reconcile, or None."""
    client = context.client
    if not owner.deleting and not plan.delete_self:
        await _hold(client, owner)
    await asyncio.gather(*(_patch(client, item) for item in plan.patches))
    rejected = await _apply_all(context, plan.applies, live)
    for ref in plan.deletes:
        await client.delete(ref)
        if ref.kind == "Secret":
            context.secrets.forget(ref.namespace, ref.name)
        APPLIES.labels(ref.kind, "delete", "200").inc()
    await context.publisher.publish(plan.publications)
    if rejected:
        plan = with_rejection(plan, rejected[0], before=_conditions(owner), now=context.clock())
    if plan.status and not (owner.deleting and plan.release):
        await _write_status(client, owner, plan)
    await _tell(context, owner, plan)
    if rejected:
        raise rejected[0]
    if plan.delete_self:
        await client.delete(reference(owner))
    if plan.release:
        await _release(client, owner)
    return plan.requeue_after


def reference(owner: Resource) -> ObjectRef:
    """The custom resource itself."""
    return ObjectRef(API_VERSION, owner.kind_name, owner.metadata.namespace, owner.metadata.name)


async def _apply_all(
    context: Context, applies: tuple[Manifest, ...], live: Mapping[tuple[str, str], Manifest]
) -> list[ApplyRejected]:
    """Apply what differs, all at once; what the API server refuses for good is returned, other failures are raised."""
    results = await asyncio.gather(*(_apply(context, item, live) for item in applies), return_exceptions=True)
    rejected = [item for item in results if isinstance(item, ApplyRejected)]
    for item in results:
        if isinstance(item, BaseException) and not isinstance(item, ApplyRejected):
            raise item
    return rejected


async def _patch(client: KubeClient, patch: Patch) -> None:
    try:
        await client.merge(patch.ref, patch.body)
    except ApiError as error:
        if error.status != 404:
            raise
    APPLIES.labels(patch.ref.kind, "patch", "200").inc()


async def _apply(context: Context, manifest: Manifest, live: Mapping[tuple[str, str], Manifest]) -> None:
    """Apply one child. One that we do not know is looked at first: it may be somebody else's."""
    client = context.client
    wanted = with_hash(manifest)
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    known = live.get((kind, name))
    if is_applied(wanted, known) or (known is not None and kind in IMMUTABLE):
        return
    try:
        if known is None:
            made = await make(client, context.namesakes, wanted)
        else:
            made = await client.apply(wanted, manager=MANAGER, force=True)
        if kind == "Secret":
            context.secrets.put(made)
    except ApiError as error:
        APPLIES.labels(kind, "apply", str(error.status)).inc()
        if (rejection := rejection_of(kind, name, error.status, str(error))) is not None:
            raise rejection from error
        raise
    APPLIES.labels(kind, "apply", "200").inc()


async def make(client: KubeClient, namesakes: Namesakes, wanted: Manifest) -> Manifest:
    """Apply a child for the first time, so without force: what appeared since we looked is a conflict.

    Raises ApplyRejected when the name is somebody else's, RetryAfter when it is still an earlier life's, ApiError.
    """
    check_owner(wanted, await namesakes.find(wanted))
    try:
        made = await client.apply(wanted, manager=MANAGER, force=False)
    except ApiError as error:
        if error.status not in (409, 422):
            raise
        found = await client.get(ref_of(wanted))
        check_owner(wanted, found)
        if found is None or error.status == 422:
            raise
        made = await client.apply(wanted, manager=MANAGER, force=True)
    namesakes.note_made(wanted)
    return made


def check_owner(manifest: Manifest, found: Manifest | None) -> None:
    """ApplyRejected when the object of that name is not ours; RetryAfter when it is of an earlier life and goes."""
    if found is None:
        return
    metadata, wanted = found["metadata"], manifest["metadata"]
    uids = {item["uid"] for item in wanted.get("ownerReferences") or ()}
    if uids & {item.get("uid") for item in metadata.get("ownerReferences") or ()}:
        return
    mine = wanted["labels"].get(OWNER_LABEL)
    if metadata.get("deletionTimestamp") or (mine and (metadata.get("labels") or {}).get(OWNER_LABEL) == mine):
        raise RetryAfter(1.0, f"{manifest['kind']} {wanted['name']} of an earlier object is still being deleted")
    text = "an object of that name exists and is not ours. Rename or delete it, or rename the stream."
    raise ApplyRejected(manifest["kind"], wanted["name"], "ChildConflict", text)


def _conditions(owner: Resource) -> tuple[Condition, ...]:
    conditions: tuple[Condition, ...] = owner.status.conditions  # type: ignore[attr-defined]
    return conditions


async def refuse(context: Context, invalid: InvalidResource) -> None:
    """Say on an object that its spec cannot be read: its definition in the cluster is of another version than ours."""
    message = f"spec cannot be read ({invalid}); is the definition in the cluster (charts/haat-crds) of this version?"
    facts = [Fact(name, False, "InvalidSpec", message) for name in ("Accepted", "Ready")]
    reference = {"apiVersion": API_VERSION, "kind": invalid.kind.kind_name, **_named(invalid.metadata)}
    live = await context.client.get(
        ObjectRef(API_VERSION, invalid.kind.kind_name, invalid.metadata.namespace, invalid.metadata.name)
    )
    stored = ((live or {}).get("status") or {}).get("conditions") or []
    if live is None or any(item.get("reason") == "InvalidSpec" and item.get("message") == message for item in stored):
        return
    now = context.clock()
    conditions = merge(facts, (), generation=invalid.metadata.generation, now=now)
    body = {"apiVersion": API_VERSION, "kind": invalid.kind.kind_name, "metadata": _named(invalid.metadata)}
    await context.client.apply(
        body | {"status": {"conditions": conditions}}, manager=f"{MANAGER}-status", subresource="status", force=True
    )
    event = Event("Warning", "InvalidSpec", message)
    regarding = reference | {"uid": invalid.metadata.uid}
    await context.client.post_event(regarding, event, component=MANAGER, now=rfc3339(now))


def _named(metadata: Metadata) -> dict[str, str]:
    return {"name": metadata.name, "namespace": metadata.namespace}


async def _write_status(client: KubeClient, owner: Resource, plan: Plan) -> None:
    live = owner.status.model_dump(by_alias=True, exclude_none=True, mode="json")  # type: ignore[attr-defined]
    if _same(live, plan.status):
        return
    body = _identity(owner) | {"status": plan.status}
    try:
        await client.apply(body, manager=f"{MANAGER}-status", subresource="status", force=True)
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
        await client.apply(body, manager=f"{MANAGER}-finalizer", force=True)


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
