"""Carrying out one probe or lifecycle handler: exec, httpGet, tcpSocket, grpc.

Trap avoided: a client library per probe would cost more than the probe; an HTTP check is one write and one status line.
"""

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from hack.devcluster.objects import Obj


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of one check; `detail` says why it failed."""

    success: bool
    detail: str = ""


Exec = Callable[[Sequence[str], float], Awaitable[tuple[int | None, str]]]
"""Runs a command in the container: (exit code or None on time-out, output)."""


class UnsupportedHandler(Exception):
    """A handler kind that this agent does not carry out."""


def port_number(container: Obj, port: int | str) -> int:
    """A probe's port, by number or by the container's port name. Raises ValueError."""
    if isinstance(port, int):
        return port
    for entry in container.get("ports") or []:
        if entry.get("name") == port:
            return int(entry["containerPort"])
    return int(port)


async def check(handler: Obj, *, container: Obj, address: str, timeout: float, execute: Exec) -> Outcome:
    """Run a handler. Raises UnsupportedHandler; every other trouble is a failed outcome."""
    if "exec" in handler:
        code, output = await execute(handler["exec"].get("command") or [], timeout)
        if code is None:
            return Outcome(False, f"command timed out after {timeout:g}s")
        return Outcome(code == 0, output.strip()[:400] or f"exit code {code}")
    try:
        if "httpGet" in handler:
            return await asyncio.wait_for(_http(handler["httpGet"], container, address), timeout)
        if "tcpSocket" in handler:
            target = handler["tcpSocket"]
            port = port_number(container, target["port"])
            _, writer = await asyncio.wait_for(asyncio.open_connection(target.get("host") or address, port), timeout)
            writer.close()
            return Outcome(True)
        if "grpc" in handler:
            return await grpc_health(
                f"{address}:{handler['grpc']['port']}", handler["grpc"].get("service") or "", timeout
            )
    except TimeoutError:
        return Outcome(False, f"no answer within {timeout:g}s")
    except (OSError, ValueError) as error:
        return Outcome(False, str(error))
    raise UnsupportedHandler(f"handler {sorted(set(handler) & {'grpc', 'sleep'}) or sorted(handler)} is not supported")


async def grpc_health(target: str, service: str, timeout: float) -> Outcome:
    """grpc.health.v1.Health/Check without TLS. Raises UnsupportedHandler where grpcio is not installed."""
    try:
        # Not at the top: it costs tens of MiB, which only a pod with such a probe shall cost.
        import grpc  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise UnsupportedHandler("a gRPC probe needs the package grpcio, which is not installed") from error
    name = service.encode()
    request = b"\x0a" + bytes([len(name)]) + name if name else b""
    async with grpc.aio.insecure_channel(target) as channel:
        check_method = channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            answer: bytes = await check_method(request, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            return Outcome(False, f"service unhealthy (responded with {error.code().name}: {error.details()})")
    # HealthCheckResponse: field 1, a varint; 1 is SERVING, absent is UNKNOWN.
    status = answer[1] if len(answer) > 1 and answer[0] == 0x08 else 0
    return Outcome(status == 1, f"service unhealthy (responded with {status})")


async def _http(target: Obj, container: Obj, address: str) -> Outcome:
    host, port = target.get("host") or address, port_number(container, target["port"])
    tls = None
    if str(target.get("scheme", "HTTP")).upper() == "HTTPS":
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    try:
        headers = {"Host": f"{host}:{port}", "User-Agent": "kube-probe/1.0", "Accept": "*/*", "Connection": "close"}
        headers.update({entry["name"]: entry["value"] for entry in target.get("httpHeaders") or []})
        lines = [f"GET {target.get('path') or '/'} HTTP/1.1", *(f"{key}: {value}" for key, value in headers.items())]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        status_line = await reader.readline()
    finally:
        writer.close()
    words = status_line.split(b" ", 2)
    if len(words) < 2 or not words[1].isdigit():
        return Outcome(False, "malformed HTTP answer")
    code = int(words[1])
    return Outcome(200 <= code < 400, f"HTTP probe failed with statuscode: {code}")


def read_output(descriptor: int, limit: int = 4096) -> str:
    """Text a finished command left in an in-memory file; closes it."""
    try:
        return os.pread(descriptor, limit, 0).decode("utf-8", "replace")
    finally:
        os.close(descriptor)
