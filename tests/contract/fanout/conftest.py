"""Real pods as processes, one real Redis, and clients that speak the room's protocol."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from redis.asyncio import Redis

from tests.support.servers import ROOT, RedisServer, free_port, redis_server
from workloads.common.redis import connect
from workloads.common.rooms import Rooms
from workloads.common.tokens import Role, Signer, new_private_key


class Pod:
    """One fan-out process."""

    def __init__(self, name: str, folder: Path, environment: dict[str, str], room: str) -> None:
        self.name = name
        self.port = free_port()
        self.room = room
        self.http = f"http://127.0.0.1:{self.port}"
        self.url = f"ws://127.0.0.1:{self.port}/ws/{room}"
        self._log = folder / f"{name}.log"
        settings = {"POD_IP": "127.0.0.1", "POD_NAME": name, "HAAT_LISTEN_PORT": str(self.port)} | environment
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "workloads.fanout"],
                cwd=ROOT,
                env=os.environ | settings,
                stdout=log,
                stderr=log,
            )

    def log(self) -> str:
        """What it wrote."""
        return self._log.read_text()

    def wait_ready(self, seconds: float = 20) -> None:
        """Wait until traffic is welcome."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.http}/readyz", timeout=1).status_code == 200:
                    return
            assert time.monotonic() < deadline, self.log()
            assert self.process.poll() is None, self.log()
            time.sleep(0.03)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(20)


