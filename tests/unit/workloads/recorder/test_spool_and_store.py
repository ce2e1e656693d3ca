"""The spool on disk and the way to the store, with a real folder, and a port where no store listens."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from workloads.recorder import layout, shelf
from workloads.recorder.index import Head, Rendition, Segment, encode
from workloads.recorder.metrics import Metrics
from workloads.recorder.spool import Label, Spool, SpoolFull
from workloads.recorder.storage import ObjectMissing, Storage, StorageAway
from workloads.recorder.upload import Uploader

RECORDING = layout.Recording("shop/launch", "20260101T000000Z-u1")
VIDEO = Rendition("avc1.42c01e", 1, 640, 360, 25.0)


def label(msn: int) -> Label:
    return Label(
        stream=RECORDING.stream,
        recording=RECORDING.id,
        path=RECORDING.segment("360p", msn),
        rung="360p",
        segment=Segment(msn, 100.0 + 2 * msn, 2.0, 1000, "aa"),
        rendition=VIDEO,
    )


@pytest.fixture
def store(tmp_path: Path) -> Storage:
    return Storage(f"file://{tmp_path}/store")


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Storage:
    """A store at a port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    return Storage("s3://bucket/prefix", timeout_seconds=1.0)


@contextlib.asynccontextmanager
async def uploading(storage: Storage, spool: Spool) -> AsyncIterator[Uploader]:
    uploader = Uploader(storage, spool, RECORDING, "w", Metrics(CollectorRegistry()))
    task = asyncio.create_task(uploader.run())
    try:
        yield uploader
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_was_added_is_stored_and_indexed(store: Storage, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 10_000_000, "w")
    async with uploading(store, spool) as uploader:
        for msn in range(20):
            await uploader.add(label(msn), b"x" * 1000)
        uploader.publish(RECORDING.head, encode(Head(id=RECORDING.id, stream=RECORDING.stream)))
        await uploader.drained()
    index = await shelf.read_index(store, RECORDING)
    assert [segment.msn for segment in index.segments["360p"]] == list(range(20))
    assert await store.get(RECORDING.segment("360p", 3)) == b"x" * 1000
    assert list((tmp_path / "spool").iterdir()) == []
    assert spool.bytes == 0
    assert await shelf.newest_open(store, RECORDING.stream) is not None


async def test_a_crash_leaves_whole_items_that_another_process_stores(
    store: Storage, away: Storage, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "spool", 10_000_000, "first")
    async with uploading(away, spool) as uploader:
        for msn in range(5):
            await uploader.add(label(msn), b"x" * 1000)
    (tmp_path / "spool" / "first-000000000009.item").write_bytes(b"damaged")
    (tmp_path / "spool" / "first-000000000010.part").write_bytes(b"half")
    again = Spool(tmp_path / "spool", 10_000_000, "second")
    async with uploading(store, again) as uploader:
        own = await again.add(label(7), b"y")
        found = again.leftovers()
        assert len(found) == 5
        for item in [*found, own]:
            uploader.enqueue(item)
        await uploader.drained()
    index = await shelf.read_index(store, RECORDING)
    assert [segment.msn for segment in index.segments["360p"]] == [0, 1, 2, 3, 4, 7]
    assert list((tmp_path / "spool").iterdir()) == []


async def test_a_full_spool_gives_up_the_oldest_segments(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 5000, "w")
    dropped: list[int] = []
    spool.on_drop = lambda item: dropped.append(item.label.segment.msn if item.label.segment else -1)
    items = [await spool.add(label(msn), b"x" * 1000) for msn in range(10)]
    assert dropped == list(range(len(dropped)))
    assert len(dropped) >= 6
    assert spool.bytes <= 5000
    assert [item.gone for item in items] == [number < len(dropped) for number in range(10)]
    for item in items:
        item.busy = True
    with pytest.raises(SpoolFull):
        await spool.add(label(11), b"x" * 3000)


async def test_a_missing_object_and_an_absent_store_are_different(store: Storage, away: Storage) -> None:
    with pytest.raises(ObjectMissing):
        await store.get("a/b")
    with pytest.raises(ObjectMissing):
        await store.get_piece("a/b", 0, 1)
    assert await store.objects("a") == []
    assert await store.folders("a") == []
    await store.delete(["a/b", "c/d"])
    for call in (away.get("a"), away.put("a", b""), away.objects("a"), away.folders("a"), away.delete(["a"])):
        with pytest.raises(StorageAway):
            await call


async def test_pieces_of_an_object(store: Storage) -> None:
    await store.put("a/b", b"0123456789")
    assert (await store.get_piece("a/b", 2, 5)).data == b"234"
    assert (await store.get_piece("a/b", None, 3)).data == b"789"
    assert (await store.get_piece("a/b", 8, 99)).data == b"89"
    with pytest.raises(ValueError, match="no such range"):
        await store.get_piece("a/b", 10, 12)
