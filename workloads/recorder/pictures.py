"""Thumbnails and sprite sheets from key frames. Functions that take a CPU for milliseconds: call them in a thread.

Only the first frame of a segment is decoded, which is a key frame, by one thread: pictures must not cost the stream.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import av
from av.error import FFmpegError
from PIL import Image, ImageOps, UnidentifiedImageError

from workloads.recorder import layout
from workloads.recorder.playlists import COLUMNS, TILE_HEIGHT, TILE_WIDTH

WIDTH, HEIGHT = 640, 360
_JPEG_QUALITY, _WEBP_QUALITY, _SHEET_QUALITY = 80, 75, 70
MIN_LINES = 360


class NoPicture(Exception):
    """The segment does not begin with a frame that can be decoded."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """The encoded picture, and its tile for the sprite sheet."""

    jpeg: bytes
    webp: bytes
    tile: Image.Image
    portrait: bool


def best_rung(heights: Mapping[str, int]) -> str:
    """The smallest rung (name -> short side) with enough lines, else the largest; empty without any."""
    enough = [(lines, name) for name, lines in heights.items() if lines >= MIN_LINES]
    if enough:
        return min(enough)[1]
    return max(((lines, name) for name, lines in heights.items()), default=(0, ""))[1]


def take(init: bytes, segment: bytes) -> Pictures:
    """The pictures of a segment's first frame; NoPicture."""
    image = _first_frame(init, segment)
    portrait = image.height > image.width
    size = (HEIGHT, WIDTH) if portrait else (WIDTH, HEIGHT)
    fitted = image if image.size == size else ImageOps.pad(image, size, Image.Resampling.BILINEAR)
    return Pictures(
        jpeg=_encoded(fitted, "JPEG", _JPEG_QUALITY),
        webp=_encoded(fitted, "WEBP", _WEBP_QUALITY, method=2),
        tile=_tile(fitted),
        portrait=portrait,
    )


def tile_of(jpeg: bytes) -> Image.Image:
    """The tile of a thumbnail that was stored; NoPicture when it is damaged."""
    try:
        return _tile(Image.open(io.BytesIO(jpeg)).convert("RGB"))
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise NoPicture(str(error)) from error


def sheet(tiles: Mapping[int, Image.Image]) -> bytes:
    """The JPEG sheet of tiles by slot; all slots belong to one sheet, whose empty places stay black."""
    width, height = next(iter(tiles.values())).size
    rows = max(slot % layout.TILES for slot in tiles) // COLUMNS + 1
    whole = Image.new("RGB", (width * COLUMNS, height * rows))
    for slot, tile in tiles.items():
        place = slot % layout.TILES
        if tile.size == (width, height):
            whole.paste(tile, (place % COLUMNS * width, place // COLUMNS * height))
    return _encoded(whole, "JPEG", _SHEET_QUALITY)


def _first_frame(init: bytes, segment: bytes) -> Image.Image:
    try:
        with av.open(io.BytesIO(init + segment), "r") as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            for frame in container.decode(stream):
                scale = min(1.0, WIDTH / max(frame.width, frame.height))
                width, height = max(2, round(frame.width * scale)), max(2, round(frame.height * scale))
                image: Image.Image = frame.reformat(width=width, height=height, format="rgb24").to_image()  # type: ignore[no-untyped-call]
                return image
    except (FFmpegError, IndexError, ValueError, OSError) as error:
        raise NoPicture(str(error)) from error
    raise NoPicture("no frame")


def _tile(image: Image.Image) -> Image.Image:
    size = (TILE_HEIGHT, TILE_WIDTH) if image.height > image.width else (TILE_WIDTH, TILE_HEIGHT)
    return image.resize(size, Image.Resampling.BOX)


def _encoded(image: Image.Image, kind: str, quality: int, **options: int) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, quality=quality, **options)
    return out.getvalue()
