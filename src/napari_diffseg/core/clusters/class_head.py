"""The classifier: one 1×1 convolution on the features of a region, for clusters and for classes.

It minimises, over its weights W and with response ``r = W x``,

    L = L_sim + ν L_scr + decay · |W|²

where L_scr is the cross-entropy on painted pixels (Kim et al. 2020, Sec. III-C), every
class counting alike however much of it is painted, and L_sim the cross-entropy of
unpainted regions against their own labels, as far as those are sure. With the targets
fixed the problem is convex: it is solved, not descended on, in some tens of
milliseconds, and the solution depends on no seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax

from napari_diffseg.core.gpu import fit
from napari_diffseg.core.gpu.arrays import is_used
from napari_diffseg.image.arrays import Floats

DECAY = 0.02
"""Weight of |W|², in units of the similarity loss."""

_CLUSTER_SHARE = 4.0  # of the clusters' probabilities beside the features, of total variance 1 to 2
_MOST_STEPS = 100
_ENOUGH = 1e-5  # gain of a step, relative to the loss, below which the fit is done


@dataclass(frozen=True, eq=False, slots=True)
class Examples:
    """Rows to learn from."""

    rows: Floats  # (n, d), features
    targets: Floats  # (n, k), probability of each class in each row
    weights: Floats  # (n), how much each counts

    @classmethod
    def painted(cls, rows: Floats, counts: Floats, weight: float) -> Examples:
        """Let every class count alike, however much of it is painted.

        Of rows ``(n, d)`` with so many painted pixels of each class, ``(n, k)``; all together count
        as much as the weight (ν) says.
        """
        sizes = counts.sum(axis=0)
        shares = counts / (np.maximum(sizes, 1) * np.count_nonzero(sizes))
        total = shares.sum(axis=1)
        return cls(rows, shares / total[:, None], weight * total)


def together(examples: Sequence[Examples]) -> Examples:
    """Return several examples as one."""
    return Examples(
        np.concatenate([one.rows for one in examples]),
        np.concatenate([one.targets for one in examples]),
        np.concatenate([one.weights for one in examples]),
    )


@dataclass(frozen=True, eq=False, slots=True)
class ClassHead:
    """A fitted classifier; what was found without strokes says much of what strokes mean."""

    weights: Floats  # (d + 1, k), of the features; the last row is the bias
    loss: float  # what was reached
    # That of clusters, whose answers stand beside the features; None for that of clusters itself.
    clusters: ClassHead | None = None
    wide: ClassHead | None = None  # a second one, which sees what is around each row too, (n, 2 d)
    share: float = 0.0  # how much of the answer is that one's

    @property
    def n_classes(self) -> int:
        """Number of classes (k)."""
        n_classes: int = self.weights.shape[1]
        return n_classes

    def of_rows(self, rows: Floats) -> Floats:
        """Return the probabilities ``(n, k)`` of rows ``(n, d)``, by these weights alone."""
        response: Floats = beside_clusters(rows, self.clusters) @ self.weights[:-1]
        # A softmax, in place: there are many rows.
        response += self.weights[-1]
        response -= response.max(axis=1, keepdims=True)
        np.exp(response, out=response)
        response /= response.sum(axis=1, keepdims=True)
        return response


def beside_clusters(rows: Floats, clusters: ClassHead | None) -> Floats:
    """Put the probabilities of the clusters beside the features, ``(n, d)`` → ``(n, d + q)``.

    Clusters are told by the first features; others may stand behind them.
    """
    if clusters is None:
        return rows
    own = rows[:, : len(clusters.weights) - 1]
    return np.column_stack([rows, _CLUSTER_SHARE * clusters.of_rows(own)])


def fit_head(
    examples: Examples,
    start: ClassHead | None = None,
    decay: float = DECAY,
    clusters: ClassHead | None = None,
    device: torch.device | None = None,
) -> ClassHead:
    """Fit the classifier, from the weights of another of the same classes where there is one.

    The examples come without the clusters' answers, which are put beside them here.
    """
    seen = beside_clusters(examples.rows, clusters)
    rows = np.column_stack([seen, np.ones(len(seen))])
    shape = (rows.shape[1], examples.targets.shape[1])
    wanted = examples.weights[:, None] * examples.targets
    share = examples.weights[:, None]

    def loss(flat: Floats) -> tuple[float, Floats]:
        weights = flat.reshape(shape)
        likely = log_softmax(rows @ weights, axis=1)
        slope = rows.T @ (share * np.exp(likely) - wanted)
        slope[:-1] += 2 * decay * weights[:-1]
        surprise = -(wanted * likely).sum()
        return float(surprise + decay * (weights[:-1] ** 2).sum()), slope.ravel()

    cost: Callable[[Floats], tuple[float, Floats]] = loss
    if device is not None and is_used(device):
        cost = fit.loss_on(device, rows, wanted, share, decay)
    first = np.zeros(shape) if start is None else start.weights
    found = minimize(
        cost,
        first.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _MOST_STEPS, "ftol": _ENOUGH},
    )
    return ClassHead(found.x.reshape(shape), float(found.fun), clusters)


def mean_surprise(head: ClassHead, examples: Examples) -> float:
    """Return the mean of −log p of what examples are: 0 where a classifier explains them all.

    0 too where none of them counts.
    """
    total = examples.weights.sum()
    if total == 0:
        return 0.0
    likely = np.log(np.maximum(head.of_rows(examples.rows), 1e-9))
    said = examples.weights * (examples.targets * likely).sum(axis=1)
    return float(-said.sum() / total)
