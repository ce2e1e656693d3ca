"""The host's view through the edge, with a transcoder's HTTP interface behind it."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator

import httpx
import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn import Config, Server

from tests.contract.edge.conftest import Edge
from tests.support.servers import eventually, free_port
from workloads.common.origins import KEY
from workloads.common.problem import problem_response
from workloads.edge.serve import studio


async def answer(request: Request) -> Response:
    """Tells the name and the token that arrived; some names misbehave."""
    name = request.path_params["name"]
    if name.startswith("slow"):
        await asyncio.sleep(60)
    if name.startswith("moved"):
        return problem_response(503, "moved", "The stream is being moved, try again.")
    if name.startswith("broken"):
        return Response("no", 500)
    token = request.headers.get("authorization")
    if token is None:
        return problem_response(401, "token_missing", "Send a token.")
    return JSONResponse({"name": name, "token": token, "stream_key": ""})


@pytest.fixture
async def origin() -> AsyncIterator[str]:
    port = free_port()
    app = Starlette(routes=[Route("/streams/{namespace}/{name}/studio", answer)])
    server = Server(Config(app, port=port, log_level="warning", lifespan="off", timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await serving


@pytest.fixture
async def host(edge: Edge) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://{edge.address}", timeout=10) as client:
        yield client


async def known(redis: Redis, origin: str, kind: str = "ok") -> str:
    stream = f"shop/{kind}-{uuid.uuid4().hex[:8]}"
    await redis.hset(KEY, stream, json.dumps({"origin": origin}))
    return stream


async def test_the_answer_and_the_token_pass_through(host: httpx.AsyncClient, redis: Redis, origin: str) -> None:
    path = f"/streams/{await known(redis, origin)}/studio"
    found = await host.get(path, headers={"Authorization": "Bearer t"})
    assert (found.status_code, found.json()["token"], found.headers["cache-control"]) == (200, "Bearer t", "no-store")
    refused = await host.get(path)
    assert (refused.status_code, refused.json()["code"]) == (401, "token_missing")
    assert refused.headers["content-type"] == "application/problem+json"
    assert (await host.post(path)).status_code == 405


async def test_what_is_not_there_is_a_problem(
    host: httpx.AsyncClient, redis: Redis, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studio, "TIMEOUT_SECONDS", 0.3)
    cases = {
        "shop/unknown": (404, "unknown_stream"),
        "shop/No_Name": (404, "unknown_stream"),
        await known(redis, ""): (503, "no_transcoder"),
        await known(redis, f"http://127.0.0.1:{free_port()}"): (503, "origin_away"),
        await known(redis, origin, "slow"): (503, "origin_away"),
        await known(redis, origin, "broken"): (503, "origin_away"),
        await known(redis, origin, "moved"): (503, "moved"),
    }
    for stream, expected in cases.items():
        found = await host.get(f"/streams/{stream}/studio")
        assert (found.status_code, found.json()["code"]) == expected, stream
        assert found.headers["content-type"] == "application/problem+json"
        assert (found.status_code == 503) == ("retry-after" in found.headers)
