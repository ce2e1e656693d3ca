"""The pod's one UDP port: who a datagram is from, and how datagrams leave.

Peers are found by their address once a STUN request with their fragment has told it. Groups of datagrams leave with
one system call where the kernel segments them (UDP_SEGMENT), else one by one. A full send buffer drops: what is lost is
asked for again, and waiting would make every other viewer late.
"""

import asyncio
import contextlib
import errno
import logging
import socket
import struct
from typing import Protocol

from workloads.webrtc import stun
from workloads.webrtc.stun import Address

_SOL_UDP, _UDP_SEGMENT = 17, 103
_BUFFER_BYTES = 4 * 1024 * 1024
_MAX_DATAGRAM_BYTES = 2048
_READS_AT_ONCE = 64
_UNSEGMENTED = frozenset((errno.EIO, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOPROTOOPT))

logger = logging.getLogger(__name__)


class Receiver(Protocol):
    """A peer, as the port sees it."""

    def stun(self, message: stun.Message, address: Address) -> bool:
        """Take a request with this peer's fragment; True when it is authentic, so that the address is the peer's."""
        ...

    def datagram(self, data: bytes) -> None:
        """Take a datagram that is no STUN."""
        ...


class UdpPort:
    """Made by `open_port`; `close` it."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._loop = asyncio.get_running_loop()
        self._by_fragment: dict[str, Receiver] = {}
        self._by_address: dict[Address, Receiver] = {}
        self._group_controls: dict[int, list[tuple[int, int, bytes]]] = {}
        self.segments = segmentation_works(sock)
        self.address: Address = sock.getsockname()[:2]
        self.packets_sent = self.bytes_sent = self.dropped = self.unknown = 0
        self._loop.add_reader(sock, self._readable)

    def register(self, fragment: str, receiver: Receiver) -> None:
        """Requests for this fragment are the receiver's."""
        self._by_fragment[fragment] = receiver

    def forget(self, fragment: str) -> None:
        """The peer is gone."""
        receiver = self._by_fragment.pop(fragment, None)
        for address in [address for address, found in self._by_address.items() if found is receiver]:
            del self._by_address[address]

    def send(self, data: bytes, address: Address) -> None:
        """One datagram."""
        try:
            self._socket.sendto(data, address)
        except OSError:
            self.dropped += 1
            return
        self.packets_sent += 1
        self.bytes_sent += len(data)

    def send_group(self, data: memoryview, segment: int, packets: int, address: Address) -> bool:
        """Consecutive datagrams of `segment` bytes each but the last; False when the kernel had no room."""
        try:
            if packets == 1:
                self._socket.sendto(data, address)
            elif self.segments:
                control = self._group_controls.get(segment)
                if control is None:
                    control = self._group_controls[segment] = [(_SOL_UDP, _UDP_SEGMENT, struct.pack("=H", segment))]
                self._socket.sendmsg((data,), control, 0, address)
            else:
                for at in range(0, len(data), segment):
                    self._socket.sendto(data[at : at + segment], address)
        except OSError as error:
            if packets > 1 and self.segments and error.errno in _UNSEGMENTED:
                logger.warning("this network does not segment datagrams, sending one by one: %s", error)
                self.segments = False
                return self.send_group(data, segment, packets, address)
            self.dropped += packets
            return False
        self.packets_sent += packets
        self.bytes_sent += len(data)
        return True

    def close(self) -> None:
        """Take and send nothing any more."""
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        for _ in range(_READS_AT_ONCE):
            try:
                data, source = self._socket.recvfrom(_MAX_DATAGRAM_BYTES)
            except OSError:
                return
            self._take(data, source[:2])

    def _take(self, data: bytes, address: Address) -> None:
        if stun.is_stun(data):
            self._take_stun(data, address)
            return
        receiver = self._by_address.get(address)
        if receiver is None:
            self.unknown += 1
        else:
            receiver.datagram(data)

    def _take_stun(self, data: bytes, address: Address) -> None:
        message = stun.parse(data)
        receiver = self._by_fragment.get(message.username[0]) if message else None
        if message is None or receiver is None or message.kind != stun.BINDING_REQUEST:
            self.unknown += 1
        elif receiver.stun(message, address):
            self._by_address[address] = receiver


def open_port(host: str, port: int) -> UdpPort:
    """Bind on the running event loop; OSError when that is not possible."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return UdpPort(sock)


def segmentation_works(sock: socket.socket) -> bool:
    """Whether the kernel knows UDP_SEGMENT, found by asking for its value."""
    try:
        sock.getsockopt(_SOL_UDP, _UDP_SEGMENT)
    except OSError:
        return False
    return True
