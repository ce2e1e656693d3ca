"""STUN messages as far as an ICE-lite agent needs them (RFC 8489, RFC 8445); free of IO.

Whatever comes from the network may be garbage: `parse` gives None for it, and nothing is believed before `authentic`.
"""

import hmac
import ipaddress
import struct
import zlib
from dataclasses import dataclass
from typing import Final

MAGIC_COOKIE: Final = 0x2112A442
BINDING_REQUEST: Final = 0x0001
BINDING_RESPONSE: Final = 0x0101
BINDING_ERROR: Final = 0x0111
BINDING_INDICATION: Final = 0x0011

USERNAME: Final = 0x0006
MESSAGE_INTEGRITY: Final = 0x0008
ERROR_CODE: Final = 0x0009
XOR_MAPPED_ADDRESS: Final = 0x0020
PRIORITY: Final = 0x0024
USE_CANDIDATE: Final = 0x0025
FINGERPRINT: Final = 0x8028
ICE_CONTROLLED: Final = 0x8029
ICE_CONTROLLING: Final = 0x802A

_HEADER_BYTES = 20
_FINGERPRINT_XOR = 0x5354554E
_INTEGRITY_BYTES, _FINGERPRINT_BYTES = 24, 8

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Message:
    """A parsed message; `integrity_at` is where its MESSAGE-INTEGRITY begins in `data`, -1 when it has none."""

    kind: int
    transaction: bytes
    attributes: dict[int, bytes]
    data: bytes
    integrity_at: int

    @property
    def username(self) -> tuple[str, str]:
        """The receiver's and the sender's fragment; empty when there is none."""
        local, _, remote = self.attributes.get(USERNAME, b"").decode("utf-8", "replace").partition(":")
        return local, remote


def is_stun(data: bytes) -> bool:
    """Whether a datagram is STUN by its first bytes (RFC 7983)."""
    return len(data) >= _HEADER_BYTES and data[0] < 2 and data[4:8] == b"\x21\x12\xa4\x42"


def parse(data: bytes) -> Message | None:
    """The message, or None when the bytes are none; a FINGERPRINT that is there must be right."""
    if not is_stun(data):
        return None
    kind, length = struct.unpack_from(">HH", data)
    if length % 4 or len(data) != _HEADER_BYTES + length:
        return None
    attributes: dict[int, bytes] = {}
    integrity_at = -1
    at = _HEADER_BYTES
    while at < len(data):
        if len(data) - at < 4:
            return None
        name, size = struct.unpack_from(">HH", data, at)
        value = data[at + 4 : at + 4 + size]
        if len(value) != size:
            return None
        if name == FINGERPRINT:
            good = size == 4 and int.from_bytes(value, "big") == _fingerprint(data[:at], _FINGERPRINT_BYTES)
            return Message(kind, data[8:20], attributes, data, integrity_at) if good else None
        # What follows MESSAGE-INTEGRITY is not covered by it, so it does not count.
        if integrity_at < 0:
            attributes.setdefault(name, value)
        if name == MESSAGE_INTEGRITY and integrity_at < 0:
            integrity_at = at
        at += 4 + size + (-size % 4)
    return Message(kind, data[8:20], attributes, data, integrity_at)


def authentic(message: Message, password: bytes) -> bool:
    """Whether the sender knows the password (short-term credentials)."""
    if message.integrity_at < 0:
        return False
    wanted = _integrity(message.data[: message.integrity_at], password)
    return hmac.compare_digest(wanted, message.attributes[MESSAGE_INTEGRITY])


def build(kind: int, transaction: bytes, attributes: list[tuple[int, bytes]], password: bytes) -> bytes:
    """A message with MESSAGE-INTEGRITY and FINGERPRINT."""
    body = b"".join(struct.pack(">HH", name, len(value)) + value + bytes(-len(value) % 4) for name, value in attributes)
    head = struct.pack(">HHI", kind, len(body), MAGIC_COOKIE) + transaction + body
    signed = (
        _with_length(head, _INTEGRITY_BYTES) + struct.pack(">HH", MESSAGE_INTEGRITY, 20) + _integrity(head, password)
    )
    crc = struct.pack(">I", _fingerprint(signed, _FINGERPRINT_BYTES))
    return _with_length(signed, _FINGERPRINT_BYTES) + struct.pack(">HH", FINGERPRINT, 4) + crc


def binding_response(request: Message, address: Address, password: bytes) -> bytes:
    """The success answer that tells the sender its address."""
    mapped = xor_address(address, request.transaction)
    return build(BINDING_RESPONSE, request.transaction, [(XOR_MAPPED_ADDRESS, mapped)], password)


def xor_address(address: Address, transaction: bytes) -> bytes:
    """The value of XOR-MAPPED-ADDRESS."""
    ip = ipaddress.ip_address(address[0].partition("%")[0])
    mask = MAGIC_COOKIE.to_bytes(4, "big") + transaction
    masked = bytes(one ^ other for one, other in zip(ip.packed, mask, strict=False))
    return struct.pack(">BBH", 0, 1 if ip.version == 4 else 2, address[1] ^ MAGIC_COOKIE >> 16) + masked


def parse_xor_address(value: bytes, transaction: bytes) -> Address | None:
    """The address in XOR-MAPPED-ADDRESS, None when it is none."""
    if len(value) not in (8, 20):
        return None
    mask = MAGIC_COOKIE.to_bytes(4, "big") + transaction
    packed = bytes(one ^ other for one, other in zip(value[4:], mask, strict=False))
    return str(ipaddress.ip_address(packed)), int.from_bytes(value[2:4], "big") ^ MAGIC_COOKIE >> 16


def _with_length(data: bytes, more: int) -> bytes:
    """`data` whose header counts the attribute of `more` bytes that will follow."""
    return data[:2] + struct.pack(">H", len(data) - _HEADER_BYTES + more) + data[4:]


def _integrity(before: bytes, password: bytes) -> bytes:
    return hmac.digest(password, _with_length(before, _INTEGRITY_BYTES), "sha1")


def _fingerprint(before: bytes, more: int) -> int:
    return zlib.crc32(_with_length(before, more)) ^ _FINGERPRINT_XOR
