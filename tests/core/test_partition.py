"""Partition: blocks and regions, who votes, and what is left after merging."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.measure import label

from napari_diffseg.core.inference import calibrate, response_map
from napari_diffseg.core.network import FeatureClusteringNet
from napari_diffseg.core.partition import Partition, merged_clusters
from napari_diffseg.core.plane import Plane
from napari_diffseg.images import pieces
from napari_diffseg.images.hierarchy import ClusterHierarchy
from napari_diffseg.images.local_statistics import LocalStatistics
from napari_diffseg.params import SegmentationParams

CPU = torch.device("cpu")
SHAPE = (50, 70)
WHOLE = (slice(0, SHAPE[0]), slice(0, SHAPE[1]))


def plane_and_network(valid=None):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    rng = np.random.default_rng(0)
    pixels = (0.3 + 0.4 * (x > 30) + 0.2 * (y > 20) + rng.normal(0, 0.02, SHAPE))[None]
    pixels = pixels.astype(np.float32)
    stage, statistics = LocalStatistics.measure(pixels, valid, [WHOLE], rgb=False)
    plane = Plane(pixels, valid, stage)
    torch.manual_seed(0)
    network = FeatureClusteringNet(statistics.shape[1], 4, 6, 1, shortcut=True)
    calibrate(network, torch.from_numpy(statistics))
    return plane, network


def drain(steps):
    shares = []
    while True:
        try:
            shares.append(next(steps))
        except StopIteration as end:
            return shares, end.value


def test_without_regions_every_pixel_stands_for_itself():
    plane, network = plane_and_network()
    found = Partition.find(network, plane, CPU, 0)
    assert found.regions is None
    assert found.votes is None
    expected = response_map(network, plane, WHOLE, CPU).argmax(dim=0).numpy()
    np.testing.assert_array_equal(found.clusters, expected)
    np.testing.assert_array_equal(found.clusters_for(np.arange(6), 0), expected)


@pytest.mark.parametrize("block", [16, 23, 512])
def test_blocks_change_no_cluster_and_regions_end_at_their_edges(monkeypatch, block):
    plane, network = plane_and_network()
    whole = Partition.find(network, plane, CPU, 60)
    monkeypatch.setitem(pieces._BLOCK, 2, (block, block))
    shares, found = drain(Partition.find_steps(network, plane, CPU, 60))
    np.testing.assert_array_equal(found.clusters, whole.clusters)
    rows, columns = -(-SHAPE[0] // block), -(-SHAPE[1] // block)
    assert shares == [number / (rows * columns) for number in range(1, rows * columns)]
    n = found.regions.max() + 1
    np.testing.assert_array_equal(np.unique(found.regions), np.arange(n))
    assert label(found.regions, background=-1, connectivity=1).max() == n
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    blocks = y // block * columns + x // block
    assert len(np.unique(found.regions * rows * columns + blocks)) == n, "one block for each"


def test_votes_count_every_pixel_once(monkeypatch):
    monkeypatch.setitem(pieces._BLOCK, 2, (32, 32))
    plane, network = plane_and_network()
    found = Partition.find(network, plane, CPU, 60)
    np.testing.assert_array_equal(found.votes.sum(axis=1), np.bincount(found.regions.ravel()))
    np.testing.assert_array_equal(
        found.votes.sum(axis=0), np.bincount(found.clusters.ravel(), minlength=6)
    )


def test_masked_pixels_do_not_vote():
    valid = np.ones(SHAPE, bool)
    valid[10:40, 20:50] = False
    plane, network = plane_and_network(valid)
    found = Partition.find(network, plane, CPU, 60)
    np.testing.assert_array_equal(
        found.votes.sum(axis=0), np.bincount(found.clusters[valid], minlength=6)
    )


def test_the_region_size_is_one_of_valid_pixels():
    """A masked area, however large, does not make the regions beside it smaller."""
    valid = np.zeros(SHAPE, bool)
    valid[:, :30] = True
    plane, network = plane_and_network(valid)
    found = Partition.find(network, plane, CPU, 60)
    n_regions = len(np.unique(found.regions[valid]))
    assert 10 <= n_regions <= valid.sum() / 60


# Three regions of six pixels in a row; 5 clusters.
VOTES = np.array([[3, 2, 1, 0, 0], [0, 2, 1, 3, 0], [0, 0, 0, 0, 6]], np.int32)
ROW = Partition(
    clusters=np.array([[0, 0, 0, 1, 1, 2, 3, 3, 3, 1, 1, 2, 4, 4, 4, 4, 4, 4]], np.int16),
    valid=None,
    regions=np.repeat(np.arange(3, dtype=np.int32), 6)[None],
    votes=VOTES,
)


@pytest.mark.parametrize(
    ("representatives", "expected"),
    [
        ([0, 1, 2, 3, 4], [0, 3, 4]),
        ([0, 1, 1, 3, 4], [0, 1, 4]),  # on a tie of 3 to 3 the smaller index wins
        ([0, 1, 1, 3, 3], [0, 1, 3]),
        ([0, 0, 0, 3, 0], [0, 0, 0]),
        ([4, 4, 4, 4, 4], [4, 4, 4]),
    ],
)
def test_clusters_that_joined_vote_together(representatives, expected):
    found = ROW.clusters_for(np.array(representatives), 0)
    np.testing.assert_array_equal(found, np.repeat(expected, 6)[None])


def test_small_pieces_join_a_neighbour():
    partition = Partition(np.array([[0, 0, 0, 1, 2, 2]], np.int16), None)
    everything = np.arange(3)
    assert partition.clusters_for(everything, 2).tolist() == [[0, 0, 0, 0, 2, 2]]
    assert partition.clusters_for(np.array([0, 1, 1]), 2).tolist() == [[0, 0, 0, 1, 1, 1]]
    hidden = Partition(partition.clusters, np.array([[True] * 2 + [False] * 3 + [True]]))
    assert hidden.clusters_for(everything, 2).tolist() == partition.clusters.tolist()


def test_finding_clusters_for_some_labels_leaves_the_partition_alone():
    before = ROW.clusters.copy(), ROW.votes.copy()
    ROW.clusters_for(np.zeros(5, int), 3)
    np.testing.assert_array_equal(ROW.clusters, before[0])
    np.testing.assert_array_equal(ROW.votes, before[1])


@pytest.mark.parametrize(("n_labels", "expected"), [(0, 3), (3, 3), (2, 2), (1, 1)])
def test_the_hierarchy_and_the_parameters_decide(n_labels, expected):
    means = np.array([[0.0], [1.0], [1.2], [9.0], [10.0]])
    hierarchy = ClusterHierarchy.build(means, np.ones(5, int))
    params = SegmentationParams(n_labels=n_labels, min_region_size=0)
    assert len(np.unique(merged_clusters(ROW, hierarchy, params))) == expected


def test_every_so_manieth_pixel_is_a_plane_with_its_inputs():
    plane, _ = plane_and_network()
    few = plane.every(3)
    assert few.shape == (17, 24)
    np.testing.assert_array_equal(few.pixels, plane.pixels[:, ::3, ::3])
    window = (slice(2, 9), slice(5, 24))
    expected = plane.stage.window(few.pixels, None, window)
    np.testing.assert_array_equal(few.inputs(window), expected)
    assert plane.every(1) is plane
