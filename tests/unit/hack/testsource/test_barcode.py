"""The clock in the picture survives scaling, brightness and noise, and never reads as another time."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hack.testsource import barcode
from hack.testsource.barcode import BarcodeError
from hack.testsource.scene import Scene

stamps = st.integers(0, (1 << barcode.STAMP_BITS) - 1)


def painted(stamp: int, width: int = 640, height: int = 360) -> NDArray[np.uint8]:
    luma = np.full((height, width), 90, np.uint8)
    barcode.paint(luma, stamp)
    return luma


@given(stamps, st.sampled_from([(1280, 720), (720, 1280), (854, 480), (480, 854), (640, 360), (360, 640), (426, 240)]))
def test_a_painted_stamp_is_read_at_every_size(stamp: int, size: tuple[int, int]) -> None:
    assert barcode.read(painted(stamp, *size)) == stamp


@given(stamps, st.integers(0, 2**32 - 1))
def test_noise_and_low_contrast_do_not_matter(stamp: int, seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 25, (360, 640))
    luma = np.clip(painted(stamp) * 0.6 + 40 + noise, 0, 255).astype(np.uint8)
    assert barcode.read(luma) == stamp


@given(stamps, st.integers(0, 51), st.integers(1, 51))
def test_one_or_two_wrong_cells_are_noticed(stamp: int, first: int, gap: int) -> None:
    rows = [list(map(float, row)) for row in barcode.encode(stamp)]
    per_row = barcode.COLUMNS - len(barcode.SYNC)
    for index in {first, (first + gap) % 52}:
        row, column = divmod(index, per_row)
        rows[row][column + len(barcode.SYNC)] = 1 - rows[row][column + len(barcode.SYNC)]
    levels = [[barcode.BLACK + cell * (barcode.WHITE - barcode.BLACK) for cell in row] for row in rows]
    with pytest.raises(BarcodeError):
        barcode.decode(levels)


def test_a_picture_without_a_barcode_is_refused() -> None:
    with pytest.raises(BarcodeError):
        barcode.read(np.full((360, 640), 128, np.uint8))


@pytest.mark.parametrize("stamp", [-1, 1 << barcode.STAMP_BITS])
def test_stamps_outside_the_range_are_refused(stamp: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        barcode.encode(stamp)


def test_the_description_is_plain_data() -> None:
    layout = json.loads(json.dumps(barcode.description()))
    cells = layout["rows"] * (layout["columns"] - len(layout["sync"]))
    assert cells == layout["stamp_bits"] + layout["check_bits"]


@pytest.mark.parametrize("size", [(1280, 720), (720, 1280), (640, 360)])
def test_a_frame_of_the_scene_carries_its_time_and_moves(size: tuple[int, int]) -> None:
    scene = Scene(*size)
    frames = []
    for at in (1_800_000_000.0, 1_800_000_000.48):
        frame = np.frombuffer(scene.frame(at), np.uint8).copy()
        assert frame.size == size[0] * size[1] * 3 // 2
        assert abs(barcode.read(frame[: size[0] * size[1]].reshape(size[1], size[0])) - at * 1000) <= 1
        frames.append(frame)
    below = round(size[1] * 0.2) * size[0]
    assert (frames[0][below:] != frames[1][below:]).any()
