from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_diffseg.errors import InputError
from napari_diffseg.sample_data.simulated_volume import VOXEL_SIZE, simulated_volume

SHAPE = (20, 96, 80)


def test_image_and_ground_truth() -> None:
    image, labels = simulated_volume(SHAPE, n_nuclei=6)
    assert image.shape == labels.shape == SHAPE
    assert image.dtype == labels.dtype == np.uint16
    assert np.unique(labels).tolist() == list(range(7))
    assert image[labels > 0].mean() > 1.5 * image[labels == 0].mean()
    assert image.max() < np.iinfo(np.uint16).max


def test_nuclei_are_round_in_micrometres_and_touch_no_other() -> None:
    _, labels = simulated_volume((32, 128, 128), n_nuclei=14, seed=2)
    pieces, n_pieces = ndimage.label(labels > 0, structure=np.ones((3, 3, 3)))
    assert n_pieces == 14
    for piece in range(1, n_pieces + 1):
        assert np.unique(labels[pieces == piece]).size == 1
    size = np.array(VOXEL_SIZE)
    whole = [
        box
        for box in ndimage.find_objects(labels)
        if all(one.start > 0 and one.stop < n for one, n in zip(box, labels.shape, strict=True))
    ]
    assert whole
    for box in whole:
        lengths = size * [one.stop - one.start for one in box]
        assert lengths.max() < 2 * lengths.min()


def test_light_spreads_along_z() -> None:
    image, labels = simulated_volume(n_nuclei=12, seed=1)
    inside = labels > 0
    shadow = inside | np.roll(inside, 1, axis=0) | np.roll(inside, -1, axis=0)
    far = ~ndimage.binary_dilation(inside, np.ones((5, 9, 9)))
    # Above and below a nucleus it is brighter than elsewhere, though no nucleus is there.
    assert image[shadow & ~inside].mean() > image[far].mean() + 20


def test_deep_nuclei_are_dimmer_and_the_background_is_uneven() -> None:
    image, labels = simulated_volume(seed=4)
    above = [
        np.median(image[z][labels[z] > 0]) - np.median(image[z][labels[z] == 0]) for z in (3, 28)
    ]
    assert above[1] < 0.9 * above[0]
    empty, _ = simulated_volume(SHAPE, n_nuclei=0)
    corners = empty[:, :20, :20], empty[:, -20:, :20], empty[:, :20, -20:], empty[:, -20:, -20:]
    assert np.ptp([corner.mean() for corner in corners]) > 20


def test_seed() -> None:
    first, again, other = (simulated_volume(SHAPE, 4, seed=seed) for seed in (1, 1, 2))
    for one, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, same)
        assert (one != different).any()


@pytest.mark.parametrize(
    ("shape", "n_nuclei", "message"),
    [
        ((8, 40, 40), 100, "nuclei fit"),
        ((0, 40, 40), 1, "shape"),
        ((40, 40), 1, "shape"),
        ((8, 40, 40), -1, "n_nuclei"),
        ((8, 40, 40), 70_000, "n_nuclei"),
    ],
)
def test_what_cannot_be(shape: tuple[int, ...], n_nuclei: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        simulated_volume(shape, n_nuclei)  # type: ignore[arg-type]
