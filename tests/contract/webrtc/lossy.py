"""Helper: a UDP relay between a viewer and a pod that loses media on its way to the viewer."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

Address = tuple[str, int]


@dataclass
class Lossy(asyncio.DatagramProtocol):
    """`loses(datagram)` tells which ones of the pod's are lost."""

    pod: Address
    loses: Callable[[bytes], bool]
    viewer: Address | None = None
    lost: int = 0
    passed: list[bytes] = field(default_factory=list)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if addr != self.pod:
            self.viewer = addr
            self.transport.sendto(data, self.pod)  # type: ignore[attr-defined]
        elif is_media(data) and self.loses(data):
            self.lost += 1
        elif self.viewer:
            self.passed.append(data)
            self.transport.sendto(data, self.viewer)  # type: ignore[attr-defined]


def is_media(data: bytes) -> bool:
    """Whether a datagram is SRTP."""
    return data[0] >> 6 == 2 and not 192 <= data[1] <= 223


@contextlib.asynccontextmanager
async def lossy(loses: Callable[[bytes], bool]) -> AsyncIterator[tuple[Callable[[str], str], Lossy]]:
    """A relay, and what to do with the pod's answer so that media goes through it."""
    relay = Lossy(("127.0.0.1", 0), loses)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: relay, ("127.0.0.1", 0))
    own = transport.get_extra_info("sockname")[1]

    def rewrite(answer: str) -> str:
        found = re.search(r"a=candidate:1 1 udp \d+ 127.0.0.1 (\d+) ", answer)
        assert found
        relay.pod = ("127.0.0.1", int(found[1]))
        return answer.replace(f" 127.0.0.1 {found[1]} ", f" 127.0.0.1 {own} ")

    try:
        yield rewrite, relay
    finally:
        transport.close()
