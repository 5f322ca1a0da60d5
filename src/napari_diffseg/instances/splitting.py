"""Cutting things that touch: basins around peaks of depth, joined where there is no neck."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree
from skimage.measure import label as connected_pieces
from skimage.segmentation import watershed

from napari_diffseg.image.arrays import Mask

Numbers = NDArray[np.int32]


def add_depths(depth: NDArray[np.float32], mask: Mask, steps: tuple[float, ...]) -> None:
    """Add how far each pixel of a class is from its outline, in pixels; elsewhere nothing.

    The edge of the image is no outline; `steps` are the distances of neighbours along each axis.
    """
    if not mask.all():
        np.add(depth, ndimage.distance_transform_edt(mask, sampling=steps), out=depth)


@dataclass(frozen=True, eq=False, slots=True)
class Basins:
    """Pieces, cut once at every peak of depth: all that is joined later looks at no pixel again.

    Entry k of each list is about basin k; 0 is the background.
    """

    numbers: Numbers  # (y, x) or (z, y, x)
    homes: NDArray[np.integer[Any]]  # the piece that it is in
    sizes: NDArray[np.integer[Any]]  # in pixels
    first: NDArray[np.intp]  # its first pixel, in the flattened image; -1 where there is none
    peaks: NDArray[np.float64]  # (n, ndim), where it is deepest, in pixels along y
    heights: NDArray[np.float32]  # how deep it is there
    # Two basins of a piece that touch, and the depth of the pass between them; the deepest first
    passes: tuple[tuple[int, int, float], ...]
    is_cut: bool

    def radii(self, classes: NDArray[Any]) -> NDArray[np.float64]:
        """Return of each basin how deep a typical piece of its class is, in pixels: its radius.

        Half of all depth is in pieces that are deeper: dust hardly counts, and things in a clump
        are as deep as alone. `classes` are those of the pixels.
        """
        deepest = np.zeros(int(self.homes.max()) + 1, np.float64)
        np.maximum.at(deepest, self.homes, self.heights)
        kinds, own = np.zeros(deepest.size, np.int64), self.first >= 0
        kinds[self.homes[own]] = classes.reshape(-1)[self.first[own]]
        groups = np.unique(kinds, return_inverse=True)[1]
        totals, ends = np.bincount(groups, deepest), np.cumsum(np.bincount(groups))
        order = np.lexsort((deepest, groups))
        below = np.searchsorted(np.cumsum(deepest[order]), np.cumsum(totals) - totals / 2)
        typical = deepest[order[np.minimum(below, ends - 1)]]
        found: NDArray[np.float64] = typical[groups][self.homes]
        return found

    def joined(
        self, apart: NDArray[np.float64], neck: float, min_sizes: NDArray[np.integer[Any]]
    ) -> NDArray[np.intp]:
        """Return the part that each basin belongs to: one for each peak behind a neck.

        A basin with a deeper peak nearer than `apart` in its piece is no part of its own, nor one
        that meets another at more than the share `neck` of its depth, nor one of fewer pixels than
        `min_sizes` that has a neighbour; both have an entry for each basin, alike in a class.
        """
        roots = list(range(self.sizes.size))
        heights, areas, least = (
            column.tolist() for column in (self.heights, self.sizes, min_sizes)
        )
        centres = self._centres(apart).tolist()

        def root(part: int) -> int:
            while roots[part] != part:
                roots[part] = part = roots[roots[part]]
            return part

        # The widest necks first, so that what is joined is looked at as one from then on.
        def join(is_one: Callable[[int, int, float], bool]) -> None:
            for one, other, width in self.passes:
                low, high = root(one), root(other)
                if low == high:
                    continue
                if heights[low] > heights[high]:
                    low, high = high, low
                if is_one(low, high, width):
                    roots[low] = high
                    areas[high] += areas[low]
                    centres[high] = centres[high] or centres[low]

        join(lambda low, high, _: not (centres[low] and centres[high]))
        join(lambda low, high, width: width >= neck * heights[low])
        join(lambda low, high, _: min(areas[low], areas[high]) < least[low])
        return np.array([root(part) for part in range(len(roots))], np.intp)

    def _centres(self, apart: NDArray[np.float64]) -> Mask:
        """Return which basins have no deeper peak nearer than `apart` in their piece."""
        # Pieces lie so far from each other along one axis more that no peak sees that of another.
        points = np.column_stack([self.peaks / np.maximum(apart, 1e-9)[:, None], 2.0 * self.homes])
        kept = np.arange(len(points))
        # By and by, for near ones leave few that are to be looked at farther.
        radius = 2 / max(2.0, float(apart.max()))
        while True:
            near = KDTree(points[kept]).query_pairs(radius, output_type="ndarray")
            # Of two that are equally deep, the one that comes first.
            first, second = kept[near.min(axis=1)], kept[near.max(axis=1)]
            is_deeper = self.heights[second] > self.heights[first]
            kept = np.setdiff1d(kept, np.where(is_deeper, first, second))
            if radius >= 1:
                break
            radius = min(2 * radius, 1.0)
        centres = np.zeros(len(points), np.bool_)
        centres[kept] = True
        return centres


def uncut(pieces: Numbers) -> Basins:
    """Return connected pieces, 0 outside, as basins: one each, with no passes."""
    homes = np.arange(int(pieces.max()) + 1)
    nowhere = np.zeros((homes.size, pieces.ndim))
    return _basins(pieces, homes, nowhere, np.zeros(homes.size, np.float32))


def cut(pieces: Numbers, depth: NDArray[np.float32], steps: tuple[float, ...]) -> Basins:
    """Cut connected pieces into a basin for each peak of depth, however small it is.

    A peak is a place, or several that touch, that is no shallower than its neighbours.
    """
    # Only what is no lower than its neighbours can be a peak, and few places are.
    is_top = (depth == ndimage.maximum_filter(depth, size=3)) & (pieces > 0) & (depth > 0)
    tops = connected_pieces(np.where(is_top, pieces, 0), connectivity=pieces.ndim)
    places = np.argwhere(is_top)
    places = places[np.unique(tops[is_top], return_index=True)[1]]
    homes, heights = pieces[tuple(places.T)], depth[tuple(places.T)]
    every = np.arange(int(pieces.max()) + 1, dtype=np.int32)
    n_peaks, n_pieces = len(places), every.size
    several = np.bincount(homes, minlength=n_pieces) > 1
    is_cut, markers = several[pieces], np.zeros(pieces.shape, np.int32)
    np.copyto(markers, tops, where=is_cut, casting="same_kind")
    numbers: Numbers = watershed(-depth, markers, mask=is_cut)
    # The pieces with a single peak, or none, get the numbers after those.
    numbers += np.where(several | (every == 0), 0, every + n_peaks)[pieces]
    deepest = np.zeros(n_pieces, np.float32)
    np.maximum.at(deepest, homes, heights)
    return _basins(
        numbers,
        np.concatenate([[0], homes, every[1:]]),
        np.concatenate(
            [
                np.zeros((1, depth.ndim)),
                places * np.asarray(steps),
                np.zeros((n_pieces - 1, depth.ndim)),
            ]
        ),
        np.concatenate([[0], heights, np.where(several, 0, deepest)[1:]]),
        depth,
    )


def _basins(
    numbers: Numbers,
    homes: NDArray[np.integer[Any]],
    peaks: NDArray[np.float64],
    heights: NDArray[np.float32],
    depth: NDArray[np.float32] | None = None,
) -> Basins:
    flat = numbers.reshape(-1)
    places = np.flatnonzero(flat)
    first = np.full(homes.size, -1, np.intp)
    # Of several pixels that are written to one entry the last one stays: here the first.
    first[flat[places[::-1]]] = places[::-1]
    sizes = np.bincount(flat, minlength=homes.size)
    passes = () if depth is None else _passes(numbers, homes, depth)
    return Basins(numbers, homes, sizes, first, peaks, heights, passes, depth is not None)


def _passes(
    numbers: Numbers, homes: NDArray[np.integer[Any]], depth: NDArray[np.float32]
) -> tuple[tuple[int, int, float], ...]:
    """Return pairs of basins of one piece that touch, and the pass between, deepest first."""
    found = []
    for axis in range(numbers.ndim):
        here = tuple(slice(None, -1) if a == axis else slice(None) for a in range(numbers.ndim))
        there = tuple(slice(1, None) if a == axis else slice(None) for a in range(numbers.ndim))
        one, other = numbers[here], numbers[there]
        place = np.nonzero((one != other) & (one > 0) & (other > 0))
        pair = np.sort([one[place], other[place]], axis=0)
        found.append((*pair, np.minimum(depth[here][place], depth[there][place])))
    first, second, height = (np.concatenate(column) for column in zip(*found, strict=True))
    own = np.flatnonzero(homes[first] == homes[second])
    order = own[np.argsort(-height[own], kind="stable")]
    key = first[order].astype(np.int64) * homes.size + second[order]
    once = order[np.sort(np.unique(key, return_index=True)[1])]
    listed = (column[once].tolist() for column in (first, second, height))
    return tuple(zip(*listed, strict=True))
