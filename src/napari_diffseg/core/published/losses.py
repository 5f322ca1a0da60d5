"""The losses (Kim et al. 2020, Sec. III-A to III-C), as means like the published program.

Shapes: response map ``b q y x`` (floating), clusters ``b y x`` (integer), valid
``b y x`` (bool; False where a pixel was not finite and must not count); of volumes the same
with ``z y x``.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from napari_diffseg.image.space import PLANE, Space

IGNORED = -100
"""Target of a pixel that does not count, as `torch.nn.functional.cross_entropy` has it."""


def similarity_loss(response: Tensor, clusters: Tensor, valid: Tensor | None = None) -> Tensor:
    """Cross-entropy of the response map against the clusters (Sec. III-A, L_sim), mean over pixels.

    The paper's formula sums and shows no softmax; this follows the published program. The clusters,
    the own argmax or its refinement, are a fixed target and carry no gradient.
    """
    if valid is None:
        return functional.cross_entropy(response, clusters)
    return _mean_where_counted(response, torch.where(valid, clusters, IGNORED))


def scribble_loss(response: Tensor, classes: Tensor) -> Tensor:
    """Cross-entropy of the response map against the painted classes (Sec. III-C, L_scr).

    Mean over the painted pixels, as in the published program; 0 where there are none. The index of
    a painted class is its cluster; it is `IGNORED` elsewhere.
    """
    return _mean_where_counted(response, classes)


def _mean_where_counted(response: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy, mean over the pixels that count; 0, not NaN, where none does."""
    total = functional.cross_entropy(response, targets, ignore_index=IGNORED, reduction="sum")
    return total / (targets != IGNORED).sum().clamp(min=1)


def continuity_loss(response: Tensor, valid: Tensor | None = None, space: Space = PLANE) -> Tensor:
    """L1 norm of the response map's differences along (z,) y and x (Sec. III-B, L_con).

    As in the published program: means over pixel pairs (both valid) and channels, added up. In
    volumes differences along z count less the farther planes are apart: the slope is to be small.
    """
    total = response.new_zeros(())
    for axis, distance in enumerate(space.steps, start=2):
        length = response.shape[axis] - 1
        if length == 0:
            continue
        step = (response.narrow(axis, 1, length) - response.narrow(axis, 0, length)).abs()
        if valid is None:
            mean = step.mean()
        else:
            pairs = valid.narrow(axis - 1, 1, length) & valid.narrow(axis - 1, 0, length)
            counted = step.mean(dim=1) * pairs
            mean = counted.sum() / pairs.sum().clamp(min=1)
        total = total + (mean if distance == 1 else mean / distance)
    return total
