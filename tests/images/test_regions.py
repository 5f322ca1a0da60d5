"""Regions: connected, no more than asked for, along the boundaries; and their votes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.measure import label

from napari_diffseg.images.regions import count_votes, cut_into_regions, unit_steps


def cut(image, n_regions):
    """Regions of one channel by its own steps, blurred against noise."""
    smooth = gaussian_filter(image, 1.0)
    steps = unit_steps((np.abs(np.diff(smooth, axis=1)), np.abs(np.diff(smooth, axis=0))))
    return cut_into_regions(image[None], steps, n_regions)


def noise(shape):
    return np.random.default_rng(0).random(shape)


def assert_connected_from_0(regions):
    n = regions.max() + 1
    np.testing.assert_array_equal(np.unique(regions), np.arange(n))
    assert label(regions, background=-1, connectivity=1).max() == n


@pytest.mark.parametrize("n_regions", [1, 2, 7, 20, 10_000])
@pytest.mark.parametrize(
    "shape", [(40, 50), (1, 60), (60, 1), (2, 90), (3, 3), (1, 2), (2, 1), (1, 1)]
)
def test_regions_are_connected_and_no_more_than_asked_for(shape, n_regions):
    regions = cut(noise(shape), n_regions)
    assert regions.shape == shape
    assert regions.dtype == np.int32
    assert regions.max() + 1 <= n_regions
    assert_connected_from_0(regions)


@pytest.mark.parametrize("n_regions", [1, 5, 30])
def test_as_many_as_asked_for_where_the_image_has_them(n_regions):
    assert cut(noise((80, 80)), n_regions).max() + 1 == n_regions


@pytest.mark.parametrize("shape", [(30, 40), (1, 40), (40, 1)])
def test_a_constant_image_is_one_region(shape):
    np.testing.assert_array_equal(cut(np.full(shape, 0.3), 10), 0)


@pytest.mark.parametrize("n_regions", [2, 6, 25])
def test_regions_follow_a_clear_boundary(n_regions):
    y, x = np.mgrid[:60, :70]
    disc = (y - 28) ** 2 + (x - 37) ** 2 < 18**2
    regions = cut(disc + 0.05 * noise(disc.shape), n_regions)
    inside, outside = set(regions[disc].tolist()), set(regions[~disc].tolist())
    assert not inside & outside
    assert len(inside | outside) == n_regions


def test_regions_of_fewer_are_unions_of_regions_of_more():
    image = noise((50, 60))
    more = cut(image, 40)
    for n_regions in (20, 8, 2):
        fewer = cut(image, n_regions)
        assert len(np.unique(more.astype(np.int64) * 1000 + fewer)) == more.max() + 1
        more = fewer


def test_the_same_image_gives_the_same_regions_and_stays_as_it_was():
    image = noise((30, 30))
    before = image.copy()
    np.testing.assert_array_equal(cut(image, 9), cut(image, 9))
    np.testing.assert_array_equal(image, before)


def test_steps_are_1_on_average_of_both_directions():
    along_x, along_y = unit_steps((np.full((4, 3), 2.0), np.full((3, 4), 6.0)))
    assert (along_x.sum() + along_y.sum()) / 24 == pytest.approx(1)
    assert along_y[0, 0] == pytest.approx(3 * along_x[0, 0])
    flat = unit_steps((np.zeros((4, 3)), np.zeros((3, 4))))
    assert not flat[0].any()
    assert not flat[1].any()
    single = unit_steps((np.zeros((1, 0)), np.zeros((0, 1))))
    assert single[0].size == single[1].size == 0


REGIONS = np.array([[0, 0, 1], [0, 2, 2]], dtype=np.int32)
CLUSTERS = np.array([[3, 1, 1], [3, 0, 1]], dtype=np.int16)


def test_votes_are_pixels_by_region_and_cluster():
    votes = count_votes(REGIONS, CLUSTERS, 4)
    assert votes.dtype == np.int32
    assert votes.tolist() == [[0, 1, 0, 2], [0, 1, 0, 0], [1, 1, 0, 0]]


def test_only_valid_pixels_vote_and_every_region_keeps_its_row():
    valid = np.array([[False, True, True], [True, False, False]])
    assert count_votes(REGIONS, CLUSTERS, 4, valid).tolist() == [
        [0, 1, 0, 1],
        [0, 1, 0, 0],
        [0, 0, 0, 0],
    ]


def test_votes_of_many_regions_and_clusters_do_not_overflow():
    regions = np.arange(60_000, dtype=np.int32).reshape(200, 300)
    clusters = np.full((200, 300), 1023, dtype=np.int16)
    votes = count_votes(regions, clusters, 1024)
    assert votes.shape == (60_000, 1024)
    assert (votes[:, 1023] == 1).all()
