"""`/streams/<ns>/<name>/studio`: the host's view, which only the stream's transcoder can give, handed through.

The transcoder checks the token; nothing of the answer is kept here.
"""

import logging

from starlette.requests import Request
from starlette.responses import Response

from workloads.common.directory import DirectoryUnavailable
from workloads.common.origins import NotLive, Origins, UnknownStream
from workloads.common.problem import Problem
from workloads.edge.deliver.policy import is_stream_id
from workloads.edge.deliver.upstream import OriginAway, Upstream

STUDIO_PATH = "/streams/{namespace}/{name}/studio"
TIMEOUT_SECONDS = 5.0

logger = logging.getLogger(__name__)


class Studio:
    """The endpoint over the directory of origins."""

    def __init__(self, origins: Origins, upstream: Upstream) -> None:
        self._origins = origins
        self._upstream = upstream

    async def get(self, request: Request) -> Response:
        """The transcoder's answer; Problem 404 for an unknown stream, 503 when its transcoder is not there."""
        stream = f"{request.path_params['namespace']}/{request.path_params['name']}"
        if not is_stream_id(stream):
            raise Problem(404, "unknown_stream", "There is no such stream.")
        authorization = request.headers.get("authorization")
        try:
            origin = await self._origins.find(stream)
            entry = await self._upstream.fetch(
                f"{origin}/streams/{stream}/studio",
                headers={"Authorization": authorization} if authorization else None,
                timeout_seconds=TIMEOUT_SECONDS,
            )
        except UnknownStream:
            raise Problem(404, "unknown_stream", f"There is no stream {stream}.") from None
        except NotLive:
            raise Problem(503, "no_transcoder", f"{stream} has no transcoder now.", retry_after_seconds=1) from None
        except (OriginAway, DirectoryUnavailable) as error:
            self._origins.forget(stream)
            logger.warning("no answer from the transcoder: %s", error, extra={"stream": stream})
            detail = "The stream's transcoder does not answer, try again."
            raise Problem(503, "origin_away", detail, retry_after_seconds=1) from error
        headers = {"Content-Type": entry.content_type, "Cache-Control": "no-store"}
        if entry.status == 503:
            headers["Retry-After"] = "1"
        return Response(entry.body, entry.status, headers)
