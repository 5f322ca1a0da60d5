"""Methods for volumes: thresholds, k-means and random forests, on voxels and on planes.

Clusterings take a `Volume` and the numbers K; forests take a `Volume` and its scribbles, both
``(z, y, x)``. The filter bank is that of the common pixel classifiers (smoothed values, gradient
magnitude and eigenvalues of the Hessian at several scales), with scales and derivatives in
pixels of a plane along every axis: a scale that is short against the distance of planes does not
mix them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier

from benchmarks.baselines.intensities import (
    SAMPLE,
    kmeans_clusters,
    multi_otsu_clusters,
    otsu_clusters,
)
from benchmarks.baselines.scribbles import filter_bank, keep_painted
from benchmarks.volumes_data import Volume

Labels = NDArray[np.integer]
Floats = NDArray[np.float32]
Features = Callable[[Volume, int], Floats]

SIGMAS = (2, 4, 8, 16)
"""Largest scales that are tried for the forests, in pixels of a plane."""

CLUSTER_SIGMA = 4
LEAST_SIGMA = 0.3
"""A smaller scale, in planes, is none."""

TREES = 50
DEPTH = 10


def otsu(volume: Volume, ks: Sequence[int]) -> list[Labels]:
    """Cut at Otsu's threshold of the whole volume, whatever K."""
    return [_of_voxels(otsu_clusters, volume, k) for k in ks]


def multi_otsu(volume: Volume, ks: Sequence[int]) -> list[Labels]:
    """Cut at several thresholds of the whole volume; at most 4 clusters."""
    return [_of_voxels(multi_otsu_clusters, volume, k) for k in ks]


def kmeans(volume: Volume, ks: Sequence[int]) -> list[Labels]:
    """Cluster the intensities of the whole volume."""
    return [_of_voxels(kmeans_clusters, volume, k) for k in ks]


def kmeans_on_features(volume: Volume, ks: Sequence[int]) -> list[Labels]:
    """Cluster the filter bank of the volume, each feature with variance 1."""
    features = features_3d(volume, CLUSTER_SIGMA)
    values = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-6)
    random = np.random.default_rng(0)
    sample = values[random.choice(len(values), min(SAMPLE, len(values)), replace=False)]
    return [
        KMeans(k, n_init=4, random_state=0).fit(sample).predict(values).reshape(volume.pixels.shape)
        for k in ks
    ]


def _of_voxels(
    method: Callable[[NDArray[np.generic], int], Labels], volume: Volume, k: int
) -> Labels:
    # These methods take three axes for colours; the places of the voxels do not matter to them.
    rows = volume.pixels.reshape(-1, volume.pixels.shape[-1])
    return method(rows, k).reshape(volume.pixels.shape)


def forest(volume: Volume, scribbles: Labels, features: Features, sigma: int) -> Labels:
    """Grow a forest on the painted voxels and label the whole volume."""
    rows = features(volume, sigma)
    painted = scribbles.ravel() > 0
    grown = RandomForestClassifier(TREES, max_depth=DEPTH, n_jobs=1, random_state=0)
    grown.fit(rows[painted], scribbles.ravel()[painted])
    return keep_painted(grown.predict(rows).reshape(scribbles.shape), scribbles)


@lru_cache(maxsize=1)
def features_2d(volume: Volume, sigma_max: int) -> Floats:
    """Return scikit-image's filter bank of every plane, ``(voxels, d)``."""
    kinds = ("intensity", "edges", "texture")
    planes = [filter_bank(plane, kinds, sigma_max) for plane in volume.pixels]
    return np.concatenate([plane.reshape(-1, plane.shape[-1]) for plane in planes])


@lru_cache(maxsize=1)
def features_3d(volume: Volume, sigma_max: int) -> Floats:
    """Return the filter bank of the volume, ``(voxels, d)``, at 1, 2, 4 … pixels."""
    low, high = np.percentile(volume.pixels, (0.1, 99.9))
    values = ((volume.pixels - low) / max(high - low, 1e-6)).astype(np.float32)
    columns = [values.reshape(-1, 1)]
    sigma = 1
    while sigma <= sigma_max:
        columns.append(_at_scale(values, sigma, volume.z_step))
        sigma *= 2
    return np.concatenate(columns, axis=1)


def _at_scale(values: Floats, sigma: float, z_step: float) -> Floats:
    """Smoothed value, gradient magnitude and the Hessian's eigenvalues, ``(voxels, 5)``."""
    along_z = sigma / z_step if sigma / z_step >= LEAST_SIGMA else 0
    smooth = ndimage.gaussian_filter(values, (along_z, sigma, sigma))
    slopes = [slope * np.float32(sigma) for slope in np.gradient(smooth, z_step, 1, 1)]
    hessian = np.empty((*values.shape, 3, 3), np.float32)
    for first, slope in enumerate(slopes):
        curved = np.gradient(slope, z_step, 1, 1)
        for second in range(first, 3):
            hessian[..., first, second] = hessian[..., second, first] = curved[second] * sigma
    steepness = np.sqrt(np.sum(np.square(slopes), axis=0))
    curvatures = np.linalg.eigvalsh(hessian.reshape(-1, 3, 3))
    return np.column_stack([smooth.ravel(), steepness.ravel(), curvatures])
