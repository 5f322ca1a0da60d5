"""Merging clusters after the fact: any number of labels, without training again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.image.arrays import Floats

GRAY_POWER, COLOR_POWER = 0.15, 0.3
"""How much sizes count. 1 would be Ward's method, which parts what is large before what is unlike.

In one channel thin things (walls, rims) are a kind of their own; in colours what is small and
unlike is as often a speck of dirt or a hole, and nuclei are less of an exception.
"""

_ONE_SCALE = 0.005  # share of the image at which a join costs the same by either power
_TINY, _WEIGHTLESS = 1e-300, 1e-9
# Two kinds are unlike whose join costs so many times the root of what the last join costs, both in
# units of the inputs' variance: half by the image's own scale, so that parts of a bright object are
# one kind, and faint kinds of an image with no bright ones are several.
_UNLIKE = 0.45
_FEWEST, _MOST = 2, 12  # labels that `ClusterHierarchy.n_kinds` chooses among


@dataclass(frozen=True, eq=False, slots=True)
class ClusterHierarchy:
    """In which order clusters join when fewer of them are wanted."""

    n_clusters: int  # in use or not: q
    merges: NDArray[np.int64]  # (q − 1, 2), who stays and who joins it, the most alike first
    costs: NDArray[np.float64]  # (q − 1), how unlike those are that join; never falling

    @classmethod
    def none(cls, n_clusters: int) -> Self:
        """Return the hierarchy of clusters that never join."""
        return cls(n_clusters, np.zeros((0, 2), np.int64), np.zeros(0))

    @classmethod
    def of_pixels(cls, inputs: Floats, clusters: NDArray[np.integer[Any]], n_clusters: int) -> Self:
        """Build the hierarchy of the clusters of some pixels; of each ``(d, n)`` was seen."""
        return cls.of_regions(inputs.T, clusters, np.ones(clusters.size), n_clusters)

    @classmethod
    def of_regions(
        cls,
        rows: Floats,
        clusters: NDArray[np.integer[Any]],
        areas: Floats,
        n_clusters: int,
        present: NDArray[np.bool_] | None = None,
        size_power: float = GRAY_POWER,
        answers: Floats | None = None,
    ) -> Self:
        """Build the hierarchy of the clusters of some regions, ``(n, d)``, by their areas.

        Those that are not present, ``(q,)``, join before the rest. Those that no region has lie
        where answers ``(n, q)`` would have them most.
        """
        sizes = np.bincount(clusters, areas, minlength=n_clusters)
        sums = [np.bincount(clusters, areas * one, minlength=n_clusters) for one in rows.T]
        means = np.stack(sums, axis=1) / np.maximum(sizes, 1)[:, None]
        if answers is not None:
            unseen = np.flatnonzero(sizes == 0)
            shares = answers[:, unseen] * areas[:, None]
            means[unseen] = shares.T @ rows / np.maximum(shares.sum(axis=0), _TINY)[:, None]
        if present is not None:
            sizes = np.where(present, np.maximum(sizes, 1), 0)
        return cls.build(means, sizes, size_power)

    @classmethod
    def build(cls, means: Floats, sizes: NDArray[Any], size_power: float = GRAY_POWER) -> Self:
        """Join, again and again, the two clusters whose union costs least.

        It costs ``d² · (a b / (a + b) / s)^p``: means d apart, sizes a, b, a fixed small s. p = 1
        is Ward's; a smaller p lets a small kind like no other outlast the parts of a large one.
        """
        q = len(means)
        # Of no weight, and so at no cost: a cluster that was not seen here, but is in another
        # image, must not be left over.
        mass = np.asarray(sizes, float) / max(float(np.sum(sizes)), 1.0)
        means = means.astype(float)
        cost = np.full((q, q), np.inf)
        for one in range(q):
            cost[one, :one] = _costs(means, mass, one, size_power)[:one]
        merges, costs = np.zeros((max(q - 1, 0), 2), np.int64), np.zeros(max(q - 1, 0))
        gone = np.zeros(q, bool)
        for step in range(q - 1):
            joins, keeps = np.unravel_index(int(cost.argmin()), cost.shape)
            merges[step] = keeps, joins
            # A union costs no less than its parts did, so that the order is one of nesting.
            costs[step] = max(cost[joins, keeps], costs[step - 1] if step else 0.0)
            total = mass[keeps] + mass[joins]
            share = mass[joins] / max(total, _TINY)
            means[keeps] += share * (means[joins] - means[keeps])
            mass[keeps] = total
            gone[joins] = True
            cost[joins], cost[:, joins] = np.inf, np.inf
            anew = np.where(gone, np.inf, _costs(means, mass, int(keeps), size_power))
            cost[keeps, :keeps], cost[keeps + 1 :, keeps] = anew[:keeps], anew[keeps + 1 :]
        return cls(q, merges, costs)

    @property
    def n_kinds(self) -> int:
        """How many labels the clusters themselves suggest: those that are clearly unlike."""
        largest = self.costs.max(initial=0.0)
        n_unlike = 1 + int(np.count_nonzero(self.costs >= max(_UNLIKE * largest**0.5, _TINY)))
        return min(max(n_unlike, _FEWEST), _MOST, max(self.n_clusters, 1))

    def at_most(self, n_labels: int) -> NDArray[np.int64]:
        """Return for each cluster the one that stands for it when few labels are left; 0 for all.

        Nested: what is together at some number of labels is together at each lower one.
        """
        standing = np.arange(self.n_clusters)
        n_merges = max(self.n_clusters - n_labels, 0) if n_labels else 0
        for kept, joined in self.merges[:n_merges]:
            standing[standing == joined] = kept
        return standing


def _costs(means: Floats, mass: Floats, one: int, size_power: float) -> Floats:
    """Return what it costs to join one cluster with each other."""
    apart = ((means - means[one]) ** 2).sum(axis=1)
    size = mass * mass[one] / np.maximum(mass + mass[one], _TINY) / _ONE_SCALE
    # What has no weight joins what it is most like, at next to no cost.
    cost: Floats = apart * np.maximum(size**size_power, _WEIGHTLESS)
    return cost
