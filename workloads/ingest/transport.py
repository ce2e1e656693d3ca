"""From a publisher's MPEG-TS to its transcoder, for the protocols that carry it.

A datagram cannot be held back as a connection can: while the transcoder is behind, frames are dropped up to the next
key frame, so neither memory nor latency grows.
"""

import logging

from workloads.common import flv
from workloads.common.publication.relay import Relay
from workloads.common.publication.routes import Routes
from workloads.ingest.mpegts.demux import TransportError
from workloads.ingest.mpegts.remux import Remuxer

logger = logging.getLogger(__name__)


class TransportPublication:
    """Takes MPEG-TS; made by `begin`."""

    def __init__(self, relay: Relay) -> None:
        self.dropped = 0
        self._relay = relay
        self._remuxer = Remuxer()
        self._skipping = False
        self._failed = False

    @classmethod
    async def begin(
        cls, routes: Routes, key: str, *, protocol: str, max_kbps: int, peer: str = ""
    ) -> "TransportPublication":
        """Ask the transcoder; PublishRefused when it does not take the publisher."""
        relay = Relay(routes, key, peer=peer, protocol=protocol, max_kbps=max_kbps)
        await relay.start()
        return cls(relay)

    @property
    def ended(self) -> bool:
        """Whether nobody takes the media any more."""
        return self._failed or self._relay.ended

    def feed(self, data: bytes) -> None:
        """MPEG-TS in order."""
        if self._failed:
            return
        try:
            tags = self._remuxer.feed(data)
        except TransportError as error:
            logger.info("publisher let go: %s", error, extra={"stream": self._relay.stream})
            self._failed = True
            return
        for tag in tags:
            self._push(tag)
        self._relay.flush()

    async def drain(self) -> None:
        """Wait for a transcoder that is slow, where the source can be held back."""
        if self._relay.congested:
            await self._relay.drain()

    async def close(self) -> None:
        """The publisher left."""
        await self._relay.close()

    def _push(self, tag: flv.Tag) -> None:
        if self._relay.congested:
            self._skipping = True
        elif self._skipping and flv.is_keyframe(tag.kind, tag.payload):
            self._skipping = False
        if self._skipping and not flv.is_sequence_header(tag.kind, tag.payload):
            self.dropped += 1
            return
        self._relay.push(tag.kind, tag.timestamp_ms, tag.payload)
