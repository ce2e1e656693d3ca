"""`/c/<slug>`: a channel's permanent address, which leads to whatever it broadcasts now.

The answer changes with every broadcast, so nobody may keep it; the web application's page is shown when there is
nothing to lead to. A stream's name from Redis is checked before it becomes part of an address.
"""

import json
import logging
import re

from redis.asyncio import Redis
from starlette.responses import Response

from workloads.common.directory import Directory, DirectoryUnavailable
from workloads.edge.deliver.policy import is_stream_id
from workloads.edge.serve.web import Receive, Scope, Send, Web

KEY = "haat:channels"
CHANNEL_PREFIX = "/c/"
_SLUG = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")

logger = logging.getLogger(__name__)


class Channels:
    """ASGI application for paths under `/c/`."""

    def __init__(self, redis: Redis, web: Web) -> None:
        self._directory: Directory[str] = Directory(redis, KEY, parse_stream)
        self._web = web

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Redirect to the stream; the page with 200 when there is none, 404 for an unknown channel, 503 when nobody
        can tell."""
        if scope["method"] not in ("GET", "HEAD"):
            await self._web(scope, receive, send)
            return
        try:
            stream = await self._find(scope["path"].removeprefix(CHANNEL_PREFIX))
        except DirectoryUnavailable as error:
            logger.warning("no answer about a channel: %s", error)
            await self._web.page(scope, receive, send, status=503)
            return
        if not stream:
            await self._web.page(scope, receive, send, status=404 if stream is None else 200)
            return
        query = scope["query_string"].decode("latin-1")
        headers = {"Location": f"/s/{stream}{'?' if query else ''}{query}", "Cache-Control": "no-store"}
        await Response(status_code=302, headers=headers)(scope, receive, send)

    async def _find(self, slug: str) -> str | None:
        """The channel's stream, empty while it has none; None for an unknown channel."""
        return await self._directory.find(slug) if _SLUG.fullmatch(slug) else None


def parse_stream(raw: str) -> str:
    """The stream in an entry's JSON; empty when it names none, or something that is no stream id."""
    try:
        stream = json.loads(raw)["stream"]
    except (ValueError, KeyError, TypeError):
        logger.error("unusable entry in %s", KEY)
        return ""
    return stream if isinstance(stream, str) and is_stream_id(stream) else ""
