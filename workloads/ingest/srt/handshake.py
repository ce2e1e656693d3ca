"""The handshake of a caller with our listener, version 5; free of IO.

Source: draft-sharabayko-srt-01, sections 3.2.1 and 4.3. Until a caller has returned our cookie nothing is kept of it,
so a forged address costs one short answer.
"""

import hashlib
import hmac
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum, IntFlag

VERSION = 5
LIBRARY_VERSION = 0x010500
INDUCTION, CONCLUSION = 1, 0xFFFFFFFF
MAGIC = 0x4A17
_REJECTION = 1000
_BODY = struct.Struct(">IHHIIIIII16s")
_COOKIE_SECONDS = 60
_MAX_STREAM_ID = 512


class HandshakeError(ValueError):
    """The handshake is malformed."""


class Extension(IntEnum):
    """Extensions of a conclusion that are looked at."""

    HSREQ = 1
    HSRSP = 2
    KMREQ = 3
    KMRSP = 4
    STREAM_ID = 5


class Flag(IntFlag):
    """What a side can do."""

    TSBPD_SENDER = 0x01
    TSBPD_RECEIVER = 0x02
    CRYPT = 0x04
    DROP_TOO_LATE = 0x08
    PERIODIC_NAK = 0x10
    REXMIT = 0x20
    STREAM = 0x40


OURS = Flag.TSBPD_SENDER | Flag.TSBPD_RECEIVER | Flag.CRYPT | Flag.DROP_TOO_LATE | Flag.PERIODIC_NAK | Flag.REXMIT


class Rejection(IntEnum):
    """Why a caller is refused; those from 1000 on are HTTP's statuses by SRT's access control guidelines."""

    RESOURCE = 3
    ROGUE = 4
    VERSION = 8
    BAD_SECRET = 10
    UNSECURE = 11
    MESSAGE_API = 12
    BAD_REQUEST = 1400
    UNAUTHORIZED = 1401
    FORBIDDEN = 1403
    BAD_MODE = 1405
    CONFLICT = 1409
    DOWN = 1503


@dataclass(frozen=True, slots=True)
class Handshake:
    """The body of a handshake packet; `extensions` are (type, content), in order."""

    version: int
    encryption: int
    extension_field: int
    sequence: int
    mtu: int
    window: int
    kind: int
    socket: int
    cookie: int
    address: bytes
    extensions: tuple[tuple[int, bytes], ...] = ()

    def extension(self, wanted: Extension) -> bytes | None:
        """Content of the first extension of that type."""
        return next((content for kind, content in self.extensions if kind == wanted), None)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a caller asks for in its conclusion."""

    flags: Flag
    latency_ms: int
    stream: str
    key_message: bytes | None


def parse(body: bytes) -> Handshake:
    """The handshake of a packet's body."""
    if len(body) < _BODY.size:
        raise HandshakeError(f"{len(body)} bytes are no handshake")
    version, encryption, field, sequence, mtu, window, kind, socket, cookie_, address = _BODY.unpack_from(body)
    extensions = tuple(_extensions(body[_BODY.size :])) if version == VERSION and kind == CONCLUSION else ()
    return Handshake(version, encryption, field, sequence, mtu, window, kind, socket, cookie_, address, extensions)


def pack(handshake: Handshake) -> bytes:
    """The body of a handshake packet."""
    head = _BODY.pack(
        handshake.version,
        handshake.encryption,
        handshake.extension_field,
        handshake.sequence,
        handshake.mtu,
        handshake.window,
        handshake.kind,
        handshake.socket,
        handshake.cookie,
        handshake.address,
    )
    rest = (struct.pack(">HH", kind, len(content) // 4) + content for kind, content in handshake.extensions)
    return head + b"".join(rest)


def terms(handshake: Handshake) -> Terms:
    """What a conclusion asks for; HandshakeError when the mandatory part is missing."""
    request = handshake.extension(Extension.HSREQ)
    if request is None or len(request) < 12:
        raise HandshakeError("the conclusion has no HSREQ")
    _, flags, receiver_ms, sender_ms = struct.unpack_from(">IIHH", request)
    stream = _words_reversed(handshake.extension(Extension.STREAM_ID) or b"")
    text = stream[:_MAX_STREAM_ID].rstrip(b"\0").decode("utf-8", "replace")
    return Terms(Flag(flags & 0x7F), max(receiver_ms, sender_ms), text, handshake.extension(Extension.KMREQ))


def stream_name(stream_id: str) -> str:
    """The stream of a stream id: all of it, or member `r` of `#!::r=shop/launch,m=publish`.

    HandshakeError for a caller that wants to play.
    """
    if not stream_id.startswith("#!::"):
        return stream_id.strip("/")
    members = dict(item.partition("=")[::2] for item in stream_id[4:].split(","))
    if members.get("m", "publish") != "publish":
        raise HandshakeError("this listener only takes publishers")
    return members.get("r", "").strip("/")


def induction(request: Handshake, cookie: int) -> Handshake:
    """Our answer to the first packet."""
    return replace(request, version=VERSION, encryption=0, extension_field=MAGIC, kind=INDUCTION, cookie=cookie)


def conclusion(request: Handshake, *, socket: int, latency_ms: int, key_message: bytes | None) -> Handshake:
    """Our answer to an accepted conclusion; `key_message` is the caller's own, as a receipt."""
    response = struct.pack(">IIHH", LIBRARY_VERSION, OURS, latency_ms, latency_ms)
    extensions: tuple[tuple[int, bytes], ...] = ((Extension.HSRSP, response),)
    if key_message is not None:
        extensions += ((Extension.KMRSP, key_message),)
    field = 1 | (2 if key_message is not None else 0)
    return replace(request, encryption=0, extension_field=field, socket=socket, cookie=0, extensions=extensions)


def rejection(request: Handshake, reason: Rejection) -> Handshake:
    """Our answer to a refused caller."""
    return replace(request, version=VERSION, kind=_REJECTION + reason, extension_field=0, extensions=())


def cookie(secret: bytes, peer: str, now: float) -> int:
    """The cookie of a peer in this minute."""
    text = f"{peer} {int(now // _COOKIE_SECONDS)}".encode()
    return int.from_bytes(hmac.digest(secret, text, hashlib.sha256)[:4], "big")


def knows_cookie(value: int, secret: bytes, peer: str, now: float) -> bool:
    """Whether the peer has a cookie of this minute or the last one."""
    return value in (cookie(secret, peer, now), cookie(secret, peer, now - _COOKIE_SECONDS))


def _extensions(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 4 <= len(data):
        kind, words = struct.unpack_from(">HH", data, offset)
        end = offset + 4 + words * 4
        if end > len(data):
            raise HandshakeError("an extension is cut off")
        yield kind, data[offset + 4 : end]
        offset = end


def _words_reversed(data: bytes) -> bytes:
    """Text in extensions comes in words of four bytes, each from right to left."""
    return b"".join(data[offset : offset + 4][::-1] for offset in range(0, len(data), 4))
