"""Small regions along an image's boundaries, found by looking at nearest neighbours only.

Steepest descent on the strength of the boundary: every pixel points to the weakest of its
neighbours, and pixels whose paths end in the same place are one *leaf*. What a pixel points to
depends on the pixels next to it and on nothing else, so that leaves know of no block or window.

Arrays lie ``y x``, or ``z y x``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.sparse import csc_array

from napari_diffseg.image.space import Space
from napari_diffseg.image.windows import Window, tiles, whole
from napari_diffseg.numeric.pairs import neighbours
from napari_diffseg.numeric.region_graph import Side

Floats = NDArray[np.float32]
Leaves = NDArray[np.int32]

BLUR = 1.5
"""Gaussian σ of the colours before their slope is taken, in pixels."""

_BAND_PIXELS = 1 << 16
_BAND_PLANES = 4  # of volumes, whose features are sums of neighbouring planes


def color_slope(colors: Floats, space: Space) -> Floats:
    """Return the length of the gradient of smoothed colours ``c (z) y x``, per pixel."""
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
    """Cut an image by the strength of its boundaries into leaves, from 0 without gaps."""
    # Strength and place in one number: of equally weak ones the first of the image is the least,
    # so that plains have one end. The bits of numbers below 0 are turned, to rise as they do.
    bits = (strength + np.float32(0)).view(np.int32)
    rising = bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))
    place = np.arange(strength.size).reshape(strength.shape)
    lowest = rising.astype(np.int64) << 32 | place
    first = 1 if space.is_volume and not space.is_dense else 0
    for axis in range(first, strength.ndim):
        before, after = neighbours(lowest, axis)
        met = lowest.copy()
        lower, upper = neighbours(met, axis)
        np.minimum(upper, before, out=upper)
        np.minimum(lower, after, out=lower)
        lowest = met
    lowest &= 0xFFFFFFFF  # the lower half, the place
    ends = lowest.ravel()
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


def sides_of(leaves: Leaves, strength: Floats, space: Space) -> Iterator[Side]:
    """Yield, axis by axis, the leaves before and after every step, how strong it is, its weight."""
    for axis, distance in enumerate(space.steps):
        if axis == 0 and space.is_volume and not space.is_dense:
            continue
        before, after = neighbours(leaves, axis)
        low, high = neighbours(strength, axis)
        # A border between planes is one pixel large, one within them as high as planes are apart;
        # and what spreads has as far to go. So one between planes weighs 1 / distance².
        yield before, after, (low + high) / 2, distance**-2


def leaf_means(
    leaves: Leaves,
    parts: Callable[[Window], Sequence[Floats]],
    counted: NDArray[np.bool_] | None = None,
) -> Floats:
    """Return the mean of the rows of the counted pixels of each leaf, ``(n, d)``.

    The parts of the rows of a window, ``(z) y x d`` each, are asked for window by window. A leaf
    without a counted pixel has the mean of all its pixels.
    """
    n = int(leaves.max()) + 1
    weights, counts = np.ones(leaves.shape, np.float32), None
    if counted is not None:
        met = np.bincount(leaves[counted], minlength=n) > 0
        weights = (counted | ~met[leaves]).astype(np.float32)
        counts = weights.ravel()
    sizes = np.bincount(leaves.ravel(), counts, n)
    sums = np.zeros((n, 0))
    # Bands, for sums of few float32 are exact enough; and a band meets a short stretch of leaves.
    n_planes = _BAND_PLANES if leaves.ndim == 3 else 1
    n_rows = max(_BAND_PIXELS // leaves.shape[-1] // n_planes, 1)
    for band in tiles(whole(leaves.shape), (n_planes, n_rows, leaves.shape[-1])[-leaves.ndim :]):
        met_here = leaves[band].ravel()
        low, high = int(met_here.min()), int(met_here.max()) + 1
        pointers = np.arange(met_here.size + 1, dtype=np.int32)
        table = (weights[band].ravel(), met_here - low, pointers)
        adding = csc_array(table, shape=(high - low, met_here.size))
        found = np.hstack([adding @ one.reshape(met_here.size, -1) for one in parts(band)])
        if not sums.size:
            sums = np.zeros((n, found.shape[1]))
        sums[low:high] += found
    means: Floats = (sums / sizes[:, None]).astype(np.float32)
    return means
