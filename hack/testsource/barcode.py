"""A clock in the picture that survives scaling and lossy coding: epoch milliseconds as black and white cells.

Two rows of 28 cells across the top of the frame. Each row begins with a white and a black cell, which give the reader
its threshold and prove that it looks at a barcode; the other 52 cells hold, most significant bit first and row by
row, 42 bits of milliseconds since 1970 (good until the year 2109) and a 10-bit checksum. Pure functions;
`description()` gives all that a reader in another language needs.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROWS, COLUMNS = 2, 28
STAMP_BITS, CHECK_BITS = 42, 10
SYNC = (1, 0)
STRIP_HEIGHT = 0.06
"""Height of the barcode as a fraction of the frame's; it spans the whole width, from the top edge."""

CRC_POLYNOMIAL = 0x233
"""CRC-10/ATM: x^10 + x^9 + x^5 + x^4 + x + 1, initial value 0, most significant bit first."""

BLACK, WHITE = 16, 235
MIN_CONTRAST = 80
_SAMPLED = 0.5


class BarcodeError(ValueError):
    """There is no readable barcode in the picture."""


def checksum(stamp: int) -> int:
    """CRC-10 of the 42 bits of a stamp."""
    remainder = 0
    for bit in range(STAMP_BITS - 1, -1, -1):
        feedback = (remainder >> (CHECK_BITS - 1) & 1) ^ (stamp >> bit & 1)
        remainder = remainder << 1 & (1 << CHECK_BITS) - 1
        if feedback:
            remainder ^= CRC_POLYNOMIAL
    return remainder


def encode(stamp_ms: int) -> list[list[int]]:
    """Cells of each row, 1 for white; `stamp_ms` is milliseconds since 1970."""
    if not 0 <= stamp_ms < 1 << STAMP_BITS:
        raise ValueError(f"{stamp_ms} does not fit {STAMP_BITS} bits")
    word = stamp_ms << CHECK_BITS | checksum(stamp_ms)
    total = STAMP_BITS + CHECK_BITS
    bits = [word >> (total - 1 - index) & 1 for index in range(total)]
    per_row = COLUMNS - len(SYNC)
    return [[*SYNC, *bits[row * per_row : (row + 1) * per_row]] for row in range(ROWS)]


def decode(levels: Sequence[Sequence[float]]) -> int:
    """The stamp from the mean brightness (0..255) of each cell; BarcodeError when it is none."""
    if len(levels) != ROWS or any(len(row) != COLUMNS for row in levels):
        raise BarcodeError("wrong number of cells")
    word = 0
    for row in levels:
        white, black = row[0], row[1]
        if white - black < MIN_CONTRAST:
            raise BarcodeError("no white and black cell at the beginning of a row")
        threshold = (white + black) / 2
        for level in row[len(SYNC) :]:
            word = word << 1 | (level > threshold)
    stamp = word >> CHECK_BITS
    if checksum(stamp) != word & (1 << CHECK_BITS) - 1:
        raise BarcodeError("the checksum does not match")
    return stamp


def paint(luma: NDArray[np.uint8], stamp_ms: int) -> None:
    """Draw the barcode into a luma plane of shape (height, width)."""
    height, width = luma.shape
    rows = _edges(0, round(height * STRIP_HEIGHT), ROWS)
    columns = _edges(0, width, COLUMNS)
    widths = np.diff(columns)
    for index, cells in enumerate(encode(stamp_ms)):
        values = np.where(np.array(cells, dtype=bool), WHITE, BLACK).astype(np.uint8)
        luma[rows[index] : rows[index + 1], :] = np.repeat(values, widths)


def read(luma: NDArray[np.uint8]) -> int:
    """The stamp in a luma plane of any size; BarcodeError when there is none."""
    height, width = luma.shape
    cell_height, cell_width = height * STRIP_HEIGHT / ROWS, width / COLUMNS
    levels = []
    for row in range(ROWS):
        top, bottom = _middle(row, cell_height)
        line = []
        for column in range(COLUMNS):
            left, right = _middle(column, cell_width)
            line.append(float(luma[top:bottom, left:right].mean()))
        levels.append(line)
    return decode(levels)


def description() -> dict[str, Any]:
    """The layout as plain data, for a reader in another language; positions are fractions of the frame."""
    return {
        "rows": ROWS,
        "columns": COLUMNS,
        "x": 0.0,
        "y": 0.0,
        "width": 1.0,
        "height": STRIP_HEIGHT,
        "sync": list(SYNC),
        "stamp_bits": STAMP_BITS,
        "check_bits": CHECK_BITS,
        "crc_polynomial": CRC_POLYNOMIAL,
        "min_contrast": MIN_CONTRAST,
        "sampled_fraction": _SAMPLED,
        "order": "rows top to bottom, cells left to right, most significant bit first",
        "unit": "milliseconds since 1970-01-01T00:00:00Z",
    }


def _edges(start: int, end: int, count: int) -> list[int]:
    return [start + round((end - start) * index / count) for index in range(count + 1)]


def _middle(index: int, size: float) -> tuple[int, int]:
    """Pixel range of the middle half of a cell: its edges bleed when a frame is scaled."""
    low = round((index + 0.5 - _SAMPLED / 2) * size)
    return low, max(low + 1, round((index + 0.5 + _SAMPLED / 2) * size))
