"""Where the clusters start: centroids, found without chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, ward
from scipy.cluster.vq import vq

from napari_diffseg.core.gpu.arrays import is_used
from napari_diffseg.core.gpu.centroids import distances, refined
from napari_diffseg.image.arrays import Floats

_MOST_WARD = 1500  # leaves that Ward's method clusters; its cost grows with their square
_MOST_REFINED = 12_000  # leaves on which the centroids are then refined
_ROUNDS = 8
_GOLDEN = (5**0.5 - 1) / 2


def find_centroids(
    rows: Floats, areas: Floats, n_clusters: int, device: torch.device
) -> NDArray[np.float64]:
    """Find centroids ``(k, d)`` of regions ``(n, d)``: Ward's method, then k-means.

    Each region counts by its area; an even choice of them, in the image's order, is used. Fewer
    come where the regions are all alike.
    """
    counted = areas > 0
    rows, areas = rows[counted].astype(np.float64), areas[counted]
    few: NDArray[np.float64] = np.unique(rows[_evenly(areas, _MOST_WARD)], axis=0)
    if len(few) <= n_clusters:
        return few
    on_gpu = is_used(device)
    groups = fcluster(ward(distances(few, device) if on_gpu else few), n_clusters, "maxclust") - 1
    centroids = _means(few, np.ones(len(few)), groups, np.zeros((groups.max() + 1, few.shape[1])))
    chosen = _evenly(np.ones(len(rows)), _MOST_REFINED)
    many, weights = rows[chosen], areas[chosen]
    if on_gpu:
        return refined(many, weights, centroids, _ROUNDS, device)
    for _ in range(_ROUNDS):
        centroids = _means(many, weights, vq(many, centroids)[0], centroids)
    return centroids


def _evenly(areas: Floats, n: int) -> NDArray[np.intp]:
    """Choose about n regions, each as often as it is large; all where there are no more."""
    if len(areas) <= n:
        return np.arange(len(areas))
    # Steps of the golden ratio fall in with no rows of the image.
    ends = np.cumsum(areas)
    chosen: NDArray[np.intp] = np.searchsorted(ends, np.arange(n) * _GOLDEN % 1 * ends[-1])
    return chosen


def _means(
    rows: Floats, weights: Floats, groups: NDArray[np.integer[Any]], before: Floats
) -> NDArray[np.float64]:
    """Mean of each group; a group without members keeps its mean of before."""
    sizes = np.bincount(groups, weights, minlength=len(before))[:, None]
    sums = [np.bincount(groups, weights * column, minlength=len(before)) for column in rows.T]
    means: NDArray[np.float64] = np.stack(sums, axis=1) / np.maximum(sizes, 1e-12)
    return np.where(sizes > 0, means, before)
