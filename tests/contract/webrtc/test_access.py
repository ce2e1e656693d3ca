"""The edge's access rules hold for WHEP, too."""

import json
import sys
from pathlib import Path

import httpx
from aiortc import RTCPeerConnection
from media_plane import Plane
from redis import Redis
from webrtc_plane import offer, url

sys.path.insert(0, str(Path(__file__).parents[1] / "edge"))

from keys import Keys


async def test_a_private_stream_needs_its_token(quiet: Plane) -> None:
    keys = Keys()
    store = Redis(port=quiet.ports["redis"], decode_responses=True)
    store.hset("haat:channels", "closed", json.dumps({"channel": "shop/c"} | keys.rules(visibility="Private")))
    store.hset("haat:streams", "shop/closed", json.dumps({"uid": "u-9", "origin": "", "slug": "closed"}))
    connection = RTCPeerConnection()
    text = await offer(connection)
    await connection.close()
    headers = {"Content-Type": "application/sdp"}
    base = f"{url(quiet)}/whep/shop/closed"
    async with httpx.AsyncClient() as viewer:
        missing = await viewer.post(base, content=text, headers=headers)
        assert (missing.status_code, missing.json()["code"]) == (403, "playback_token_missing")
        assert missing.headers["access-control-allow-origin"] == "*"
        wrong = await viewer.post(f"{base}?token={keys.token('shop/other')}", content=text, headers=headers)
        assert wrong.json()["code"] == "playback_token_other_stream"
        token = keys.token("shop/closed")
        for attempt in ({"params": {"token": token}}, {"headers": headers | {"Authorization": f"Bearer {token}"}}):
            let_in = await viewer.post(base, content=text, **({"headers": headers} | attempt))  # type: ignore[arg-type]
            assert let_in.json()["code"] == "not_live", "it was let in, and there is nothing on air"
