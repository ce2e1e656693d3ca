"""Reconcile of one LiveStream: look, plan, carry out."""

import base64
import secrets

from operators.api import Channel, LiveStream
from operators.api.channel import Mode
from operators.api.livestream import DesiredState
from operators.api.livestream_status import StreamPhase
from operators.channel.keys import STREAM_KEY as CHANNEL_KEY
from operators.channel.keys import text_of
from operators.channel.names import next_key_secret
from operators.channel.usage import counted, is_output
from operators.channel.view import key_secret_of
from operators.core.plan import Manifest, ObjectRef, Plan
from operators.core.platform import Runtime
from operators.core.podtimes import p99_start_seconds
from operators.core.times import epoch
from operators.livestream import names
from operators.livestream.acceptance import transcode_millicores
from operators.livestream.airtime import seconds_on_air
from operators.livestream.children.secret import KEY
from operators.livestream.lifecycle import not_yet_due
from operators.livestream.observe import StreamKeys, StreamObserved
from operators.livestream.plan import plan
from operators.models import plan as models
from operators.pool.workers import current_workers
from operators.runtime.context import Context
from operators.runtime.executor import execute
from operators.runtime.metrics import TIME_TO_READY_SECONDS
from operators.runtime.signals import Signals

BLIND_RETRY_SECONDS = 2.0
_OVER = (StreamPhase.ENDED, StreamPhase.FAILED)


async def reconcile(context: Context, namespace: str, name: str) -> float | None:
    """Bring one LiveStream to its desired state; seconds until the next look, or None."""
    stream = context.cache.stream(namespace, name)
    if stream is None:
        context.signals.forget(f"{namespace}/{name}")
        await context.allocator.release(f"{namespace}/{name}")
        return None
    now = context.clock()
    if waits_for_signs(context.signals, stream, now):
        return BLIND_RETRY_SECONDS
    observed = await observe(context, stream)
    result = plan(stream, observed, context.platform(), now)
    if any(event.reason == "Scaled" for event in result.events):
        context.scaled_at[stream.id] = now
    if result.status.get("phase") == StreamPhase.STANDBY and stream.status.phase == StreamPhase.PROVISIONING:
        _note_time(stream, now)
    again = await execute(context, stream, result, observed.children)
    return 0.0 if await settle(context, stream, result) else again


def waits_for_signs(signals: Signals, stream: LiveStream, now: float) -> bool:
    """While Redis is away nobody can tell whether a stream that was on air still is: it is neither interrupted nor
    ended for that. What its owner says is done all the same."""
    asked = stream.deleting or stream.spec.desired_state == DesiredState.ENDED
    return bool(stream.status.started_at) and not stream.status.ended_at and not asked and signals.blind(now)


async def settle(context: Context, stream: LiveStream, result: Plan) -> bool:
    """Take or give back the stream's place in its pool; True when that changed something."""
    if result.wish is None:
        return await context.allocator.release(stream.id)
    return await context.allocator.ensure(stream.id, result.wish, current_workers(context))


async def observe(context: Context, stream: LiveStream) -> StreamObserved:
    """Gather everything that the plan looks at."""
    now, cache = context.clock(), context.cache
    namespace = stream.metadata.namespace
    channel = cache.channel(namespace, stream.spec.channel.name)
    children: dict[tuple[str, str], Manifest] = dict(cache.children(stream))
    due = bool(children) or not not_yet_due(stream, now)
    secret = await context.secrets.get(namespace, names.key_secret(stream)) if due else None
    if secret:
        children[("Secret", names.key_secret(stream))] = secret
    stream_key = _text(secret, KEY) or (secrets.token_urlsafe(24) if due else "")
    others = _same_channel(context, stream)
    output = channel is not None and is_output(stream, channel)
    counting = counted(channel, others) if channel else others
    elder = [] if output else _elders(stream, counting)
    linear = channel is not None and channel.spec.mode == Mode.LINEAR
    sales = tuple(sale for sale in cache.sales(namespace) if _targets(sale.spec, stream))
    models_url, models_ready = await _models(context, stream, channel)
    allocation = context.allocator.table.get(stream.id)
    workers = current_workers(context).get(allocation.pool, []) if allocation else []
    worker = next((item for item in workers if allocation and item.pod == allocation.worker), None)
    hosts = [item for item in workers if stream.id in item.streams]
    return StreamObserved(
        allocation=allocation,
        worker=worker,
        host=worker if worker in hosts else next(iter(hosts), None),
        keys=StreamKeys(stream_key, await _channel_keys(context, channel) if due else ()),
        channel=channel,
        siblings=tuple(item.metadata.name for item in elder),
        sibling_millicores=_millicores(context, elder, channel),
        seconds_today=0.0 if output else seconds_on_air(counting, now),
        capabilities=await context.discovery.current(),
        knocked_at=context.signals.knocks.get(stream.id, 0.0),
        holds_channel_key=output if linear else not elder,
        sales=sales,
        children=children,
        catalog=_catalog(context, stream),
        transcoder=context.signals.transcoder(stream.id, now),
        room=context.signals.room(stream.id, now),
        probe=context.signals.probe(stream.id, now),
        restreams=context.signals.restreams(stream.id, now),
        samples=context.signals.samples(stream.id),
        last_scaled_at=context.scaled_at.get(stream.id, 0.0),
        pods=tuple(cache.pods(stream)),
        pod_start_seconds=p99_start_seconds(cache.all_pods()) if sales else 0.0,
        models_url=models_url,
        models_ready=models_ready,
    )


