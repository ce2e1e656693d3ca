"""Loopback addresses for pods: a slice of 127.64.0.0/11 per cluster, one address per pod.

Two clusters on one machine must not meet. The slice follows from the state folder, and the agent's own listener on the
slice's first address is the lock: when it is taken, the next slice is tried.
"""

import hashlib
import ipaddress
from collections.abc import Iterator

_FIRST = int(ipaddress.IPv4Address("127.64.0.0"))
SLICE_BITS = 12
SLICE_SIZE: int = 1 << SLICE_BITS
SLICES = 2 ** (21 - SLICE_BITS)
KUBELET_PORT = 10250
_RESERVED = 10


def slice_order(state_dir: str) -> Iterator[int]:
    """Slice numbers to try, the preferred one first."""
    start = int.from_bytes(hashlib.sha256(state_dir.encode()).digest()[:4], "big") % SLICES
    for step in range(SLICES):
        yield (start + step) % SLICES


def node_address(number: int) -> str:
    """The address of the agent itself in a slice."""
    return str(ipaddress.IPv4Address(_FIRST + (number << SLICE_BITS) + 1))


class AddressPool:
    """Hands out the addresses of one slice in turn, so that a freed one rests before it is used again."""

    def __init__(self, number: int) -> None:
        self._base = _FIRST + (number << SLICE_BITS)
        self._taken: dict[str, str] = {}
        self._next = _RESERVED

    def acquire(self, owner: str, *, preferred: str = "") -> str:
        """Address for an owner (a pod's uid), the same one when asked again. Raises RuntimeError when none is free."""
        for address, holder in self._taken.items():
            if holder == owner:
                return address
        if preferred and self._inside(preferred) and preferred not in self._taken:
            self._taken[preferred] = owner
            return preferred
        size = SLICE_SIZE - 2
        for _ in range(size):
            address = str(ipaddress.IPv4Address(self._base + self._next))
            self._next = self._next + 1 if self._next + 1 <= size else _RESERVED
            if address not in self._taken:
                self._taken[address] = owner
                return address
        raise RuntimeError("no pod address is free")

    def release(self, owner: str) -> None:
        for address, holder in list(self._taken.items()):
            if holder == owner:
                del self._taken[address]

    def _inside(self, address: str) -> bool:
        offset = int(ipaddress.IPv4Address(address)) - self._base
        return _RESERVED <= offset < SLICE_SIZE - 1
