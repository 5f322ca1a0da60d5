"""What training reads of a large image that is not in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_diffseg import RunOptions, SegmentationParams, train
from napari_diffseg.core import blocks
from napari_diffseg.core.blocks import blocks_of
from napari_diffseg.errors import InputError
from napari_diffseg.image.axes import resolve_axes

SHAPE = (12, 60, 70)
PARAMS = SegmentationParams(n_clusters=4)
ONE = RunOptions(threads=1)


class Lazy:
    """An image that is not in memory."""

    def __init__(self, pixels: np.ndarray) -> None:
        self._pixels = pixels
        self.shape, self.dtype, self.ndim = pixels.shape, pixels.dtype, pixels.ndim

    def __getitem__(self, place: Any) -> np.ndarray:
        return self._pixels[place]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "LARGE", 1000)
    sides = {2: (32, 32), 3: (6, 16, 16)}
    monkeypatch.setattr(blocks, "block_shape", lambda space: sides[space.n_axes])


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).normal(100, 20, SHAPE).astype(np.float32)


def found(image: np.ndarray, strokes: np.ndarray | None = None) -> list[Any]:
    return blocks_of(Lazy(image), resolve_axes(image.shape, "ZYX"), strokes)[0]


def test_blocks_without_a_finite_pixel_are_left_out(image):
    image[:, :, 24:] = np.nan
    assert found(image)
    assert all(np.isfinite(one.image).any() for one in found(image))
    assert train([Lazy(image)], axes="ZYX", params=PARAMS, options=ONE).labels


def test_blocks_painted_where_nothing_is_finite_are_left_out(image):
    image[:, 40:] = np.nan
    strokes = np.zeros(SHAPE, np.uint8)
    strokes[3, 4:8, 4:9] = 1
    strokes[3, 50:55, 40:60] = 1
    strokes[8, 4:8, 50:60] = 2
    model = train([Lazy(image)], scribbles=[strokes], axes="ZYX", params=PARAMS, options=ONE)
    assert {1, 2} <= set(model.labels)


def test_no_class_is_lost_that_little_is_painted_of(image):
    strokes = np.zeros(SHAPE, np.uint8)
    strokes[:, :, :64] = 1
    strokes[11, 59, 68] = 2
    kept = found(image, strokes)
    assert len(kept) == blocks._KEPT
    assert any((one.scribbles == 2).any() for one in kept)


def test_blocks_around_strokes_are_of_one_size(image):
    strokes = np.zeros(SHAPE, np.uint8)
    strokes[0, 0, 0] = strokes[11, 59, 69] = strokes[5, 30, 30] = 1
    kept = found(image, strokes)
    assert {one.image.shape for one in kept} == {(8, 24, 24)}
    assert sum(int((one.scribbles > 0).sum()) for one in kept) >= 3


@pytest.mark.parametrize("strokes", [np.full(SHAPE, -1), np.full(SHAPE, "1")])
def test_strokes_that_are_none_are_refused_in_a_sentence(image, strokes):
    with pytest.raises(InputError):
        found(image, strokes)