def _same_channel(context: Context, stream: LiveStream) -> list[LiveStream]:
    """All streams of the stream's channel, itself too, oldest first."""
    name = stream.spec.channel.name
    return context.cache.streams_of(stream.metadata.namespace, name)


def _elders(stream: LiveStream, others: list[LiveStream]) -> list[LiveStream]:
    """Streams that were there first and have not ended: they have the channel's key and quota."""
    found = []
    for other in others:
        if other.metadata.uid == stream.metadata.uid:
            break
        if other.status.phase not in _OVER:
            found.append(other)
    return found


def _millicores(context: Context, streams: list[LiveStream], channel: Channel | None) -> int:
    platform = context.platform()
    return sum(transcode_millicores(item, channel, platform) for item in streams) if channel else 0


def _targets(spec: object, stream: LiveStream) -> bool:
    target, channel = getattr(spec, "stream", None), getattr(spec, "channel", None)
    if target is not None:
        return bool(target.name == stream.metadata.name)
    return channel is not None and channel.name == stream.spec.channel.name


async def _channel_keys(context: Context, channel: Channel | None) -> tuple[str, ...]:
    """The channel's key, and the one that follows it while they overlap."""
    if channel is None:
        return ()
    names_of_secrets = [key_secret_of(channel)]
    if channel.status.ingest and channel.status.ingest.next_key_secret:
        names_of_secrets.append(next_key_secret(channel.metadata.name))
    namespace = channel.metadata.namespace
    found = [text_of(await context.secrets.get(namespace, name), CHANNEL_KEY) for name in names_of_secrets if name]
    return tuple(dict.fromkeys(key for key in found if key))


def _text(secret: Manifest | None, key: str) -> str:
    value = ((secret or {}).get("data") or {}).get(key)
    return base64.b64decode(value).decode() if value else ""


def _catalog(context: Context, stream: LiveStream) -> str | None:
    if stream.spec.catalog_ref is None:
        return None
    config_map = context.cache.config_map(stream.metadata.namespace, stream.spec.catalog_ref.name)
    return ((config_map or {}).get("data") or {}).get("catalog.json")


async def _models(context: Context, stream: LiveStream, channel: Channel | None) -> tuple[str, bool]:
    """Base URL of the models that serve the stream and whether they do; nothing when no model is used."""
    wanted = models.models_of(stream, {use.model_ref.name for use in channel.spec.models} if channel else set())
    if not wanted:
        return "", False
    known = context.platform().models
    for name in sorted(wanted):
        if name in known and known[name].runtime == Runtime.EXTERNAL:
            return known[name].url, True
    namespace, service_name = stream.metadata.namespace, models.service_name(stream)
    service = await context.client.get(ObjectRef("v1", "Service", namespace, f"{service_name}-serve-svc"))
    address = ((service or {}).get("spec") or {}).get("clusterIP") or ""
    if not address:
        return "", False
    live = await context.client.get(models.reference(namespace, service_name)) or {}
    conditions = (live.get("status") or {}).get("conditions") or []
    ready = any(
        item.get("type") in ("Ready", "RayServiceReady") and item.get("status") == "True" for item in conditions
    )
    return f"http://{address}:{models.SERVE_PORT}", ready


def _note_time(stream: LiveStream, now: float) -> None:
    TIME_TO_READY_SECONDS.labels("LiveStream").observe(max(0.0, now - epoch(stream.metadata.creation_timestamp)))
