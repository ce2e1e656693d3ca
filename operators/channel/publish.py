"""What the data plane reads of a channel: its entry in the directory of slugs, and the end of keys that are no more."""

import json

from operators.api import Channel
from operators.channel.children.config import playback
from operators.channel.delivery import delivery_document, effective_weights
from operators.channel.keys import STREAM_KEY, KeyState, digest, text_of
from operators.channel.observe import ChannelObserved
from operators.channel.view import View, present_stream
from operators.core.plan import Publication
from operators.core.platform import Platform
from operators.livestream.publish import INGEST_KEY

CHANNELS_KEY = "haat:channels"


def publications(
    channel: Channel, observed: ChannelObserved, view: View, platform: Platform
) -> tuple[Publication, ...]:
    """The entry of the slug, unless another channel has it, and the withdrawal of the key that was rotated out."""
    revoked = [view.keys.main.revoked] if view.keys and view.keys.main.revoked else []
    ended = tuple(Publication(INGEST_KEY, field, None) for field in revoked)
    if observed.rivals:
        return ended
    return (Publication(CHANNELS_KEY, channel.spec.slug, _entry(channel, observed, view, platform)), *ended)


def withdrawn(channel: Channel, observed: ChannelObserved, keys: KeyState | None) -> tuple[Publication, ...]:
    """Everything that was published, taken back; nobody publishes with this channel's keys any more."""
    stored = [key.value for key in (keys.main, keys.upcoming) if key is not None] if keys else []
    given = text_of(observed.given_secret, STREAM_KEY)
    fields = [(INGEST_KEY, digest(key)) for key in (*stored, given) if key]
    if not observed.rivals:
        fields.append((CHANNELS_KEY, channel.spec.slug))
    return tuple(Publication(key, field, None) for key, field in fields)


def _entry(channel: Channel, observed: ChannelObserved, view: View, platform: Platform) -> str:
    stream = present_stream(channel, observed)
    weights = effective_weights(channel, observed.cdn_probes)
    entry = {
        "channel": channel.id,
        "uid": channel.metadata.uid,
        "title": channel.spec.display_name,
        "stream": stream.id if stream else None,
        "mode": channel.spec.mode.value,
        "suspended": channel.spec.suspended,
        **playback(channel, view.playback_keys),
        "delivery": delivery_document(channel, platform, weights),
        "max_viewers": channel.spec.quota.max_viewers,
    }
    return json.dumps(entry, sort_keys=True)
