"""Reconcile of one Channel."""

import base64
import secrets

from operators.channel.plan import KEY, ChannelObserved, key_secret_name, plan
from operators.core.plan import Manifest, ObjectRef
from operators.runtime.context import Context
from operators.runtime.executor import execute


async def reconcile(context: Context, namespace: str, name: str) -> float | None:
    """Bring one Channel to its desired state; seconds until the next look, or None."""
    channel = context.cache.channel(namespace, name)
    if channel is None:
        return None
    children: dict[tuple[str, str], Manifest] = dict(context.cache.children(channel))
    secret_name = key_secret_name(name)
    secret = await context.client.get(ObjectRef("v1", "Secret", namespace, secret_name))
    if secret and not secret["metadata"].get("deletionTimestamp"):
        children[("Secret", secret_name)] = secret
    stored = ((secret or {}).get("data") or {}).get(KEY)
    observed = ChannelObserved(
        key=base64.b64decode(stored).decode() if stored else secrets.token_urlsafe(24),
        streams=tuple(item for item in context.cache.streams(namespace) if item.spec.channel.name == name),
        children=children,
    )
    result = plan(channel, observed, context.platform(), context.clock())
    return await execute(context, channel, result, children)
