"""The hierarchy of clusters: an order of joining, and any number of labels from it."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from napari_diffseg.numeric.hierarchy import COLOR_POWER, GRAY_POWER, ClusterHierarchy


def test_the_two_whose_union_spreads_least_join_first():
    means = np.array([[0.0], [100.0], [1.0], [11.5], [10.0]])
    hierarchy = ClusterHierarchy.build(means, np.ones(5, int))
    assert hierarchy.merges.tolist() == [[0, 2], [3, 4], [0, 3], [0, 1]]


def test_a_small_kind_that_is_like_no_other_outlasts_the_parts_of_a_large_one():
    # Ward's method would join the small one to a large one before it joins the large ones.
    means = np.array([[0.0], [1.0], [4.0]])
    hierarchy = ClusterHierarchy.build(means, np.array([100, 100, 1]))
    assert hierarchy.merges.tolist() == [[0, 1], [0, 2]]


@pytest.mark.parametrize(("power", "first"), [(GRAY_POWER, [0, 1]), (COLOR_POWER, [1, 2])])
def test_in_colours_a_speck_has_to_be_more_unlike_to_outlast_the_parts_of_a_large_kind(
    power, first
):
    means = np.array([[0.0], [1.0], [2.8]])
    hierarchy = ClusterHierarchy.build(means, np.array([500, 500, 1]), power)
    assert hierarchy.merges[0].tolist() == first


@pytest.mark.parametrize(("sizes", "joins"), [([9, 1, 1000, 1000], 2), ([1, 9, 1000, 1000], 3)])
def test_the_mean_of_a_union_is_weighed_by_size(sizes, joins):
    # 0 and 1 become 0.1 or 0.9; half-way between the two others is 0.4.
    means = np.array([[0.0], [1.0], [-5.0], [5.8]])
    hierarchy = ClusterHierarchy.build(means, np.array(sizes))
    assert hierarchy.merges.tolist()[:2] == [[0, 1], [0, joins]]


def one_pair_at_a_time(means, sizes, n_labels):
    """Join the cheapest pair until so many groups are left."""
    groups = [({i}, means[i].astype(float), float(sizes[i])) for i in range(len(means))]
    while len(groups) > n_labels:
        costs = {}
        for (i, (_, a, v)), (j, (_, b, w)) in combinations(enumerate(groups), 2):
            costs[i, j] = ((a - b) ** 2).sum() * (v * w / (v + w)) ** 0.15
        i, j = min(costs, key=costs.get)
        (theirs, b, w), (mine, a, v) = groups.pop(j), groups.pop(i)
        groups.append((mine | theirs, (v * a + w * b) / (v + w), v + w))
    return {frozenset(members) for members, _, _ in groups}


@pytest.mark.parametrize("n_labels", [1, 2, 5, 11, 19, 20])
def test_the_same_groups_as_one_pair_at_a_time(n_labels):
    rng = np.random.default_rng(0)
    means, sizes = rng.normal(size=(20, 3)), rng.integers(1, 50, 20)
    standing = ClusterHierarchy.build(means, sizes).at_most(n_labels)
    mine = {frozenset(np.flatnonzero(standing == one).tolist()) for one in set(standing.tolist())}
    assert mine == one_pair_at_a_time(means, sizes / sizes.sum(), n_labels)


def test_the_costs_never_fall():
    rng = np.random.default_rng(3)
    hierarchy = ClusterHierarchy.build(rng.normal(size=(30, 4)), rng.integers(1, 500, 30))
    assert (np.diff(hierarchy.costs) >= 0).all()


@pytest.mark.parametrize("n_kinds", [2, 3, 5, 7])
def test_kinds_that_are_clearly_unlike_are_counted(n_kinds):
    """Each kind came out as several clusters that are nearly alike."""
    rng = np.random.default_rng(n_kinds)
    kinds = np.repeat(2 * np.eye(n_kinds), 4, axis=0)
    means = kinds + rng.normal(0, 0.02, kinds.shape)
    assert ClusterHierarchy.build(means, np.full(len(means), 100)).n_kinds == n_kinds


@pytest.mark.parametrize(("brightest", "n_kinds"), [(1.2, 3), (4.0, 2)])
def test_what_is_unlike_depends_on_what_there_is(brightest, n_kinds):
    """Two shades that are two kinds beside a faint third are one kind beside a bright one."""
    means = np.array([[-0.45, 0.0], [0.45, 0.0], [0.0, brightest]])
    assert ClusterHierarchy.build(means, np.full(3, 100)).n_kinds == n_kinds


def test_each_number_of_labels_is_nested_in_the_next():
    rng = np.random.default_rng(1)
    hierarchy = ClusterHierarchy.build(rng.normal(size=(15, 2)), rng.integers(1, 500, 15))
    for n_labels in range(1, 15):
        fewer, more = hierarchy.at_most(n_labels), hierarchy.at_most(n_labels + 1)
        assert len(np.unique(fewer)) == n_labels
        np.testing.assert_array_equal(fewer[more], fewer)
        np.testing.assert_array_equal(fewer[fewer], fewer)


@pytest.mark.parametrize("n_labels", [0, 6, 7, 1000])
def test_0_or_more_than_there_are_keeps_all(n_labels):
    means = np.random.default_rng(2).normal(size=(6, 2))
    hierarchy = ClusterHierarchy.build(means, np.ones(6, int))
    np.testing.assert_array_equal(hierarchy.at_most(n_labels), np.arange(6))


def test_clusters_without_pixels_join_first():
    means = np.array([[0.0], [0.3], [5.0], [5.1]])
    hierarchy = ClusterHierarchy.build(means, np.array([10, 0, 10, 10]))
    assert hierarchy.merges.tolist() == [[0, 1], [2, 3], [0, 2]]
    assert hierarchy.at_most(3).tolist() == [0, 0, 2, 3]


@pytest.mark.parametrize("sizes", [[0, 4, 0], [0, 0, 0]])
def test_at_most_one_is_one_whatever_the_sizes(sizes):
    hierarchy = ClusterHierarchy.build(np.zeros((3, 2)), np.array(sizes))
    assert len(np.unique(hierarchy.at_most(1))) == 1


def test_the_hierarchy_of_pixels_uses_their_clusters_means_and_changes_nothing():
    inputs = np.array([[0, 2, 9, 11, 4, 4], [1, 1, 1, 1, 1, 1]], dtype=np.float32)
    before = inputs.copy()
    clusters = np.array([0, 0, 3, 3, 1, 1])
    hierarchy = ClusterHierarchy.of_pixels(inputs, clusters, 5)
    assert hierarchy.n_clusters == 5
    # 2 and 4 have no pixel and join at once; then 1 joins 0, and 3 joins both.
    assert hierarchy.at_most(2).tolist()[:4] == [0, 0, hierarchy.at_most(2)[2], 3]
    assert len(hierarchy.merges) == 4
    np.testing.assert_array_equal(inputs, before)


def test_equal_means_join_at_once_and_weigh_together():
    means = np.array([[5.0], [0.0], [5.0], [1.0], [5.0]])
    hierarchy = ClusterHierarchy.build(means, np.array([1, 60, 1, 60, 1]))
    # 4.5² · 3 · 120 / 123 for the three against both others, 1 · 30 for these two.
    assert hierarchy.merges.tolist() == [[0, 2], [0, 4], [1, 3], [0, 1]]


@pytest.mark.parametrize("n", [4, 6, 24])
def test_means_that_are_all_equally_far_apart_end_in_one(n):
    hierarchy = ClusterHierarchy.build(np.eye(n), np.ones(n, int))
    assert len(hierarchy.merges) == n - 1
    assert len(np.unique(hierarchy.at_most(1))) == 1


def test_what_no_region_has_joins_whoever_has_the_regions_that_would_have_it():
    rows = np.array([[0.0, 0.0], [0.1, 0.0], [5.0, 5.0], [5.1, 5.0]])
    answers = np.array([[0.9, 0.1, 0.0], [0.9, 0.1, 0.0], [0.0, 0.4, 0.6], [0.0, 0.4, 0.6]])
    areas = np.full(4, 10.0)
    standing = ClusterHierarchy.of_regions(
        rows, answers.argmax(axis=1), areas, 3, answers=answers
    ).at_most(2)
    assert standing[1] == standing[2] != standing[0]


def test_what_is_not_there_joins_what_it_is_most_like():
    means = np.array([[0.0], [5.0], [4.8], [0.3]])
    hierarchy = ClusterHierarchy.build(means, np.array([10, 10, 0, 0]))
    assert hierarchy.at_most(2).tolist() == [0, 1, 1, 0]
    rows, clusters = np.array([[0.0], [5.0], [4.8]]), np.array([0, 1, 2])
    present = np.array([True, True, False])
    found = ClusterHierarchy.of_regions(rows, clusters, np.full(3, 50.0), 3, present)
    assert found.at_most(2).tolist() == [0, 1, 1]
