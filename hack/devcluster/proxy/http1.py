"""HTTP/1.1 heads and body framing, as far as a proxy needs them. Pure. Source: RFC 9112.

A proxy that parses less does less per request: header lines are passed on as they came, only hop-by-hop ones go. Trap
avoided: request smuggling; a message whose framing two parsers could read differently is refused.
"""

from dataclasses import dataclass
from enum import Enum

MAX_HEAD = 65_536
_HOP_BY_HOP = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"proxy-authenticate"))
_BODILESS = frozenset((204, 304))


class BadMessage(Exception):
    """The peer sent no proper HTTP/1.x; `status` is the answer it deserves."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


class Framing(Enum):
    NONE = 0
    LENGTH = 1
    CHUNKED = 2
    UNTIL_CLOSE = 3


@dataclass(slots=True)
class Head:
    """A parsed head. `lines` are the header lines that may travel on, without line ends."""

    first: bytes
    lines: list[bytes]
    host: bytes
    framing: Framing
    length: int
    keep_alive: bool
    upgrade: bytes
    forwarded_for: bytes
    has_proto: bool
    has_forwarded_host: bool
    old: bool
    """HTTP/1.0."""


def parse_head(raw: bytes, *, request: bool) -> Head:
    """Parse a head without its final empty line. Raises BadMessage."""
    first, *rest = raw.split(b"\r\n")
    old = first.endswith(b"HTTP/1.0") if request else first.startswith(b"HTTP/1.0")
    head = Head(first, [], b"", Framing.NONE, 0, not old, b"", b"", False, False, old)
    connection, length, encoding, upgrade = b"", b"", b"", b""
    hosts = 0
    for line in rest:
        name, colon, value = line.partition(b":")
        if not colon or not name or name[-1:] in b" \t" or line[:1] in b" \t" or b"\n" in line or b"\r" in line:
            raise BadMessage("malformed header line")
        key, value = name.lower(), value.strip(b" \t")
        if key == b"connection":
            connection = connection + b"," + value.lower()
        elif key == b"content-length":
            if length and length != value:
                raise BadMessage("two values of Content-Length")
            if length:
                continue
            length = value
        elif key == b"transfer-encoding":
            encoding = encoding + b"," + value.lower() if encoding else value.lower()
        elif key == b"upgrade":
            upgrade = value
            continue
        elif key == b"host":
            hosts += 1
            head.host = value
        elif key == b"x-forwarded-for":
            head.forwarded_for = head.forwarded_for + b", " + value if head.forwarded_for else value
            continue
        elif key == b"x-forwarded-proto":
            head.has_proto = True
        elif key == b"x-forwarded-host":
            head.has_forwarded_host = True
        if key not in _HOP_BY_HOP:
            head.lines.append(line)
    _connection(head, connection, upgrade)
    _framing(head, length, encoding)
    if request and (hosts > 1 or (hosts == 0 and not old)):
        raise BadMessage("exactly one Host header is needed")
    return head


def _connection(head: Head, connection: bytes, upgrade: bytes) -> None:
    options = {option.strip() for option in connection.split(b",")}
    if b"close" in options:
        head.keep_alive = False
    elif head.old:
        head.keep_alive = b"keep-alive" in options
    if upgrade and b"upgrade" in options:
        head.upgrade = upgrade
    named = options - {b"", b"close", b"keep-alive", b"upgrade"}
    if named:
        head.lines = [line for line in head.lines if line.partition(b":")[0].lower() not in named]


def _framing(head: Head, length: bytes, encoding: bytes) -> None:
    if encoding:
        if length:
            raise BadMessage("both Content-Length and Transfer-Encoding")
        if encoding != b"chunked":
            raise BadMessage("transfer encoding is not supported", 501)
        head.framing = Framing.CHUNKED
    elif length:
        if not length.isdigit():
            raise BadMessage("Content-Length is no number")
        head.length = int(length)
        head.framing = Framing.LENGTH if head.length else Framing.NONE


@dataclass(slots=True)
class RequestLine:
    method: bytes
    target: bytes
    path: str


def parse_request_line(first: bytes) -> RequestLine:
    """Raises BadMessage."""
    parts = first.split(b" ")
    if len(parts) != 3 or parts[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise BadMessage("malformed request line", 505 if len(parts) == 3 and parts[2].startswith(b"HTTP/") else 400)
    method, target, _ = parts
    if target.startswith((b"http://", b"https://")):
        slash = target.find(b"/", 8)
        target = target[slash:] if slash >= 0 else b"/"
    if not target.startswith(b"/") and target != b"*":
        raise BadMessage("request target must be a path")
    return RequestLine(method, target, target.partition(b"?")[0].decode("latin-1"))


def parse_status(first: bytes) -> int:
    """Status code of a response line. Raises BadMessage."""
    parts = first.split(b" ", 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit():
        raise BadMessage("malformed status line", 502)
    return int(parts[1])


def response_framing(head: Head, status: int, method: bytes) -> Framing:
    """How the end of a response's body is found."""
    if method == b"HEAD" or status in _BODILESS or 100 <= status < 200:
        return Framing.NONE
    if head.framing is Framing.NONE and not any(line[:15].lower() == b"content-length:" for line in head.lines):
        return Framing.UNTIL_CLOSE
    return head.framing


