"""The picture of the test source: a market stall drawn once, and per frame only what moves.

Frames are planar YUV 4:2:0. A full repaint of 720p costs a quarter of a core in Python; painting a card, a clock and
the barcode over a cached background costs a few percent.
"""

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hack.testsource import barcode

CLOCK_CHARACTERS = "0123456789:. "
_SKY_TOP, _SKY_BOTTOM = (13, 27, 42), (65, 51, 99)
_AWNING = ((200, 55, 64), (246, 239, 226))
_ACCENT = (255, 183, 77)
_CARDS = (
    ("Jamdani saree", "BDT 12,500", (173, 32, 84), (255, 140, 105)),
    ("Nakshi kantha", "BDT 4,200", (11, 94, 122), (72, 202, 178)),
    ("Brass lantern", "BDT 1,850", (121, 74, 22), (250, 194, 88)),
)
_CARD_SECONDS = 6.0
_SWAY_SECONDS = 8.0

Plane = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sprite:
    """A picture in planar form, ready to be copied into a frame; sizes and places are even."""

    y: Plane
    u: Plane
    v: Plane

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.y.shape[1], self.y.shape[0]


class Scene:
    """Paints frames of one size; `frame(at)` returns a buffer that the next call overwrites."""

    def __init__(self, width: int, height: int) -> None:
        if width % 4 or height % 4 or min(width, height) < 180:
            raise ValueError(f"{width}x{height}: sides must be multiples of 4 and at least 180")
        self.width, self.height = width, height
        self._unit = min(width, height) / 720
        self._background = to_sprite(_background(width, height, self._unit))
        self._cards = [to_sprite(_card(index, self._unit, width)) for index in range(len(_CARDS))]
        self._glyphs = _glyphs(self._unit)
        size = width * height
        self._buffer = np.empty(size * 3 // 2, np.uint8)
        self._y = self._buffer[:size].reshape(height, width)
        self._u = self._buffer[size : size + size // 4].reshape(height // 2, width // 2)
        self._v = self._buffer[size + size // 4 :].reshape(height // 2, width // 2)

    def frame(self, at: float) -> memoryview:
        """The picture of epoch time `at`, stamped with it."""
        self._paste(self._background, 0, 0)
        card = self._cards[int(at / _CARD_SECONDS) % len(self._cards)]
        width, _ = card.size
        sway = math.sin(at * 2 * math.pi / _SWAY_SECONDS)
        x = (self.width - width) / 2 + sway * (self.width - width) / 2 * 0.8
        y = self.height * 0.34 + math.sin(at * 2 * math.pi / 3) * 10 * self._unit
        self._paste(card, round(x) & ~1, round(y) & ~1)
        self._clock(at)
        barcode.paint(self._y, int(at * 1000))
        strip = round(self.height * barcode.STRIP_HEIGHT) // 2 + 1
        self._u[:strip] = 128
        self._v[:strip] = 128
        return self._buffer.data

    def _clock(self, at: float) -> None:
        text = datetime.fromtimestamp(at).strftime("%H:%M:%S.%f")[:-4]
        width = sum(self._glyphs[character].size[0] for character in text)
        x = (self.width - width) // 2 & ~1
        y = round(self.height * 0.895) & ~1
        for character in text:
            glyph = self._glyphs[character]
            self._paste(glyph, x, y)
            x += glyph.size[0]

    def _paste(self, sprite: Sprite, x: int, y: int) -> None:
        width, height = sprite.size
        self._y[y : y + height, x : x + width] = sprite.y
        self._u[y // 2 : (y + height) // 2, x // 2 : (x + width) // 2] = sprite.u
        self._v[y // 2 : (y + height) // 2, x // 2 : (x + width) // 2] = sprite.v


def to_sprite(image: Image.Image) -> Sprite:
    """An RGB image as BT.601 limited-range YUV 4:2:0."""
    rgb = np.asarray(image.convert("RGB"), dtype=np.float32)
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    y = 16 + (65.738 * r + 129.057 * g + 25.064 * b) / 256
    u = 128 + (-37.945 * r - 74.494 * g + 112.439 * b) / 256
    v = 128 + (112.439 * r - 94.154 * g - 18.285 * b) / 256
    return Sprite(_plane(y), _plane(_halve(u)), _plane(_halve(v)))


def _plane(values: NDArray[np.float32]) -> Plane:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _halve(values: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = values.shape
    halved: NDArray[np.float32] = values.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3), dtype=np.float32)
    return halved


def _even(value: float) -> int:
    return round(value / 2) * 2


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(8, round(size)))


def _gradient(width: int, height: int, top: tuple[int, ...], bottom: tuple[int, ...]) -> Image.Image:
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    colours = np.asarray(top, np.float32) * (1 - ramp) + np.asarray(bottom, np.float32) * ramp
    return Image.fromarray(np.broadcast_to(colours, (height, width, 3)).astype(np.uint8))


def _background(width: int, height: int, unit: float) -> Image.Image:
    image = _gradient(width, height, _SKY_TOP, _SKY_BOTTOM)
    draw = ImageDraw.Draw(image)
    top = round(height * barcode.STRIP_HEIGHT)
    stripe = 60 * unit
    depth = 70 * unit
    for index in range(math.ceil(width / stripe)):
        left = index * stripe
        draw.rectangle((left, top, left + stripe, top + depth), fill=_AWNING[index % 2])
        draw.pieslice(
            (left, top + depth - stripe / 2, left + stripe, top + depth + stripe / 2), 0, 180, _AWNING[index % 2]
        )
    middle = width / 2
    draw.text((middle, top + depth + 62 * unit), "HAAT", (255, 255, 255), _font(64 * unit), anchor="mm")
    draw.text((middle, top + depth + 110 * unit), "test source", _ACCENT, _font(28 * unit), anchor="mm")
    counter = height * 0.80
    draw.rectangle((0, counter, width, height), fill=(54, 34, 28))
    draw.rectangle((0, counter, width, counter + 8 * unit), fill=_ACCENT)
    return image


def _card(index: int, unit: float, frame_width: int) -> Image.Image:
    name, price, top, bottom = _CARDS[index]
    width, height = _even(min(360 * unit, frame_width * 0.55)), _even(300 * unit)
    image = _gradient(width, height, top, bottom)
    draw = ImageDraw.Draw(image)
    border = round(6 * unit)
    draw.rectangle((0, 0, width - 1, height - 1), outline=(255, 255, 255), width=border)
    for ring in range(4):
        radius = (70 - ring * 15) * unit
        shade = tuple(min(255, channel + 30 * ring) for channel in top)
        box = (width / 2 - radius, height * 0.36 - radius, width / 2 + radius, height * 0.36 + radius)
        draw.ellipse(box, fill=shade, outline=(255, 255, 255), width=max(1, round(2 * unit)))
    draw.rectangle((border, height * 0.70, width - border, height - border), fill=(255, 255, 255))
    draw.text((width / 2, height * 0.78), name, (33, 33, 33), _font(28 * unit), anchor="mm")
    draw.text((width / 2, height * 0.90), price, (200, 55, 64), _font(30 * unit), anchor="mm")
    return image


def _glyphs(unit: float) -> dict[str, Sprite]:
    font = _font(56 * unit)
    width, height = _even(36 * unit), _even(64 * unit)
    glyphs = {}
    for character in CLOCK_CHARACTERS:
        image = Image.new("RGB", (width, height), (54, 34, 28))
        ImageDraw.Draw(image).text((width / 2, height / 2), character, (255, 255, 255), font, anchor="mm")
        glyphs[character] = to_sprite(image)
    return glyphs
