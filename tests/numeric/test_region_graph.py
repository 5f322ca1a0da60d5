"""The graph of regions: borders, and how answers spread over it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from napari_diffseg.numeric import region_graph
from napari_diffseg.numeric.region_graph import RegionGraph, _groups


def sides_of(regions, along_x, along_y):
    return [
        (regions[:, :-1], regions[:, 1:], along_x, 1.0),
        (regions[:-1], regions[1:], along_y, 1.0),
    ]


def graph_of(regions, steps=None):
    """The graph of a map of regions; the step between two pixels is their difference."""
    regions = np.asarray(regions)
    steps = np.zeros(regions.shape) if steps is None else np.asarray(steps, float)
    along_x, along_y = np.abs(np.diff(steps, axis=1)), np.abs(np.diff(steps, axis=0))
    areas = np.bincount(regions.ravel()).astype(float)
    return RegionGraph.build(areas, sides_of(regions, along_x, along_y))


def chain(strengths):
    """Regions in a row, with these boundaries between them; their mean need not be 1."""
    n = len(strengths) + 1
    return RegionGraph(
        np.full(n, 100.0),
        np.arange(n - 1),
        np.arange(1, n),
        np.full(n - 1, 10.0),
        np.array(strengths, float),
    )


def level(n, n_classes=2):
    """Priors that say nothing."""
    return np.full((n, n_classes), 1 / n_classes)


BLOCKS = np.kron([[0, 1, 2], [0, 3, 2]], np.ones((4, 4), int))


def test_neighbours_and_the_length_of_their_borders():
    graph = graph_of(BLOCKS)
    pairs = zip(graph.first.tolist(), graph.second.tolist(), strict=True)
    found = dict(zip(pairs, graph.border, strict=True))
    assert found == {(0, 1): 4, (0, 3): 4, (1, 2): 4, (1, 3): 4, (2, 3): 4}
    np.testing.assert_array_equal(graph.areas, [32, 16, 32, 16])


def test_the_strength_is_the_mean_step_on_the_border():
    graph = graph_of([[0, 0, 1, 1, 2, 2]] * 3, [[0, 0, 1, 1, 4, 4]] * 3)
    np.testing.assert_allclose(graph.strength, [1, 3])


def test_steps_within_a_region_do_not_count():
    noisy = np.array([[0, 9, 1, 8, 2, 7]] * 3)
    calm = np.array([[0, 9, 1, 1, 2, 7]] * 3)
    regions = [[0, 0, 1, 1, 2, 2]] * 3
    np.testing.assert_allclose(
        graph_of(regions, np.where(noisy == 8, 1, noisy)).strength, graph_of(regions, calm).strength
    )


def test_windows_in_any_order_and_cut_give_the_same_graph():
    rng = np.random.default_rng(0)
    regions = np.kron(rng.permutation(16).reshape(4, 4), np.ones((5, 5), int))
    along_x, along_y = rng.random((20, 19)), rng.random((19, 20))
    areas = np.bincount(regions.ravel()).astype(float)
    whole = RegionGraph.build(areas, sides_of(regions, along_x, along_y))
    pieces = [
        (before[rows], after[rows], step[rows], length)
        for before, after, step, length in sides_of(regions, along_x, along_y)
        for rows in (slice(7, None), slice(0, 7))
    ]
    cut = RegionGraph.build(areas, pieces)
    np.testing.assert_array_equal(whole.first, cut.first)
    np.testing.assert_array_equal(whole.second, cut.second)
    np.testing.assert_allclose(whole.border, cut.border)
    np.testing.assert_allclose(whole.strength, cut.strength)


def test_one_region_alone():
    graph = graph_of(np.zeros((3, 3), int))
    assert graph.first.size == 0
    np.testing.assert_allclose(graph.spread(np.array([[0.2, 0.8]]), np.array([-1])), [[0.2, 0.8]])
    np.testing.assert_allclose(graph.spread(np.array([[0.2, 0.8]]), np.array([0])), [[1, 0]])


def test_what_is_given_stays_and_probabilities_add_up_to_1():
    rng = np.random.default_rng(1)
    regions = np.kron(np.arange(36).reshape(6, 6), np.ones((4, 4), int))
    graph = graph_of(regions, rng.random(regions.shape))
    given = np.full(36, -1)
    given[[3, 20, 30]] = [0, 2, 1]
    priors = rng.dirichlet(np.ones(3), 36)
    spread = graph.spread(priors, given)
    np.testing.assert_array_equal(spread[[3, 20, 30]], np.eye(3)[[0, 2, 1]])
    np.testing.assert_allclose(spread.sum(axis=1), 1, atol=5e-3)
    assert spread.min() >= 0


def test_everything_given_is_what_was_given():
    given = np.array([1, 0, 1])
    np.testing.assert_array_equal(chain([1, 1]).spread(level(3), given), np.eye(2)[given])


def test_what_is_given_fades_with_the_distance():
    given = np.array([0, -1, -1, -1, 1])
    share = chain([1, 1, 1, 1]).spread(level(5), given)[:, 0]
    assert (np.diff(share) < 0).all()
    assert share[2] == pytest.approx(0.5)


def test_it_spreads_over_weak_boundaries_before_strong_ones():
    given = np.array([0, -1, 1])
    assert chain([0.2, 2]).spread(level(3), given)[1, 0] > 0.9
    assert chain([2, 0.2]).spread(level(3), given)[1, 0] < 0.1


def test_a_long_border_carries_more_than_a_short_one():
    graph = RegionGraph(
        np.full(3, 100.0), np.array([0, 1]), np.array([1, 2]), np.array([30.0, 5.0]), np.ones(2)
    )
    assert graph.spread(level(3), np.array([0, -1, 1]))[1, 0] > 0.6


def test_regions_that_look_unlike_carry_less():
    priors = np.array([[0.95, 0.05], [0.9, 0.1], [0.1, 0.9], [0.05, 0.95]])
    spread = chain([1, 1, 1]).spread(priors, np.array([0, -1, -1, 1]))
    assert spread[1, 0] > 0.8
    assert spread[2, 1] > 0.8


def test_without_anything_given_the_priors_decide_and_neighbours_even_out():
    priors = np.array([[0.9, 0.1], [0.4, 0.6], [0.9, 0.1]])
    spread = chain([0.5, 0.5]).spread(priors, np.full(3, -1))
    assert spread[1, 0] > 0.5
    np.testing.assert_allclose(spread.sum(axis=1), 1, atol=5e-3)


def test_a_region_without_neighbours_keeps_its_prior():
    graph = RegionGraph(
        np.full(3, 100.0), np.array([0]), np.array([1]), np.array([8.0]), np.array([1.0])
    )
    priors = np.array([[0.5, 0.5], [0.5, 0.5], [0.3, 0.7]])
    np.testing.assert_allclose(graph.spread(priors, np.array([0, -1, -1]))[2], [0.3, 0.7])


def test_a_region_without_area_has_an_answer():
    """All its pixels can be masked."""
    graph = RegionGraph(
        np.array([0.0, 50.0]), np.array([0]), np.array([1]), np.array([5.0]), np.array([0.0])
    )
    assert np.isfinite(graph.spread(level(2), np.array([-1, 1]))).all()


def test_it_does_not_matter_how_regions_and_classes_are_numbered():
    rng = np.random.default_rng(2)
    regions = np.kron(np.arange(25).reshape(5, 5), np.ones((3, 3), int))
    steps = rng.random(regions.shape)
    priors, given = rng.dirichlet(np.ones(3), 25), np.full(25, -1)
    given[[0, 12, 24]] = [0, 1, 2]
    spread = graph_of(regions, steps).spread(priors, given)
    order, classes = rng.permutation(25), np.array([2, 0, 1])
    place = np.argsort(order)
    turned_given = np.where(given < 0, -1, np.argsort(classes)[given])[order]
    turned = graph_of(place[regions], steps).spread(priors[order][:, classes], turned_given)
    np.testing.assert_allclose(turned, spread[order][:, classes], atol=1e-3)


def test_it_is_the_solution_of_the_linear_system():
    rng = np.random.default_rng(3)
    regions = np.kron(np.arange(400).reshape(20, 20), np.ones((3, 3), int))
    graph = graph_of(regions, rng.random(regions.shape))
    priors, given = rng.dirichlet(np.ones(4), 400), np.full(400, -1)
    given[rng.choice(400, 12, replace=False)] = np.arange(12) % 4
    apart = np.abs(priors[graph.first] - priors[graph.second]).sum(axis=1) / 2
    weight = graph.border * np.exp(
        -region_graph._STEP_STRENGTH * graph.strength - region_graph._PRIOR_STRENGTH * apart
    )
    links = np.zeros((400, 400))
    np.add.at(links, (graph.first, graph.second), weight + region_graph._LEAST)
    links += links.T
    trust = region_graph._TRUST * graph.areas
    system, free = np.diag(links.sum(axis=1) + trust) - links, given < 0
    known = (trust[:, None] * priors)[free] - system[free][:, ~free] @ np.eye(4)[given[~free]]
    expected = np.linalg.solve(system[free][:, free], known)
    np.testing.assert_allclose(graph.spread(priors, given)[free], expected, atol=3e-3)


def test_no_smoothness_leaves_the_priors():
    priors, given = np.random.default_rng(0).dirichlet(np.ones(2), 3), np.array([-1, 1, -1])
    spread = chain([1, 1]).spread(priors, given, smoothness=0)
    np.testing.assert_array_equal(spread, [priors[0], [0, 1], priors[2]])


# --- what is around -------------------------------------------------------------------


def test_ways_that_go_round_end():
    """Sums that are not quite alike from both ends can make three regions point round."""
    around = np.array([[4, -2, -1], [-1, 4, -2], [-2, -1, 4]], np.float32)
    (joined,) = _groups(csr_array(around))
    assert joined.shape == (3, 1)


def test_what_is_around_is_a_mean_to_which_near_regions_add_more():
    values = np.zeros((9, 2))
    values[4] = 1
    around = chain([1] * 8).around(values)
    np.testing.assert_allclose(around.sum(axis=0), 1, rtol=1e-3)  # of regions of one size
    assert (np.diff(around[:5, 0]) > 0).all()
    assert (np.diff(around[4:, 1]) < 0).all()
    np.testing.assert_allclose(chain([1] * 8).around(np.full((9, 1), 7.0)), 7, rtol=1e-3)


def test_what_is_around_does_not_stop_at_boundaries():
    values = np.arange(5.0)[:, None]
    np.testing.assert_array_equal(chain([9] * 4).around(values), chain([0] * 4).around(values))
