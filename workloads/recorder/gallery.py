"""The pictures of a growing recording: one every ten seconds, the newest under a fixed name, sheets of a hundred."""

import asyncio
import logging

from PIL import Image

from workloads.recorder import layout, pictures
from workloads.recorder.index import Rendition
from workloads.recorder.metrics import Metrics
from workloads.recorder.spool import Label
from workloads.recorder.storage import ObjectMissing, Storage
from workloads.recorder.upload import Uploader

_SHEET_EVERY = 6
_PARALLEL = 8

logger = logging.getLogger(__name__)


class Gallery:
    """Pictures of one recording; `known` slots were taken by an earlier recorder."""

    def __init__(
        self, recording: layout.Recording, uploader: Uploader, metrics: Metrics, *, known: dict[int, float]
    ) -> None:
        self._recording = recording
        self._uploader = uploader
        self._metrics = metrics
        self._slots = set(known)
        self._tiles: dict[int, Image.Image] = {}
        self._inherited = {slot // layout.TILES for slot in known}
        self._since_sheet = 0

    @property
    def fresh_sheets(self) -> set[int]:
        """Sheets that are stored just as they have to be."""
        return {slot // layout.TILES for slot in self._slots} - self._inherited

    async def offer(self, rendition: Rendition, start: float, init: bytes, segment: bytes) -> None:
        """A segment of the rung that pictures are taken of; most are not needed."""
        slot = layout.slot_of(start)
        if slot in self._slots or not rendition.video:
            return
        try:
            taken = await asyncio.to_thread(pictures.take, init, segment)
        except pictures.NoPicture as error:
            self._metrics.picture_failures.inc()
            logger.warning("no picture: %s", error, extra={"stream": self._recording.stream})
            return
        self._slots.add(slot)
        self._metrics.thumbnails.inc()
        stream = self._recording.stream
        label = Label(
            stream=stream,
            recording=self._recording.id,
            path=self._recording.thumbnail(slot),
            slot=slot,
            at=start,
        )
        await self._uploader.add(label, taken.jpeg)
        for kind, data in (("jpg", taken.jpeg), ("webp", taken.webp)):
            self._uploader.publish(layout.latest_thumbnail(stream, kind), data)
        self._uploader.publish(self._recording.thumbnail(slot, "webp"), taken.webp)
        await self._add_tile(slot, taken.tile)

    async def close(self) -> None:
        """Store the last sheet."""
        await self._store_sheet()

    async def _add_tile(self, slot: int, tile: Image.Image) -> None:
        current = slot // layout.TILES
        if self._tiles and current != next(iter(self._tiles)) // layout.TILES:
            await self._store_sheet()
            self._tiles.clear()
        self._tiles[slot] = tile
        self._since_sheet += 1
        if self._since_sheet >= _SHEET_EVERY:
            await self._store_sheet()

    async def _store_sheet(self) -> None:
        self._since_sheet = 0
        if not self._tiles:
            return
        number = next(iter(self._tiles)) // layout.TILES
        if number in self._inherited:
            return  # The earlier recorder's tiles are in the store only: the sheet is made when the recording ends.
        data = await asyncio.to_thread(pictures.sheet, dict(self._tiles))
        self._uploader.publish(self._recording.sprites(number), data)


async def rebuild_sheet(storage: Storage, recording: layout.Recording, slots: list[int]) -> None:
    """Make a sheet from the thumbnails in the store; StorageAway."""
    gate = asyncio.Semaphore(_PARALLEL)

    async def tile(slot: int) -> tuple[int, Image.Image] | None:
        async with gate:
            try:
                jpeg = await storage.get(recording.thumbnail(slot))
                return slot, await asyncio.to_thread(pictures.tile_of, jpeg)
            except (ObjectMissing, pictures.NoPicture) as error:
                logger.warning("a thumbnail is missing: %s", error, extra={"stream": recording.stream})
                return None

    found = dict(item for item in await asyncio.gather(*map(tile, slots)) if item is not None)
    if found:
        data = await asyncio.to_thread(pictures.sheet, found)
        await storage.put(recording.sprites(slots[0] // layout.TILES), data)
