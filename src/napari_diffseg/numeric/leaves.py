"""Small regions along an image's boundaries, found by looking at nearest neighbours only.

Steepest descent on the strength of the boundary: every pixel points to the weakest of its
neighbours, and pixels whose paths end in the same place are one *leaf*. What a pixel points to
depends on the pixels next to it and on nothing else, so that leaves know of no block or window.

Arrays lie ``y x``, or ``z y x``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_diffseg.image.space import Space
from napari_diffseg.numeric.pairs import neighbours
from napari_diffseg.numeric.region_graph import Side

Floats = NDArray[np.float32]
Leaves = NDArray[np.int32]

BLUR = 1.5
"""Gaussian σ of the colours before their slope is taken, in pixels."""


def color_slope(colors: Floats, space: Space) -> Floats:
    """Return the length of the gradient of smoothed colours, per pixel.

    Parameters
    ----------
    colors : ndarray, (c, y, x) or (c, z, y, x)
    space : Space
        Across planes too far apart there is no slope.

    Returns
    -------
    ndarray of float32, (y, x) or (z, y, x)
    """
    sigma = space.along(BLUR)
    smooth = gaussian_filter(colors, sigma, axes=tuple(range(1, colors.ndim)), truncate=3.0)
    squared = np.zeros(colors.shape[1:], np.float32)
    for axis, distance in enumerate(space.steps, start=1):
        if smooth.shape[axis] < 2 or (axis == 1 and space.is_volume and not space.is_dense):
            continue
        squared += (np.gradient(smooth, axis=axis) ** 2).sum(axis=0) / np.float32(distance**2)
    slope: Floats = np.sqrt(squared)
    return slope


def find_leaves(strength: Floats, space: Space) -> Leaves:
    """Cut an image into leaves.

    Parameters
    ----------
    strength : ndarray of float32, (y, x) or (z, y, x)
        How strong the boundary at each pixel is.
    space : Space
        Where planes are too far apart, each leaf lies within one plane.

    Returns
    -------
    ndarray of int32
        Leaves, each connected, from 0 without gaps.
    """
    index = np.arange(strength.size, dtype=np.int32).reshape(strength.shape)
    lowest, target = strength.copy(), index.copy()
    across = space.is_dense or not space.is_volume
    for offset in product((-1, 0, 1), repeat=strength.ndim):
        if not any(offset) or (offset[0] and strength.ndim == 3 and not across):
            continue
        here = tuple(slice(max(-step, 0), n - max(step, 0)) for step, n in _steps(offset, strength))
        there = tuple(
            slice(max(step, 0), n - max(-step, 0)) for step, n in _steps(offset, strength)
        )
        value, place = strength[there], index[there]
        # Of equally weak ones the first of the image, so that plains have one end.
        is_lower = (value < lowest[here]) | ((value == lowest[here]) & (place < target[here]))
        np.copyto(lowest[here], value, where=is_lower)
        np.copyto(target[here], place, where=is_lower)
    ends = target.ravel()
    while True:
        further = ends[ends]
        if np.array_equal(further, ends):
            break
        ends = further
    is_end = np.zeros(ends.size, bool)
    is_end[ends] = True
    number = np.cumsum(is_end, dtype=np.int32) - 1
    leaves: Leaves = number[ends].reshape(strength.shape)
    return leaves


def _steps(offset: tuple[int, ...], image: NDArray[Any]) -> Iterator[tuple[int, int]]:
    return zip(offset, image.shape, strict=True)


def sides_of(leaves: Leaves, strength: Floats, space: Space) -> Iterator[Side]:
    """Yield, axis by axis, the leaves before and after every step, and how strong it is.

    Notes
    -----
    A border between planes is one pixel large, one within them as high as planes are apart; and
    what spreads has as far to go as the planes are apart. So a border between planes weighs
    1 / distance², beside one within them.
    """
    for axis, distance in enumerate(space.steps):
        if axis == 0 and space.is_volume and not space.is_dense:
            continue
        before, after = neighbours(leaves, axis)
        low, high = neighbours(strength, axis)
        yield before, after, (low + high) / 2, distance**-2


def leaf_means(leaves: Leaves, channels: Floats, counted: NDArray[np.bool_] | None) -> Floats:
    """Return the mean of each channel over the counted pixels of each leaf, ``(n, d)``.

    A leaf without a counted pixel has the mean of all its pixels.
    """
    n = int(leaves.max()) + 1
    flat = leaves.ravel()
    weights = None
    if counted is not None:
        met = np.bincount(flat[counted.ravel()], minlength=n) > 0
        weights = (counted.ravel() | ~met[flat]).astype(np.float32)
    sizes = np.bincount(flat, weights, minlength=n)
    means = np.empty((n, len(channels)), np.float32)
    for column, channel in zip(means.T, channels, strict=True):
        values = channel.ravel() if weights is None else channel.ravel() * weights
        column[:] = np.bincount(flat, values, minlength=n) / sizes
    return means
