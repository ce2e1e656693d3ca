"""The recommendation model as Ray Serve runs it (local testing mode) and as HTTP sees it, on a real Redis."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from ray import serve

from ml_serving.apps.common import MAX_BODY_BYTES
from ml_serving.apps.recommendations import RecommendationRequest, Recommendations, build
from tests.support.servers import RedisServer, eventually, redis_server
from workloads.common import events
from workloads.common.redis import connect

PREFIX = "/recommendations"


def fresh_stream() -> str:
    return f"recs/{uuid.uuid4().hex}"


async def look(url: str, stream: str, *looks: tuple[str, str]) -> None:
    """Product views as commerce writes them."""
    redis = connect(url)
    for user, sku in looks:
        await events.emit(redis, events.new_event("product.view", stream=stream, user=user, data={"sku": sku}))
    await redis.aclose()


@contextlib.asynccontextmanager
async def served(url: str, **config: Any) -> AsyncIterator[tuple[Recommendations, httpx.AsyncClient]]:
    """The model with its feed running, and a client below the route prefix as Ray Serve's proxy mounts it."""
    model = Recommendations(redis_url=url)
    model.reconfigure(config)
    app = model.__serve_build_asgi_app__()
    transport = httpx.ASGITransport(app=app, root_path=PREFIX)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        yield model, client


async def test_an_event_changes_the_next_answers(shared_redis: RedisServer) -> None:
    stream = fresh_stream()
    async with served(shared_redis.url) as (_, client):

        async def items() -> list[dict[str, Any]]:
            answer = await client.post(PREFIX, json={"stream": stream, "sku": "A"})
            assert answer.status_code == 200
            return list(answer.json()["items"])

        assert await items() == []
        await look(shared_redis.url, stream, ("u", "A"), ("u", "B"))
        await eventually(items)
        assert [(each["sku"], each["reason"]) for each in await items()] == [("B", "co_viewed")]
        await look(shared_redis.url, stream, ("v", "C"), ("w", "C"))

        async def both() -> bool:
            return [each["sku"] for each in await items()] == ["B", "C"]

        await eventually(both)
        assert (await items())[1]["reason"] == "popular"


async def test_two_replicas_answer_alike_and_count_once(shared_redis: RedisServer) -> None:
    stream = fresh_stream()
    async with served(shared_redis.url) as (one, _), served(shared_redis.url) as (two, _):
        await look(shared_redis.url, stream, *[(f"u{n}", sku) for n in range(20) for sku in "AB"])
        request = RecommendationRequest(stream=stream, sku="A", limit=4)
        decayed_full = (20 / 20) * 20 / 21

        async def complete() -> bool:
            items = (await one.recommend(request)).items
            return bool(items) and items[0].score == pytest.approx(decayed_full, abs=1e-6)

        await eventually(complete)
        assert await one.recommend(request) == await two.recommend(request)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({"sku": "A"}, "body.stream", id="no stream"),
        pytest.param({"stream": "Shop", "sku": "A"}, "body.stream", id="not a stream id"),
        pytest.param({"stream": "a/b", "sku": "x" * 65}, "body.sku", id="a long product name"),
        pytest.param({"stream": "a/b", "sku": 7}, "body.sku", id="a number for a name"),
        pytest.param({"stream": "a/b", "limit": 0}, "body.limit", id="limit too small"),
        pytest.param({"stream": "a/b", "limit": 51}, "body.limit", id="limit too big"),
        pytest.param({"stream": "a/b", "user": "u"}, "body.user", id="an unknown field"),
        pytest.param([], "body", id="not an object"),
    ],
)
async def test_a_body_outside_the_schema_names_the_field(shared_redis: RedisServer, body: Any, field: str) -> None:
    async with served(shared_redis.url) as (_, client):
        answer = await client.post(PREFIX, json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [each["field"] for each in answer.json()["errors"]] == [field]


async def test_hostile_bodies(shared_redis: RedisServer) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"x"

    headers = {"content-type": "application/json"}
    async with served(shared_redis.url) as (_, client):
        big = await client.post(PREFIX, content=b"[" * (MAX_BODY_BYTES + 1), headers=headers)
        deep = await client.post(PREFIX, content=b"[" * MAX_BODY_BYTES, headers=headers)
        chunked = await client.post(PREFIX, content=endless(), headers=headers)
        nonsense = await client.post(PREFIX, content=b"\xff\x00", headers=headers)
    assert [answer.status_code for answer in (big, deep, chunked, nonsense)] == [413, 400, 411, 422]
    assert {answer.headers["content-type"] for answer in (big, deep, chunked, nonsense)} == {"application/problem+json"}


async def test_health_and_metrics(shared_redis: RedisServer) -> None:
    async with served(shared_redis.url) as (_, client):
        health = await client.get(f"{PREFIX}/healthz")
        await client.post(PREFIX, json={"stream": fresh_stream()})
        metrics = await client.get(f"{PREFIX}/metrics")
    assert (health.status_code, health.json()["status"]) == (200, "ok")
    assert 'haat_ml_requests_total{app="co-view",status="200"}' in metrics.text
    assert "haat_ml_recommendations_empty_total" in metrics.text


async def test_tuning_takes_effect_in_place_and_a_wrong_one_changes_nothing(shared_redis: RedisServer) -> None:
    stream = fresh_stream()
    async with served(shared_redis.url, popular=False) as (model, _):
        await look(shared_redis.url, stream, ("u", "A"), ("v", "B"))
        request = RecommendationRequest(stream=stream, sku="A")
        await asyncio.sleep(0.2)
        assert (await model.recommend(request)).items == []
        with pytest.raises(ValueError, match="half_life_days"):
            model.reconfigure({"half_life_days": -1, "popular": True})
        assert (await model.recommend(request)).items == []
        model.reconfigure({"popular": True})

        async def shown() -> list[str]:
            return [each.sku for each in (await model.recommend(request)).items]

        assert await eventually(shown) == ["B"]


async def test_without_redis_it_says_so_and_recovers(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        server.stop()
        async with served(server.url) as (model, client):
            started = time.monotonic()
            answer = await client.post(PREFIX, json={"stream": "a/b"})
            took = time.monotonic() - started
            assert (answer.status_code, answer.json()["code"]) == (503, "features_away")
            assert (await client.get(f"{PREFIX}/healthz")).status_code == 503
            # Bounded by the read's time-out, not by retries; generous, since this is no measurement.
            assert took < 5
            model.check_health()
            server.start()

            async def well() -> bool:
                return (await client.post(PREFIX, json={"stream": "a/b"})).status_code == 200

            await eventually(well)


async def test_a_dead_feed_makes_the_replica_unhealthy(shared_redis: RedisServer) -> None:
    async with served(shared_redis.url) as (model, _):

        async def broken() -> None:
            raise KeyError("bug")

        model.background(asyncio.create_task(broken(), name="broken"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="broken"):
            model.check_health()


def test_the_application_in_rays_local_testing_mode(shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAAT_REDIS_URL", shared_redis.url)
    stream = fresh_stream()
    handle = serve.run(build({"user_config": {"shrinkage": 0}}), name=stream, _local_testing_mode=True)
    asyncio.run(look(shared_redis.url, stream, ("u", "A"), ("u", "B")))

    async def answer() -> list[Any]:
        return list((await handle.recommend.remote(RecommendationRequest(stream=stream, sku="A"))).items)

    items = asyncio.run(eventually(answer))  # type: ignore[arg-type]
    assert [(each.sku, each.score) for each in items] == [("B", 1.0)]  # type: ignore[attr-defined]
