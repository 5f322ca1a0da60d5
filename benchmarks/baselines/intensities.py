"""Baselines that look at each pixel's intensity alone: k-means, Otsu, multi-Otsu."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2gray
from skimage.filters import threshold_multiotsu, threshold_otsu
from sklearn.cluster import KMeans

SAMPLE = 50_000
"""The centres are found on this many random pixels."""


def kmeans_clusters(pixels: NDArray[np.generic], k: int, seed: int = 0) -> NDArray[np.integer]:
    """Cluster the intensities of an image ``y x`` or ``y x c`` (scikit-learn, 4 starts)."""
    values = pixels.reshape(-1, 1 if pixels.ndim == 2 else pixels.shape[-1]).astype(np.float32)
    random = np.random.default_rng(seed)
    sample = values[random.choice(len(values), min(SAMPLE, len(values)), replace=False)]
    means = KMeans(k, n_init=4, random_state=seed).fit(sample)
    return means.predict(values).reshape(pixels.shape[:2])


def otsu_clusters(pixels: NDArray[np.generic], k: int = 2) -> NDArray[np.integer]:
    """Cut at Otsu's threshold; two clusters, whatever K."""
    gray = _gray(pixels)
    return (gray > threshold_otsu(gray)).astype(np.uint8)


def multi_otsu_clusters(pixels: NDArray[np.generic], k: int) -> NDArray[np.integer]:
    """Cut at several thresholds; at most 4 clusters, as the search grows too fast with K."""
    gray = _gray(pixels)
    return np.digitize(gray, threshold_multiotsu(gray, classes=min(k, 4)))


def _gray(pixels: NDArray[np.generic]) -> NDArray[np.generic]:
    return rgb2gray(pixels) if pixels.ndim == 3 else pixels
