"""The pixels of a run in the world, and maps between them and what other layers show."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_diffseg.image.units import converted, parse_unit
from napari_diffseg.image.windows import Window

if TYPE_CHECKING:
    from napari_diffseg.widgets.region.placement import Placement

_NEAR = 1e-6
"""A pixel of which no more than this is covered is not."""
_PARALLEL = 1e-9


@dataclass(frozen=True, slots=True)
class Map:
    """Places in an image → places elsewhere; affine, and compared by value.

    `rows`: one for each axis there, with a factor for each axis of the image; `offset`: the first
    pixel.
    """

    rows: tuple[tuple[float, ...], ...]
    offset: tuple[float, ...]

    @classmethod
    def of(cls, function: Callable[[NDArray[np.float64]], ArrayLike], n_axes: int) -> Map:
        """Measure a function that is affine."""
        start = np.asarray(function(np.zeros(n_axes)), dtype=np.float64)
        columns = [np.asarray(function(unit), dtype=np.float64) - start for unit in np.eye(n_axes)]
        # What rotations leave of a zero would make every pixel depend on every axis.
        matrix = np.stack(columns, axis=1)
        matrix[np.abs(matrix) < 1e-9 * np.abs(matrix).max(initial=0)] = 0
        return cls(tuple(map(tuple, matrix.tolist())), tuple(start.tolist()))

    def pick(self, axes: Sequence[int]) -> Map:
        """Return the map to some of the axes there."""
        return Map(tuple(self.rows[a] for a in axes), tuple(self.offset[a] for a in axes))


@dataclass(frozen=True, slots=True)
class Grid:
    """The pixels that a run sees.

    At `position` of a placement, along its `spatial` axes: (z,) y and x.
    """

    placement: Placement
    spatial: tuple[int, ...]
    position: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each spatial axis."""
        return tuple(self.placement.shape[axis] for axis in self.spatial)

    def to_world(self, place: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where a place ``(y, x)`` or ``(z, y, x)`` lies in the world."""
        full = np.asarray(self.position, dtype=np.float64)
        full[list(self.spatial)] = place
        return self.placement.to_world(full)

    def from_world(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return which places ``(n, axes)`` points of the world ``(n, world)`` are."""
        whole = Map.of(self.placement.to_world, len(self.position))
        inverse = np.linalg.inv(np.asarray(whole.rows))
        places = (np.asarray(points) - whole.offset) @ inverse.T
        return places[:, list(self.spatial)]


def units_between(units: Sequence[object], others: Sequence[object]) -> NDArray[np.float64]:
    """Return how many of the other units one of each is; 1 where one is no length.

    Axes are counted from the last one.
    """
    ratios = np.ones(len(units))
    n_common = min(len(units), len(others))
    for axis in range(-n_common, 0):
        one, other = parse_unit(str(units[axis])), parse_unit(str(others[axis]))
        if one is not None and other is not None:
            ratios[axis] = converted(1.0, one, other)
    return ratios


def bounds_within(
    mapped: Map, low: NDArray[Any], high: NDArray[Any], shape: Sequence[int]
) -> Window | None:
    """Return the smallest box of an image outside of which nothing is mapped between two ends.

    A pixel reaches half its width around its middle. None where nothing comes to lie there.
    """
    rows, offset = np.asarray(mapped.rows), np.asarray(mapped.offset)
    # Each row in pixels, so that nanometres in metres are not lost in rounding.
    size = np.abs(rows).max(axis=1, initial=0)
    size[size == 0] = 1
    rows, low, high = rows / size[:, None], (low - offset) / size, (high - offset) / size
    sides, ends = np.eye(len(shape)), np.asarray(shape) - 0.5
    faces = np.concatenate([rows, -rows, sides, -sides])
    corners = _corners(faces, np.concatenate([high, -low, ends, np.full(len(shape), 0.5)]))
    if corners.size == 0:
        return None
    box = []
    for length, first, last in zip(shape, corners.min(axis=0), corners.max(axis=0), strict=True):
        start = min(math.floor(first + 0.5 + _NEAR), length - 1)
        box.append(slice(start, max(math.ceil(last + 0.5 - _NEAR), start + 1)))
    return tuple(box)


def _corners(faces: NDArray[np.float64], limits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the corners ``(n, axes)`` of what lies within flat faces, few of them.

    A place lies within where ``faces @ place <= limits``.
    """
    n_axes = faces.shape[1]
    # A corner is where as many faces meet as there are axes.
    meeting = np.array(list(combinations(range(len(faces)), n_axes)))
    do_meet = np.abs(np.linalg.det(faces[meeting])) > _PARALLEL
    meeting = meeting[do_meet]
    places = np.linalg.solve(faces[meeting], limits[meeting][..., np.newaxis])[..., 0]
    is_within = (places @ faces.T <= limits + _NEAR).all(axis=1)
    return np.asarray(places[is_within])


def size_in_words(box: Window) -> str:
    """Return e.g. ``"300 × 512 pixels"``, or of a volume voxels."""
    lengths = [side.stop - side.start for side in box]
    return f"{' × '.join(map(str, lengths))} {'voxels' if len(box) == 3 else 'pixels'}"
