"""Channels and the world around them, for tests: valid by default, changed by keyword."""

import base64
import json
from typing import Any

from operators.api import Channel, LiveStream
from operators.channel.observe import ChannelObserved, Fresh, as_manifest
from operators.channel.plan import plan
from operators.core.capabilities import Capabilities
from operators.core.plan import Manifest, Plan
from operators.core.platform import CdnProvider
from tests.unit.operators.builders import NOW, PLATFORM, stream

PLAYBACK = tuple(
    {"kid": name, "kty": "OKP", "crv": "Ed25519", "x": f"x-{name}", "d": f"d-{name}", "use": "sig", "alg": "EdDSA"}
    for name in ("one", "two")
)
FILM = {"name": "film", "cron": "0 8 * * *", "duration": "1h", "vodUri": "https://films.example/one.mp4"}
SHOW = {"name": "show", "cron": "3 8 * * *", "duration": "30m", "priority": 5, "streamTemplate": {"title": "Tonight"}}
CDNS = {"fast": CdnProvider(driver="Static", base_url="https://fast.example"), "spare": CdnProvider(driver="Static")}
WIDE = PLATFORM.model_copy(update={"cdn_providers": CDNS})
TWO = {"cdns": [{"provider": "fast", "weight": 80}, {"provider": "spare", "weight": 20, "role": "Failover"}]}
LIVE = stream(status={"phase": "Live", "startedAt": "2027-01-15T08:00:00Z"})
STANDBY = stream(metadata={"name": "later", "uid": "later-uid"}, status={"phase": "Standby"})
RELAY = {"name": "guest", "cron": "0 10 * * *", "duration": "1h", "relayChannel": "friends"}


def make(
    name: str = "aarong",
    *,
    annotations: dict[str, str] | None = None,
    status: dict[str, Any] | None = None,
    deleting: bool = False,
    **spec: Any,
) -> Channel:
    """A channel of namespace shop."""
    metadata: dict[str, Any] = {"name": name, "namespace": "shop", "uid": f"{name}-uid", "generation": 1}
    metadata["annotations"] = annotations or {}
    if deleting:
        metadata["deletionTimestamp"] = "2027-01-15T08:00:00Z"
    base = {"displayName": "Aarong Live", "slug": name}
    return Channel.model_validate({"metadata": metadata, "spec": base | spec, "status": status or {}})


def linear(name: str = "tele", *, slots: list[dict[str, Any]] | None = None, **rest: Any) -> Channel:
    """A Linear channel; `rest` beside `programming` is as for `make`."""
    programming = {"slots": slots or [FILM, SHOW, RELAY]} | rest.pop("programming", {})
    return make(name, mode="Linear", programming=programming, **rest)


def seen(**changes: Any) -> ChannelObserved:
    """A world in which nothing exists yet."""
    return ChannelObserved(**({"fresh": Fresh("channel-key", PLAYBACK)} | changes))


def secret(name: str, key: str, *, created: str = "", **annotations: str) -> Manifest:
    """A Secret with a stream key."""
    notes = annotations | ({"haat.dev/created-at": created} if created else {})
    metadata = {"name": name, "namespace": "shop", "annotations": notes, "creationTimestamp": "2027-01-01T00:00:00Z"}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "data": {"stream-key": base64.b64encode(key.encode()).decode()},
    }


def owned(channel: Channel, name: str, **status: Any) -> LiveStream:
    """A stream that the channel itself made."""
    owner = {"uid": channel.metadata.uid, "kind": "Channel", "name": channel.metadata.name, "controller": True}
    metadata = {"name": name, "uid": f"{name}-uid", "ownerReferences": [owner]}
    return stream(metadata=metadata, status=status, channel={"name": channel.metadata.name})


def after(plan: Plan, *streams: LiveStream) -> dict[tuple[str, str], Manifest]:
    """The children as the cluster holds them once the plan was carried out."""
    live = {(item["kind"], item["metadata"]["name"]): dict(item) for item in plan.applies}
    return live | {("LiveStream", item.metadata.name): as_manifest(item) for item in streams}


def conditions(plan: Plan) -> dict[str, tuple[str, str]]:
    """(status, reason) by type."""
    return {item["type"]: (item["status"], item["reason"]) for item in plan.status["conditions"]}


def status_of(channel: Channel, plan: Plan) -> Channel:
    """The channel with the plan's status written."""
    document = channel.model_dump(by_alias=True, mode="json", exclude_none=True)
    return Channel.model_validate(document | {"status": plan.status})


def everything() -> list[tuple[Channel, ChannelObserved]]:
    """Channels that between them have every optional child."""
    own_host = make("host", delivery={"hostname": "live.aarong.example"}, playback={"token": {"mode": "Signed"}})
    gateway = make("gate", delivery={"gatewayRef": {"name": "public", "namespace": "infra", "sectionName": "https"}})
    rotating = secret("spin-channel-key", "old", created="2027-01-14T08:00:00Z")
    coming = secret("spin-channel-key-next", "new", created="2027-01-15T07:55:00Z")
    children = {("Secret", "spin-channel-key"): rotating, ("Secret", "spin-channel-key-next"): coming}
    return [
        (own_host, seen()),
        (gateway, seen(capabilities=Capabilities(gateway=True))),
        (make("spin"), seen(children=children)),
    ]


def wanted(result: Plan) -> set[tuple[str, str]]:
    """(kind, name) of what is applied."""
    return {(item["kind"], item["metadata"]["name"]) for item in result.applies}


def settled(channel: Channel, **world: Any) -> Plan:
    """The plan once everything that the first one wanted is there."""
    first = plan(channel, seen(**world), WIDE, NOW)
    return plan(channel, seen(**({"children": after(first)} | world)), WIDE, NOW)


def document(result: Plan, name: str, file: str) -> dict:
    """A JSON file of a ConfigMap that is applied."""
    found = next(item for item in result.applies if (item["kind"], item["metadata"]["name"]) == ("ConfigMap", name))
    body: dict = json.loads(found["data"][file])
    return body


def entry(result: Plan) -> dict:
    """What is published of the slug."""
    found = next(item for item in result.publications if item.key == "haat:channels")
    body: dict = json.loads(found.value or "")
    return body


__all__ = [
    "CDNS", "LIVE", "NOW", "STANDBY", "TWO", "WIDE", "after", "conditions", "document", "entry", "everything", "linear", "make", "owned",
    "secret", "seen", "settled", "status_of", "wanted",
]  # fmt: skip