class Client:
    """One person's socket. `events` are all events with an offset in the order heard, from history and live."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self.welcome: dict[str, Any] = {}
        self.heard: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self._arrived = asyncio.Event()
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            async for text in self.socket:
                self._take(json.loads(text))
                self._arrived.set()
        self._arrived.set()

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "batch":
            for event in message["events"]:
                self._take(event)
            return
        self.heard.append(message)
        if message["type"] == "welcome":
            self.events += message["history"]
        if message["type"] == "event" and "offset" in message:
            self.events.append(message)

    async def hear(self, check: Callable[[dict[str, Any]], Any], seconds: float = 15) -> dict[str, Any]:
        """The first message, heard already or to come, that passes; it is taken off the list."""
        async with asyncio.timeout(seconds):
            while True:
                for message in self.heard:
                    if check(message):
                        self.heard.remove(message)
                        return message
                if self._task.done():
                    raise AssertionError(f"closed {self.code}: {self.heard}")
                self._arrived.clear()
                await self._arrived.wait()

    async def hear_type(self, kind: str) -> dict[str, Any]:
        """The next message of a type."""
        return await self.hear(lambda message: message["type"] == kind)

    async def hear_event(self, event: str) -> dict[str, Any]:
        """The next event of a kind."""
        return await self.hear(lambda message: message["type"] == "event" and message["event"] == event)

    async def hear_offset(self, offset: int) -> None:
        """Wait until the history up to an offset is here."""
        async with asyncio.timeout(20):
            while not any(event["offset"] >= offset for event in self.events):
                assert not self._task.done(), f"closed {self.code}"
                self._arrived.clear()
                await self._arrived.wait()

    async def send(self, message: dict[str, Any]) -> None:
        """One frame."""
        await self.socket.send(json.dumps(message))

    async def say(self, text: str, *, key: str = "", room: str = "") -> dict[str, Any]:
        """Chat, and the ack or error that answers it."""
        key = key or str(uuid.uuid4())
        room = room or self.welcome["room"]
        await self.send({"type": "publish", "room": room, "event": "chat", "id": key, "data": {"text": text}})
        return await self.answer(key)

    async def say_nothing_back(self, text: str) -> None:
        """Chat without waiting for the answer."""
        key = str(uuid.uuid4())
        await self.send(
            {"type": "publish", "room": self.welcome["room"], "event": "chat", "id": key, "data": {"text": text}}
        )

    async def publish(self, event: str, data: Any, **members: Any) -> dict[str, Any]:
        """Any publish, and its answer."""
        key = str(uuid.uuid4())
        frame = {"type": "publish", "room": self.welcome["room"], "event": event, "id": key, "data": data} | members
        await self.send(frame)
        return await self.answer(frame["id"])

    async def answer(self, key: str) -> dict[str, Any]:
        """The ack or error for an id."""
        return await self.hear(lambda message: message["type"] in ("ack", "error") and message.get("id") == key)

    @property
    def code(self) -> int | None:
        """Close code."""
        return self.socket.close_code

    async def closed(self) -> int | None:
        """Wait for the end."""
        async with asyncio.timeout(15):
            await self._task
        return self.code

    @property
    def position(self) -> dict[str, Any]:
        """Where a reconnecting client says it stands."""
        last = self.events[-1] if self.events else self.welcome
        return {"epoch": last["epoch"], "offset": last["offset"]}


class Stage:
    """A room of its own in one Redis, with as many pods as a test wants."""

    def __init__(self, folder: Path, redis: RedisServer, signer: Signer, *, room: str = "") -> None:
        self.room = room or f"shop/room-{uuid.uuid4().hex[:8]}"
        self.redis_server = redis
        self.redis: Redis = connect(redis.url)
        self.rooms = Rooms(self.redis)
        self.pods: list[Pod] = []
        self.standing: Pod
        self._folder = folder
        self._signer = signer
        self._sockets = contextlib.AsyncExitStack()

    def rules(self, **chat: Any) -> None:
        """Write stream.json."""
        rules = {"enabled": True, "slow_mode_seconds": 0, "max_length": 300} | chat
        (self._folder / "stream.json").write_text(json.dumps({"stream": self.room, "uid": "u", "chat": rules}))

    async def pod(self, **environment: str) -> Pod:
        """Start a pod and wait until it is ready."""
        pod = self.launch(**environment)
        await asyncio.to_thread(pod.wait_ready)
        return pod

    def launch(self, **environment: str) -> Pod:
        """Start a pod."""
        common = {
            "HAAT_REDIS_URL": self.redis_server.url,
            "HAAT_AUTH_JWKS": self._signer.jwks(),
            "HAAT_STREAM_FILE": str(self._folder / "stream.json"),
            "HAAT_DRAIN_SECONDS": "1",
        }
        pod = Pod(f"fanout-{uuid.uuid4().hex[:6]}", self._folder, common | environment, self.room)
        self.pods.append(pod)
        return pod

    def token(self, user: str, *, role: Role = "viewer", streams: Any = ("*",), ttl: float = 600) -> str:
        """A signed token."""
        return self._signer.issue(sub=user, name=user.title(), role=role, streams=streams, ttl_seconds=ttl)

    async def connect(self, pod: Pod, **options: Any) -> Client:
        """A socket that has not said hello."""
        socket = await self._sockets.enter_async_context(
            websockets.connect(pod.url, close_timeout=1, ping_interval=None, max_size=None, **options)
        )
        return Client(socket)

    async def join(self, pod: Pod, user: str, *, since: Any = None, role: Role = "viewer", **options: Any) -> Client:
        """A welcomed client."""
        client = await self.connect(pod, **options)
        hello: dict[str, Any] = {"type": "hello", "token": self.token(user, role=role), "rooms": [self.room]}
        if since:
            hello["since"] = {self.room: since}
        await client.send(hello)
        client.welcome = await client.hear_type("welcome")
        return client

    async def close(self) -> None:
        """End everything."""
        for pod in self.pods:
            pod.stop(signal.SIGKILL)
        await self._sockets.aclose()
        await self.redis.aclose()


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer(new_private_key())


@pytest.fixture
async def stage(tmp_path: Path, shared_redis: RedisServer, signer: Signer) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path, shared_redis, signer)
    stage.rules()
    try:
        yield stage
    finally:
        await stage.close()


@pytest.fixture(scope="session")
def standing(
    tmp_path_factory: pytest.TempPathFactory, shared_redis: RedisServer, signer: Signer
) -> Iterator[tuple[Path, Pod]]:
    """One pod for all tests that need no room of their own."""
    folder = tmp_path_factory.mktemp("standing")
    stage = Stage(folder, shared_redis, signer)
    stage.rules()
    pod = stage.launch()
    pod.wait_ready()
    yield folder, pod
    pod.stop(signal.SIGKILL)


@pytest.fixture
async def house(standing: tuple[Path, Pod], shared_redis: RedisServer, signer: Signer) -> AsyncIterator[Stage]:
    """The stage of the standing pod, for tests that leave nothing behind but talk."""
    folder, pod = standing
    stage = Stage(folder, shared_redis, signer, room=pod.room)
    stage.standing = pod
    try:
        yield stage
    finally:
        await stage.close()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that a test may stop."""
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_server(folder) as server:
        yield server
