"""ConfigMap `<name>-channel`: channel.json, the channel's policy for edge, origin and chat. It holds no secret."""

import json
from collections.abc import Sequence
from typing import Any

from operators.api import Channel
from operators.api.base import seconds
from operators.channel import names
from operators.channel.delivery import delivery_document
from operators.channel.jwk import Jwk
from operators.channel.keys import jwks
from operators.core.children import child
from operators.core.plan import Manifest
from operators.core.platform import Platform
from operators.livestream.children.config import rules_of_the_room

CHANNEL_FILE = "channel.json"


def build_config_map(channel: Channel, platform: Platform, keys: Sequence[Jwk]) -> Manifest:
    """The ConfigMap with channel.json; of `keys` only the public halves."""
    return child(
        channel,
        api_version="v1",
        kind="ConfigMap",
        name=names.config_map(channel),
        component="channel-config",
        data={CHANNEL_FILE: json.dumps(document(channel, platform, keys), indent=1, sort_keys=True)},
    )


def document(channel: Channel, platform: Platform, keys: Sequence[Jwk]) -> dict[str, Any]:
    """channel.json as the contracts page describes it."""
    spec = channel.spec
    return {
        "channel": channel.id,
        "uid": channel.metadata.uid,
        "slug": spec.slug,
        "display_name": spec.display_name,
        "owner": {"creator_id": spec.owner.creator_id, "team": spec.owner.team},
        "mode": spec.mode.value,
        "suspended": spec.suspended,
        "page": page(channel, platform),
        "ingest": {
            "protocols": sorted(spec.ingest.protocols),
            "allowed_cidrs": sorted(spec.ingest.allowed_cidrs),
            "redundant": spec.ingest.redundant,
        },
        "playback": playback(channel, keys),
        "delivery": delivery_document(channel, platform, None),
        "recording": {
            "enabled": spec.recording.enabled,
            "storage": spec.recording.storage_ref.name if spec.recording.storage_ref else "",
            "retention_seconds": seconds(spec.recording.retention),
            "dvr_window_seconds": seconds(spec.recording.dvr_window),
            "highlights": spec.recording.highlights,
        },
        "restream": [
            {"name": item.name, "platform": item.platform.value}
            for item in sorted(spec.restream, key=lambda item: item.name)
        ],
        "models": {item.role.value: item.model_ref.name for item in spec.models},
        "quota": {
            "max_concurrent_streams": spec.quota.max_concurrent_streams,
            "max_viewers": spec.quota.max_viewers,
            "max_bitrate_kbps": spec.quota.max_bitrate_kbps,
            "max_transcode_millicores": spec.quota.max_transcode_millicores,
            "max_daily_seconds": seconds(spec.quota.max_daily_duration),
        },
        **rules_of_the_room(channel),
    }


def playback(channel: Channel, keys: Sequence[Jwk]) -> dict[str, Any]:
    """Who may watch, as channel.json and the publication give it."""
    rules = channel.spec.playback
    return {
        "visibility": rules.visibility.value,
        "token": {
            "mode": rules.token.mode.value,
            "ttl_seconds": seconds(rules.token.ttl),
            "bind_to": sorted(rules.token.bind_to),
        },
        "jwks": jwks(keys),
        "geo": {"mode": rules.geo.mode.value, "countries": sorted(rules.geo.countries)},
        "allowed_origins": sorted(rules.allowed_origins),
        "drm": {
            "systems": sorted(rules.drm.systems),
            "key_server": rules.drm.key_server_ref.name if rules.drm.key_server_ref else "",
            "license_policy": rules.drm.license_policy_ref.name if rules.drm.license_policy_ref else "",
        },
    }


def page(channel: Channel, platform: Platform) -> str:
    """The channel's public page, on its own host where it has one."""
    host = channel.spec.delivery.hostname
    scheme = platform.public_url.partition("://")[0]
    base = f"{scheme}://{host}" if host else platform.public_url
    return f"{base}/c/{channel.spec.slug}"