def upstream_head(head: Head, line: RequestLine, *, client: str, scheme: bytes = b"http") -> bytes:
    """The request as it goes to the pod."""
    version = b"HTTP/1.0" if head.old else b"HTTP/1.1"
    chain = head.forwarded_for + b", " + client.encode() if head.forwarded_for else client.encode()
    lines = [line.method + b" " + line.target + b" " + version, *head.lines, b"X-Forwarded-For: " + chain]
    if not head.has_proto:
        lines.append(b"X-Forwarded-Proto: " + scheme)
    if not head.has_forwarded_host and head.host:
        lines.append(b"X-Forwarded-Host: " + head.host)
    if head.upgrade:
        lines.append(b"Connection: Upgrade")
        lines.append(b"Upgrade: " + head.upgrade)
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


def client_head(head: Head, status: int, *, close: bool) -> bytes:
    """The response as it goes to the client."""
    lines = [b"HTTP/1.1 " + head.first.split(b" ", 1)[1], *head.lines]
    if status == 101:
        lines.append(b"Connection: Upgrade")
        lines.append(b"Upgrade: " + head.upgrade)
    elif close:
        lines.append(b"Connection: close")
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


class BodyTracker:
    """Follows a body that passes by, to know where it ends."""

    __slots__ = ("_chunk", "_left", "_line", "_trailer", "done", "framing")

    def __init__(self, framing: Framing, length: int = 0) -> None:
        self.framing = framing
        self.done = framing is Framing.NONE
        self._left = length
        self._line = bytearray()
        self._chunk = False
        self._trailer = False

    def feed(self, data: bytes) -> int:
        """How many of these bytes belong to the body. Raises BadMessage on broken chunks."""
        if self.done:
            return 0
        if self.framing is Framing.UNTIL_CLOSE:
            return len(data)
        if self.framing is Framing.LENGTH:
            used = min(self._left, len(data))
            self._left -= used
            self.done = self._left == 0
            return used
        return self._chunks(data)

    def _chunks(self, data: bytes) -> int:
        position, size = 0, len(data)
        while position < size and not self.done:
            if self._left:
                step = min(self._left, size - position)
                self._left -= step
                position += step
                continue
            end = data.find(b"\n", position)
            if end < 0:
                self._line += data[position:]
                if len(self._line) > 4096:
                    raise BadMessage("chunk line too long")
                return size
            line = bytes(self._line) + data[position : end + 1]
            self._line.clear()
            position = end + 1
            self._on_line(line)
        return position

    def _on_line(self, line: bytes) -> None:
        if not line.endswith(b"\r\n"):
            raise BadMessage("chunk line without CR LF")
        text = line[:-2]
        if self._trailer:
            self.done = not text
        elif self._chunk:
            if text:
                raise BadMessage("chunk is longer than its size")
            self._chunk = False
        else:
            digits = text.partition(b";")[0].strip()
            if not digits or len(digits) > 15 or digits.strip(b"0123456789abcdefABCDEF"):
                raise BadMessage("chunk size is no hexadecimal number")
            self._left = int(digits, 16)
            self._trailer = self._left == 0
            self._chunk = not self._trailer
