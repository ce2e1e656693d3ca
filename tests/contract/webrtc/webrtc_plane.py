"""Helpers: webrtc pods, and viewers made of aiortc, which is a WebRTC implementation of other people."""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from media_plane import KEY, STREAM, Plane, start_redis, wait_for, write_files

from workloads.common.tokens import Signer, new_private_key

PODS = ("webrtc-a", "webrtc-b")


def start_pods(plane: Plane, *names: str, **environment: str) -> None:
    """Start webrtc pods and wait for them."""
    for name in names:
        plane.launch(name, "webrtc", **({"HAAT_WEBRTC_UDP_PORT": "0"} | environment))
    for name in names:
        wait_for(lambda name=name: plane.is_ready(name))


@contextlib.contextmanager
def running_plane(folder: Path) -> Iterator[Plane]:
    """Ingest, transcoder and two webrtc pods, with one stream in the directory."""
    plane = Plane(folder)
    write_files(folder, Signer(new_private_key()).jwks())
    try:
        store = start_redis(plane)
        origin = f"http://127.0.0.1:{plane.ports['transcoder']}"
        digest = hashlib.sha256(KEY.encode()).hexdigest()
        store.hset("haat:ingest", digest, json.dumps({"stream": STREAM, "uid": "u-1", "target": origin}))
        store.hset("haat:streams", STREAM, json.dumps({"uid": "u-1", "origin": origin, "phase": "Live"}))
        store.hset("haat:streams", "shop/idle", json.dumps({"uid": "u-2", "origin": "", "phase": "Pending"}))
        plane.start("transcoder", "ingest")
        start_pods(plane, *PODS)
        yield plane
    finally:
        plane.stop()


def url(plane: Plane, pod: str = PODS[0]) -> str:
    """Base URL of a pod."""
    return f"http://127.0.0.1:{plane.ports[pod]}"


async def offer(connection: RTCPeerConnection) -> str:
    """A viewer's offer."""
    for kind in ("video", "audio"):
        connection.addTransceiver(kind, direction="recvonly")
    await connection.setLocalDescription(await connection.createOffer())
    return str(connection.localDescription.sdp)


@dataclass
class Watching:
    """A viewer: its tracks, and the session's address."""

    connection: RTCPeerConnection
    location: str
    answer: str
    headers: httpx.Headers
    tracks: dict[str, Any] = field(default_factory=dict)

    async def pictures(self, count: int) -> list[VideoFrame]:
        """The next decoded pictures."""
        return [await asyncio.wait_for(self.tracks["video"].recv(), 20) for _ in range(count)]

    async def sounds(self, count: int) -> list[AudioFrame]:
        """The next decoded pieces of sound."""
        return [await asyncio.wait_for(self.tracks["audio"].recv(), 20) for _ in range(count)]


@contextlib.asynccontextmanager
async def watching(
    base: str, path: str = f"/whep/{STREAM}", *, rewrite: Any = lambda answer: answer
) -> AsyncIterator[Watching]:
    """A viewer of the stream; `rewrite` may change the answer on its way."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    tracks: dict[str, Any] = {}
    connection.on("track", lambda track: tracks.__setitem__(track.kind, track))
    try:
        text = await offer(connection)
        async with httpx.AsyncClient(base_url=base, timeout=10) as client:
            response = await client.post(path, content=text, headers={"Content-Type": "application/sdp"})
        assert response.status_code == 201, response.text
        await connection.setRemoteDescription(RTCSessionDescription(rewrite(response.text), "answer"))
        yield Watching(connection, response.headers["location"], response.text, response.headers, tracks)
    finally:
        await connection.close()


async def counter(base: str, name: str) -> float:
    """A number of the pod's metrics, summed over its labels."""
    async with httpx.AsyncClient(base_url=base, timeout=10) as client:
        text = (await client.get("/metrics")).text
    rows = [line for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
    return sum(float(line.rpartition(" ")[2]) for line in rows)
