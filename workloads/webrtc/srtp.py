"""SRTP as this pod uses it (RFC 3711, RFC 7714): libsrtp without a copy for each packet that goes out.

`pylibsrtp.Session.protect` allocates twice for each packet; the hot path gives libsrtp a place in a buffer instead. The
trap: libsrtp writes the tag behind the packet, so the buffer must have room there (`packets.Run` has).
"""

from dataclasses import dataclass
from typing import Any, Final

import pylibsrtp
from pylibsrtp import Policy
from pylibsrtp._binding import ffi, lib

_WINDOW = 1024
_SENT_WINDOW = 256


@dataclass(frozen=True, slots=True)
class Profile:
    """A protection profile: how OpenSSL and libsrtp call it, and its sizes in bytes."""

    openssl: bytes
    libsrtp: int
    key: int
    salt: int
    tag: int

    def keys(self, material: bytes, index: int) -> bytes:
        """Key and salt of the client (0) or the server (1) in DTLS's exported material (RFC 5764, 4.2)."""
        salts = 2 * self.key
        return (
            material[index * self.key : (index + 1) * self.key]
            + material[salts + index * self.salt : salts + (index + 1) * self.salt]
        )


PROFILES: Final = (
    Profile(b"SRTP_AEAD_AES_128_GCM", Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12, 16),
    Profile(b"SRTP_AES128_CM_SHA1_80", Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14, 10),
)
"""In the order of preference: GCM costs less, and everybody has the other one."""

Error = pylibsrtp.Error


def _session(profile: Profile, key: bytes, kind: int, window: int) -> pylibsrtp.Session:
    policy = Policy(key=key, ssrc_type=kind, srtp_profile=profile.libsrtp)
    policy.window_size = window
    policy.allow_repeat_tx = True
    return pylibsrtp.Session(policy)


class Scratch:
    """A buffer that libsrtp works in; one a process is enough, since nothing is kept in it."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)
        self.view = memoryview(self.data)
        self.base: Any = ffi.from_buffer(self.data)
        self.length: Any = ffi.new("int *")


class Outbound:
    """One peer's outgoing direction. `handle` and `protect` are for the hot path:
    `protect(handle, scratch.base + offset, scratch.length)` returns 0 when it went well."""

    protect: Final = staticmethod(lib.srtp_protect)

    def __init__(self, profile: Profile, key: bytes) -> None:
        self._session = _session(profile, key, Policy.SSRC_ANY_OUTBOUND, _SENT_WINDOW)
        self.tag_bytes = profile.tag
        self.handle: Any = self._session._srtp[0]

    def rtcp(self, packet: bytes) -> bytes:
        """A protected RTCP compound."""
        return self._session.protect_rtcp(packet)

    def rtp(self, packet: bytes) -> bytes:
        """A protected RTP packet, for the paths that are not hot."""
        return self._session.protect(packet)


class Inbound:
    """One peer's incoming direction; `srtp.Error` for what is forged, repeated or broken."""

    def __init__(self, profile: Profile, key: bytes) -> None:
        self._session = _session(profile, key, Policy.SSRC_ANY_INBOUND, _WINDOW)

    def rtcp(self, packet: bytes) -> bytes:
        """A plain RTCP compound."""
        return _checked(self._session.unprotect_rtcp, packet)

    def rtp(self, packet: bytes) -> bytes:
        """A plain RTP packet."""
        return _checked(self._session.unprotect, packet)


def _checked(unprotect: Any, packet: bytes) -> bytes:
    try:
        plain: bytes = unprotect(packet)
    except ValueError as error:
        raise Error(str(error)) from error
    return plain
