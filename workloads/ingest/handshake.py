"""The RTMP handshake of a server, in its plain form; free of IO (Adobe "RTMP 1.0", section 5.2).

S1 carries a zero version field, which tells clients that know the digest variant of the handshake not to expect it.
C2 is not compared with S1: librtmp-based encoders send garbage there and every server lets them.
"""

import secrets

VERSION = 3
BLOCK_BYTES = 1536
C0C1_BYTES = 1 + BLOCK_BYTES


class HandshakeError(ValueError):
    """The peer does not speak RTMP."""


class Handshake:
    """Consumes C0, C1 and C2; `feed` returns what to send, `done` says that chunks follow."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._greeted = False
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """Bytes to answer with (S0, S1 and S2 once C1 is whole); HandshakeError on a wrong version."""
        self._buffer += data
        if self._buffer and not self._greeted and self._buffer[0] != VERSION:
            raise HandshakeError(f"version {self._buffer[0]}, expected {VERSION}")
        answer = b""
        if not self._greeted and len(self._buffer) >= C0C1_BYTES:
            answer = server_greeting(bytes(self._buffer[1:C0C1_BYTES]), secrets.token_bytes(BLOCK_BYTES - 8))
            del self._buffer[:C0C1_BYTES]
            self._greeted = True
        if self._greeted and len(self._buffer) >= BLOCK_BYTES:
            del self._buffer[:BLOCK_BYTES]
            self.done = True
        return answer

    def rest(self) -> bytes:
        """Bytes that came after C2."""
        return bytes(self._buffer)


def server_greeting(c1: bytes, random: bytes) -> bytes:
    """S0, S1 and S2 for a client's C1; `random` has 1528 bytes."""
    return bytes((VERSION,)) + bytes(8) + random + c1
