"""What is known of some regions spreads to their neighbours, but not across boundaries.

Regions are the nodes of a graph, weighted by their common border and by how weak the
boundary on it is. Each region has a prior probability of each class; where the person
painted, the class is given. The probabilities that minimise

    Σ_edges w_ij (x_i − x_j)²  +  λ Σ_regions area_i (x_i − prior_i)²

(a random walker with priors: Grady, CVPR 2005) are found by one linear system per class.
The first sum does for regions what the paper's continuity loss does for pixels, and
here its minimum is exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, diags_array

from napari_diffseg.numeric.pairs import sum_by_pair

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]

# Regions of the pixels before and after a step, and its strength, all of one shape; and how
# long a border (in pixel sides) each such pair is.
Side = tuple[Integers, Integers, Floats, float]

_STEP_STRENGTH = 3.3  # β: how fast the weight falls with the boundary's strength, 1 on average
_PRIOR_STRENGTH = 3.0  # γ: how fast it falls with the difference of the priors
_TRUST = 1e-3  # λ: weight of the prior of each pixel beside its neighbours
_LEAST = 1e-5  # no region is quite cut off
_AROUND = 0.006  # λ of what is around a region: some 30 pixels each way
_PRECISION = 1e-4  # of the probabilities
_MOST_STEPS = 300
_TINY = np.float32(1e-30)


@dataclass(frozen=True, eq=False, slots=True)
class RegionGraph:
    """Regions of an image and their neighbours.

    Attributes
    ----------
    areas : ndarray of float, (n,)
        Pixels of each region.
    first, second : ndarray of int, (m,)
        Regions that touch; each pair once.
    border : ndarray of float, (m,)
        Length of the common border, in pixel sides.
    strength : ndarray of float, (m,)
        Strength of the boundary there, in the unit of the steps.
    """

    areas: Floats
    first: Integers
    second: Integers
    border: Floats
    strength: Floats

    @classmethod
    def build(cls, areas: Floats, sides: Iterable[Side]) -> Self:
        """Build the graph.

        Parameters
        ----------
        areas : ndarray, (n,)
            Pixels of each region.
        sides : iterable of (before, after, step, length)
            Of pairs of neighbouring pixels, each pair once: the regions of both, the
            strength of the boundary between them, and its length; window by window.
        """
        n = len(areas)
        nothing = (np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0), np.zeros(0))
        met: list[tuple[Integers, Integers, Floats, Floats]] = [nothing]
        for before, after, step, length in sides:
            apart = before != after
            lengths = np.full(np.count_nonzero(apart), length)
            steps = step[apart].astype(float) * length
            met.append(_summed(n, before[apart], after[apart], lengths, steps))
        together = [np.concatenate(parts) for parts in zip(*met, strict=True)]
        first, second, border, crossings = _summed(n, *together)
        return cls(areas, first, second, border, crossings / border)

    def spread(self, priors: Floats, given: Integers, smoothness: float = 1.0) -> Floats:
        """Spread what is given and what is likely over the graph.

        Parameters
        ----------
        priors : ndarray, (n, k)
            Probability of each class in each region.
        given : ndarray of int, (n,)
            Class index of regions that are painted; −1 for the others.
        smoothness : float
            How much neighbours count beside the priors.

        Returns
        -------
        ndarray of float, (n, k)
            Probabilities; they add up to 1.
        """
        n_classes = priors.shape[1]
        if smoothness == 0:
            return np.where(given[:, None] < 0, priors, np.eye(n_classes)[given])
        apart = np.abs(priors[self.first] - priors[self.second]).sum(axis=1) / 2
        weight = self.border * np.exp(-_STEP_STRENGTH * self.strength - _PRIOR_STRENGTH * apart)
        trust = _TRUST / smoothness * np.maximum(self.areas, 1)
        system = self._system(weight, trust)
        spread = np.eye(n_classes)[given]
        free = np.flatnonzero(given < 0)
        if free.size == 0:
            return spread
        rows = system[free]
        fixed = np.flatnonzero(given >= 0)
        known = trust[free, None] * priors[free] - rows[:, fixed] @ spread[fixed]
        # Solved to some digits: without those that would make a probability negative.
        spread[free] = _solve(rows[:, free], known, priors[free]).clip(0, 1)
        return spread

    def around(self, values: Floats) -> Floats:
        """Return values ``(n, d)`` as they are around each region: their mean, near ones more."""
        trust = _AROUND * np.maximum(self.areas, 1)
        known = trust[:, None] * values
        found: Floats = _solve(self._system(self.border, trust), known, values)
        return found

    def _system(self, weight: Floats, trust: Floats) -> Any:
        """Return the matrix of the sums above: of edges of a weight, and a trust of each region."""
        n = len(self.areas)
        ends = (np.r_[self.first, self.second], np.r_[self.second, self.first])
        links = coo_array((np.tile(weight + _LEAST, 2), ends), shape=(n, n)).tocsr()
        return (diags_array(links.sum(axis=1) + trust) - links).tocsr()


def _summed(
    n: int, first: Integers, second: Integers, border: Floats, crossed: Floats
) -> tuple[Integers, Integers, Floats, Floats]:
    low, high, (length, crossings) = sum_by_pair(first, second, (border, crossed), n)
    return low, high, length, crossings


def _solve(system: Any, known: Floats, start: Floats) -> Floats:
    """Solve for all classes together, by conjugate gradients; each class takes its own steps."""
    system, known = system.astype(np.float32), known.astype(np.float32)
    lightness = 1 / system.diagonal()[:, None]
    found = start.astype(np.float32)
    rest = known - system @ found
    goal = _PRECISION**2 * (known**2).sum(axis=0) + _TINY
    ahead = lightness * rest
    slope = (rest * ahead).sum(axis=0)
    way = ahead.copy()
    for _ in range(_MOST_STEPS):
        if ((rest**2).sum(axis=0) <= goal).all():
            break
        moved = system @ way
        steps = slope / np.maximum((way * moved).sum(axis=0), _TINY)
        found += steps * way
        rest -= steps * moved
        ahead = lightness * rest
        before, slope = slope, (rest * ahead).sum(axis=0)
        way = ahead + slope / np.maximum(before, _TINY) * way
    return found
