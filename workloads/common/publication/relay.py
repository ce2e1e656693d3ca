"""A publication on its way to the transcoder, kept alive across transcoders.

When the transcoder's pod or its encoder dies, the publisher must not notice: the relay looks the route up again,
opens a new upload and replays decoder configuration and the current group of pictures. Only when that fails for
`GIVE_UP_SECONDS` is the publisher let go, whose encoder then reconnects by its own rules.
"""

import asyncio
import contextlib
import logging
import random
import time

from workloads.common import flv
from workloads.common.publication.allowance import Allowance
from workloads.common.publication.forward import Upload, UploadLost, UploadRefused, open_upload
from workloads.common.publication.gop import GopCache
from workloads.common.publication.routes import Routes, RouteUnavailable
from workloads.common.publication.timeline import Timeline

GIVE_UP_SECONDS = 30.0
MAX_KBPS = 40_000
_FIRST_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.05, 1.0
_MIN_LIFE_SECONDS = 2.0

logger = logging.getLogger(__name__)


class PublishRefused(Exception):
    """The publisher may not publish; `code` is the RTMP status and `reason` a short label for metrics."""

    def __init__(self, code: str, description: str, reason: str) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.reason = reason


class Relay:
    """Forwards one publication; `start`, then `push` and `flush`, then `close`. `ended` is done when it gave up."""

    def __init__(
        self, routes: Routes, key: str, *, peer: str = "", protocol: str = "rtmp", max_kbps: int = MAX_KBPS
    ) -> None:
        self._routes = routes
        self._peer = peer
        self._protocol = protocol
        self._key = key
        self._gop = GopCache()
        self._timeline = Timeline()
        self._allowance = Allowance(max_kbps)
        self._upload: Upload | None = None
        self._pending: list[bytes] = [flv.HEADER]
        self._keeper: asyncio.Task[None] | None = None
        self.stream = ""
        self.reconnects = 0

    async def start(self) -> None:
        """Open the first upload; PublishRefused when the key is wrong, the stream is taken or nobody is there."""
        try:
            self._upload = await self._open()
        except UploadRefused as error:
            raise _refusal(error.status) from error
        except (UploadLost, RouteUnavailable) as error:
            logger.warning("no transcoder for the publisher: %s", error, extra={"stream": self.stream})
            raise PublishRefused(
                "NetStream.Publish.Failed", "the stream is not ready, try again", "not_ready"
            ) from error
        self._keeper = asyncio.create_task(self._keep())

    @property
    def ended(self) -> bool:
        """Whether the relay gave the publication up, or the publisher sends more than it may."""
        return self._allowance.exceeded or (self._keeper is not None and self._keeper.done())

    @property
    def excess(self) -> str:
        """What a publisher that sends too much is told; empty for others."""
        allowance = self._allowance
        if not allowance.exceeded:
            return ""
        return f"{allowance.measured_kbps} kbps is more than the {allowance.kbps} kbps that are allowed here"

    def push(self, kind: int, timestamp_ms: int, payload: bytes) -> None:
        """Take one tag; it leaves with the next `flush`."""
        configuration = kind == flv.SCRIPT or flv.is_sequence_header(kind, payload)
        # Encoders stamp configurations with anything, often zero.
        dated_ms = self._timeline.end_ms if configuration else self._timeline.date(kind, timestamp_ms)
        packed = flv.pack_tag(kind, dated_ms, payload)
        self._gop.add(kind, dated_ms, payload, packed, configuration=configuration)
        self._allowance.add(len(payload), time.monotonic())
        if self._upload is not None:
            self._pending.append(packed)

    @property
    def congested(self) -> bool:
        """Whether the transcoder is behind: `drain` before more is pushed."""
        return self._upload is not None and self._upload.congested

    def flush(self) -> None:
        """Send what was pushed."""
        if self._upload and self._pending:
            pieces, self._pending = self._pending, []
            self._upload.write(pieces)

    async def drain(self) -> None:
        """Wait for a transcoder that is slow; a lost one is the keeper's business."""
        upload = self._upload
        if upload is None:
            return
        try:
            await upload.drain()
        except UploadLost:
            await upload.abort()

    async def close(self) -> None:
        """End the upload in order."""
        if self._keeper:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        if self._upload:
            self.flush()
            await self._upload.finish()

    async def _open(self, backlog_ms: int = 0) -> Upload:
        route = await self._routes.find(self._key)
        if route is None:
            raise UploadRefused(401)
        self.stream = route.stream
        if not route.admits(self._peer):
            raise UploadRefused(403)
        if route.max_kbps:
            self._allowance.kbps = min(self._allowance.kbps, route.max_kbps)
        if not route.speaks(self._protocol):
            raise UploadRefused(405)
        return await open_upload(route.target, self._key, backlog_ms=backlog_ms, protocol=self._protocol)

    async def _keep(self) -> None:
        """Replace a lost upload until none can be had; then this task ends."""
        opened = time.monotonic()
        while self._upload is not None:
            await asyncio.wait([self._upload.lost])
            reason = "aborted" if self._upload.lost.cancelled() else self._upload.lost.result()
            logger.warning("upload lost: %s", reason, extra={"stream": self.stream})
            if time.monotonic() - opened < _MIN_LIFE_SECONDS:
                # A transcoder that drops every upload at once must not be hammered.
                await asyncio.sleep(_MAX_PAUSE_SECONDS * random.uniform(0.5, 1))
            await self._upload.abort()
            self._upload = None
            self._upload = await self._reopen()
            opened = time.monotonic()

    async def _reopen(self) -> Upload | None:
        give_up = time.monotonic() + GIVE_UP_SECONDS
        pause = _FIRST_PAUSE_SECONDS
        while time.monotonic() < give_up:
            try:
                upload = await self._open(self._gop.age_ms())
            except UploadRefused as error:
                if error.status in (401, 403, 405):
                    logger.warning("the publisher may not publish any more", extra={"stream": self.stream})
                    return None
            except (UploadLost, RouteUnavailable) as error:
                logger.info("still no transcoder: %s", error, extra={"stream": self.stream})
            else:
                self.reconnects += 1
                self._pending = self._gop.replay()
                return upload
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, _MAX_PAUSE_SECONDS)
        return None


def _refusal(status: int) -> PublishRefused:
    if status == 409:
        return PublishRefused("NetStream.Publish.BadName", "already publishing", "taken")
    if status == 401:
        return PublishRefused("NetStream.Publish.BadName", "unknown stream key", "key")
    if status == 405:
        return PublishRefused("NetStream.Publish.BadName", "the channel does not take this protocol", "protocol")
    if status == 403:
        return PublishRefused("NetStream.Publish.BadName", "publishing from this address is not allowed", "address")
    return PublishRefused("NetStream.Publish.Failed", "the stream is not ready, try again", "not_ready")
