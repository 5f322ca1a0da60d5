from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_diffseg.errors import InputError
from napari_diffseg.sample_data.simulated import simulated_nuclei


def test_image_and_ground_truth() -> None:
    image, labels = simulated_nuclei((160, 200), n_nuclei=12)
    assert image.shape == labels.shape == (160, 200)
    assert image.dtype == labels.dtype == np.uint16
    assert np.unique(labels).tolist() == list(range(13))
    inside, outside = image[labels > 0], image[labels == 0]
    assert inside.mean() > 2 * outside.mean()
    assert image.max() < np.iinfo(np.uint16).max
    # Noise and gradient: the background is no constant.
    assert outside.std() > 10


def test_every_nucleus_is_one_piece_and_touches_no_other() -> None:
    _, labels = simulated_nuclei((160, 200), n_nuclei=12, seed=3)
    pieces, n_pieces = ndimage.label(labels > 0, structure=np.ones((3, 3)))
    assert n_pieces == 12
    for piece in range(1, n_pieces + 1):
        assert np.unique(labels[pieces == piece]).size == 1


def test_seed() -> None:
    first, again, other = (simulated_nuclei((96, 96), 4, seed=seed) for seed in (1, 1, 2))
    for one, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, same)
        assert (one != different).any()


def test_empty_field() -> None:
    image, labels = simulated_nuclei((40, 30), n_nuclei=0)
    assert not labels.any()
    assert image.std() > 0


@pytest.mark.parametrize(
    ("shape", "n_nuclei", "message"),
    [
        ((40, 40), 100, "nuclei fit"),
        ((0, 40), 1, "shape"),
        ((40, 40, 40), 1, "shape"),
        ((40, 40), -1, "n_nuclei"),
        ((40, 40), 70_000, "n_nuclei"),
    ],
)
def test_what_cannot_be(shape: tuple[int, int], n_nuclei: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        simulated_nuclei(shape, n_nuclei)
