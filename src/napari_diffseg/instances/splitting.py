"""Cutting things that touch: distances from the outline, their peaks, basins around these."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree
from skimage.segmentation import watershed

Numbers = NDArray[np.int32]
Mask = NDArray[np.bool_]


def depths(masks: list[Mask], steps: tuple[float, ...]) -> NDArray[np.float32]:
    """Return how far each pixel is from the outline of its class, in pixels.

    Parameters
    ----------
    masks : list of ndarray of bool, (y, x) or (z, y, x)
        Where each class is; they do not overlap. The edge of the image is no outline.
    steps : tuple of float
        Distance of neighbours along each axis, in pixels.
    """
    found = np.zeros(masks[0].shape, np.float32)
    for mask in masks:
        if not mask.all():
            np.add(found, ndimage.distance_transform_edt(mask, sampling=steps), out=found)
    return found


def split(
    pieces: Numbers,
    depth: NDArray[np.float32],
    apart: float,
    neck: float,
    min_size: int,
    steps: tuple[float, ...],
) -> Numbers:
    """Cut pieces into one part for each peak of depth, where there is a neck between them.

    Parameters
    ----------
    pieces : ndarray of int32, (y, x) or (z, y, x)
        Connected pieces, from 1 on; 0 is the background.
    depth : ndarray of float32
        From `depths`.
    apart : float
        A peak is a place with no deeper peak in its piece nearer than this, in pixels.
    neck : float
        Parts that meet at more than this share of the depth of the shallower one are one.
    min_size : int
        A part of fewer pixels is given to its neighbours in the piece.
    steps : tuple of float
        Distance of neighbours along each axis, in pixels.

    Returns
    -------
    ndarray of int32
        The parts, from 1 on, each within one piece.
    """
    peaks, homes = _peaks(pieces, depth, apart, steps)
    several = np.bincount(homes, minlength=int(pieces.max()) + 1) > 1
    peaks, homes = peaks[several[homes]], homes[several[homes]]
    if not len(peaks):
        return pieces
    markers = np.zeros(pieces.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    parts: Numbers = watershed(-depth, markers, mask=several[pieces])
    # The pieces with a single peak get the numbers after those.
    others = np.arange(len(several), dtype=np.int32) + np.int32(len(peaks))
    others[several] = others[0] = 0
    parts += others[pieces]
    return _merged(parts, depth, depth[tuple(peaks.T)], neck, min_size)


def _peaks(
    pieces: Numbers, depth: NDArray[np.float32], apart: float, steps: tuple[float, ...]
) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Return the places ``(n, ndim)`` of the peaks, and the piece that each is in."""
    # Only what is no lower than its neighbours can be a peak, and few places are.
    is_top = (depth == ndimage.maximum_filter(depth, size=3)) & (pieces > 0) & (depth > 0)
    places, homes, heights = np.argwhere(is_top), pieces[is_top], depth[is_top]
    # Pieces lie so far from each other along one axis more that no peak sees that of another.
    points = np.column_stack([places * np.asarray(steps), homes * (2.0 * apart)])
    # By and by, for near ones leave few that are to be looked at farther.
    radius = min(apart, 2.0)
    kept = np.arange(len(places))
    while True:
        near = KDTree(points[kept]).query_pairs(radius, output_type="ndarray")
        # Of two that are equally deep, the one that comes first.
        first, second = kept[near.min(axis=1)], kept[near.max(axis=1)]
        kept = np.setdiff1d(kept, np.where(heights[second] > heights[first], first, second))
        if radius >= apart:
            return places[kept], homes[kept]
        radius = min(2 * radius, apart)


def _merged(
    parts: Numbers,
    depth: NDArray[np.float32],
    heights: NDArray[np.float32],
    neck: float,
    min_size: int,
) -> Numbers:
    """Join parts again where there is no neck between them, and small ones to a neighbour.

    Part k + 1 has the peak k; parts with higher numbers have none, and touch no other.
    """
    first, second, necks = _necks(parts, depth, len(heights))
    sizes = np.bincount(parts.ravel(), minlength=len(heights) + 1)
    roots = list(range(len(sizes)))
    peaks, areas = [0.0, *heights.tolist()], sizes.tolist()

    def root(part: int) -> int:
        while roots[part] != part:
            roots[part] = part = roots[roots[part]]
        return part

    # The widest necks first, so that what is joined is looked at as one from then on.
    for is_last in (False, True):
        for one, other, width in zip(first.tolist(), second.tolist(), necks.tolist(), strict=True):
            low, high = sorted((root(one), root(other)), key=peaks.__getitem__)
            is_small = is_last and min(areas[low], areas[high]) < min_size
            if low != high and (is_small or width >= neck * peaks[low]):
                roots[low] = high
                areas[high] += areas[low]
    lookup = np.array([root(part) for part in range(len(sizes))], np.int32)
    merged: Numbers = lookup[parts]
    return merged


def _necks(
    parts: Numbers, depth: NDArray[np.float32], n_peaks: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return pairs of parts that touch, and the depth of the pass between them, deepest first."""
    found = []
    for axis in range(parts.ndim):
        here = tuple(slice(None, -1) if a == axis else slice(None) for a in range(parts.ndim))
        there = tuple(slice(1, None) if a == axis else slice(None) for a in range(parts.ndim))
        one, other = parts[here], parts[there]
        place = np.nonzero((one != other) & (one > 0) & (other > 0))
        pair = np.sort([one[place], other[place]], axis=0)
        pass_ = np.minimum(depth[here][place], depth[there][place])
        found.append((*pair, pass_))
    first, second, height = (np.concatenate(column) for column in zip(*found, strict=True))
    # Only what has a peak was cut; others touch where two classes do.
    cut = second <= n_peaks
    first, second, height = first[cut], second[cut], height[cut]
    order = np.argsort(-height, kind="stable")
    first, second, height = first[order], second[order], height[order]
    key = first.astype(np.int64) * (n_peaks + 1) + second
    once = np.sort(np.unique(key, return_index=True)[1])
    return first[once].astype(np.int64), second[once].astype(np.int64), height[once]
