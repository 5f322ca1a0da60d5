"""Methods that ours is compared with, each from a well-kept library, at its best settings.

``PARTITIONS`` cut a photograph into regions as they like; ``CLUSTERINGS`` cut an image
into a given number of clusters K.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.baselines.graph import felzenszwalb_regions
from benchmarks.baselines.intensities import kmeans_clusters, multi_otsu_clusters, otsu_clusters
from benchmarks.baselines.superpixels import merged_superpixels

Labels = NDArray[np.integer]

PARTITIONS: dict[str, Callable[[NDArray[np.uint8]], Labels]] = {
    "k-means, k = 2": partial(kmeans_clusters, k=2),
    "k-means, k = 17": partial(kmeans_clusters, k=17),
    "Felzenszwalb τ = 100 (0.8, 100)": partial(felzenszwalb_regions, scale=100, min_size=100),
    "Felzenszwalb τ = 500 (0.8, 100)": partial(felzenszwalb_regions, scale=500, min_size=100),
    "Felzenszwalb 200 / 0.8 / 50": partial(felzenszwalb_regions, scale=200),
    "Felzenszwalb 300 / 0.8 / 50": partial(felzenszwalb_regions, scale=300),
    "Felzenszwalb 500 / 0.5 / 50": partial(felzenszwalb_regions, scale=500, sigma=0.5),
    "SLIC merged to 150": partial(merged_superpixels, n_regions=150),
}

CLUSTERINGS: dict[str, Callable[[NDArray[np.generic], int], Labels]] = {
    "k-means": kmeans_clusters,
    "Otsu": otsu_clusters,
    "multi-Otsu": multi_otsu_clusters,
}
