"""Distances and k-means on a GPU (`core.clusters.start`)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from napari_diffseg.core.gpu.arrays import in_memory
from napari_diffseg.image.arrays import Floats


def distances(rows: NDArray[np.float64], device: torch.device) -> NDArray[np.float64]:
    """Return the distance of each pair of rows, as `scipy.spatial.distance.pdist`."""
    return in_memory(functional.pdist(torch.from_numpy(rows).to(device)))


def refined(
    rows: Floats, weights: Floats, centroids: Floats, n_rounds: int, device: torch.device
) -> NDArray[np.float64]:
    """Move centroids ``(k, d)`` some times to the mean of the rows that are nearest to each."""
    seen, heavy, found = (torch.from_numpy(one).to(device) for one in (rows, weights, centroids))
    for _ in range(n_rounds):
        apart = (found**2).sum(1) - 2 * seen @ found.T
        nearest = functional.one_hot(apart.argmin(1), len(found)).double() * heavy[:, None]
        sizes = nearest.sum(0)[:, None]
        found = torch.where(sizes > 0, nearest.T @ seen / sizes.clamp_min(1e-12), found)
    return in_memory(found)
