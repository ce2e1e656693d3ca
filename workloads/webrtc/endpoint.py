"""What the HTTP interfaces of WHEP and WHIP have in common: offers in, sessions out (RFC 9725, draft-ietf-wish-whep).

A Service sends each request to any pod, so a session's name tells its pod, and a PATCH or DELETE that reaches another
one is passed on. Only pods that are known by their sign of life are spoken to: a made-up name leads nowhere.
"""

import json
import logging
import re
import time

import aiohttp
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response

from workloads.common import heartbeat
from workloads.common.problem import Problem
from workloads.webrtc import sdp
from workloads.webrtc.ice_servers import IceServers
from workloads.webrtc.metrics import Metrics
from workloads.webrtc.sdp import Description, SdpError
from workloads.webrtc.sessions import Session, Sessions

SDP_TYPE, FRAGMENT_TYPE = "application/sdp", "application/trickle-ice-sdpfrag"
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Location, Link, ETag, Retry-After",
}
_PREFLIGHT = CORS | {
    "Access-Control-Allow-Methods": "OPTIONS, POST, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Max-Age": "86400",
    "Accept-Post": SDP_TYPE,
    "Cache-Control": "no-store",
}
_SESSION = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?~[A-Za-z0-9_-]{32}")
_PASSED_ON = "haat-passed-on"
_FRESH_MS = 10_000
_PASS_ON_SECONDS = 5.0

logger = logging.getLogger(__name__)


def field(pod: str) -> str:
    """Where a pod's sign of life is in the hash of all."""
    return f"webrtc/{pod}"


class Endpoint:
    """Reads offers, answers with sessions, and ends them."""

    def __init__(
        self, sessions: Sessions, servers: IceServers, store: Redis, client: aiohttp.ClientSession, metrics: Metrics
    ) -> None:
        self.sessions = sessions
        self._servers = servers
        self._store = store
        self._client = client
        self._metrics = metrics

    async def offer(self, request: Request) -> Description:
        """The request's offer; Problem 415, 413 or 400 when it is none."""
        _require_type(request, SDP_TYPE)
        try:
            return sdp.parse((await _body(request)).decode("utf-8", "strict"))
        except (SdpError, UnicodeDecodeError) as error:
            raise Problem(400, "invalid_sdp", f"The offer cannot be read: {error}.") from error

    def created(self, kind: str, session: Session, text: str) -> Response:
        """The answer to an offer that was taken."""
        response = Response(text, 201, headers=CORS | {"Cache-Control": "no-store"}, media_type=SDP_TYPE)
        response.headers["Location"] = f"/{kind}/sessions/{session.id}"
        response.headers["ETag"] = _tag(session)
        self.add_links(response, session.held.name)
        return response

    def add_links(self, response: Response, user: str) -> None:
        """The ICE servers that the peer may use."""
        for link in self._servers.links(user):
            response.headers.append("Link", link)

    async def options(self, request: Request) -> Response:
        """Preflight; also tells the ICE servers, for those who gather before they offer."""
        response = Response(status_code=204, headers=_PREFLIGHT)
        if "access-control-request-method" not in request.headers:
            self.add_links(response, "options")
        return response

    async def patch(self, request: Request) -> Response:
        """Trickled candidates. The pod answers whoever asks (ICE-lite), so they need not be kept."""
        name = request.path_params["session"]
        session = self.sessions.find(name)
        if session is None:
            return await self._pass_on(request, name)
        _require_type(request, FRAGMENT_TYPE)
        matching = request.headers.get("if-match", "")
        if matching and matching not in ("*", _tag(session)):
            raise Problem(412, "other_ice_session", "The entity tag is not the one of this session's ICE.")
        text = (await _body(request)).decode("utf-8", "replace")
        if matching == "*":
            raise Problem(422, "no_ice_restart", "ICE is not restarted here: begin a new session.")
        if not re.search(r"(?m)^a=(ice-ufrag|mid|candidate|end-of-candidates|ice-options)", text):
            raise Problem(400, "invalid_fragment", "The body is no fragment of a session description.")
        return Response(status_code=204, headers=CORS | {"ETag": _tag(session)})

    async def delete(self, request: Request) -> Response:
        """End a session."""
        name = request.path_params["session"]
        if not self.sessions.end(name):
            return await self._pass_on(request, name)
        return Response(status_code=200, headers=CORS)

    def refused(self, kind: str, problem: Problem) -> Response:
        """A refusal that a page of another origin may read."""
        self._metrics.refused.labels(kind, problem.code).inc()
        response = problem.response()
        response.headers.update(CORS | {"Cache-Control": "no-store"})
        return response

    async def _pass_on(self, request: Request, name: str) -> Response:
        pod = name.partition("~")[0]
        unknown = Problem(404, "unknown_session", "There is no such session (any more).")
        if not _SESSION.fullmatch(name) or pod == self.sessions.pod or _PASSED_ON in request.headers:
            raise unknown
        url = await self._address(pod)
        if not url:
            raise unknown
        headers = {key: request.headers[key] for key in ("content-type", "if-match") if key in request.headers}
        try:
            async with self._client.request(
                request.method,
                f"{url}{request.url.path}",
                data=await _body(request),
                headers=headers | {_PASSED_ON: "1"},
                timeout=aiohttp.ClientTimeout(total=_PASS_ON_SECONDS),
                allow_redirects=False,
            ) as response:
                body = await response.read()
                kept = {key: response.headers[key] for key in ("Content-Type", "ETag") if key in response.headers}
                return Response(body, response.status, headers=kept | CORS)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            logger.info("the pod of a session does not answer: %r", error, extra={"pod": pod})
            raise unknown from error

    async def _address(self, pod: str) -> str:
        """Base URL of a pod that gives signs of life; empty when there is none."""
        try:
            raw = await self._store.hget(heartbeat.KEY, field(pod))
            beat = json.loads(str(raw)) if raw else {}
            fresh = time.time() * 1000 - float(beat.get("ts_ms", 0)) < _FRESH_MS
            url = beat.get("url", "")
        except (RedisError, OSError, ValueError, TypeError, AttributeError) as error:
            logger.warning("pods cannot be looked up: %r", error)
            return ""
        return url if fresh and isinstance(url, str) and url.startswith("http://") else ""


def _tag(session: Session) -> str:
    return f'"{session.held.peer.fragment}"'


def _require_type(request: Request, wanted: str) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != wanted:
        raise Problem(415, "unsupported_media_type", f"Send {wanted}, not {given or 'nothing'}.")


async def _body(request: Request) -> bytes:
    """The body; Problem 413 when it is larger than any description."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > sdp.MAX_BYTES:
            raise Problem(413, "too_large", f"The body is larger than {sdp.MAX_BYTES} bytes.")
    return bytes(body)
