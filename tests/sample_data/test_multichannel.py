from __future__ import annotations

import numpy as np
import pytest

from napari_diffseg.errors import InputError
from napari_diffseg.sample_data.multichannel import (
    BACKGROUND,
    CYTOPLASM,
    MEMBRANE,
    NUCLEUS,
    StainedCells,
    simulated_cells,
)


@pytest.fixture(scope="module")
def stained() -> StainedCells:
    return simulated_cells()


def test_image_and_ground_truth(stained: StainedCells) -> None:
    assert stained.image.shape == (3, 256, 256)
    assert stained.cells.shape == stained.regions.shape == (256, 256)
    assert np.unique(stained.cells).tolist() == list(range(37))
    assert np.unique(stained.regions).tolist() == [BACKGROUND, CYTOPLASM, NUCLEUS, MEMBRANE]
    np.testing.assert_array_equal(stained.regions == BACKGROUND, stained.cells == 0)


def test_each_channel_shows_its_structure(stained: StainedCells) -> None:
    for channel, region in zip(stained.image, (NUCLEUS, CYTOPLASM, MEMBRANE), strict=True):
        means = {r: channel[stained.regions == r].mean() for r in (1, 2, 3, 4)}
        assert max(means, key=means.__getitem__) == region


def test_channels_have_ranges_of_their_own(stained: StainedCells) -> None:
    low, high = np.percentile(stained.image, (1, 99), axis=(1, 2))
    assert high[2] > 10 * high[1]
    assert high[0] / low[0] > 3 * high[1] / low[1]


def test_cells_touch(stained: StainedCells) -> None:
    left, right = stained.cells[:, :-1], stained.cells[:, 1:]
    assert ((left != right) & (left > 0) & (right > 0)).sum() > 50


def test_a_nucleus_lies_within_its_cell_and_off_the_membrane(stained: StainedCells) -> None:
    nucleus = stained.regions == NUCLEUS
    for y, x in ((0, 1), (1, 0)):
        inside = np.roll(stained.cells, (y, x), (0, 1)) == stained.cells
        assert inside[1:, 1:][nucleus[1:, 1:]].all()


def test_seed() -> None:
    first, again, other = (simulated_cells((80, 90), 4, seed=seed) for seed in (1, 1, 2))
    for name in ("image", "cells", "regions"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
        assert (getattr(first, name) != getattr(other, name)).any()


def test_empty_field() -> None:
    stained = simulated_cells((30, 40), n_cells=0)
    assert (stained.regions == BACKGROUND).all()
    assert stained.image.std() > 0


@pytest.mark.parametrize(
    ("shape", "n_cells", "message"),
    [
        ((40, 40), 50, "cells fit"),
        ((0, 40), 1, "shape"),
        ((4, 40, 40), 1, "shape"),
        ((40, 40), -1, "n_cells"),
        ((40, 40), 2000, "n_cells"),
    ],
)
def test_what_cannot_be(shape: tuple[int, ...], n_cells: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        simulated_cells(shape, n_cells)  # type: ignore[arg-type]
