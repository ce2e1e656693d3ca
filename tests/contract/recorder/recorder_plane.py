"""Helpers: a media plane with recorders, and what is in the store and in the replay afterwards."""

import asyncio
import contextlib
import hashlib
import io
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import redis
from media_plane import KEY, STREAM, Plane, start_redis, wait_for, write_files
from redis.asyncio import Redis

from hack.testsource import barcode
from workloads.common.rooms import Rooms
from workloads.common.tokens import Signer, new_private_key

RECORDER = "recorder-a"


@dataclass
class Studio:
    """A running plane, its Redis, and the store of its recorders."""

    plane: Plane
    store: redis.Redis
    url: str
    environment: dict[str, str]
    signer: Signer

    @property
    def base(self) -> str:
        """The recorder that is asked."""
        return self.base_of(RECORDER)

    def base_of(self, name: str) -> str:
        return f"http://127.0.0.1:{self.plane.ports[name]}"

    def start_recorder(self, name: str = RECORDER, **environment: str) -> None:
        """Start a recorder with a spool of its own and wait for it."""
        settings = {
            "HAAT_RECORDER_STORAGE_URL": self.url,
            "HAAT_RECORDER_SPOOL_DIR": str(self.plane.folder / f"spool-{name}"),
        }
        self.plane.launch(name, "recorder", **(settings | self.environment | environment))
        wait_for(lambda: self.plane.is_ready(name))

    def enter(
        self, phase: str, *, enabled: bool = True, uid: str = "u-1", origin: str | None = None, retention: int = 3600
    ) -> None:
        """The stream's entry in the directory, as the operators write it."""
        at = f"http://127.0.0.1:{self.plane.ports['transcoder']}" if origin is None else origin
        recording = {"enabled": enabled, "retention_seconds": retention, "dvr_window_seconds": 300, "storage": ""}
        entry = {"uid": uid, "title": "Launch", "origin": at, "phase": phase, "recording": recording}
        self.store.hset("haat:streams", STREAM, json.dumps(entry))

    def token(self, role: Any = "host", stream: str = STREAM) -> dict[str, str]:
        token = self.signer.issue(sub="u", name="Rina", role=role, streams=[stream], ttl_seconds=600)
        return {"Authorization": f"Bearer {token}"}

    def recordings(self, base: str = "") -> list[dict[str, Any]]:
        """What the recorder lists for the stream."""
        response = httpx.get(f"{base or self.base}/vod/{STREAM}/", timeout=10)
        return list(response.json()["items"]) if response.status_code == 200 else []

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.base}{path}", timeout=10)

    def ended(self, count: int = 1) -> list[dict[str, Any]]:
        """Wait until so many recordings have ended; newest first."""
        found: list[dict[str, Any]] = []

        def ready() -> bool:
            found[:] = [item for item in self.recordings() if item["state"] == "ended"]
            return len(found) >= count

        wait_for(ready, 60)
        return found

    def stored_seconds(self) -> float:
        """Play time of the newest recording's largest picture, 0 while there is none."""
        with contextlib.suppress(httpx.HTTPError, IndexError, KeyError):
            newest = self.recordings()[0]
            media = self.get(newest["master"].replace("master", "360p/media"))
            return sum(durations(media.text)) if media.status_code == 200 else 0.0
        return 0.0

    def broadcast(self, seconds: float) -> None:
        """Wait until so much is stored."""
        wait_for(lambda: self.stored_seconds() >= seconds, seconds + 60)


@contextlib.contextmanager
def studio(folder: Path, url: str, **environment: str) -> Iterator[Studio]:
    """Ingest and transcoder with one stream, nobody publishing, and no recorder yet."""
    plane = Plane(folder)
    signer = Signer(new_private_key())
    write_files(folder, signer.jwks())
    try:
        store = start_redis(plane)
        made = Studio(plane, store, url, environment, signer)
        origin = f"http://127.0.0.1:{plane.ports['transcoder']}"
        digest = hashlib.sha256(KEY.encode()).hexdigest()
        store.hset("haat:ingest", digest, json.dumps({"stream": STREAM, "uid": "u-1", "target": origin}))
        made.enter("Standby")
        plane.start("transcoder", "ingest")
        yield made
    finally:
        plane.stop()


@dataclass
class Broadcast:
    """A recording that has ended. `seconds_to_end` is how long after the broadcast; `pinned` epoch milliseconds."""

    studio: Studio
    item: dict[str, Any]
    seconds_to_end: float
    pinned: list[int]

    def path(self, name: str) -> str:
        return str(self.item["master"]).replace("master.m3u8", name)

    def get(self, name: str) -> httpx.Response:
        return self.studio.get(self.path(name))

    def playlist(self, rung: str) -> str:
        return self.get(f"{rung}/media.m3u8").text


def chat_and_pin(made: Studio, sku: str) -> int:
    """Say something twice, have one of it deleted, and pin a product; when that was."""

    async def act() -> int:
        client = Redis(port=made.plane.ports["redis"], decode_responses=True)
        try:
            house = Rooms(client)
            author = {"id": "u-9", "name": "Rina", "role": "viewer"}
            await house.publish(STREAM, "chat", {"id": "a", "text": f"nice {sku}", "user": author})
            rude = await house.publish(STREAM, "chat", {"id": "b", "text": "rude", "user": author})
            await house.publish(STREAM, "chat.deleted", {"offset": rude.offset})
            now = round(time.time() * 1000)
            await house.publish(STREAM, "pin", {"sku": sku, "title": sku.title()})
            return now
        finally:
            await client.aclose()

    return asyncio.run(act())


def durations(playlist: str) -> list[float]:
    return [float(found) for found in re.findall(r"^#EXTINF:([0-9.]+),", playlist, re.M)]


def dates(playlist: str) -> list[str]:
    return re.findall(r"#EXT-X-PROGRAM-DATE-TIME:(\S+)", playlist)


def names(playlist: str) -> list[int]:
    return [int(found) for found in re.findall(r"^(\d+)\.m4s$", playlist, re.M)]


def sessions(playlist: str) -> list[str]:
    """The playlist's pieces between discontinuities; several in a row count the cuts of other renditions."""
    return [piece for piece in playlist.split("#EXT-X-DISCONTINUITY\n") if names(piece)]


def media_of(broadcast: Broadcast, rung: str, piece: str) -> bytes:
    """All media of a piece of a rendition's playlist, as a player fetches it."""
    (init,) = set(re.findall(r'#EXT-X-MAP:URI="([^"]+)"', broadcast.playlist(rung)))
    files = [broadcast.get(f"{rung}/{name}") for name in (init, *(f"{msn}.m4s" for msn in names(piece)))]
    assert {file.status_code for file in files} == {200}
    return b"".join(file.content for file in files)


def times(media: bytes) -> list[float]:
    """Presentation times of all packets, in seconds of media time."""
    with av.open(io.BytesIO(media)) as container:
        found = [packet for packet in container.demux(container.streams[0]) if packet.pts is not None]
        return sorted(float(packet.pts * packet.time_base) for packet in found)


def stamp_of(image: Any) -> int:
    """Epoch milliseconds of the barcode in a picture."""
    return barcode.read(np.asarray(image.convert("L")))
