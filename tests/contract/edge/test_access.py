"""Tokens, cookies, origins and revocation at the edge, over a real Redis and a counting origin."""

import json
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from tests.contract.edge.conftest import Edge, publish, running_edge
from tests.contract.edge.keys import Keys
from tests.contract.edge.origin import Origin
from tests.support.servers import eventually
from workloads.common.access.revocations import KEY as REVOKED


@pytest.fixture
def keys() -> Keys:
    return Keys()


async def refused(viewer: httpx.AsyncClient, path: str, **options: object) -> tuple[int, str]:
    response = await viewer.get(path, **options)  # type: ignore[arg-type]
    assert response.headers["content-type"] == "application/problem+json", response.text
    assert response.headers["cache-control"] == "no-store"
    return response.status_code, response.json()["code"]


async def test_without_the_right_token_nothing_is_shown_and_no_origin_is_asked(
    viewer: httpx.AsyncClient, redis: Redis, origin: Origin, keys: Keys
) -> None:
    stream = await publish(redis, origin.url, **keys.rules())
    other = Keys()
    for name in ("master.m3u8", "720p/media.m3u8", "720p/1.0.m4s", "720p/init.mp4", "manifest.mpd"):
        path = f"/hls/{stream}/{name}"
        assert await refused(viewer, path) == (403, "playback_token_missing")
        expired = keys.token(stream, ttl_seconds=-10)
        assert await refused(viewer, f"{path}?token={expired}") == (403, "playback_token_expired")
        elsewhere = keys.token("shop/other")
        assert await refused(viewer, f"{path}?token={elsewhere}") == (403, "playback_token_other_stream")
        assert await refused(viewer, f"{path}?token={other.token(stream)}") == (403, "playback_token_invalid")
        assert await refused(viewer, f"{path}?token=x") == (403, "playback_token_invalid")
        bound = keys.token(stream, address="198.51.100.1")
        assert await refused(viewer, f"{path}?token={bound}") == (403, "playback_token_bound")
    assert not origin.asked


async def test_a_token_in_a_header_opens_everything(
    viewer: httpx.AsyncClient, redis: Redis, origin: Origin, keys: Keys
) -> None:
    stream = await publish(redis, origin.url, **keys.rules())
    headers = {"Authorization": f"Bearer {keys.token(stream)}", "Origin": "https://shop.example"}
    master = await viewer.get(f"/hls/{stream}/master.m3u8", headers=headers)
    assert (master.status_code, "token" in master.text, "set-cookie" in master.headers) == (200, False, False)
    assert master.headers["access-control-allow-origin"] == "https://shop.example"
    assert master.headers["access-control-allow-credentials"] == "true"
    part = await viewer.get(f"/hls/{stream}/720p/1.0.m4s", headers=headers)
    assert (part.status_code, "private" in part.headers["cache-control"]) == (200, True)


async def test_a_token_in_the_query_becomes_a_cookie_of_the_stream(
    edge: Edge, redis: Redis, origin: Origin, keys: Keys
) -> None:
    stream = await publish(redis, origin.url, **keys.rules())
    path = f"/hls/{stream}/"
    async with httpx.AsyncClient(base_url=f"http://{edge.address}{path}") as viewer:
        master = await viewer.get(f"master.m3u8?token={keys.token(stream)}")
        given = master.headers["set-cookie"]
        assert f"Path=/hls/{stream};" in given
        assert "HttpOnly" in given
        assert "SameSite=Lax" in given
        playlist = await viewer.get("720p/media.m3u8")
        assert (playlist.status_code, "token" in playlist.text) == (200, False)
        both = await viewer.get(f"720p/media.m3u8?token={keys.token(stream)}")
        assert (both.status_code, "token" in both.text) == (200, False), (
            "whoever keeps the cookie needs no token in URIs"
        )
        assert (await viewer.get("720p/1.0.m4s")).status_code == 200
    elsewhere = await publish(redis, origin.url, **keys.rules())
    async with httpx.AsyncClient(base_url=f"http://{edge.address}", cookies={"haat_playback": given}) as viewer:
        assert (await viewer.get(f"/hls/{elsewhere}/720p/1.0.m4s")).status_code == 403


