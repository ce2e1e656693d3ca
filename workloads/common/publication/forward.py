"""One upload of FLV to a transcoder: HTTP/1.1 `POST <target>/ingest`, chunked, with `Expect: 100-continue`.

The interim answer is the transcoder's decision about the publisher, so it is awaited before the publisher is told. Raw
asyncio streams, because HTTP clients do not let their caller see the 100. A final answer or a lost connection while
media flows ends the upload; `lost` tells.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from urllib.parse import urlsplit

CONNECT_TIMEOUT_SECONDS = 2.0
ANSWER_TIMEOUT_SECONDS = 5.0
DRAIN_TIMEOUT_SECONDS = 10.0
_HIGH_WATER_BYTES = 4 * 1024 * 1024


class UploadRefused(Exception):
    """The transcoder answered with a final status: 401 wrong key, 409 another publisher, 503 not ready."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the transcoder answered {status}")
        self.status = status


class UploadLost(Exception):
    """The transcoder is unreachable, silent or gone."""


class Upload:
    """An accepted upload; made by `open_upload`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.lost = asyncio.ensure_future(self._watch())

    def write(self, pieces: Sequence[bytes]) -> None:
        """Queue the pieces as one HTTP chunk."""
        size = sum(map(len, pieces))
        if size and not self.lost.done():
            # One piece is written at once; several are each wrapped for a vectored write first.
            self._writer.write(b"".join((b"%x\r\n" % size, *pieces, b"\r\n")))

    @property
    def congested(self) -> bool:
        """Whether the transcoder is behind: `drain` before more is written."""
        return self._writer.transport.get_write_buffer_size() >= _HIGH_WATER_BYTES

    async def drain(self) -> None:
        """Wait until the transcoder keeps up; UploadLost when it does not for ten seconds, or is gone."""
        try:
            await asyncio.wait_for(self._writer.drain(), DRAIN_TIMEOUT_SECONDS)
        except (OSError, TimeoutError) as error:
            raise UploadLost(f"the transcoder does not read: {error!r}") from error

    async def finish(self) -> None:
        """End the body, wait briefly for the answer and close."""
        if not self.lost.done():
            self._writer.write(b"0\r\n\r\n")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self.lost), 1)
        await self.abort()

    async def abort(self) -> None:
        """Close at once."""
        self.lost.cancel()
        await _close(self._writer)

    async def _watch(self) -> str:
        try:
            line = await self._reader.readline()
        except (OSError, ValueError) as error:
            return repr(error)
        return line.decode("latin-1").strip() or "connection closed"


async def open_upload(target: str, key: str, *, backlog_ms: int = 0, protocol: str = "rtmp") -> Upload:
    """Ask the transcoder to take a publisher; UploadRefused or UploadLost when it does not.

    `backlog_ms` tells how old the first frame is, so that the transcoder can date it; `protocol` what the host speaks.
    """
    url = urlsplit(target)
    try:
        connecting = asyncio.open_connection(url.hostname, url.port or 80)
        reader, writer = await asyncio.wait_for(connecting, CONNECT_TIMEOUT_SECONDS)
    except (OSError, TimeoutError) as error:
        raise UploadLost(f"{target} is unreachable: {error!r}") from error
    writer.transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)
    head = (
        f"POST {url.path.rstrip('/')}/ingest HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: video/x-flv\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n"
        f"Haat-Backlog-Ms: {backlog_ms}\r\nHaat-Protocol: {protocol}\r\n\r\n"
    )
    try:
        writer.write(head.encode("latin-1", "replace"))
        status = await asyncio.wait_for(_read_status(reader), ANSWER_TIMEOUT_SECONDS)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
        await _close(writer)
        raise UploadLost(f"{target} gave no answer: {error!r}") from error
    if status != 100:
        await _close(writer)
        raise UploadRefused(status)
    return Upload(reader, writer)


async def _read_status(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    version, status, *_ = head.split(b"\r\n", 1)[0].split(b" ", 2)
    if not version.startswith(b"HTTP/1."):
        raise ValueError("no HTTP answer")
    return int(status)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        await asyncio.wait_for(writer.wait_closed(), 1)
