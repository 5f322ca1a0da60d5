"""Leaves, what is in them and who touches whom, on a GPU: as `numeric.leaves` has them.

Sums are made of whole numbers: a GPU adds up in no order, and labels must not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_diffseg.core.gpu.arrays import add_at, exact, in_memory, like, summed
from napari_diffseg.image.space import Space
from napari_diffseg.image.windows import Window, tiles, whole

_BAND_PIXELS = 1 << 21

Sides = Iterable[tuple[Tensor, Tensor, Tensor, float]]
Sums = tuple[NDArray[Any], NDArray[Any], NDArray[np.float64], NDArray[np.float64]]


def find_leaves(strength: Tensor, space: Space) -> Tensor:
    """Cut an image ``(z) y x`` into leaves, from 0 without gaps; as `numeric.leaves`."""
    bits = (strength + 0.0).contiguous().view(torch.int32)
    rising = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    place = torch.arange(strength.numel(), device=strength.device).reshape(strength.shape)
    lowest = (rising.long() << 32) | place
    first = 1 if space.is_volume and not space.is_dense else 0
    for axis in range(first, strength.ndim):
        n = lowest.shape[axis] - 1
        met = lowest.clone()
        torch.minimum(met.narrow(axis, 1, n), lowest.narrow(axis, 0, n), out=met.narrow(axis, 1, n))
        torch.minimum(met.narrow(axis, 0, n), lowest.narrow(axis, 1, n), out=met.narrow(axis, 0, n))
        lowest = met
    ends = (lowest & 0xFFFFFFFF).ravel()
    while True:
        further = ends[ends]
        if torch.equal(further, ends):
            break
        ends = further
    is_end = torch.zeros(ends.shape, dtype=torch.int32, device=ends.device)
    is_end[ends] = 1
    number = is_end.cumsum(0, dtype=torch.int32) - 1
    return number[ends].reshape(strength.shape)


def border_sums(sides: Sides, n: int) -> Sums:
    """Return each pair of leaves that touch, once, ascending, with two sums along their border.

    Of its length, and of its length times its strength; as `numeric.region_graph` adds them up.
    """
    met = [_crossed(*side, n) for side in sides]
    device = met[0][0].device
    pairs, number = torch.unique(torch.cat([one[0] for one in met]), return_inverse=True)
    sums = exact(len(pairs), 2, device=device)
    add_at(sums, number, torch.cat([one[1] for one in met]))
    length, strength = in_memory(summed(sums)).T
    return (in_memory(pairs // n), in_memory(pairs % n), length, strength)


def _crossed(
    before: Tensor, after: Tensor, step: Tensor, length: float, n: int
) -> tuple[Tensor, Tensor]:
    apart = before != after
    one, other, strength = before[apart].long(), after[apart].long(), step[apart].double() * length
    pairs = torch.minimum(one, other) * n + torch.maximum(one, other)
    return pairs, torch.stack([torch.full_like(strength, length), strength], 1)


def areas_of(leaves: Tensor, valid: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    """Return how many pixels of each leaf count."""
    counted = leaves.ravel() if valid is None else leaves[like(valid, leaves)]
    areas = torch.bincount(counted, minlength=int(leaves.max()) + 1)
    return in_memory(areas).astype(np.float64)


def leaf_means(
    leaves: Tensor,
    parts: Callable[[Window], Sequence[Tensor]],
    counted: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """Return the mean of the rows of the counted pixels of each leaf; as `numeric.leaves` does."""
    n, device = int(leaves.max()) + 1, leaves.device
    weights = torch.ones((), device=device).expand(leaves.shape)
    if counted is not None:
        counts: Tensor = like(counted, leaves)
        met = torch.bincount(leaves[counts], minlength=n) > 0
        weights = (counts | ~met[leaves]).float()
    sizes = exact(n, device=device)
    sums: list[Tensor] = []
    n_rows = max(_BAND_PIXELS // max(leaves[..., 0, :].numel(), 1), 1)
    sides = (leaves.shape[0], n_rows, leaves.shape[-1])[-leaves.ndim :]
    for band in tiles(whole(leaves.shape), sides):
        here, share = leaves[band].reshape(-1), weights[band].reshape(-1)
        add_at(sizes, here, share)
        found = parts(band)
        sums = sums or [exact(n, one.shape[-1], device=device) for one in found]
        for one, rows in zip(sums, found, strict=True):
            add_at(one, here, rows.reshape(len(here), -1) * share[:, None])
    total = summed(torch.cat(sums, 1)) / summed(sizes)[:, None]
    means: NDArray[np.float32] = in_memory(total.float())
    return means
