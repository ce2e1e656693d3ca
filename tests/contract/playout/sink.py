"""Stands where the transcoder would: takes uploads of FLV from the ingest and remembers every tag."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from media_plane import KEY, Plane, free_port

from workloads.common import flv


class Sink:
    """`uploads` counts publications; `data` is the FLV of the last one, `tags` (kind, milliseconds) of its frames."""

    def __init__(self) -> None:
        self.uploads = 0
        self.data = bytearray()
        self.tags: list[tuple[int, int]] = []
        self.url = ""
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> "Sink":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        for writer in self._writers:
            writer.close()
        if self._server:
            self._server.close()
        await asyncio.sleep(0.05)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ValueError):
            await reader.readuntil(b"\r\n\r\n")
            self.uploads += 1
            self.data.clear()
            self.tags.clear()
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            tags = flv.TagReader()
            while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
                chunk = (await reader.readexactly(size + 2))[:-2]
                self.data += chunk
                for tag in tags.feed(chunk):
                    if tag.kind != flv.SCRIPT and not flv.is_sequence_header(tag.kind, tag.payload):
                        self.tags.append((tag.kind, tag.timestamp_ms))
        writer.close()

    def times(self, kind: int) -> list[int]:
        """Milliseconds of every frame of picture or sound."""
        return [moment for found, moment in self.tags if found == kind]

    def colours(self, ffmpeg: str, *, every: float = 0.5) -> list[str]:
        """What is seen, twice a second: red, blue, or slate."""
        command = [ffmpeg, "-v", "error", "-i", "pipe:0", "-vf", f"fps={1 / every},scale=1:1", "-f", "rawvideo",
                   "-pix_fmt", "rgb24", "pipe:1"]  # fmt: skip
        done = subprocess.run(command, input=bytes(self.data), capture_output=True, timeout=60)
        pixels = [tuple(done.stdout[at : at + 3]) for at in range(0, len(done.stdout) - 2, 3)]
        return [colour(*pixel) for pixel in pixels]


def colour(red: int, green: int, blue: int) -> str:
    """The name of a pixel."""
    if red > 150 and green < 80 and blue < 80:
        return "red"
    return "blue" if blue > 150 and green < 80 and red < 80 else "slate"


def runs(names: list[str]) -> list[str]:
    """The list without repetitions in a row."""
    return [name for index, name in enumerate(names) if index == 0 or names[index - 1] != name]


class Playout:
    """The workload as a process, and its schedule."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._file = plane.folder / "schedule.json"
        self.key_file = "key"
        plane.ports["playout"] = free_port()

    def plan(
        self, *items: tuple[float, float, str, str], slate: str = "", began: float | None = None, kind: str = "vod"
    ) -> None:
        """Write schedule.json: (start, end, slot, source) each, in Unix seconds."""
        programmes = [
            {"slot": slot, "kind": kind, "source": source, "starts_at_ms": round(start * 1000),
             "ends_at_ms": round(end * 1000), "began_at_ms": round((began or start) * 1000)}
            for start, end, slot, source in items
        ]  # fmt: skip
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps({"slate": slate, "programmes": programmes}))
        fresh.replace(self._file)

    def start(self) -> "subprocess.Popen[bytes]":
        """Start it."""
        return self._plane.run(
            "playout",
            [sys.executable, "-m", "workloads.playout"],
            POD_IP="127.0.0.1",
            POD_NAME="playout-0",
            HAAT_LISTEN_PORT=str(self._plane.ports["playout"]),
            HAAT_REDIS_URL=f"redis://127.0.0.1:{self._plane.ports['redis']}/0",
            HAAT_CHANNEL="shop/tele",
            HAAT_SCHEDULE_FILE=str(self._file),
            HAAT_STREAM_KEY_FILE=str(self._plane.folder / self.key_file),
            HAAT_PUBLIC_URL=self._plane.edge,
            HAAT_RTMP_URL=self._plane.rtmp_url.removesuffix(f"/{KEY}"),
            HAAT_WIDTH="320", HAAT_HEIGHT="180", HAAT_FPS="25", HAAT_VIDEO_KBPS="300", HAAT_X264_PRESET="ultrafast",
        )  # fmt: skip


async def until(check: Any, seconds: float = 30.0) -> None:
    """Wait for `check()` to be true."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.1)


def uri(path: Path) -> str:
    """A file as the schedule names it."""
    return f"file://{path}"
