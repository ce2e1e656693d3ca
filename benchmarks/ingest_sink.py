"""A transcoder that throws away what it gets, for `benchmarks.ingest`: `python -m benchmarks.ingest_sink --port N`.

It answers `POST /ingest` with 100 and reads. It is a process of its own, so that ingest's CPU time is ingest's alone.
"""

import argparse
import asyncio
from typing import cast

import uvloop

_BUFFER_BYTES = 256 * 1024


class Sink(asyncio.BufferedProtocol):
    """One upload; every byte lands in the same buffer."""

    def __init__(self) -> None:
        self._buffer = bytearray(_BUFFER_BYTES)
        self._head = b""
        self._accepted = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ingest is there."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are no subclasses

    def get_buffer(self, sizehint: int) -> bytearray:
        """Where the next bytes go."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Accept once the head is whole."""
        if self._accepted or self._transport is None:
            return
        self._head += self._buffer[:nbytes]
        if b"\r\n\r\n" in self._head:
            self._accepted = True
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(_serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
