"""The opening handshake (RFC 6455, 4.2) and what of permessage-deflate (RFC 7692) is accepted; free of IO.

uvicorn hands over the request as bytes that it has parsed and written anew, so its lines are well-formed here. A
refusal is a whole HTTP response with a problem document, so that a wrong path can be told from a pod that is down.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from http import HTTPStatus

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_DEFLATE = "permessage-deflate"
_ANSWER = f"{_DEFLATE}; server_no_context_takeover; client_no_context_takeover"


@dataclass(frozen=True, slots=True)
class Request:
    """A request to open a socket; header names in lower case, repeated headers joined by commas."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Refusal(Exception):
    """Why no socket is opened."""

    status: int
    code: str
    detail: str
    headers: tuple[tuple[str, str], ...] = ()

    def response(self) -> bytes:
        """The HTTP response, after which the connection is closed."""
        phrase = HTTPStatus(self.status).phrase
        document = {
            "type": f"urn:haat:{self.code}",
            "title": phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        body = json.dumps(document).encode()
        lines = [f"HTTP/1.1 {self.status} {phrase}", "Content-Type: application/problem+json"]
        lines += [f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def parse_request(data: bytes) -> Request:
    """The request head; Refusal when it is none."""
    head, *lines = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    method, _, rest = head.partition(" ")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise Refusal(400, "bad_handshake", "The request has a header line without a colon.")
        name, value = name.strip().lower(), value.strip()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return Request(method, rest.partition(" ")[0].partition("?")[0], headers)


def accept(request: Request, *, origins: Collection[str] = (), deflate: bool = True) -> tuple[bytes, bool]:
    """The 101 response and whether messages may be compressed; Refusal otherwise. No `origins` allows every origin."""
    headers = request.headers
    if request.method != "GET":
        raise Refusal(405, "method_not_allowed", "A socket is opened with GET.", (("Allow", "GET"),))
    if headers.get("sec-websocket-version") != "13":
        raise Refusal(426, "upgrade_required", "Speak WebSocket version 13.", (("Sec-WebSocket-Version", "13"),))
    origin = headers.get("origin", "")
    if origins and origin and origin not in origins:
        raise Refusal(403, "origin_refused", f"Pages of {origin} may not open this room.")
    compressed = deflate and _may_deflate(headers.get("sec-websocket-extensions", ""))
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    lines.append(f"Sec-WebSocket-Accept: {accept_value(headers.get('sec-websocket-key', ''))}")
    if compressed:
        lines.append(f"Sec-WebSocket-Extensions: {_ANSWER}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n", compressed


def accept_value(key: str) -> str:
    """The proof that the server understood the client's key."""
    try:
        valid = len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        valid = False
    if not valid:
        raise Refusal(400, "bad_handshake", "Sec-WebSocket-Key must be 16 bytes in base64.")
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def _may_deflate(header: str) -> bool:
    """Whether one of the offers can be answered. A small server window cannot: shared frames use the whole window."""
    for offer in header.lower().split(","):
        name, *parameters = (part.strip() for part in offer.split(";"))
        known = {"server_no_context_takeover", "client_no_context_takeover", "client_max_window_bits"}
        if name == _DEFLATE and all(item.partition("=")[0].strip() in known for item in parameters):
            return True
    return False
