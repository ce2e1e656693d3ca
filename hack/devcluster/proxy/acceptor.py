"""A TCP listener that takes all waiting connections at each wake-up.

Trap avoided: libuv accepts one connection per turn of its loop; under load a turn lasts tens of milliseconds, and
newcomers wait for seconds while the old connections are served.
"""

import asyncio
import logging
import socket
from collections.abc import Callable

log = logging.getLogger(__name__)

_AT_ONCE = 128


class Acceptor:
    """Listens on one address until closed; connections it accepted live on."""

    def __init__(
        self, factory: Callable[[], asyncio.Protocol], address: str, port: int, *, backlog: int = 1024
    ) -> None:
        """Raises OSError when the address cannot be had. Needs a running loop."""
        self._factory = factory
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.setblocking(False)
            self._socket.bind((address, port))
            self._socket.listen(backlog)
        except OSError:
            self._socket.close()
            raise
        self._loop.add_reader(self._socket.fileno(), self._ready)

    def _ready(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, _peer = self._socket.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                # Out of descriptors, or the peer is gone already: the next wake-up tries again.
                log.warning("a connection was not accepted: %s", error)
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._adopt(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _adopt(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._factory, connection)
        except OSError:
            connection.close()

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
