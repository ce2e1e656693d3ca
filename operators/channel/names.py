"""Names of a Channel's children: deterministic, so that every reconcile finds them again."""

import hashlib

from operators.api import Channel
from operators.core.times import rfc3339

MOST = 48
"""A LiveStream's name grows by up to 13 characters in the names of its Services, which may have 63."""


def key_secret(channel_name: str) -> str:
    """Secret with the channel's stream key."""
    return f"{channel_name}-channel-key"


def next_key_secret(channel_name: str) -> str:
    """Secret with the stream key that follows, while a rotation overlaps."""
    return f"{channel_name}-channel-key-next"


def playback_secret(channel: Channel) -> str:
    """Secret with the keys that sign playback tokens."""
    return f"{channel.metadata.name}-playback-keys"


def config_map(channel: Channel) -> str:
    """ConfigMap with channel.json."""
    return f"{channel.metadata.name}-channel"


def account(channel: Channel) -> str:
    """ServiceAccount, Role and RoleBinding."""
    return f"{channel.metadata.name}-channel"


def default_deny(channel: Channel) -> str:
    """NetworkPolicy that lets nothing in."""
    return f"{channel.metadata.name}-default-deny"


def route(channel: Channel) -> str:
    """HTTPRoute or Ingress of the channel's page."""
    return f"{channel.metadata.name}-channel"


def service(channel: Channel, name: str) -> str:
    """Service of the channel's namespace that stands for one of the platform's."""
    return f"{channel.metadata.name}-{name}"


def schedule(channel: Channel) -> str:
    """ConfigMap with schedule.json."""
    return f"{channel.metadata.name}-schedule"


def playout(channel: Channel) -> str:
    """Deployment, disruption budget and NetworkPolicy of the playout."""
    return f"{channel.metadata.name}-playout"


def linear(channel: Channel) -> str:
    """LiveStream that a Linear channel is always on."""
    return _bounded(f"{channel.metadata.name}-linear")


def slot_stream(channel_name: str, slot: str, starts_at: float) -> str:
    """LiveStream of one occurrence of a slot: `<channel>-<slot>-<yyyymmddhhmm>`, in UTC."""
    text = rfc3339(starts_at)
    stamp = text[:4] + text[5:7] + text[8:10] + text[11:13] + text[14:16]
    return f"{_bounded(f'{channel_name}-{slot}', MOST - len(stamp) - 1)}-{stamp}"


def _bounded(name: str, most: int = MOST) -> str:
    """The name, or its head and a digest of it when it is too long."""
    if len(name) <= most:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{name[: most - 7].rstrip('-')}-{digest}"
