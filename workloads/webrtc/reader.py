"""Reads one rendition from the stream's transcoder: an endless HTTP answer of CMAF, fragment by fragment.

`read` comes back only with an exception: what to do about a transcoder that is gone is the stream's business.
"""

from collections.abc import Awaitable, Callable

import aiohttp

from workloads.common.cmaf.boxes import BoxError
from workloads.common.cmaf.fragment import Fragment, FragmentReader, Init

CONNECT_SECONDS = 2.0
SILENCE_SECONDS = 90.0
_READ_BYTES = 256 * 1024

Take = Callable[[Init | Fragment], Awaitable[None]]


class FeedLost(Exception):
    """The transcoder is away, ended the answer, or sent something else. `status` is its HTTP status, 0 without one;
    `began` whether media came before."""

    def __init__(self, reason: str, *, status: int = 0, began: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.began = began


async def read(client: aiohttp.ClientSession, url: str, take: Take) -> None:
    """Hand on what the transcoder sends, until FeedLost."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
    fragments = FragmentReader()
    began = False
    try:
        async with client.get(url, timeout=timeout, allow_redirects=False) as response:
            if response.status != 200:
                raise FeedLost(f"{url} answered {response.status}", status=response.status)
            async for data in response.content.iter_any():
                for item in fragments.feed(data):
                    began = True
                    await take(item)
    except (aiohttp.ClientError, OSError, TimeoutError, BoxError) as error:
        raise FeedLost(f"{url}: {error!r}", began=began) from error
    raise FeedLost(f"{url} ended", began=began)


async def describe(client: aiohttp.ClientSession, origin: str, stream: str) -> dict[str, object]:
    """What the transcoder has of the stream; FeedLost when it does not say."""
    url = f"{origin}/frames/{stream}"
    try:
        timeout = aiohttp.ClientTimeout(total=5, sock_connect=CONNECT_SECONDS)
        async with client.get(url, timeout=timeout, allow_redirects=False) as response:
            if response.status != 200:
                raise FeedLost(f"{url} answered {response.status}", status=response.status)
            body = await response.json()
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise FeedLost(f"{url}: {error!r}") from error
    if not isinstance(body, dict):
        raise FeedLost(f"{url} gave no object")
    return body
