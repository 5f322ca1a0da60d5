"""Methods that need no strokes.

``PARTITIONS`` cut a photograph into regions as they like, each at settings that somebody
published or that are the best of its ``GRIDS`` on some of the very images that are scored.
``CLUSTERINGS`` cut an image into a given number of clusters K. ``DEEP`` train a network on
each image; they are slow, and shorter than published.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.baselines.basins import watershed_basins
from benchmarks.baselines.graph import felzenszwalb_regions
from benchmarks.baselines.iic import iic_clusters
from benchmarks.baselines.intensities import kmeans_clusters, multi_otsu_clusters, otsu_clusters
from benchmarks.baselines.superpixels import merged_superpixels
from benchmarks.baselines.wnet import wnet_clusters

Labels = NDArray[np.integer]
Method = Callable[[NDArray[np.uint8]], Labels]

GRIDS: dict[str, dict[str, Method]] = {
    "Felzenszwalb": {
        f"{scale} / {sigma} / 50": partial(felzenszwalb_regions, scale=scale, sigma=sigma)
        for scale in (200, 300, 500)
        for sigma in (0.5, 0.8)
    },
    "SLIC merged": {
        f"{n} superpixels, Lab distance {threshold}": partial(
            merged_superpixels, n_superpixels=n, threshold=threshold
        )
        for n in (500, 1500)
        for threshold in (5, 10, 15)
    },
    "watershed": {
        f"σ = {sigma}, depth {depth}": partial(watershed_basins, sigma=sigma, depth=depth)
        for sigma in (1, 2, 3)
        for depth in (0.5, 1, 2, 4)
    },
}

CHOSEN = {
    "Felzenszwalb": ["200 / 0.8 / 50", "300 / 0.8 / 50", "500 / 0.5 / 50"],
    "SLIC merged": ["1500 superpixels, Lab distance 10"],
    "watershed": ["σ = 2, depth 2"],
}
"""The best of each grid by ``python -m benchmarks.accuracy --tune``; and of Felzenszwalb's also
those that are the best by one of the three figures on BSDS500's test images."""

PARTITIONS: dict[str, Method] = {
    "k-means, k = 2": partial(kmeans_clusters, k=2),
    "k-means, k = 17": partial(kmeans_clusters, k=17),
    "Felzenszwalb τ = 100 (0.8, 100)": partial(felzenszwalb_regions, scale=100, min_size=100),
    "Felzenszwalb τ = 500 (0.8, 100)": partial(felzenszwalb_regions, scale=500, min_size=100),
    **{
        f"{name} {setting}": GRIDS[name][setting]
        for name, settings in CHOSEN.items()
        for setting in settings
    },
}

CLUSTERINGS: dict[str, Callable[[NDArray[np.generic], int], Labels]] = {
    "k-means": kmeans_clusters,
    "Otsu": otsu_clusters,
    "multi-Otsu": multi_otsu_clusters,
}

DEEP: dict[str, Method] = {
    "IIC, k = 20 (small, 100 iterations)": partial(iic_clusters, k=20),
    "W-Net, k = 20 (small, 100 iterations)": partial(wnet_clusters, k=20),
}
