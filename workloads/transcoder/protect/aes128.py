"""HLS `METHOD=AES-128`: a whole segment, or a whole part, in AES-CBC with padding; free of IO.

Its initialisation vector is the number of the segment, as RFC 8216 (5.2) has it where a playlist names none.
"""

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from workloads.transcoder.protect.keys import ContentKey


def encrypt(data: bytes, key: ContentKey, msn: int) -> bytes:
    """The bytes of segment `msn`, or of one of its parts, as they are sent."""
    padder = padding.PKCS7(128).padder()
    padded = padder.update(data) + padder.finalize()
    encryptor = Cipher(algorithms.AES(key.key), modes.CBC(msn.to_bytes(16, "big"))).encryptor()
    return encryptor.update(padded) + encryptor.finalize()
