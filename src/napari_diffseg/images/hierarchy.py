"""Merging clusters after the fact: any number of labels, without training again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

_UNSEEN = 1e-9
_ROWS_AT_ONCE = 64  # whose costs fit into a processor's cache


@dataclass(frozen=True, eq=False, slots=True)
class ClusterHierarchy:
    """In which order clusters join when fewer of them are wanted.

    Attributes
    ----------
    n_clusters : int
        Number of clusters (q), in use or not.
    merges : ndarray of int, (q − 1, 2)
        Who stays and who joins it, the most alike first.
    """

    n_clusters: int
    merges: NDArray[np.int64]

    @classmethod
    def of_pixels(cls, inputs: Floats, clusters: NDArray[np.integer[Any]], n_clusters: int) -> Self:
        """Build the hierarchy of the clusters of some pixels.

        Parameters
        ----------
        inputs : ndarray, (d, n)
            What the network saw of each pixel.
        clusters : ndarray of int, (n,)
        n_clusters : int
            Number of clusters (q).
        """
        sizes = np.bincount(clusters, minlength=n_clusters)
        sums = [np.bincount(clusters, channel, minlength=n_clusters) for channel in inputs]
        return cls.build(np.stack(sums, axis=1) / np.maximum(sizes, 1)[:, None], sizes)

    @classmethod
    def build(cls, means: Floats, sizes: NDArray[np.integer[Any]]) -> Self:
        """Merge by Ward's method: at each step the two whose union spreads least.

        Parameters
        ----------
        means : ndarray, (q, d)
            Mean inputs of each cluster.
        sizes : ndarray of int, (q,)
            Pixels of each cluster; those with none join before the rest.
        """
        # Next to no weight, so that it costs nothing to join: a cluster that was not seen
        # here, but is in another image, must not be left over.
        merges = _ward_merges(means.astype(np.float64), np.maximum(sizes, _UNSEEN))
        return cls(len(means), merges)

    def at_most(self, n_labels: int) -> NDArray[np.int64]:
        """Return for each cluster the one that stands for it when few labels are left.

        Parameters
        ----------
        n_labels : int
            How many are left at most; 0 for all.

        Returns
        -------
        ndarray of int, (q,)
            Nested: what is together at some number of labels is together at each lower one.
        """
        standing = np.arange(self.n_clusters)
        n_merges = max(self.n_clusters - n_labels, 0) if n_labels else 0
        for kept, joined in self.merges[:n_merges]:
            standing[standing == joined] = kept
        return standing


def _ward_merges(means: NDArray[np.float64], weights: Floats) -> NDArray[np.int64]:
    """Return who stays and who joins it by Ward's method, the cheapest first, (n − 1, 2).

    In each round all pairs join that are the cheapest for both of them: with Ward's cost
    no union is nearer to a third than its parts were, so that the tree is the one that
    joining one pair at a time would give, and only who lost its nearest looks again.
    """
    distinct, first, place = np.unique(means, axis=0, return_index=True, return_inverse=True)
    place = place.reshape(-1)
    alive = np.sort(first)
    joins = np.setdiff1d(np.arange(len(means)), alive)
    merges = [np.stack([first[place[joins]], joins], axis=1)]  # the same place: at no cost
    mass: NDArray[Any] = np.bincount(place, weights)[place]
    means = (means - distinct.mean(axis=0)).copy()
    heights = np.zeros(len(means))
    costs = [heights[joins]]
    nearest = np.full(len(means), -1)
    cost = np.zeros(len(means))
    looking = alive
    while len(alive) > 1:
        nearest[looking], cost[looking] = _nearest(means, mass, looking, alive)
        keeps = alive[(nearest[nearest[alive]] == alive) & (alive < nearest[alive])]
        if keeps.size == 0:
            # Equal costs, rounded differently from both sides, can choose in a circle.
            first_of_all = alive[cost[alive].argmin()]
            pair = sorted((int(first_of_all), int(nearest[first_of_all])))
            keeps = np.array(pair[:1])
            nearest[keeps] = pair[1]
        joins = nearest[keeps]
        # A union costs no less than its parts did, also where the sums are rounded.
        height = np.maximum(np.maximum(cost[keeps], heights[keeps]), heights[joins])
        heights[keeps] = height
        merges.append(np.stack([keeps, joins], axis=1))
        costs.append(height)
        total = mass[keeps] + mass[joins]
        shares = (mass[keeps] / total)[:, None], (mass[joins] / total)[:, None]
        means[keeps] = shares[0] * means[keeps] + shares[1] * means[joins]
        mass[keeps] = total
        changed = np.zeros(len(means), bool)
        changed[keeps] = changed[joins] = True
        gone = np.zeros(len(means), bool)
        gone[joins] = True
        alive = alive[~gone[alive]]
        looking = alive[changed[alive] | changed[nearest[alive]]]
    order = np.argsort(np.concatenate(costs), kind="stable")
    return np.concatenate(merges)[order].astype(np.int64)


def _nearest(
    means: Floats, weights: Floats, looking: NDArray[np.int64], alive: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Floats]:
    """Find for each of those looking the one of those alive that it joins at least cost."""
    seen = means[alive]
    # In one product: |a|² + |b|² − 2 a·b.
    right = np.column_stack([seen, np.ones(len(seen)), (seen**2).sum(axis=1)]).T
    lightness = 1 / weights[alive]
    nearest, cost = np.empty(len(looking), np.int64), np.empty(len(looking))
    for start in range(0, len(looking), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        own = means[looking[rows]]
        apart = np.column_stack([-2 * own, (own**2).sum(axis=1), np.ones(len(own))]) @ right
        apart /= np.add.outer(1 / weights[looking[rows]], lightness)
        here = np.arange(len(own))
        apart[here, np.searchsorted(alive, looking[rows])] = np.inf
        chosen = apart.argmin(axis=1)
        nearest[rows], cost[rows] = alive[chosen], apart[here, chosen]
    return nearest, cost
