"""SRT's encryption: keys wrapped with the passphrase, packets in AES counter mode; free of IO.

Source: draft-sharabayko-srt-01, sections 3.2.2 and 6. A connection has an even and an odd key, of which one is replaced
while the other is in use.
"""

import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

EVEN, ODD = 1, 2
_SIGNATURE = 0x12_2029
_AES_CTR, _NO_AUTHENTICATION, _OF_SRT = 2, 0, 2
_SALT_BYTES = 16
_ROUNDS = 2048
_HEAD = struct.Struct(">IIBBBBHBB")


class KeyMessageError(ValueError):
    """The key message is malformed, or asks for a cipher that is not spoken here."""


class BadSecret(Exception):
    """The passphrase does not open the keys."""


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """Salt and the keys by `EVEN` and `ODD`."""

    salt: bytes
    keys: dict[int, bytes]


def unwrap(message: bytes, passphrase: str) -> KeyMaterial:
    """Open a key message; BadSecret when the passphrase is another one."""
    if len(message) < _HEAD.size:
        raise KeyMessageError("the key message is too short")
    first, _, cipher, authentication, encapsulation, _, _, salt_words, key_words = _HEAD.unpack_from(message)
    if first >> 8 != _SIGNATURE:
        raise KeyMessageError("no key message")
    if (cipher, authentication, encapsulation) != (_AES_CTR, _NO_AUTHENTICATION, _OF_SRT):
        raise KeyMessageError(f"cipher {cipher} with authentication {authentication} is not spoken here")
    which = [key for key in (EVEN, ODD) if first & key]
    size = key_words * 4
    if salt_words * 4 != _SALT_BYTES or size not in (16, 24, 32) or not which:
        raise KeyMessageError(f"{salt_words * 4} bytes of salt, {len(which)} keys of {size} bytes")
    salt = message[_HEAD.size : _HEAD.size + _SALT_BYTES]
    wrapped = message[_HEAD.size + _SALT_BYTES :]
    if len(wrapped) != 8 + size * len(which):
        raise KeyMessageError("the wrapped keys have another length than announced")
    # SHA-1 is what the protocol names; here it only stretches a passphrase.
    kdf = PBKDF2HMAC(algorithm=SHA1(), length=size, salt=salt[8:], iterations=_ROUNDS)  # noqa: S303
    try:
        keys = aes_key_unwrap(kdf.derive(passphrase.encode()), wrapped)
    except InvalidUnwrap as error:
        raise BadSecret from error
    return KeyMaterial(salt, {key: keys[size * index : size * (index + 1)] for index, key in enumerate(which)})


class Decryptor:
    """The keys in use on one connection."""

    def __init__(self, material: KeyMaterial) -> None:
        self._salt = material.salt
        self._keys = dict(material.keys)

    def update(self, material: KeyMaterial) -> None:
        """New keys; those that the message does not have stay."""
        self._salt = material.salt
        self._keys.update(material.keys)

    def decrypt(self, sequence: int, key: int, payload: bytes) -> bytes | None:
        """The plain payload, or None when its key is not known."""
        secret = self._keys.get(key)
        if secret is None:
            return None
        nonce = int.from_bytes(self._salt[:14], "big") ^ sequence
        iv = nonce.to_bytes(14, "big") + b"\0\0"
        return Cipher(algorithms.AES(secret), modes.CTR(iv)).decryptor().update(payload)
