from __future__ import annotations

import numpy as np
import pytest

from napari_diffseg.numeric.superpixels import slic_superpixels


def _noise(shape):
    return np.random.default_rng(0).random(shape, dtype=np.float32)


@pytest.mark.parametrize("n_superpixels", [1, 12, 10_000])
@pytest.mark.parametrize(
    "shape",
    [(3, 24, 30), (1, 24, 30), (2, 24, 30), (5, 24, 30), (3, 1, 40), (1, 40, 1), (1, 1, 2)],
)
def test_indices_count_from_0_without_gaps(shape, n_superpixels):
    superpixels = slic_superpixels(_noise(shape), n_superpixels, 10.0, rgb=shape[0] == 3)
    assert superpixels.shape == shape[1:]
    assert superpixels.dtype == np.int64
    np.testing.assert_array_equal(np.unique(superpixels), np.arange(superpixels.max() + 1))


def test_about_as_many_as_asked_for():
    superpixels = slic_superpixels(_noise((3, 60, 60)), 100, 100.0, rgb=True)
    assert 50 <= superpixels.max() + 1 <= 150


@pytest.mark.parametrize(("n_channels", "rgb"), [(1, False), (2, False), (3, False), (3, True)])
def test_borders_follow_the_image(n_channels, rgb):
    pixels = np.zeros((n_channels, 40, 40), dtype=np.float32)
    pixels[:, :, 13:] = 1.0
    superpixels = slic_superpixels(pixels, 16, 10.0, rgb=rgb)
    assert not set(superpixels[:, :13].flat) & set(superpixels[:, 13:].flat)


def test_colours_of_the_same_mean_are_told_apart():
    pixels = np.zeros((3, 40, 40), dtype=np.float32)
    pixels[0, :, :13] = pixels[1, :, 13:] = 0.8
    superpixels = slic_superpixels(pixels, 16, 10.0, rgb=True)
    assert not set(superpixels[:, :13].flat) & set(superpixels[:, 13:].flat)


@pytest.mark.parametrize("compactness", [1.0, 30.0, 100.0])
def test_compactness_means_the_same_for_gray_and_rgb(compactness):
    # Black and white are 0 and 100 in Lab, so here nothing but the scale can differ.
    y, x = np.indices((40, 40))
    gray = ((y - 17) ** 2 + (x - 22) ** 2 < 120).astype(np.float32)[np.newaxis]
    np.testing.assert_array_equal(
        slic_superpixels(gray, 25, compactness, rgb=False),
        slic_superpixels(np.repeat(gray, 3, axis=0), 25, compactness, rgb=True),
    )


def test_values_beyond_0_and_1_are_clipped_and_the_input_left_alone():
    pixels = _noise((3, 20, 20)) * 3 - 1
    pixels.flags.writeable = False
    np.testing.assert_array_equal(
        slic_superpixels(pixels, 20, 10.0, rgb=True),
        slic_superpixels(np.clip(pixels, 0, 1), 20, 10.0, rgb=True),
    )


def test_the_same_image_gives_the_same_superpixels():
    pixels = _noise((3, 30, 30))
    np.testing.assert_array_equal(
        slic_superpixels(pixels, 30, 10.0, rgb=True), slic_superpixels(pixels, 30, 10.0, rgb=True)
    )


def test_three_channels_that_are_no_colours_are_not_taken_for_colours():
    # In Lab a step of blue weighs less than a step of green; as channels they weigh the same.
    pixels = _noise((3, 10, 10)).repeat(4, axis=1).repeat(4, axis=2)
    swapped = pixels[[0, 2, 1]]
    plain, other = (slic_superpixels(image, 30, 5.0, rgb=False) for image in (pixels, swapped))
    np.testing.assert_array_equal(plain, other)
    colours, other = (slic_superpixels(image, 30, 5.0, rgb=True) for image in (pixels, swapped))
    assert not np.array_equal(colours, other)
