"""Leaves: small regions along boundaries that know of no block."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, label

from napari_diffseg.image.space import PLANE, Space
from napari_diffseg.numeric import leaves as leaf_tools
from napari_diffseg.numeric.leaves import color_slope, find_leaves, leaf_means, sides_of


@pytest.fixture
def strength():
    return gaussian_filter(np.random.default_rng(0).random((60, 80), np.float32), 2)


def test_every_leaf_has_one_end_and_is_connected(strength):
    leaves = find_leaves(strength, PLANE)
    np.testing.assert_array_equal(np.unique(leaves), np.arange(leaves.max() + 1))
    for one in range(leaves.max() + 1):
        assert label(leaves == one, np.ones((3, 3)))[1] == 1


def test_a_crest_parts_two_leaves():
    strength = np.zeros((9, 21), np.float32)
    strength[:] = -np.abs(np.arange(21) - 10)
    leaves = find_leaves(strength, PLANE)
    assert leaves.max() == 1
    assert (leaves[:, :10] == leaves[0, 0]).all()
    assert (leaves[:, 11:] == leaves[0, 20]).all()


def test_a_plain_is_one_leaf():
    assert find_leaves(np.zeros((12, 15), np.float32), PLANE).max() == 0


def test_a_part_is_cut_as_the_whole_is(strength):
    """Away from its edge: what a pixel points to is told by the pixels next to it."""
    whole = find_leaves(strength, PLANE)
    part = find_leaves(strength[10:50, 20:70], PLANE)
    here = whole[10:50, 20:70]
    inner = [
        one for one in np.unique(here) if (whole == one).sum() == (here[1:-1, 1:-1] == one).sum()
    ]
    assert len(inner) > 10
    for one in inner:
        (found,) = np.unique(part[here == one])
        np.testing.assert_array_equal(part == found, here == one)


def test_planes_too_far_apart_share_no_leaf():
    volume = gaussian_filter(np.random.default_rng(1).random((4, 20, 20), np.float32), 1.5)
    far, near = find_leaves(volume, Space(3, 20)), find_leaves(volume, Space(3, 1))
    assert not np.intersect1d(far[1], far[2]).size
    assert np.intersect1d(near[1], near[2]).size
    assert all(axis[0].shape[0] == 4 for axis in sides_of(far, volume, Space(3, 20)))


def test_the_slope_is_that_of_the_colours_in_pixels():
    ramp = np.tile(np.arange(40, dtype=np.float32) * 0.5, (30, 1))[None]
    np.testing.assert_allclose(color_slope(ramp, PLANE)[:, 8:-8], 0.5, rtol=1e-5)
    volume = np.broadcast_to(np.arange(20, dtype=np.float32)[:, None, None], (20, 9, 9))[None]
    np.testing.assert_allclose(color_slope(volume, Space(3, 2.0))[6:-6], 0.5, rtol=1e-5)


def means(leaves, rows, counted=None):
    return leaf_means(leaves, lambda window: [rows[window]], counted)


def test_means_are_of_the_pixels_that_count():
    leaves = np.array([[0, 0, 1, 1]], np.int32)
    rows = np.array([[[1.0], [3.0], [5.0], [9.0]]], np.float32)
    np.testing.assert_allclose(means(leaves, rows), [[2], [7]])
    counted = np.array([[True, False, False, False]])
    np.testing.assert_allclose(means(leaves, rows, counted), [[1], [7]])


def test_means_of_many_pixels_are_those_of_all_of_them(monkeypatch):
    """Band by band, where leaves go on from one to the next."""
    monkeypatch.setattr(leaf_tools, "_BAND_PIXELS", 100)
    random = np.random.default_rng(2)
    leaves = find_leaves(gaussian_filter(random.random((60, 80), np.float32), 3), PLANE)
    rows = random.random((60, 80, 3), np.float32)
    expected = [rows[leaves == one].mean(axis=0) for one in range(leaves.max() + 1)]
    np.testing.assert_allclose(means(leaves, rows), expected, rtol=1e-5)
