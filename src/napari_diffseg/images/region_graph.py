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
from scipy.sparse.linalg import cg, splu

from napari_diffseg.images.pairs import sum_by_pair

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]

# Regions of the pixels before and after a step, and its strength, all of one shape; and how
# long a border (in pixel sides) each such pair is.
Side = tuple[Integers, Integers, Floats, float]

_STEP_STRENGTH = 4.0  # β: how fast the weight falls with the boundary's strength
_PRIOR_STRENGTH = 3.0  # γ: how fast it falls with the difference of the priors
_TRUST = 1e-3  # λ: weight of the prior of each pixel beside its neighbours
_LEAST = 1e-5  # no region is quite cut off
_MOST_SOLVED_AT_ONCE = 30_000
_PRECISION = 1e-4


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
        Strength of the boundary there, 1 on average.
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
        strength: Floats = crossings / border
        mean = float(strength.mean()) if strength.size else 0.0
        return cls(areas, first, second, border, strength / (mean or 1.0))

    def spread(self, priors: Floats, given: Integers) -> Floats:
        """Spread what is given and what is likely over the graph.

        Parameters
        ----------
        priors : ndarray, (n, k)
            Probability of each class in each region.
        given : ndarray of int, (n,)
            Class index of regions that are painted; −1 for the others.

        Returns
        -------
        ndarray of float, (n, k)
            Probabilities; they add up to 1.
        """
        n, n_classes = priors.shape
        apart = np.abs(priors[self.first] - priors[self.second]).sum(axis=1) / 2
        weight = self.border * np.exp(-_STEP_STRENGTH * self.strength - _PRIOR_STRENGTH * apart)
        ends = (np.r_[self.first, self.second], np.r_[self.second, self.first])
        links = coo_array((np.tile(weight + _LEAST, 2), ends), shape=(n, n)).tocsr()
        trust = _TRUST * np.maximum(self.areas, 1)
        system = (diags_array(links.sum(axis=1) + trust) - links).tocsr()
        spread = np.eye(n_classes)[given]
        free = np.flatnonzero(given < 0)
        if free.size == 0:
            return spread
        rows = system[free]
        fixed = np.flatnonzero(given >= 0)
        known = trust[free, None] * priors[free] - rows[:, fixed] @ spread[fixed]
        spread[free] = _solve(rows[:, free], known, priors[free])
        return spread


def _summed(
    n: int, first: Integers, second: Integers, border: Floats, crossed: Floats
) -> tuple[Integers, Integers, Floats, Floats]:
    low, high, (length, crossings) = sum_by_pair(first, second, (border, crossed), n)
    return low, high, length, crossings


def _solve(system: Any, known: Floats, start: Floats) -> Floats:
    """Solve for every class: at once where that is small, else step by step."""
    if len(known) <= _MOST_SOLVED_AT_ONCE:
        solved: Floats = splu(system.tocsc()).solve(np.ascontiguousarray(known))
        return solved
    diagonal = diags_array(1 / system.diagonal())
    columns = [
        cg(system, column, x0=first, rtol=_PRECISION, M=diagonal)[0]
        for column, first in zip(known.T, start.T, strict=True)
    ]
    return np.stack(columns, axis=1)
