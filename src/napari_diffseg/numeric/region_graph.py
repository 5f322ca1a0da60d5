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

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from napari_diffseg.image.arrays import Floats, Integers
from napari_diffseg.numeric.pairs import sum_by_pair

# Regions of the pixels before and after a step, and its strength, all of one shape; and how
# long a border (in pixel sides) each such pair is.
Side = tuple[Integers, Integers, Floats, float]

# A symmetric system, its right sides (n, k), and where to begin.
Solve = Callable[[Any, Floats, Floats], Floats]

_STEP_STRENGTH = 3.3  # β: how fast the weight falls with the boundary's strength, 1 on average
_PRIOR_STRENGTH = 3.0  # γ: how fast it falls with the difference of the priors
_TRUST = 1e-3  # λ: weight of the prior of each pixel beside its neighbours
_LEAST = 1e-5  # no region is quite cut off
_AROUND = 0.006  # λ of what is around a region: some 30 pixels each way
_PRECISION = 1e-3  # of the probabilities
_MOST_STEPS = 300
_SOME_PAIRS = 1 << 13
_TINY = np.float32(1e-30)


@dataclass(frozen=True, eq=False, slots=True)
class RegionGraph:
    """The n regions of an image, and which m pairs of them touch."""

    areas: Floats  # (n), in pixels
    first: Integers  # (m), each pair once
    second: Integers
    border: Floats  # (m), length of the common border, in pixel sides
    strength: Floats  # (m), of the boundary there, in the unit of the steps
    solve: Solve | None = None  # how its systems are solved where that is not done here

    @classmethod
    def build(cls, areas: Floats, sides: Iterable[Side]) -> Self:
        """Build the graph of regions with these areas from the sides of their pixels, each once."""
        n = len(areas)
        nothing = np.zeros(0, np.intp)
        met: list[tuple[Integers, Integers, NDArray[Any]]] = [(nothing, nothing, np.zeros(0))]
        for before, after, step, length in sides:
            apart = np.flatnonzero(before != after)
            # The length of a border, and how strong it is there, added up as one number.
            crossed = length * (1 + 1j * step.reshape(-1)[apart].astype(float))
            pairs = before.reshape(-1)[apart], after.reshape(-1)[apart]
            met.append(sum_by_pair(*pairs, crossed, n))
        ends, others, crossed = (np.concatenate(parts) for parts in zip(*met, strict=True))
        first, second, crossed = sum_by_pair(ends, others, crossed, n)
        return cls.of_sums(areas, first, second, crossed.real.copy(), crossed.imag)

    @classmethod
    def of_sums(
        cls,
        areas: Floats,
        first: Integers,
        second: Integers,
        border: Floats,
        strength: Floats,
        solve: Solve | None = None,
    ) -> Self:
        """Build it of pairs, each once, and the sums of length and strength along their borders."""
        return cls(areas, first, second, border, strength / border, solve)

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
        apart = self._apart(priors)
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

    def _apart(self, values: Floats) -> Floats:
        """Return by how much values ``(n, k)`` of neighbours differ, ``(m,)``; some at a time."""
        apart = np.empty(len(self.first))
        for start in range(0, len(apart), _SOME_PAIRS):
            some = slice(start, start + _SOME_PAIRS)
            apart[some] = np.abs(values[self.first[some]] - values[self.second[some]]).sum(axis=1)
        return apart / 2

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
        solve = self.solve or (_solve_at_once if is_plane else _solve_by_steps)
        return solve(system.astype(np.float32), known.astype(np.float32), start)


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
    """Solve for all classes together, by conjugate gradients; each class takes its own steps.

    Whatever has its own level far and wide takes many: so each step also levels groups of regions,
    groups of these, and so on (Bramble, Pasciak and Xu, 1990).
    """
    unit = (1 / np.sqrt(system.diagonal())).astype(np.float32)
    scaled = (diags_array(unit) @ system @ diags_array(unit)).tocsr()
    groups = _groups(system)
    unit = unit[:, None]
    found, rest = (start / unit).astype(np.float32), known * unit
    goal = _PRECISION**2 * _squares(rest) + _TINY
    rest -= scaled @ found
    way, slope = np.zeros_like(rest), np.ones(rest.shape[1], np.float32)
    for _ in range(_MOST_STEPS):
        if (_squares(rest) <= goal).all():
            break
        levelled = _levelled(groups, rest)
        before, slope = slope, np.einsum("nk,nk->k", rest, levelled)
        way *= slope / np.maximum(before, _TINY)
        way += levelled
        moved = scaled @ way
        steps = slope / np.maximum(np.einsum("nk,nk->k", way, moved), _TINY)
        found += steps * way
        moved *= steps
        rest -= moved
    probabilities: Floats = found * unit
    return probabilities


def _levelled(groups: list[Any], rest: Floats) -> Floats:
    """Add to each region what its group has, and the groups that this one is in."""
    if not groups:
        return rest
    first, *larger = groups
    found: Floats = rest + first @ _levelled(larger, first.T @ rest)
    return found


def _groups(system: Any) -> list[Any]:
    """Return level by level the groups (m) that regions, or groups below (n), are in: ``(n, m)``.

    A group are those that ways to the neighbour that each is bound to most join.
    """
    groups: list[Any] = []
    unit = 1 / np.sqrt(system.diagonal())
    while True:
        n = system.shape[0]
        rows = np.repeat(np.arange(n), np.diff(system.indptr))
        bonds = np.where(rows == system.indices, -np.inf, -system.data)
        strongest = bonds == np.maximum.reduceat(bonds, system.indptr[:-1])[rows]
        ends = np.arange(n)
        ends[rows[strongest]] = system.indices[strongest]
        ways = csr_array((np.ones(n, np.int8), ends, np.arange(n + 1)), shape=(n, n))
        # However the ways go: sums of 32 bits are not quite alike from both ends.
        number = connected_components(ways)[1]
        joined = csr_array((np.ones(n, np.float32), number, np.arange(n + 1)))
        if joined.shape[1] == n:
            return groups
        system = (joined.T @ system @ joined).tocsr()
        below, unit = unit, 1 / np.sqrt(system.diagonal())
        groups.append((diags_array(1 / below) @ joined @ diags_array(unit)).tocsr())


def _squares(columns: Floats) -> Floats:
    """Return the sum of squares of each column."""
    sums: Floats = np.einsum("nk,nk->k", columns, columns)
    return sums
