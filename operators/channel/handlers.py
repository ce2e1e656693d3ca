"""Reconcile of one Channel: look, plan, carry out."""

import asyncio
import secrets

from operators.api import Channel
from operators.api.playback import TokenMode
from operators.channel import names
from operators.channel.jwk import generate
from operators.channel.keys import ACTIVE_PLAYBACK_KEYS
from operators.channel.observe import ChannelObserved, Fresh, as_manifest, cdn_probes, owned_by, playout_beat
from operators.channel.plan import plan
from operators.core.plan import Manifest
from operators.runtime.context import Context
from operators.runtime.executor import execute


async def reconcile(context: Context, namespace: str, name: str) -> float | None:
    """Bring one Channel to its desired state; seconds until the next look, or None."""
    channel = context.cache.channel(namespace, name)
    if channel is None:
        return None
    observed = await observe(context, channel)
    result = plan(channel, observed, context.platform(), context.clock())
    return await execute(context, channel, result, observed.children)


async def observe(context: Context, channel: Channel) -> ChannelObserved:
    """Gather everything that the plan looks at."""
    now, cache = context.clock(), context.cache
    namespace, name = channel.metadata.namespace, channel.metadata.name
    streams = tuple(cache.streams_of(namespace, name))
    children: dict[tuple[str, str], Manifest] = dict(cache.children(channel))
    own = (names.key_secret(name), names.next_key_secret(name), names.playback_secret(channel))
    given = channel.spec.ingest.key_secret_ref
    found = await asyncio.gather(*(_secret(context, namespace, item) for item in (*own, given.name if given else "")))
    for secret_name, secret in zip(own, found[:-1], strict=True):
        if secret is not None and _is_ours(secret, channel) and not (given and given.name == secret_name):
            children[("Secret", secret_name)] = secret
    for stream in streams:
        if owned_by(stream, channel):
            children[("LiveStream", stream.metadata.name)] = as_manifest(stream)
    signs = channel.spec.playback.token.mode != TokenMode.NONE
    return ChannelObserved(
        fresh=Fresh(secrets.token_urlsafe(24), tuple(generate() for _ in range(ACTIVE_PLAYBACK_KEYS if signs else 0))),
        streams=streams,
        rivals=rivals(channel, cache.channels()),
        children=children,
        given_secret=found[-1],
        capabilities=await context.discovery.current(),
        cdn_probes=cdn_probes(context.signals.cdn_health, now),
        playout=playout_beat(context.signals.heartbeats, channel.id, now),
        pods=tuple(cache.pods(channel)),
    )


def rivals(channel: Channel, channels: list[Channel]) -> tuple[str, ...]:
    """Ids of the channels that had the slug first, oldest first."""
    same = sorted((item for item in channels if item.spec.slug == channel.spec.slug), key=_age)
    return tuple(item.id for item in same if _age(item) < _age(channel))


def _age(channel: Channel) -> tuple[str, str]:
    return channel.metadata.creation_timestamp, channel.id


async def _secret(context: Context, namespace: str, name: str) -> Manifest | None:
    """A Secret that is there to stay."""
    if not name:
        return None
    return await context.secrets.get(namespace, name, fresh=True)


def _is_ours(secret: Manifest, channel: Channel) -> bool:
    references = secret["metadata"].get("ownerReferences") or ()
    return any(reference.get("uid") == channel.metadata.uid for reference in references)
