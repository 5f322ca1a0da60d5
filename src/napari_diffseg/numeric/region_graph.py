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
from scipy.sparse.linalg import splu

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
    """The n regions of an image, and which m pairs of them touch."""

    areas: Floats  # (n), in pixels
    first: Integers  # (m), each pair once
    second: Integers
    border: Floats  # (m), length of the common border, in pixel sides
    strength: Floats  # (m), of the boundary there, in the unit of the steps

    @classmethod
    def build(cls, areas: Floats, sides: Iterable[Side]) -> Self:
        """Build the graph of regions with these areas from the sides of their pixels, each once."""
        n = len(areas)
        nothing = (np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0), np.zeros(0))
        met: list[tuple[Integers, Integers, Floats, Floats]] = [nothing]
        for before, after, step, length in sides:
            apart = np.flatnonzero(before != after)
            steps = step.reshape(-1)[apart].astype(float) * length
            ends = before.reshape(-1)[apart], after.reshape(-1)[apart]
            met.append(_summed(n, *ends, np.full(len(apart), length), steps))
        together = [np.concatenate(parts) for parts in zip(*met, strict=True)]
        first, second, border, crossings = _summed(n, *together)
        return cls(areas, first, second, border.copy(), crossings / border)

    def spread(self, priors: Floats, given: Integers, smoothness: float = 1.0) -> Floats:
        """Return the probability of each class in each region, ``(n, k)``; they add up to 1.

        The priors are such probabilities; given is the class of painted regions, −1 of the others;
        smoothness is how much neighbours count beside the priors.
        """
        fixed, free = np.flatnonzero(given >= 0), np.flatnonzero(given < 0)
        spread = np.array(priors, float)
        spread[fixed] = np.eye(priors.shape[1])[given[fixed]]
        if smoothness == 0 or free.size == 0:
            return spread
        apart = np.abs(priors[self.first] - priors[self.second]).sum(axis=1) / 2
        weight = self.border * np.exp(-_STEP_STRENGTH * self.strength - _PRIOR_STRENGTH * apart)
        trust = _TRUST / smoothness * np.maximum(self.areas, 1)
        system = self._system(weight, trust)
        known = trust[free, None] * priors[free]
        if fixed.size:
            rows = system[free]
            known -= rows[:, fixed] @ spread[fixed]
            system = rows[:, free]
        # Solved to some digits: without those that would make a probability negative.
        spread[free] = self._solved(system, known, priors[free]).clip(0, 1)
        return spread

    def around(self, values: Floats) -> Floats:
        """Return values ``(n, d)`` as they are around each region: their mean, near ones more."""
        trust = _AROUND * np.maximum(self.areas, 1)
        known = trust[:, None] * values
        return self._solved(self._system(self.border, trust), known, values)

    def _system(self, weight: Floats, trust: Floats) -> Any:
        """Return the matrix of the sums above: of edges of a weight, and a trust of each region."""
        n, first, second, weight = len(self.areas), self.first, self.second, weight + _LEAST
        met = np.bincount(first, weight, n) + np.bincount(second, weight, n)
        every = np.arange(n)
        ends = (np.r_[first, second, every], np.r_[second, first, every])
        return coo_array((np.r_[-weight, -weight, met + trust], ends), shape=(n, n)).tocsr()

    def _solved(self, system: Any, known: Floats, start: Floats) -> Floats:
        """Solve for all columns together.

        Planes give graphs that can be drawn without crossings: these have at most three borders a
        region, and their systems fill in little. Those of volumes would fill the memory.
        """
        is_plane = len(self.first) < 3 * len(self.areas)
        solve = _solve_at_once if is_plane else _solve_by_steps
        return solve(system.astype(np.float32), known.astype(np.float32), start)


def _summed(
    n: int, first: Integers, second: Integers, border: Floats, crossed: Floats
) -> tuple[Integers, Integers, Floats, Floats]:
    low, high, (length, crossings) = sum_by_pair(first, second, (border, crossed), n)
    return low, high, length, crossings


def _solve_at_once(system: Any, known: Floats, start: Floats) -> Floats:
    """Solve for all classes together, by elimination in an order that fills in little."""
    factors = splu(
        system.T,  # as columns, which it is alike
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        panel_size=1,  # so sparse that several columns have next to nothing in common
        options={"SymmetricMode": True},
    )
    found: Floats = factors.solve(known)
    return found


def _solve_by_steps(system: Any, known: Floats, start: Floats) -> Floats:
    """Solve for all classes together, by conjugate gradients; each class takes its own steps."""
    unit = (1 / np.sqrt(system.diagonal())).astype(np.float32)
    scaled = (diags_array(unit) @ system @ diags_array(unit)).tocsr()
    unit = unit[:, None]
    found, rest = (start / unit).astype(np.float32), known * unit
    goal = _PRECISION**2 * _squares(rest) + _TINY
    rest -= scaled @ found
    way, slope = rest.copy(), _squares(rest)
    for _ in range(_MOST_STEPS):
        if (slope <= goal).all():
            break
        moved = scaled @ way
        steps = slope / np.maximum(np.einsum("nk,nk->k", way, moved), _TINY)
        found += steps * way
        moved *= steps
        rest -= moved
        before, slope = slope, _squares(rest)
        way *= slope / np.maximum(before, _TINY)
        way += rest
    probabilities: Floats = found * unit
    return probabilities


def _squares(columns: Floats) -> Floats:
    """Return the sum of squares of each column."""
    sums: Floats = np.einsum("nk,nk->k", columns, columns)
    return sums
