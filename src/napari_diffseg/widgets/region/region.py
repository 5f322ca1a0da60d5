"""Where an image is segmented: everywhere, in the field of view, or inside what is drawn.

A `Region` is told by what the viewer shows and by the vertices of drawn shapes, in the thread
of the window; which pixels it covers is found later, in any thread, without any layer.
"""

from __future__ import annotations

import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon

from napari_diffseg.errors import InputError
from napari_diffseg.image.region import box_of
from napari_diffseg.widgets.region.grid import Box, Map, bounds_within

if TYPE_CHECKING:
    from napari.layers import Labels, Shapes

_BLOCK = 1 << 20
"""So many pixels are looked up in a Labels layer at a time."""


class RegionKind(Enum):
    """Where an image is segmented."""

    WHOLE = "whole image"
    VIEW = "field of view"
    INSIDE = "inside"


@dataclass(frozen=True, slots=True)
class RegionWish:
    """What a person wants."""

    kind: RegionKind = RegionKind.WHOLE
    layer: Shapes | Labels | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Found:
    """The pixels that a region covers.

    The smallest `box` around them, and which of it they are; `inside` is None for all.
    """

    shape: tuple[int, ...]
    box: Box
    inside: NDArray[np.bool_] | None

    def as_array(self) -> NDArray[np.bool_]:
        """Return an array of the whole image, true where they are."""
        covered = np.zeros(self.shape, dtype=bool)
        covered[self.box] = True if self.inside is None else self.inside
        return covered


@dataclass(frozen=True)
class Region(ABC):
    """A region of an image; two that cover the same pixels for the same reason are equal.

    `shape` is that of the image, ``(z) y x``; `name` is for a person: ``"'Shapes'"``.
    """

    shape: tuple[int, ...]
    name: str = field(compare=False)
    notes: tuple[str, ...] = field(compare=False)

    @abstractmethod
    def find(self) -> Found:
        """Find the pixels that it covers; slow for large images."""

    def mask(self) -> NDArray[np.bool_]:
        """Return an array of the whole image, true where it is segmented; as `find`."""
        return self.find().as_array()

    def _tighten(self, covered: NDArray[np.bool_], box: Box) -> Found:
        """Return what is covered within a box, with the smallest box around it."""
        tight = box_of(covered)
        if tight is None:
            raise self._is_empty()
        inside = covered[tight]
        placed = tuple(
            slice(side.start + part.start, side.start + part.stop)
            for side, part in zip(box, tight, strict=True)
        )
        return Found(self.shape, placed, None if inside.all() else inside)

    def _is_empty(self) -> InputError:
        return InputError(
            f"{self.name} covers no pixel of the image; draw on the image, or choose the whole "
            "image."
        )


@dataclass(frozen=True)
class BoxRegion(Region):
    """All pixels of a box."""

    box: Box

    def find(self) -> Found:
        """Return the box."""
        return Found(self.shape, self.box, None)


@dataclass(frozen=True, slots=True)
class Outline:
    """A polygon in the plane of two axes, which goes through all of the third one."""

    axes: tuple[int, int]
    vertices: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class OutlineRegion(Region):
    """The pixels whose middle lies in one of several polygons."""

    outlines: tuple[Outline, ...]

    def find(self) -> Found:
        """Fill the polygons."""
        boxes, planes = [], []
        for outline in self.outlines:
            box = self._box_of(outline)
            if box is not None:
                boxes.append(box)
                planes.append(_filled(outline, box))
        if not boxes:
            raise self._is_empty()
        around = tuple(
            slice(min(side.start for side in sides), max(side.stop for side in sides))
            for sides in zip(*boxes, strict=True)
        )
        covered = np.zeros([side.stop - side.start for side in around], dtype=bool)
        for box, plane in zip(boxes, planes, strict=True):
            place = tuple(
                slice(side.start - outer.start, side.stop - outer.start)
                for side, outer in zip(box, around, strict=True)
            )
            covered[place] |= plane
        return self._tighten(covered, around)

    def _box_of(self, outline: Outline) -> Box | None:
        box = [slice(0, length) for length in self.shape]
        ends = np.asarray(outline.vertices)
        for axis, low, high in zip(outline.axes, ends.min(axis=0), ends.max(axis=0), strict=True):
            start, stop = max(math.ceil(low), 0), min(math.floor(high) + 1, self.shape[axis])
            if start >= stop:
                return None
            box[axis] = slice(start, stop)
        return tuple(box)


