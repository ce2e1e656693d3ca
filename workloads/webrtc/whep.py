"""`POST /whep/<ns>/<name>`: an offer becomes a viewer."""

import re

from starlette.requests import Request
from starlette.responses import Response

from workloads.common.problem import Problem
from workloads.webrtc.access import Access
from workloads.webrtc.endpoint import Endpoint
from workloads.webrtc.negotiate import NotAcceptable, plan_viewer
from workloads.webrtc.sdp import SdpError

_NAME = r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?"
_STREAM = re.compile(rf"{_NAME}/{_NAME}")
_RUNG = re.compile(r"([a-z0-9][a-z0-9-]{0,30})?")


class Whep:
    """The viewers' interface."""

    def __init__(self, endpoint: Endpoint, access: Access) -> None:
        self._endpoint = endpoint
        self._access = access

    async def post(self, request: Request) -> Response:
        """Serve a viewer; `?rung=` keeps it on one rung."""
        stream = f"{request.path_params['namespace']}/{request.path_params['name']}"
        rung = request.query_params.get("rung", "")
        if not _STREAM.fullmatch(stream):
            raise Problem(404, "unknown_stream", "This is no stream's name.")
        if not _RUNG.fullmatch(rung):
            raise Problem(404, "unknown_rung", "This is no rung's name.")
        viewer, grant = await self._access.admit(stream, request)
        offer = await self._endpoint.offer(request)
        try:
            plan = plan_viewer(offer)
        except NotAcceptable as error:
            raise Problem(406, "no_common_codec", f"{str(error).capitalize()}.") from error
        except SdpError as error:
            raise Problem(422, "unusable_offer", f"The offer cannot be served: {error}.") from error
        session, text = await self._endpoint.sessions.view(stream, plan, rung)
        if grant.rules.restricted or grant.rules.slug:
            self._access.keep(session.id, stream, viewer)
        return self._endpoint.created("whep", session, text)