async def test_behind_tls_the_cookie_may_cross_sites(edge: Edge, redis: Redis, origin: Origin, keys: Keys) -> None:
    stream = await publish(redis, origin.url, **keys.rules())
    async with httpx.AsyncClient(base_url=f"http://{edge.address}") as viewer:
        path = f"/hls/{stream}/master.m3u8?token={keys.token(stream)}"
        master = await viewer.get(path, headers={"X-Forwarded-Proto": "https"})
    assert "SameSite=None; Secure; Partitioned" in master.headers["set-cookie"]


async def test_a_player_without_cookies_finds_the_token_in_every_address(
    viewer: httpx.AsyncClient, redis: Redis, origin: Origin, keys: Keys
) -> None:
    stream, suffix = await publish(redis, origin.url, **keys.rules()), "?token="
    token = keys.token(stream)
    cookieless = {"cookie": ""}
    master = await viewer.get(f"/hls/{stream}/master.m3u8?token={token}", headers=cookieless)
    assert f'URI="audio/media.m3u8{suffix}{token}"' in master.text
    assert f"\n720p/media.m3u8{suffix}{token}\n" in master.text
    viewer.cookies.clear()
    media = await viewer.get(f"/hls/{stream}/720p/media.m3u8?token={token}&_HLS_msn=1")
    assert f'URI="init.mp4?v=ab&token={token}"' in media.text
    assert f'URI="1.0.m4s?token={token}"' in media.text
    assert f"\n0.m4s?token={token}\n" in media.text
    manifest = await viewer.get(f"/hls/{stream}/manifest.mpd?token={token}")
    assert f'media="720p/$Number$.m4s?token={token}"' in manifest.text
    assert f'initialization="720p/init.mp4?v=ab&amp;token={token}"' in manifest.text
    assert origin.asked[f"/hls/{stream}/720p/media.m3u8?_HLS_msn=1"] == 1, "no token reaches an origin"


async def test_what_is_taken_back_stops_working_everywhere(
    edge: Edge, viewer: httpx.AsyncClient, redis: Redis, origin: Origin, keys: Keys
) -> None:
    stream = await publish(redis, origin.url, **keys.rules())
    first, second = keys.token(stream), keys.token(stream)
    path, order = f"/hls/{stream}/720p/1.0.m4s", {"stream": stream, "sub": "u1"}
    host = {"Authorization": f"Bearer {edge.host_token(stream)}"}
    other = {"Authorization": f"Bearer {edge.host_token('shop/other')}"}
    assert (await viewer.get(f"{path}?token={first}")).status_code == 200
    revoke = "/api/v1/playback/revoke"
    assert (await viewer.post(revoke, json=order)).status_code == 401
    assert (await viewer.post(revoke, json=order, headers=other)).status_code == 403
    assert (await viewer.post(revoke, json={"stream": stream}, headers=host)).status_code == 422
    assert (await viewer.post(revoke, content=b"{", headers=host)).status_code == 400
    assert (await viewer.post(revoke, content=b" " * 10_000, headers=host)).status_code == 413
    assert (await viewer.post(revoke, json=order, headers=host)).status_code == 204
    for token in (first, second):
        assert await refused(viewer, f"{path}?token={token}") == (403, "playback_token_revoked")
    someone = keys.token(stream, sub="u2")
    assert (await viewer.get(f"{path}?token={someone}")).status_code == 200
    entry = json.dumps({"at_ms": 4_000_000_000_000, "until_ms": 4_000_000_000_000})
    await redis.hset(REVOKED, f"{stream} sub u2", entry)

    async def closed() -> bool:
        return (await viewer.get(f"{path}?token={someone}")).status_code == 403

    await eventually(closed, seconds=10)


