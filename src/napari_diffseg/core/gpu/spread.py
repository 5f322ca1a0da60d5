"""Systems of regions solved on a GPU, by conjugate gradients (`numeric.region_graph`)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_diffseg.core.gpu.arrays import in_memory
from napari_diffseg.image.arrays import Floats

_PRECISION = 1e-4
_MOST_STEPS = 2000
_LOOKED_AT = 16  # steps between two looks at how far it is: each waits for the GPU
_TINY = 1e-30


def solve(system: Any, known: Floats, start: Floats, device: torch.device) -> Floats:
    """Solve a symmetric system ``(n, n)`` for all columns ``(n, k)`` together, all float32."""
    unit = 1 / np.sqrt(system.diagonal())
    scaled = system.tocsr(copy=True)
    rows = np.repeat(np.arange(scaled.shape[0]), np.diff(scaled.indptr))
    scaled.data *= unit[rows] * unit[scaled.indices]
    matrix = _placed(scaled, device)
    across = torch.from_numpy(unit[:, None]).to(device)
    found = torch.from_numpy(start.astype(np.float32)).to(device) / across
    wanted = torch.from_numpy(known).to(device) * across
    found = _by_steps(matrix, wanted, found)
    return in_memory(found * across)


def _placed(system: Any, device: torch.device) -> Tensor:
    with warnings.catch_warnings():  # torch says that sparse rows are in beta
        warnings.simplefilter("ignore", UserWarning)
        return torch.sparse_csr_tensor(
            torch.from_numpy(system.indptr.astype(np.int32)),
            torch.from_numpy(system.indices.astype(np.int32)),
            torch.from_numpy(system.data),
            size=system.shape,
            check_invariants=False,
        ).to(device)


def _by_steps(matrix: Tensor, wanted: Tensor, found: Tensor) -> Tensor:
    goal = _PRECISION**2 * (wanted * wanted).sum(0) + _TINY
    rest = wanted - matrix @ found
    way, before = rest, (rest * rest).sum(0)
    for step in range(_MOST_STEPS):
        if step % _LOOKED_AT == 0 and bool((before <= goal).all()):
            break
        moved = matrix @ way
        length = before / (way * moved).sum(0).clamp_min_(_TINY)
        found = torch.addcmul(found, length, way)
        rest = torch.addcmul(rest, length, moved, value=-1)
        now = (rest * rest).sum(0)
        way = torch.addcmul(rest, now / before.clamp_min(_TINY), way)
        before = now
    return found
