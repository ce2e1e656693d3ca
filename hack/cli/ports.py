"""Choosing ports: those that the user asks for, else those of last time, else free ones.

A port is tried by binding it, which is the only honest answer; it may still be taken a moment later, and then the
server that wanted it says so.
"""

import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from hack.cli.errors import UserError


@dataclass(frozen=True, slots=True)
class Ports:
    """HTTP (Ingress), RTMP, the API server's, and SRT, which is UDP; 0: no SRT."""

    http: int
    rtmp: int
    api: int
    srt: int = 0


def choose(memory: Path, environment: dict[str, str] | None = None) -> Ports:
    """Ports for this checkout. HAAT_PORT, HAAT_RTMP_PORT and HAAT_SRT_PORT must be free; others are looked for."""
    env = dict(os.environ) if environment is None else environment
    last = _remembered(memory)
    taken: set[int] = set()

    def pick(variable: str, name: str, first: int, *, udp: bool = False) -> int:
        port = _demanded(env, variable, udp=udp) or _free_from([last.get(name, 0), first], taken, udp=udp)
        taken.add(port)
        return port

    ports = Ports(
        http=pick("HAAT_PORT", "http", 8080),
        rtmp=pick("HAAT_RTMP_PORT", "rtmp", 1935),
        api=pick("HAAT_API_PORT", "api", 6443),
        srt=pick("HAAT_SRT_PORT", "srt", 9710, udp=True),
    )
    memory.parent.mkdir(parents=True, exist_ok=True)
    memory.write_text(json.dumps(asdict(ports)))
    return ports


def is_free(port: int, *, udp: bool = False) -> bool:
    """Whether this port can be bound on loopback now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as probe:
        try:
            if not udp:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            if not udp:
                probe.listen(1)
        except OSError:
            return False
        return True


def _demanded(env: dict[str, str], variable: str, *, udp: bool) -> int | None:
    text = env.get(variable, "").strip()
    if not text:
        return None
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise UserError(f"{variable}={text} is not a port; give a number from 1 to 65535.")
    if not is_free(int(text), udp=udp):
        raise UserError(f"port {text} is taken by another program; stop it or set {variable} to a free port.")
    return int(text)


def _free_from(candidates: list[int], taken: set[int], *, udp: bool) -> int:
    start = candidates[-1]
    tries: list[int] = [item for item in candidates if item] + list(range(start, start + 500))
    for port in tries:
        if port not in taken and is_free(port, udp=udp):
            return port
    raise UserError(f"no free port from {start} to {start + 500}; set HAAT_PORT to a free one.")


def _remembered(memory: Path) -> dict[str, int]:
    try:
        document = json.loads(memory.read_text())
        return {str(name): int(port) for name, port in document.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