async def test_a_host_needs_no_token_of_the_channel(
    edge: Edge, viewer: httpx.AsyncClient, redis: Redis, origin: Origin, keys: Keys
) -> None:
    stream = await publish(redis, origin.url, **keys.rules())
    path = f"/hls/{stream}/master.m3u8"
    host = edge.host_token(stream)
    assert (await viewer.get(path, headers={"Authorization": f"Bearer {host}"})).status_code == 200
    assert (await viewer.get(f"{path}?token={host}")).status_code == 200
    stranger = edge.host_token("shop/other")
    assert await refused(viewer, path, headers={"Authorization": f"Bearer {stranger}"}) == (
        403,
        "playback_token_missing",
    )


async def test_only_pages_of_the_list_may_embed(viewer: httpx.AsyncClient, redis: Redis, origin: Origin) -> None:
    stream = await publish(redis, origin.url, allowed_origins=["https://shop.example"])
    path = f"/hls/{stream}/master.m3u8"
    good = await viewer.get(path, headers={"Origin": "https://shop.example"})
    assert (good.status_code, good.headers["access-control-allow-origin"]) == (200, "https://shop.example")
    assert "origin" in good.headers["vary"]
    assert await refused(viewer, path, headers={"Origin": "https://evil.example"}) == (403, "origin_not_allowed")
    assert await refused(viewer, path, headers={"Referer": "https://evil.example/x"}) == (403, "origin_not_allowed")
    own = {"Origin": str(viewer.base_url).rstrip("/")}
    assert (await viewer.get(path, headers=own)).status_code == 200
    asked = await viewer.options(path, headers={"Origin": "https://shop.example"})
    assert (asked.status_code, "Authorization" in asked.headers["access-control-allow-headers"]) == (204, True)


async def test_a_channel_whose_rules_are_gone_is_closed(
    viewer: httpx.AsyncClient, redis: Redis, origin: Origin
) -> None:
    stream = await publish(redis, origin.url, suspended=True)
    path = f"/hls/{stream}/master.m3u8"
    assert await refused(viewer, path) == (403, "channel_suspended")
    slug = json.loads(str(await redis.hget("haat:streams", stream)))["slug"]
    await redis.hdel("haat:channels", slug)

    async def closed() -> bool:
        return (await viewer.get(path)).status_code == 503

    await eventually(closed)
    open_one = await publish(redis, origin.url)
    found = await viewer.get(f"/hls/{open_one}/master.m3u8", headers={"Origin": "https://any.example"})
    assert (found.status_code, found.headers["access-control-allow-origin"]) == (200, "*")


async def test_countries_decide_and_a_host_may_look_through_their_eyes(
    redis: Redis, origin: Origin, web_root: Path, tmp_path: Path
) -> None:
    (tmp_path / "geo.csv").write_text("203.0.113.0,203.0.113.255,BD\n198.51.100.0,198.51.100.255,IN\n")
    stream = await publish(redis, origin.url, geo={"mode": "Allow", "countries": ["BD"]})
    path = f"/hls/{stream}/master.m3u8"
    async with running_edge(redis, web_root, geo_files=str(tmp_path / "geo.csv")) as edge:
        host = {"Authorization": f"Bearer {edge.host_token(stream)}"}
        async with httpx.AsyncClient(base_url=f"http://{edge.address}") as viewer:
            for address, status in (
                ("203.0.113.9", 200),
                ("198.51.100.9", 451),
                ("192.0.2.1", 451),
                ("1, 203.0.113.9", 200),
            ):
                found = await viewer.get(path, headers={"X-Forwarded-For": address})
                assert (found.status_code, "private" in found.headers["cache-control"]) == (status, status == 200)
            assert await refused(viewer, path, headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.9"}) == (
                451,
                "country_blocked",
            )
            blocked = {"X-Forwarded-For": "198.51.100.9"}
            assert (await viewer.get(f"{path}?as_country=BD", headers=blocked)).status_code == 451
            seen = await viewer.get(f"{path}?as_country=BD", headers=blocked | host)
            assert (seen.status_code, "720p/media.m3u8?as_country=BD" in seen.text) == (200, True)
            assert (await viewer.get(f"{path}?as_country=IN", headers=host)).status_code == 451
            assert (await viewer.get(path, headers=blocked | host)).status_code == 200
