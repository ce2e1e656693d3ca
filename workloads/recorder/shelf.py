"""Reading recordings from the store: heads, indexes, events."""

import asyncio
from collections.abc import Sequence

from workloads.recorder import layout
from workloads.recorder.index import DamagedDocument, Head, Minute, decode_head, decode_minute, unite
from workloads.recorder.room import Line, parse_lines
from workloads.recorder.storage import ObjectMissing, Storage, Stored

PARALLEL = 16


async def read_head(storage: Storage, recording: layout.Recording) -> Head | None:
    """The head; None when there is none that can be read. StorageAway."""
    try:
        head = decode_head(await storage.get(recording.head))
    except (ObjectMissing, DamagedDocument):
        return None
    return head if (head.stream, head.id) == (recording.stream, recording.id) else None


async def read_index(
    storage: Storage, recording: layout.Recording, known: dict[Stored, Minute] | None = None
) -> Minute:
    """The union of all writers' documents. `known` holds those that were read before, and is kept up to date."""
    documents = {} if known is None else known
    listed = await storage.objects(f"{recording.root}/index")
    for gone in documents.keys() - set(listed):
        del documents[gone]
    missing = [stored for stored in listed if stored not in documents]
    for stored, data in zip(missing, await read_all(storage, [stored.path for stored in missing]), strict=True):
        try:
            documents[stored] = decode_minute(data) if data else Minute({}, {}, {})
        except DamagedDocument:
            documents[stored] = Minute({}, {}, {})
    return unite(documents[stored] for stored in listed)


async def read_lines(storage: Storage, recording: layout.Recording) -> list[Line]:
    """The room's events, of all writers."""
    listed = await storage.objects(f"{recording.root}/events")
    pages = await read_all(storage, [stored.path for stored in listed])
    return [line for page in pages for line in parse_lines(page)]


async def read_all(storage: Storage, paths: Sequence[str]) -> list[bytes]:
    """The objects' bytes in order; empty for one that is gone."""
    gate = asyncio.Semaphore(PARALLEL)

    async def read(path: str) -> bytes:
        async with gate:
            try:
                return await storage.get(path)
            except ObjectMissing:
                return b""

    return list(await asyncio.gather(*map(read, paths)))


async def newest_open(storage: Storage, stream: str, *, limit: int = 5) -> Head | None:
    """The stream's newest recording that was not ended; None when there is none. StorageAway."""
    names = [name for name in await storage.folders(stream) if layout.RECORDING.fullmatch(name)]
    for name in sorted(names, reverse=True)[:limit]:
        head = await read_head(storage, layout.Recording(stream, name))
        if head is not None and not head.ended:
            return head
    return None
