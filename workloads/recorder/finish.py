"""The end of a recording: VOD playlists, sheets, events and chapters as objects, and a head that says `ended`.

All of it is made from what the store holds, so that any recorder can finish what another began, as often as it takes.
"""

import logging
import time
from collections.abc import Container

import msgspec

from workloads.recorder import gallery, layout, playlists, room, shelf
from workloads.recorder.index import Head, Minute, encode
from workloads.recorder.storage import Storage
from workloads.recorder.timeline import Timeline

logger = logging.getLogger(__name__)


class Superseded(Exception):
    """A recorder with a newer lease has the recording."""


async def finish(
    storage: Storage,
    recording: layout.Recording,
    *,
    token: int,
    fresh_sheets: Container[int] = (),
    again: bool = False,
) -> Head | None:
    """Write everything that an ended recording has; None when it turned out empty (it is deleted). StorageAway,
    Superseded. `again` is for one that had ended when a late segment came."""
    head = await shelf.read_head(storage, recording)
    if head is not None and head.ended and not again:
        return head
    if head is not None and head.token > token:
        raise Superseded(recording.root)
    index = await shelf.read_index(storage, recording)
    timeline = Timeline(index)
    if not timeline.reference:
        await storage.delete([stored.path for stored in await storage.objects(recording.root)])
        return None
    await _sheets(storage, recording, timeline, fresh_sheets)
    await _events(storage, recording, timeline)
    for name in timeline.renditions:
        await storage.put(recording.file(f"{name}/media.m3u8"), playlists.media(timeline, name).encode())
    await storage.put(recording.file("master.m3u8"), playlists.master(timeline).encode())
    await storage.put(recording.whole_index, encode(index))
    done = ended_head(head or Head(id=recording.id, stream=recording.stream), timeline, index, token)
    await storage.put(recording.head, encode(done))
    logger.info("recording finished", extra={"stream": recording.stream, "recording": recording.id})
    return done


def ended_head(head: Head, timeline: Timeline, index: Minute, token: int) -> Head:
    """The head of what has ended."""
    ended_ms = layout.wall_ms(timeline.end)
    return msgspec.structs.replace(
        head,
        state="ended",
        started_ms=layout.wall_ms(timeline.start),
        ended_ms=ended_ms,
        duration_ms=round(timeline.seconds(timeline.reference) * 1000),
        expires_ms=ended_ms + round(head.retention_seconds * 1000) if head.retention_seconds > 0 else 0,
        bytes=timeline.bytes,
        segments=timeline.count,
        updated_ms=round(time.time() * 1000),
        token=token,
        inits={name: sorted({segment.init for segment in segments}) for name, segments in index.segments.items()},
    )


async def _sheets(
    storage: Storage, recording: layout.Recording, timeline: Timeline, fresh_sheets: Container[int]
) -> None:
    by_sheet: dict[int, list[int]] = {}
    for slot in sorted(timeline.thumbnails):
        by_sheet.setdefault(slot // layout.TILES, []).append(slot)
    for number, slots in by_sheet.items():
        if number not in fresh_sheets:
            await gallery.rebuild_sheet(storage, recording, slots)
    cues = playlists.sprites(timeline, portrait=is_portrait(timeline))
    await storage.put(recording.file("sprites.vtt"), cues.encode())


async def _events(storage: Storage, recording: layout.Recording, timeline: Timeline) -> None:
    moments = room.replay(await shelf.read_lines(storage, recording), timeline)
    lines = b"".join(msgspec.json.encode(moment) + b"\n" for moment in moments)
    await storage.put(recording.file("events.jsonl"), lines)
    await storage.put(recording.file("chapters.json"), msgspec.json.encode(room.chapters(moments, timeline)))


def is_portrait(timeline: Timeline) -> bool:
    """Whether the picture is higher than wide."""
    item = timeline.renditions.get(timeline.reference)
    return item is not None and item.height > item.width
