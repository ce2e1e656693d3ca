"""`POST /whip` with a stream key: an offer becomes a publication (RFC 9725)."""

from concurrent.futures import Executor

from starlette.requests import Request
from starlette.responses import Response

from workloads.common.bearer import bearer_token
from workloads.common.problem import Problem
from workloads.common.publication.relay import PublishRefused, Relay
from workloads.common.publication.routes import Routes
from workloads.webrtc.endpoint import Endpoint
from workloads.webrtc.metrics import Metrics
from workloads.webrtc.negotiate import NotAcceptable, Plan, plan_publisher
from workloads.webrtc.publisher import Publisher
from workloads.webrtc.sdp import SdpError
from workloads.webrtc.sessions import Session

_MAX_KEY_BYTES = 512


class Whip:
    """The publishers' interface; keys are looked up as ingest does it."""

    def __init__(
        self, endpoint: Endpoint, routes: Routes, threads: Executor, metrics: Metrics, *, max_publishers: int
    ) -> None:
        self._endpoint = endpoint
        self._routes = routes
        self._threads = threads
        self._metrics = metrics
        self._max_publishers = max_publishers
        self._publishers: set[Publisher] = set()

    async def post(self, request: Request) -> Response:
        """Take a publisher: the key is in the Authorization header, or the path's last part."""
        key = bearer_token(request.headers.get("authorization", "")) or request.path_params.get("key", "")
        if not key or len(key) > _MAX_KEY_BYTES:
            raise Problem(401, "stream_key", "Send the stream key as Authorization: Bearer, or as /whip/<key>.")
        offer = await self._endpoint.offer(request)
        try:
            plan = plan_publisher(offer)
        except NotAcceptable as error:
            raise Problem(406, "no_common_codec", f"{str(error).capitalize()}.") from error
        except SdpError as error:
            raise Problem(422, "unusable_offer", f"The offer cannot be taken: {error}.") from error
        if self._endpoint.sessions.draining or len(self._publishers) >= self._max_publishers:
            raise Problem(503, "no_room", "This pod takes no more publishers now.", retry_after_seconds=1)
        relay = Relay(self._routes, key, peer=request.client.host if request.client else "", protocol="whip")
        try:
            await relay.start()
        except PublishRefused as error:
            raise _problem(error) from error
        return self._begin(plan, relay)

    async def close(self) -> None:
        """Wait until the transcoders were told of the publishers that are gone."""
        for publisher in list(self._publishers):
            publisher.close()
            await publisher.closed()

    def _begin(self, plan: Plan, relay: Relay) -> Response:
        sessions = self._endpoint.sessions
        name = sessions.new_name()
        publisher = Publisher(
            sessions.port,
            sessions.identity,
            plan,
            relay,
            self._threads,
            on_end=lambda reason: sessions.forget(name, reason),
        )
        self._publishers.add(publisher)
        self._metrics.publishers.set(len(self._publishers))
        session = Session(name, "whip", publisher, lambda: self._left(publisher))
        return self._endpoint.created("whip", session, sessions.hold(session, plan, "recvonly"))

    def _left(self, publisher: Publisher) -> None:
        self._publishers.discard(publisher)
        self._metrics.publishers.set(len(self._publishers))


def _problem(refused: PublishRefused) -> Problem:
    if refused.reason == "taken":
        return Problem(409, "already_publishing", "Another publisher is live.", retry_after_seconds=5)
    if refused.reason == "key":
        return Problem(401, "stream_key", "The stream key is not valid.")
    if refused.reason == "address":
        return Problem(403, "address", "Publishing from this address is not allowed.")
    return Problem(503, "not_ready", "The stream is not ready, try again.", retry_after_seconds=1)
