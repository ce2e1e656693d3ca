"""The gRPC probe against a real server."""

import pytest

from hack.devcluster.node.prober import Outcome, check

grpc = pytest.importorskip("grpc")

_METHOD = "grpc.health.v1.Health"


async def execute(*_: object) -> tuple[int | None, str]:
    raise AssertionError("a gRPC probe runs no command")


async def ask(answer: bytes | None, service: str = "") -> tuple[Outcome, list[bytes]]:
    """The outcome against a server that gives one answer (None: it does not serve the method)."""
    seen: list[bytes] = []

    async def handle(request: bytes, context: object) -> bytes:
        seen.append(request)
        assert answer is not None
        return answer

    server = grpc.aio.server()
    if answer is not None:
        handlers = {"Check": grpc.unary_unary_rpc_method_handler(handle)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_METHOD, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        handler = {"grpc": {"port": port, "service": service}}
        return await check(handler, container={}, address="127.0.0.1", timeout=5, execute=execute), seen
    finally:
        await server.stop(0)


async def test_serving() -> None:
    outcome, seen = await ask(b"\x08\x01", "shop")
    assert outcome.success
    assert seen == [b"\x0a\x04shop"]


@pytest.mark.parametrize("answer", [b"\x08\x02", b"", None], ids=["not serving", "unknown", "no such service"])
async def test_not_serving(answer: bytes | None) -> None:
    outcome, _ = await ask(answer)
    assert not outcome.success
    assert "service unhealthy" in outcome.detail
