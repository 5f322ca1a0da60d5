"""The classifier of painted classes: one 1×1 convolution on the statistics of a pixel.

It minimises, over its weights W and with response ``r = W s``,

    L = L_sim + ν L_scr + decay · |W|²

where L_scr is the cross-entropy on painted pixels (Kim et al. 2020, Sec. III-C), every
class counting alike however much of it is painted, and L_sim the cross-entropy of
unpainted pixels against their own labels, as far as those are sure. With the targets
fixed the problem is convex: it is solved, not descended on, in some tens of
milliseconds, and the solution depends on no seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from threadpoolctl import ThreadpoolController

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]

DECAY = 0.015
"""Weight of |W|², in units of the similarity loss."""

_MOST_STEPS = 100
_ENOUGH = 1e-5  # gain of a step, relative to the loss, below which the fit is done
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True, eq=False, slots=True)
class Examples:
    """Rows to learn from.

    Attributes
    ----------
    rows : ndarray, (n, d)
        Standardised statistics.
    targets : ndarray of int, (n,)
        Class index of each.
    weights : ndarray, (n,)
        How much each counts.
    """

    rows: Floats
    targets: Integers
    weights: Floats

    @classmethod
    def painted(cls, rows: Floats, targets: Integers, weight: float) -> Examples:
        """Let every class count alike; together they have the weight ν."""
        sizes = np.bincount(targets)
        shares = weight / (sizes[targets] * np.count_nonzero(sizes))
        return cls(rows, targets, shares)

    def weighing(self, factor: float) -> Examples:
        """Return the same, each counting so many times as much."""
        return self if factor == 1 else Examples(self.rows, self.targets, self.weights * factor)


def together(examples: Sequence[Examples]) -> Examples:
    """Return several examples as one."""
    return Examples(
        np.concatenate([one.rows for one in examples]),
        np.concatenate([one.targets for one in examples]),
        np.concatenate([one.weights for one in examples]),
    )


@dataclass(frozen=True, eq=False, slots=True)
class Scaling:
    """Mean and spread of each statistic of the training image.

    Attributes
    ----------
    means, spreads : ndarray of float32, (d,)
    """

    means: NDArray[np.float32]
    spreads: NDArray[np.float32]

    @classmethod
    def of(cls, means: Floats, spreads: Floats) -> Scaling:
        """Build from mean and standard deviation; a constant statistic stays constant."""
        return cls(means.astype(np.float32), np.maximum(spreads, _LEAST_SPREAD).astype(np.float32))

    def scale(self, rows: Floats) -> Floats:
        """Standardise rows ``(n, d)``."""
        scaled: Floats = (rows - self.means) / self.spreads
        return scaled


@dataclass(frozen=True, eq=False, slots=True)
class ClassHead:
    """A fitted classifier.

    Attributes
    ----------
    weights : ndarray, (d + 1, k)
        Of the standardised statistics; the last row is the bias.
    scaling : Scaling
    loss : float
        What was reached.
    """

    weights: Floats
    scaling: Scaling
    loss: float

    @property
    def n_classes(self) -> int:
        """Number of classes (k)."""
        n_classes: int = self.weights.shape[1]
        return n_classes

    def of_rows(self, rows: Floats) -> Floats:
        """Return the probabilities ``(n, k)`` of standardised rows ``(n, d)``."""
        probabilities: Floats = softmax(rows @ self.weights[:-1] + self.weights[-1], axis=1)
        return probabilities

    def of_statistics(self, statistics: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities ``k (z) y x`` of a window's statistics ``d (z) y x``."""
        probabilities: NDArray[np.float32] = softmax(self.responses(statistics), axis=0)
        return probabilities

    def responses(self, statistics: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the probabilities are the softmax of, ``k (z) y x``.

        It is linear: the mean response of a region is the response of its mean statistics.
        """
        folded = (self.weights[:-1] / self.scaling.spreads[:, None]).astype(np.float32)
        bias = self.weights[-1].astype(np.float32) - self.scaling.means @ folded
        d, *shape = statistics.shape
        with _blas().limit(limits=1, user_api="blas"):
            response: NDArray[np.float32] = folded.T @ statistics.reshape(d, -1) + bias[:, None]
        return response.reshape(-1, *shape)


def fit_head(
    examples: Examples,
    n_classes: int,
    scaling: Scaling,
    start: ClassHead | None = None,
    decay: float = DECAY,
) -> ClassHead:
    """Fit the classifier.

    Parameters
    ----------
    examples : Examples
        What to learn from.
    n_classes : int
        Number of classes (k).
    scaling : Scaling
        Kept in the result.
    start : ClassHead, optional
        Weights to start from, of the same classes; found sooner, and the same.
    decay : float
        Weight of |W|².
    """
    rows = np.column_stack([examples.rows, np.ones(len(examples.rows))])
    shape = (rows.shape[1], n_classes)
    wanted = np.eye(n_classes)[examples.targets]
    share = examples.weights[:, None]

    def loss(flat: Floats) -> tuple[float, Floats]:
        weights = flat.reshape(shape)
        response = rows @ weights
        surprise = -(share * wanted * log_softmax(response, axis=1)).sum()
        slope = rows.T @ (share * (softmax(response, axis=1) - wanted))
        slope[:-1] += 2 * decay * weights[:-1]
        return float(surprise + decay * (weights[:-1] ** 2).sum()), slope.ravel()

    first = np.zeros(shape) if start is None else start.weights
    with _blas().limit(limits=1, user_api="blas"):
        found = minimize(
            loss,
            first.ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": _MOST_STEPS, "ftol": _ENOUGH},
        )
    return ClassHead(found.x.reshape(shape), scaling, float(found.fun))


@cache
def _blas() -> ThreadpoolController:
    """Return what limits NumPy's own threads.

    The products here are small: several threads gain nothing, and on a machine that does
    something else too they wait for each other a hundred times longer than they compute.
    """
    return ThreadpoolController()
