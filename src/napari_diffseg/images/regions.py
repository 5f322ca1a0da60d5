"""Regions of an image by its boundaries, and the cluster that each of them votes for.

A cluster says what a pixel looks like, not where a thing ends. So the image is cut into
regions along the steps of colour, and every region takes the cluster
that most of its pixels have: the majority vote of Kanezaki (2018), on regions that
follow the image's own boundaries instead of on superpixels of one size.

All arrays lie ``y x``, or ``z y x``; a *step* is the difference between two neighbouring
pixels: along x ``(y, x − 1)``, along y ``(y − 1, x)``, and in volumes along z.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.segmentation import watershed

from napari_diffseg.images.labels import look_up, merge_small_regions
from napari_diffseg.images.pairs import neighbours, sum_by_pair

Floats = NDArray[np.floating[Any]]
Regions = NDArray[np.int32]
Steps = tuple[Floats, ...]
"""One array for each spatial axis, the last axis first."""

_SMALLEST_LEAF = 12
"""Pixels below which a piece of the watershed joins its neighbour before the rest."""

_EQUAL = 0.02  # difference, in units of the inputs' spread, that counts as none
_SIZE_POWER = 0.25  # 0: size does not matter; 1: Ward's method
_STEP_POWER = 2.0


def norm_steps(channels: Floats) -> Steps:
    """Euclidean length of the differences along x, along y, and along z where there is one."""
    return tuple(
        np.sqrt((np.diff(channels, axis=axis) ** 2).sum(axis=0))
        for axis in range(channels.ndim - 1, 0, -1)
    )


def unit_steps(steps: Steps) -> Steps:
    """Divide steps by their mean, so that steps of different kinds can be added.

    Those along z have a mean of their own: planes are farther apart, and what lies between
    them is no boundary.
    """
    within = _mean_step(steps[:2])
    return tuple(
        step / (within if axis < 2 else _mean_step([step])) for axis, step in enumerate(steps)
    )


def _mean_step(steps: Sequence[Floats]) -> float:
    total = sum(float(step.sum(dtype=np.float64)) for step in steps)
    return max(total / max(sum(step.size for step in steps), 1), 1e-12)


def cut_into_regions(features: Floats, steps: Steps, n_regions: int) -> Regions:
    """Cut an image into regions along its boundaries.

    Watershed of the steps, then the two neighbours that are most alike join, again and
    again: alike in their mean features, with a weak boundary between, and small ones first.

    Parameters
    ----------
    features : ndarray, (f, y, x) or (f, z, y, x)
        What the regions' means are compared by.
    steps : tuple of ndarray
        Strength of the boundary between neighbouring pixels, about 1 on average.
    n_regions : int
        How many regions are wanted; fewer where the image has fewer.

    Returns
    -------
    ndarray of int32, (y, x) or (z, y, x)
        Regions, each connected, from 0.
    """
    leaves = _watershed_leaves(steps)
    n_leaves = int(leaves.max()) + 1
    done = _first_merges(leaves, features, steps, max(n_leaves - n_regions, 0))
    links = (np.ones(len(done), np.int8), (done[:, 0], done[:, 1]))
    graph = coo_array(links, shape=(n_leaves, n_leaves))
    regions: Regions = connected_components(graph, directed=False)[1].astype(np.int32)[leaves]
    return regions


def _watershed_leaves(steps: Steps) -> Regions:
    """Cut at every crest of the steps; pieces of some pixels join a neighbour."""
    along_x, along_y = steps[:2]
    strength = np.zeros((*along_x.shape[:-1], along_y.shape[-1]), np.float32)
    for place, step in enumerate(steps):
        before, after = neighbours(strength, strength.ndim - 1 - place)
        after += step
        before += step
    leaves = merge_small_regions(watershed(strength), _SMALLEST_LEAF)
    # Numbered anew, without gaps.
    numbers = np.cumsum(np.bincount(leaves.ravel()) > 0, dtype=np.int32) - 1
    return look_up(numbers, leaves)


def _first_merges(
    leaves: Regions, features: Floats, steps: Steps, n_wanted: int
) -> NDArray[np.int64]:
    """Return the first pairs of leaves whose regions join, in that order, (m, 2).

    In each round every pair of regions that prefer each other to all their other
    neighbours joins, which gives what joining one pair at a time would give. As no union
    costs less than what is left does, the rounds end once enough cheaper ones are known.
    """
    n = int(leaves.max()) + 1
    flat = leaves.ravel()
    sizes = np.bincount(flat, minlength=n).astype(np.float64)
    sums = [np.bincount(flat, channel.ravel(), minlength=n) for channel in features]
    means = np.stack(sums, axis=1) / sizes[:, None]
    heights = np.zeros(n)
    edges = _leaf_edges(leaves, steps, n)
    merges, costs = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    while edges[0].size:
        first, second, strength, border = edges
        cost = _merge_cost(means, sizes, edges)
        if _are_enough(costs, n_wanted, float(cost.min())):
            break
        chosen = _mutual_choice(first, second, cost, n)
        keeps, joins = first[chosen], second[chosen]
        # A union costs no less than its parts did, so that the order is one of nesting.
        height = np.maximum(np.maximum(cost[chosen], heights[keeps]), heights[joins])
        heights[keeps] = height
        merges.append(np.stack([keeps, joins], axis=1))
        costs.append(height)
        total = sizes[keeps] + sizes[joins]
        means[keeps] = (
            sizes[keeps, None] * means[keeps] + sizes[joins, None] * means[joins]
        ) / total[:, None]
        sizes[keeps] = total
        stands_for = np.arange(n)
        stands_for[joins] = keeps
        edges = _sum_edges(stands_for[first], stands_for[second], strength, border, n)
    order = np.argsort(np.concatenate(costs), kind="stable")
    return np.concatenate(merges)[order[:n_wanted]]


def _are_enough(costs: list[NDArray[np.float64]], n_wanted: int, least: float) -> bool:
    """Whether so many unions are known that cost no more than any that is to come."""
    known = np.concatenate(costs)
    return known.size >= n_wanted and int(np.count_nonzero(known <= least)) >= n_wanted


# first region, second region, sum of the steps across their border, length of the border
_Edges = tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]], Floats, Floats]


def _leaf_edges(leaves: Regions, steps: Steps, n: int) -> _Edges:
    first, second, strength = [], [], []
    for place, step in enumerate(steps):
        before, after = neighbours(leaves, leaves.ndim - 1 - place)
        border = before != after
        first.append(before[border])
        second.append(after[border])
        strength.append(step[border])
    crossed = np.concatenate(strength)
    return _sum_edges(
        np.concatenate(first), np.concatenate(second), crossed, np.ones(crossed.size), n
    )


def _sum_edges(
    first: NDArray[np.integer[Any]],
    second: NDArray[np.integer[Any]],
    strength: Floats,
    border: Floats,
    n: int,
) -> _Edges:
    """Bring every pair of regions together to one edge; a region has none with itself."""
    apart = first != second
    values = (strength[apart].astype(float), border[apart].astype(float))
    low, high, (crossed, length) = sum_by_pair(first[apart], second[apart], values, n)
    return low, high, crossed, length


def _merge_cost(means: Floats, sizes: Floats, edges: _Edges) -> Floats:
    first, second, strength, border = edges
    apart = ((means[first] - means[second]) ** 2).sum(axis=1)
    size = sizes[first] * sizes[second] / (sizes[first] + sizes[second])
    cost: Floats = (
        (_EQUAL + apart) * (_EQUAL + strength / border) ** _STEP_POWER * size**_SIZE_POWER
    )
    return cost


def _mutual_choice(
    first: NDArray[np.integer[Any]], second: NDArray[np.integer[Any]], cost: Floats, n: int
) -> NDArray[np.bool_]:
    """Mark the edges that are the cheapest of both their regions; there is always one."""
    cheapest = np.full(n, np.inf)
    np.minimum.at(cheapest, first, cost)
    np.minimum.at(cheapest, second, cost)
    # Of several equally cheap ones the first counts, for all of them alike.
    best = np.full(n, cost.size)
    for side in (first, second):
        edges = np.flatnonzero(cost == cheapest[side])
        np.minimum.at(best, side[edges], edges)
    place = np.arange(cost.size)
    mutual: NDArray[np.bool_] = (best[first] == place) & (best[second] == place)
    return mutual


def count_votes(
    regions: Regions,
    clusters: NDArray[np.integer[Any]],
    n_clusters: int,
    valid: NDArray[np.bool_] | None = None,
) -> NDArray[np.int32]:
    """Count each region's pixels by cluster; only valid ones, where that is given.

    Returns
    -------
    ndarray of int32, (regions, q)
    """
    n_regions = int(regions.max()) + 1
    pair = regions.astype(np.int64) * n_clusters + clusters
    counted = pair.ravel() if valid is None else pair[valid]
    counts = np.bincount(counted, minlength=n_regions * n_clusters)
    return counts.astype(np.int32).reshape(n_regions, n_clusters)


def join_votes(
    votes: NDArray[np.int32], representatives: NDArray[np.integer[Any]]
) -> NDArray[np.int32]:
    """Give each cluster's votes ``(regions, q)`` to the cluster that stands for it."""
    together = np.zeros_like(votes)
    np.add.at(together.T, representatives, votes.T)
    return together
