"""The baselines find what is plain to see, and the losses have the values of their papers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.baselines.basins import watershed_basins
from benchmarks.baselines.iic import iic_clusters, mutual_information
from benchmarks.baselines.superpixels import merged_superpixels
from benchmarks.baselines.unsupervised import CHOSEN, CLUSTERINGS, GRIDS, PARTITIONS
from benchmarks.baselines.wnet import soft_normalized_cut, wnet_clusters


@pytest.fixture
def halves() -> np.ndarray:
    """A red and a blue half, with a little noise; 70×91 pixels."""
    pixels = np.full((70, 91, 3), (200, 40, 40), np.uint8)
    pixels[:, 45:] = (40, 40, 200)
    return pixels + np.random.default_rng(0).integers(0, 6, pixels.shape, dtype=np.uint8)


def agreement_with_halves(labels: np.ndarray) -> float:
    """Share of the pixels that a two-sided reading of the labels puts on the right side."""
    left = np.arange(91) < 45
    right_side = [np.mean(np.broadcast_to(left, (70, 91))[labels == k]) for k in np.unique(labels)]
    sizes = [np.mean(labels == k) for k in np.unique(labels)]
    return float(np.sum(np.maximum(right_side, 1 - np.array(right_side)) * sizes))


@pytest.mark.parametrize("name", PARTITIONS)
def test_partitions_keep_two_halves_apart(name, halves):
    labels = PARTITIONS[name](halves)
    assert labels.shape == (70, 91)
    assert agreement_with_halves(labels) > 0.95


def test_superpixels_of_like_colour_join(halves):
    assert len(np.unique(merged_superpixels(halves, threshold=20, n_superpixels=60))) == 2


def test_shallow_minima_have_no_basin(halves):
    few, many = (len(np.unique(watershed_basins(halves, depth))) for depth in (3, 0.01))
    assert 2 <= few < many


@pytest.mark.parametrize("name", CLUSTERINGS)
def test_clusterings_have_at_most_k_clusters(name, halves):
    assert len(np.unique(CLUSTERINGS[name](halves, 3))) <= 3


@pytest.mark.parametrize("method", [iic_clusters, wnet_clusters])
def test_networks_cluster_images_of_any_size(method, halves):
    labels = method(halves, 4, iterations=2)
    assert labels.shape == (70, 91)
    assert labels.max() < 4
    np.testing.assert_array_equal(labels, method(halves, 4, iterations=2))


def test_settings_that_were_chosen_are_in_the_table():
    assert set(CHOSEN) == set(GRIDS)
    for name, settings in CHOSEN.items():
        assert {f"{name} {setting}" for setting in settings} <= set(PARTITIONS)


def one_hot(labels: torch.Tensor, k: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(labels, k).movedim(-1, 1).float()


def test_mutual_information_is_high_between_like_views_and_none_between_unlike():
    like = torch.zeros(1, 64, 64, dtype=torch.long)
    like[:, :32] = 1
    generator = torch.Generator().manual_seed(0)
    unlike = torch.randint(2, like.shape, generator=generator)
    same = mutual_information(one_hot(like, 2), one_hot(like, 2))
    assert np.log(2) * 0.7 < same < np.log(2)
    assert mutual_information(one_hot(like, 2), one_hot(unlike, 2)).abs() < 0.01


def test_normalised_cut_is_0_along_a_boundary_and_k_less_1_where_all_is_even():
    image = torch.zeros(1, 3, 16, 16)
    image[..., 8:] = 1
    along = one_hot((image[:, 0] > 0).long(), 2)
    across = one_hot((image[:, 0].transpose(1, 2) > 0).long(), 2)
    assert soft_normalized_cut(along, image, sigma=0.1) == pytest.approx(0, abs=1e-4)
    assert soft_normalized_cut(across, image, sigma=0.1) > 0.1
    even = torch.full((1, 5, 16, 16), 1 / 5)
    assert soft_normalized_cut(even, image, sigma=0.1) == pytest.approx(4, abs=1e-4)
