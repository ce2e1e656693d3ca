"""Content keys of a stream: derived from one mounted secret, so every pod and every edge finds the same ones; pure.

A key belongs to a period of segments; the number of a segment tells its period. The secret itself never leaves the pod.
"""

import hashlib
import hmac
from dataclasses import dataclass
from enum import StrEnum

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import BaseModel, ConfigDict, Field

MIN_SECRET_BYTES = 16


class Method(StrEnum):
    """`aes-128` encrypts whole segments and parts; `cbcs` the samples in them (ISO/IEC 23001-7)."""

    AES_128 = "aes-128"
    CBCS = "cbcs"


class Drm(BaseModel):
    """`drm` of stream.json. With `rotate_segments` every so many segments have a key of their own (0: one for all)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    method: Method
    rotate_segments: int = Field(0, ge=0, le=100_000)


@dataclass(frozen=True, slots=True)
class ContentKey:
    """A key with its identifier and constant initialisation vector, 16 bytes each."""

    period: int
    kid: bytes
    key: bytes
    iv: bytes


class Keys:
    """The keys of one stream."""

    def __init__(self, secret: bytes, stream: str, drm: Drm) -> None:
        if len(secret) < MIN_SECRET_BYTES:
            raise ValueError(f"the content secret needs at least {MIN_SECRET_BYTES} bytes")
        self.stream = stream
        self.method = drm.method
        self._rotate = drm.rotate_segments
        self._secret = secret

    def period_of(self, msn: int) -> int:
        """The period of a segment."""
        return msn // self._rotate if self._rotate else 0

    def of_segment(self, msn: int) -> ContentKey:
        """The key of a segment."""
        return self.of_period(self.period_of(msn))

    def of_period(self, period: int) -> ContentKey:
        """The key of a period."""
        made = self._derive(f"{self.method}/{period}", 32)
        return ContentKey(period, self._derive(f"kid/{self.method}/{period}", 16), made[:16], made[16:])

    def find(self, kid: bytes, periods: range) -> ContentKey | None:
        """The key with this identifier among some periods."""
        candidates = (self.of_period(period) for period in periods)
        return next((key for key in candidates if hmac.compare_digest(key.kid, kid)), None)

    def _derive(self, purpose: str, length: int) -> bytes:
        info = f"haat content {self.stream} {purpose}".encode()
        salt = hashlib.sha256(b"haat content keys").digest()
        return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(self._secret)
