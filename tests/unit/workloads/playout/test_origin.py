"""Where streams and other channels are, by the platform's directories."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.servers import redis_server
from workloads.common.redis import connect
from workloads.playout.command import SourceError
from workloads.playout.origin import Origins
from workloads.playout.schedule import Programme

LIVE = {"phase": "Live", "hls": "/hls/shop/launch/master.m3u8"}


@pytest.fixture
async def origins(tmp_path: Path) -> AsyncIterator[Origins]:
    with redis_server(tmp_path) as server:
        store = connect(server.url)
        await store.hset("haat:streams", mapping={"shop/launch": json.dumps(LIVE), "shop/later": "{}", "shop/odd": "x"})
        entries = {"friends": ("shop/friends", "shop/launch"), "idle": ("shop/idle", None)}
        for slug, (channel, stream) in entries.items():
            await store.hset("haat:channels", slug, json.dumps({"channel": channel, "stream": stream}))
        await store.hset("haat:channels", "odd", "[]")
        yield Origins(store, public_url="https://live.example/", channel="shop/tele")
        await store.aclose()


def asked(kind: str, source: str) -> Programme:
    return Programme(kind=kind, source=source, starts_at_ms=0, ends_at_ms=1, began_at_ms=0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "source", "expected"),
    [
        ("vod", "https://films.example/a.mp4", "https://films.example/a.mp4"),
        ("stream", "shop/launch", "https://live.example/hls/shop/launch/master.m3u8"),
        ("relay", "shop/friends", "https://live.example/hls/shop/launch/master.m3u8"),
    ],
)
async def test_what_is_there(origins: Origins, kind: str, source: str, expected: str) -> None:
    assert await origins.uri(asked(kind, source)) == expected


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("stream", "shop/later"),
        ("stream", "shop/odd"),
        ("stream", "shop/none"),
        ("relay", "shop/idle"),
        ("relay", "shop/nobody"),
        ("relay", "shop/tele"),
    ],
)
async def test_what_is_not_there(origins: Origins, kind: str, source: str) -> None:
    with pytest.raises(SourceError):
        await origins.uri(asked(kind, source))
