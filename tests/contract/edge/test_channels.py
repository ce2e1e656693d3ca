"""A channel's permanent address, with a real Redis."""

import json
import uuid
from collections.abc import AsyncIterator

import httpx
import pytest
from redis.asyncio import Redis

from tests.contract.edge.conftest import Edge
from tests.support.servers import eventually
from workloads.edge.serve.channels import KEY


@pytest.fixture
async def viewer(edge: Edge) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://{edge.address}", headers={"Accept": "text/html"}) as client:
        yield client


async def channel(redis: Redis, stream: object) -> str:
    slug = f"c-{uuid.uuid4().hex[:8]}"
    await redis.hset(KEY, slug, json.dumps({"channel": "shop/aarong", "title": "Aarong", "stream": stream}))
    return slug


async def test_a_channel_on_air_leads_to_its_stream(viewer: httpx.AsyncClient, redis: Redis) -> None:
    slug = await channel(redis, "shop/launch")
    found = await viewer.get(f"/c/{slug}?from=poster")
    assert (found.status_code, found.headers["location"]) == (302, "/s/shop/launch?from=poster")
    assert found.headers["cache-control"] == "no-store"
    assert (await viewer.head(f"/c/{slug}")).headers["location"] == "/s/shop/launch"


async def test_a_silent_channel_is_a_page_and_an_unknown_one_is_not_found(
    viewer: httpx.AsyncClient, redis: Redis
) -> None:
    silent = await viewer.get(f"/c/{await channel(redis, None)}")
    assert (silent.status_code, "<title>Haat</title>" in silent.text) == (200, True)
    for path in ("/c/nobody", "/c/", "/c/No_Slug", "/c/a/b", "/c/%0d%0aSet-Cookie:x"):
        unknown = await viewer.get(path, headers={"If-None-Match": silent.headers["etag"]})
        assert (unknown.status_code, "<title>Haat</title>" in unknown.text) == (404, True), path
        assert unknown.headers["cache-control"] == "no-store"
    assert (await viewer.get("/c/no.file")).headers["content-type"] == "application/problem+json"
    assert (await viewer.get("/c/nobody", headers={"Accept": "application/json"})).status_code == 404
    assert (await viewer.post("/c/nobody")).status_code == 405


async def test_the_next_broadcast_is_found_within_a_second_or_two(viewer: httpx.AsyncClient, redis: Redis) -> None:
    slug = await channel(redis, None)
    assert (await viewer.get(f"/c/{slug}")).status_code == 200
    await redis.hset(KEY, slug, json.dumps({"stream": "shop/next"}))

    async def leads() -> bool:
        return (await viewer.get(f"/c/{slug}")).headers.get("location") == "/s/shop/next"

    await eventually(leads)


@pytest.mark.parametrize(
    "stream", ["/evil.example", "shop/launch\r\nX: y", "https://evil.example/x", 5, ["shop/a"], ""]
)
async def test_an_entry_that_names_no_stream_leads_nowhere(
    viewer: httpx.AsyncClient, redis: Redis, stream: object
) -> None:
    assert (await viewer.get(f"/c/{await channel(redis, stream)}")).status_code == 200
