"""Merging clusters after the fact: any number of labels, without training again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

_UNSEEN = 1e-9


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
        means, weights = means.astype(np.float64), np.maximum(sizes, _UNSEEN)
        alive = np.arange(len(sizes))
        merges = []
        while len(alive) > 1:
            n, mean = weights[alive], means[alive]
            apart = ((mean[:, None] - mean[None]) ** 2).sum(axis=-1)
            cost = apart * (n[:, None] * n[None]) / (n[:, None] + n[None])
            np.fill_diagonal(cost, np.inf)
            first, second = sorted(alive[list(np.unravel_index(cost.argmin(), cost.shape))])
            total = weights[first] + weights[second]
            means[first] = (weights[first] * means[first] + weights[second] * means[second]) / total
            weights[first] = total
            alive = alive[alive != second]
            merges.append((first, second))
        return cls(len(means), np.array(merges, dtype=np.int64).reshape(-1, 2))

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
