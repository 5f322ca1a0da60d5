"""Superpixels and regions of a graph, put into K groups by their mean colours (scikit-image)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import felzenszwalb, slic
from sklearn.cluster import KMeans

from benchmarks.baselines.scribbles import channel_axis

Labels = NDArray[np.integer]


def stretched(pixels: NDArray[np.generic]) -> NDArray[np.floating]:
    """Return the values between 0 and 1."""
    low, high = float(pixels.min()), float(pixels.max())
    return (pixels.astype(np.float32) - low) / max(high - low, 1.0)


def felzenszwalb_groups(pixels: NDArray[np.generic], k: int) -> Labels:
    """Cut an image ``y x`` or ``y x c`` by the graph, at the best setting on photographs."""
    values = stretched(pixels)
    axis = channel_axis(pixels)
    regions = felzenszwalb(values, scale=200, sigma=0.8, min_size=50, channel_axis=axis)
    return grouped(regions, values, k)


def slic_groups(pixels: NDArray[np.generic], k: int) -> Labels:
    """Cut an image into about 1500 superpixels, as many as are best on photographs."""
    values, axis = stretched(pixels), channel_axis(pixels)
    # Colours are turned into CIE Lab, up to 100; the compactness is in the same units.
    compactness = 10 if axis == -1 else 0.1
    regions = slic(values, 1500, compactness=compactness, start_label=0, channel_axis=axis)
    return grouped(regions, values, k)


def grouped(regions: Labels, values: NDArray[np.floating], k: int) -> Labels:
    """Put regions, numbered from 0, into K groups by k-means on their mean colours."""
    numbers = np.arange(regions.max() + 1)
    channels = np.moveaxis(values.reshape(*regions.shape, -1), -1, 0)
    means = np.stack([ndimage.mean(channel, regions, numbers) for channel in channels])
    areas = np.bincount(regions.ravel())
    groups = KMeans(min(k, len(numbers)), n_init=4, random_state=0)
    return groups.fit_predict(means.T, sample_weight=areas)[regions]
