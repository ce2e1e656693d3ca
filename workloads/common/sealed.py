"""Short secrets that have to pass through Redis, closed with a key that only the operators and ingest hold.

AES-SIV: the same text gives the same bytes, so a publication that did not change is not written again, and a text that
was sealed about one thing cannot be passed off as another's.
"""

import base64
import binascii

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

KEY_BYTES = 64


class SealError(ValueError):
    """The key is no key, or the text was not sealed with it about this."""


class Seal:
    """Made of a key in base64; `new_key` makes one."""

    def __init__(self, key: str) -> None:
        try:
            raw = base64.b64decode(key, validate=True)
        except (binascii.Error, ValueError) as error:
            raise SealError("the sealing key is not base64") from error
        if len(raw) != KEY_BYTES:
            raise SealError(f"the sealing key has {len(raw)} bytes, {KEY_BYTES} are needed")
        self._cipher = AESSIV(raw)

    def close(self, text: str, *, about: str) -> str:
        """The sealed form, as base64."""
        return base64.b64encode(self._cipher.encrypt(text.encode(), [about.encode()])).decode()

    def open(self, sealed: str, *, about: str) -> str:
        """What was sealed; SealError when it was not, or about something else."""
        try:
            return self._cipher.decrypt(base64.b64decode(sealed, validate=True), [about.encode()]).decode()
        except (InvalidTag, ValueError) as error:
            raise SealError(f"what is kept of {about} cannot be opened") from error


def new_key() -> str:
    """A fresh key, as base64."""
    return base64.b64encode(AESSIV.generate_key(KEY_BYTES * 8)).decode()
