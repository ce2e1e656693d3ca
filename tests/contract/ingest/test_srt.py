"""SRT from a real encoder over a network that loses, doubles and reorders."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import imageio_ffmpeg
import pytest

from tests.support.servers import eventually
from workloads.common import flv
from workloads.ingest.mpegts.remux import Remuxer
from workloads.ingest.srt.handshake import Rejection
from workloads.ingest.srt.listener import Refused, SrtListener

STREAM, KEY, OTHER_KEY = "shop/launch", "a-key-of-the-stream", "the-key-that-follows"
SECONDS, FPS = 5, 25


@dataclass
class Sink:
    """`Publication` that keeps what comes."""

    ended: bool = False
    closed: bool = False
    tags: list[flv.Tag] = field(default_factory=list)
    remuxer: Remuxer = field(default_factory=Remuxer)

    def feed(self, data: bytes) -> None:
        self.tags += self.remuxer.feed(data)

    async def close(self) -> None:
        self.closed = True

    @property
    def pictures(self) -> int:
        return sum(tag.kind == flv.VIDEO and not flv.is_sequence_header(tag.kind, tag.payload) for tag in self.tags)


@dataclass
class World:
    port: int
    listener: SrtListener
    sinks: list[Sink]
    refused: list[str]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    sinks: list[Sink] = []
    refused: list[str] = []

    async def keys(stream: str) -> tuple[str, ...]:
        return (KEY, OTHER_KEY) if stream == STREAM else ()

    async def begin(stream: str, key: str, peer: str) -> Sink:
        if any(not sink.closed for sink in sinks):
            raise Refused(Rejection.CONFLICT, "taken")
        sinks.append(Sink())
        return sinks[-1]

    listener = SrtListener(keys, begin, latency_ms=200, max_publishers=3, on_refused=refused.append)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: listener, local_addr=("127.0.0.1", 0))
    yield World(transport.get_extra_info("sockname")[1], listener, sinks, refused)
    await listener.close()


async def publish(
    port: int, *, key: str = KEY, stream: str = STREAM, seconds: float = SECONDS, options: str = ""
) -> int:
    """ffmpeg as a host runs it; its exit status."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-re"]
    command += ["-f", "lavfi", "-i", f"testsrc2=size=320x180:rate={FPS}", "-f", "lavfi", "-i", "sine=frequency=440"]
    command += ["-t", str(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25"]
    command += ["-b:v", "1M", "-c:a", "aac", "-f", "mpegts"]
    secret = f"&passphrase={key}" if key else ""
    url = f"srt://127.0.0.1:{port}?streamid={stream}{secret}&connect_timeout=3000{options}"
    process = await asyncio.create_subprocess_exec(*command, url, stderr=asyncio.subprocess.DEVNULL)
    return await asyncio.wait_for(process.wait(), seconds + 20)


class _Proxy(asyncio.DatagramProtocol):
    """Between one publisher and the listener; `fate` decides how often a datagram goes on, and how late."""

    def __init__(self, port: int, fate: Callable[[], list[float]]) -> None:
        self.target = ("127.0.0.1", port)
        self.fate = fate
        self.client: tuple[str, int] | None = None
        self.transport: asyncio.DatagramTransport | None = None
        self.passed = self.lost = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        outward = addr != self.target
        if outward:
            self.client = addr
        delays = self.fate()
        self.passed += len(delays)
        self.lost += not delays
        for delay in delays:
            asyncio.get_running_loop().call_later(delay, self._send, data, self.target if outward else self.client)

    def _send(self, data: bytes, to: tuple[str, int]) -> None:
        if self.transport and not self.transport.is_closing():
            self.transport.sendto(data, to)


@asynccontextmanager
async def network(port: int, fate: Callable[[], list[float]]) -> AsyncIterator[tuple[int, _Proxy]]:
    loop = asyncio.get_running_loop()
    transport, proxy = await loop.create_datagram_endpoint(lambda: _Proxy(port, fate), local_addr=("127.0.0.1", 0))
    yield transport.get_extra_info("sockname")[1], proxy
    transport.close()


async def closed(sink: Sink) -> None:
    await eventually(lambda: _true(sink.closed), seconds=10)


async def _true(value: bool) -> bool:
    return value


@pytest.mark.parametrize("options", ["", "&pbkeylen=32"])
async def test_an_encoder_publishes(world: World, options: str) -> None:
    assert await publish(world.port, seconds=2, options=options) == 0
    await closed(world.sinks[0])
    assert world.sinks[0].pictures >= 2 * FPS - 1
    assert any(tag.kind == flv.AUDIO for tag in world.sinks[0].tags)


async def test_either_key_of_a_rotation_is_good(world: World) -> None:
    assert await publish(world.port, key=OTHER_KEY, seconds=1) == 0


async def test_keys_are_changed_on_the_way(world: World) -> None:
    assert await publish(world.port, seconds=3, options="&kmrefreshrate=128&kmpreannounce=32") == 0
    await closed(world.sinks[0])
    assert world.sinks[0].pictures >= 3 * FPS - 1


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
async def test_losses_doubles_and_late_ones_are_mended(world: World, seed: int) -> None:
    chance = random.Random(seed)

    def fate() -> list[float]:
        return [chance.uniform(0.005, 0.02) for _ in range(chance.choices([0, 1, 2], [0.05, 0.9, 0.05])[0])]

    async with network(world.port, fate) as (port, proxy):
        assert await publish(port) == 0
        await closed(world.sinks[0])
    assert proxy.lost > 20
    assert world.sinks[0].remuxer.demuxer.discontinuities == 0
    assert world.sinks[0].pictures >= SECONDS * FPS - 3


async def test_control_without_repair_the_same_network_damages_the_picture(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workloads.ingest.srt.peer.Peer._ask", lambda self, gaps, now: None)
    chance = random.Random(1)
    async with network(world.port, lambda: [0.01] if chance.random() > 0.05 else []) as (port, _):
        await publish(port, options="&tlpktdrop=1&nakreport=0", seconds=3)
    await eventually(lambda: _true(world.sinks[0].remuxer.demuxer.discontinuities > 0), seconds=10)


@pytest.mark.parametrize(
    ("change", "label"),
    [
        pytest.param({"key": "not-the-right-key"}, "key", id="wrong key"),
        pytest.param({"stream": "shop/other"}, "key", id="unknown stream"),
        pytest.param({"key": ""}, "unencrypted", id="no passphrase"),
        pytest.param({"stream": ""}, "no_stream", id="no stream"),
        pytest.param({"stream": "#!::r=shop/launch,m=request"}, "mode", id="a player"),
    ],
)
async def test_refusals(world: World, change: dict[str, str], label: str) -> None:
    assert await publish(world.port, seconds=1, **change) != 0  # type: ignore[arg-type]
    assert world.refused[0] == label
    assert world.sinks == []


async def test_a_second_publisher_is_refused_and_the_first_goes_on(world: World) -> None:
    first = asyncio.create_task(publish(world.port, seconds=4))
    await eventually(lambda: _true(bool(world.sinks and world.sinks[0].pictures)), seconds=10)
    assert await publish(world.port, seconds=1) != 0
    assert world.refused[0] == "taken"
    assert await first == 0
    await closed(world.sinks[0])
    assert world.sinks[0].pictures >= 4 * FPS - 1


async def test_who_is_not_wanted_any_more_is_told(world: World) -> None:
    going = asyncio.create_task(publish(world.port, seconds=30))
    await eventually(lambda: _true(bool(world.sinks and world.sinks[0].pictures)), seconds=10)
    world.sinks[0].ended = True
    await asyncio.wait_for(going, 15)
    assert world.sinks[0].closed


async def test_garbage_and_forged_datagrams_change_nothing(world: World) -> None:
    going = asyncio.create_task(publish(world.port, seconds=3))
    await eventually(lambda: _true(bool(world.sinks and world.sinks[0].pictures)), seconds=10)
    socket = next(iter(world.listener._accepted))
    chance = random.Random(3)
    for _ in range(500):
        size = chance.randrange(0, 200)
        body = bytearray(chance.randbytes(size))
        if size >= 16:
            body[12:16] = socket.to_bytes(4, "big") if chance.random() < 0.5 else b"\0\0\0\0"
        world.listener.datagram_received(bytes(body), ("127.0.0.1", 1))
    assert await going == 0
    await closed(world.sinks[0])
    assert world.sinks[0].pictures >= 3 * FPS - 1
    assert len(world.sinks) == 1
