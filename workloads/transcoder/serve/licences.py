"""`/keys/<ns>/<name>/…`: content keys for the edge, which decides who may have them.

`GET …/<period>` is the key of an HLS playlist (16 bytes); `POST …/license` answers a ClearKey licence request (W3C
Encrypted Media Extensions, 9.1.3). The trap is the edge that forgets to ask: this path is not in its media paths.
"""

import base64
import binascii
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from workloads.common.problem import Problem
from workloads.transcoder.protect.keys import Keys
from workloads.transcoder.stream import Stream

MAX_BODY_BYTES = 8192
MAX_KIDS = 32
_AHEAD_PERIODS = 2


async def get_key(request: Request, stream: Stream) -> Response:
    """The key of a period that is in the window; Problem 404 for another."""
    keys = _keys(stream)
    period = int(request.path_params["period"])
    if period not in _periods(stream, keys):
        raise Problem(404, "unknown_key", "There is no key for this period.")
    key = keys.of_period(period).key
    return Response(key, media_type="application/octet-stream", headers={"Cache-Control": "no-store"})


async def license(request: Request, stream: Stream) -> Response:
    """`{"keys": [{"kty", "kid", "k"}], "type": "temporary"}` for `{"kids": […]}`; Problem 400 for another body."""
    keys = _keys(stream)
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise Problem(413, "too_large", f"The body may have {MAX_BODY_BYTES} bytes.")
    found = [keys.find(kid, _periods(stream, keys)) for kid in _kids(body)]
    answer = [{"kty": "oct", "kid": _encode(key.kid), "k": _encode(key.key)} for key in found if key]
    if not answer:
        raise Problem(404, "unknown_key", "None of these keys belongs to the stream.")
    return JSONResponse({"keys": answer, "type": "temporary"}, headers={"Cache-Control": "no-store"})


def _keys(stream: Stream) -> Keys:
    if stream.protector is None:
        raise Problem(404, "not_protected", "This stream is not encrypted.")
    return stream.protector.keys


def _periods(stream: Stream, keys: Keys) -> range:
    """Periods of the segments that are kept, and of those to come soon."""
    renditions = stream.renditions.values()
    first = min((item.segments[0].msn for item in renditions if item.segments), default=0)
    last = max((item.open_msn for item in renditions), default=0)
    return range(keys.period_of(first), keys.period_of(last) + _AHEAD_PERIODS)


def _kids(body: bytes) -> list[bytes]:
    try:
        document: Any = json.loads(body)
        kids = document["kids"]
        return [base64.urlsafe_b64decode(f"{kid}==") for kid in kids[:MAX_KIDS]]
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        reason = {"field": "kids", "reason": "must be key identifiers in base64url"}
        raise Problem(400, "invalid", "This is no licence request.", errors=[reason]) from error


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