@dataclass(frozen=True, eq=False)
class LabelsRegion(Region):
    """The pixels at which an array is above 0."""

    array: Any = field(compare=False)
    index: tuple[int | slice, ...]
    to_array: Map

    @cached_property
    def _content(self) -> int:
        # Takes a while, so it is made when it is asked for.
        if isinstance(self.array, np.ndarray):
            return zlib.crc32(np.ascontiguousarray(self.array[self.index]))
        return id(self.array)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, LabelsRegion)
            and (self.shape, self.index, self.to_array)
            == (other.shape, other.index, other.to_array)
            and self._content == other._content
        )

    def find(self) -> Found:
        """Look up what lies at each pixel of the image; the nearest label counts."""
        # What is found belongs to what is painted now, whatever is painted later.
        _ = self._content
        painted = np.asarray(self.array[self.index]) > 0
        around = self._box_of(painted)
        covered = np.zeros([side.stop - side.start for side in around], dtype=bool)
        for rows in _blocks(around):
            places = np.ogrid[tuple(rows)]
            where, is_within = self._look_up(places, painted.shape)
            first = slice(rows[0].start - around[0].start, rows[0].stop - around[0].start)
            covered[first] = painted[where] & is_within
        return self._tighten(covered, around)

    def _box_of(self, painted: NDArray[np.bool_]) -> Box:
        """Return a box of the image in which all that is painted lies."""
        around = box_of(painted)
        if around is None:
            raise InputError(
                f"Nothing is painted in {self.name}; paint where the image is to be segmented, or "
                "choose the whole image."
            )
        low, high = ([side.start - 0.5 for side in around], [side.stop - 0.5 for side in around])
        box = bounds_within(self.to_array, np.asarray(low), np.asarray(high), self.shape)
        if box is None:
            raise self._is_empty()
        return box

    def _look_up(
        self, places: Any, shape: tuple[int, ...]
    ) -> tuple[tuple[NDArray[np.intp], ...], Any]:
        """Return the index of each pixel, and whether it is one of the array."""
        where, is_within = [], np.True_
        for row, start, length in zip(self.to_array.rows, self.to_array.offset, shape, strict=True):
            # Axes that do not matter are left out, so that most indices stay short.
            place = start + sum(
                factor * along for factor, along in zip(row, places, strict=True) if factor
            )
            nearest = np.floor(np.asarray(place) + 0.5).astype(np.intp)
            is_within = is_within & (nearest >= 0) & (nearest < length)
            where.append(np.clip(nearest, 0, length - 1))
        return tuple(where), is_within


def _filled(outline: Outline, box: Box) -> NDArray[np.bool_]:
    """Fill a polygon in its box; the axis along which it goes through is 1 long."""
    vertices = np.asarray(outline.vertices)
    starts = [box[axis].start for axis in outline.axes]
    lengths = [box[axis].stop - box[axis].start for axis in outline.axes]
    plane = np.zeros(lengths, dtype=bool)
    plane[polygon(*(vertices - starts).T, shape=plane.shape)] = True
    through = [axis for axis in range(len(box)) if axis not in outline.axes]
    return np.expand_dims(plane, tuple(through))


def _blocks(box: Box) -> Iterator[list[slice]]:
    """Cut a box along its first axis."""
    across = math.prod(side.stop - side.start for side in box[1:])
    step = max(_BLOCK // max(across, 1), 1)
    for start in range(box[0].start, box[0].stop, step):
        yield [slice(start, min(start + step, box[0].stop)), *box[1:]]
