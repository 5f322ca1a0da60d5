"""What training sees: the windows of an image and the patches of a step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_diffseg.core.published.sample import Sample, sample_patches
from napari_diffseg.core.sampling import _MOST_PIXELS, training_windows
from napari_diffseg.params import SegmentationParams

PARAMS = SegmentationParams(patch_size=8, n_patches=64)


def noise(*shape):
    return np.random.default_rng(0).random((1, *shape), dtype=np.float32)


def extent(window):
    return tuple(side.stop - side.start for side in window)


@pytest.mark.parametrize(
    ("shape", "patch_size"),
    [((1, 1), 32), ((512, 512), 32), ((20, 13_000), 32), ((700, 800), 0), ((30, 20_000), 0)],
)
def test_small_images_and_patch_size_0_are_seen_whole(shape, patch_size):
    whole = [(slice(0, shape[0]), slice(0, shape[1]))]
    assert training_windows(noise(*shape), None, patch_size) == whole


@pytest.mark.parametrize("patch_size", [8, 32, 96, 97, 150, 200, 256, 257, 400, 513, 4096])
@pytest.mark.parametrize("shape", [(513, 512), (1500, 1100), (3, 100_000), (300_000, 1)])
def test_of_a_large_image_no_more_is_seen_whatever_the_patch_size(shape, patch_size):
    windows = training_windows(noise(*shape), None, patch_size)
    assert len({extent(window) for window in windows}) == 1
    assert len(windows) * np.prod(extent(windows[0])) <= max(_MOST_PIXELS[2], patch_size**2)
    for window in windows:
        for side, length in zip(window, shape, strict=True):
            assert 0 <= side.start < side.stop <= length
            assert side.stop - side.start >= min(patch_size, length), "a patch fits in"


def test_windows_lie_in_every_part_of_the_image():
    windows = training_windows(noise(1000, 1500), None, 32)
    fields = {((r.start + r.stop) // 2 // 500, (c.start + c.stop) // 2 // 500) for r, c in windows}
    assert fields == {(row, column) for row in range(2) for column in range(3)}


@pytest.mark.parametrize(("y", "x"), [(0, 0), (333, 777), (995, 1295), (500, 3)])
def test_a_small_bright_object_on_a_dark_ground_is_seen(y, x):
    image = np.zeros((1, 1000, 1300), np.float32)
    image[:, y : y + 5, x : x + 5] = 1
    assert any(image[0][window].any() for window in training_windows(image, None, 32))


def test_two_objects_far_apart_are_both_seen():
    image = np.zeros((1, 2048, 2048), np.float32)
    image[0, 150:190, 150:190] = 0.5
    image[0, 1000:1030, 1010:1040] = 1
    windows = training_windows(image, None, 32)
    assert {0.5, 1.0} <= {float(image[0][window].max()) for window in windows}


def test_windows_follow_the_valid_pixels():
    image = noise(1200, 1200)
    valid = np.zeros((1200, 1200), bool)
    valid[500:560, 700:760] = True
    assert any(valid[window].any() for window in training_windows(image, valid, 32))
    valid = np.zeros((1200, 1200), bool)
    valid[:, :300] = True
    seen = [bool(valid[window].any()) for window in training_windows(image, valid, 32)]
    assert sum(seen) >= 5


def sample_of(n_windows, height, width, valid=None):
    """A sample in which every pixel holds its own place: b, y, x."""
    places = torch.stack(
        torch.meshgrid(*(torch.arange(n) for n in (n_windows, height, width)), indexing="ij"), 1
    )
    return Sample(places.float(), valid, places[:, 1] * width + places[:, 2], height * width)


def generator():
    return torch.Generator().manual_seed(0)


def test_patches_are_pieces_of_the_windows_with_all_that_belongs_to_them():
    sample = sample_of(3, 40, 30, torch.ones(3, 40, 30, dtype=torch.bool))
    batch = sample_patches(sample, PARAMS, generator())
    assert batch.inputs.shape == (64, 3, 8, 8)
    assert batch.valid.shape == batch.superpixels.shape == (64, 8, 8)
    assert batch.n_superpixels == sample.n_superpixels
    b, y, x = batch.inputs.unbind(dim=1)
    assert torch.equal(y * 30 + x, batch.superpixels.float())
    assert (b == b[:, :1, :1]).all()
    assert torch.equal(y - y[:, :1, :1], torch.arange(8.0)[None, :, None].expand_as(y))
    assert set(b.flatten().tolist()) == {0.0, 1.0, 2.0}


def test_patches_reach_every_corner():
    inputs = sample_patches(sample_of(1, 10, 9), PARAMS, generator()).inputs
    assert set(inputs[:, 1, 0, 0].tolist()) == {0.0, 1.0, 2.0}
    assert set(inputs[:, 2, 0, 0].tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("shape", "patch_size", "n_patches"),
    [((1, 20, 20), 0, 1), ((3, 20, 20), 0, 3), ((1, 8, 8), 8, 1), ((1, 5, 3), 8, 1)],
)
def test_what_is_no_larger_than_a_patch_is_the_batch(shape, patch_size, n_patches):
    sample = sample_of(*shape)
    params = SegmentationParams(patch_size=patch_size)
    assert sample_patches(sample, params, generator()) is sample
    assert len(sample.inputs) == n_patches


@pytest.mark.parametrize("shape", [(1, 3, 50), (1, 50, 3), (4, 8, 8)])
def test_patches_of_thin_images_and_of_windows_of_the_size_of_a_patch(shape):
    batch = sample_patches(sample_of(*shape), PARAMS, generator())
    assert batch.inputs.shape == (64, 3, min(shape[1], 8), min(shape[2], 8))


@pytest.mark.parametrize("place", [(0, 0, 0), (1, 20, 13), (2, 39, 29), (1, 39, 0)])
def test_patches_lie_around_valid_pixels(place):
    valid = torch.zeros(3, 40, 30, dtype=torch.bool)
    valid[place] = True
    batch = sample_patches(sample_of(3, 40, 30, valid), PARAMS, generator())
    assert batch.inputs.shape == (64, 3, 8, 8)
    assert (batch.valid.sum(dim=(1, 2)) == 1).all()


def test_the_same_generator_gives_the_same_patches():
    sample = sample_of(2, 30, 30)
    first = sample_patches(sample, PARAMS, generator()).inputs
    assert torch.equal(sample_patches(sample, PARAMS, generator()).inputs, first)
    twice = generator()
    sample_patches(sample, PARAMS, twice)
    assert not torch.equal(sample_patches(sample, PARAMS, twice).inputs, first)


def test_the_hierarchy_counts_valid_pixels_only():
    valid = torch.tensor([[[True, True, True, False]]])
    sample = Sample(torch.tensor([[[[0.0, 1.0, 10.0, 1.5]]]]), valid)
    hierarchy = sample.hierarchy(torch.tensor([[[0, 1, 2, 3]]]), 5)
    # Cluster 3 has only the masked pixel: it joins with the unused one before the rest.
    assert hierarchy.at_most(3).tolist()[:3] == [0, 1, 2]
    assert hierarchy.at_most(2).tolist()[:3] == [0, 0, 2]
