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
    min_size: int,
    steps: tuple[float, ...],
) -> Numbers:
    """Cut pieces into one part for each peak of depth.

    Parameters
    ----------
    pieces : ndarray of int32, (y, x) or (z, y, x)
        Connected pieces, from 1 on; 0 is the background.
    depth : ndarray of float32
        From `depths`.
    apart : float
        A peak is a place with no deeper peak in its piece nearer than this, in pixels.
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
    parts = np.where(several[pieces], 0, pieces + np.int32(len(peaks)) * (pieces > 0))
    _flood(parts, pieces, depth, several, peaks)
    # A part that is too small gives up its peak; the largest of each piece stays.
    sizes = np.bincount(parts.ravel(), minlength=len(peaks) + 1)[1 : len(peaks) + 1]
    order = np.lexsort((-sizes, homes))
    largest = np.zeros(len(peaks), np.bool_)
    largest[order[np.unique(homes[order], return_index=True)[1]]] = True
    given_up = ~largest & (sizes < min_size)
    if given_up.any():
        again = np.zeros_like(several)
        again[homes[given_up]] = True
        _flood(parts, pieces, depth, again, peaks, ~given_up & again[homes])
    return parts


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


def _flood(
    parts: Numbers,
    pieces: Numbers,
    depth: NDArray[np.float32],
    which: Mask,
    peaks: NDArray[np.intp],
    used: Mask | None = None,
) -> None:
    """Flood some of the pieces from their peaks; part k + 1 is that of peak k."""
    mask = which[pieces]
    numbers = np.arange(1, len(peaks) + 1)
    used = np.ones(len(peaks), np.bool_) if used is None else used
    markers = np.zeros(pieces.shape, np.int32)
    markers[tuple(peaks[used].T)] = numbers[used]
    np.copyto(parts, watershed(-depth, markers, mask=mask), where=mask)
