"""Where an image is segmented: everywhere, in the field of view, or inside what is drawn.

A `Region` is told by what the viewer shows and by the vertices of drawn shapes, in the thread
of the window; which pixels it covers is found later, in any thread, without any layer.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon

from napari_diffseg.errors import InputError
from napari_diffseg.image.arrays import Mask, checksum
from napari_diffseg.image.windows import Window
from napari_diffseg.widgets.region.grid import Map

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


@dataclass(frozen=True)
class Region(ABC):
    """A region of an image; two that cover the same pixels for the same reason are equal.

    `shape` is that of the image, ``(z) y x``; `name` is for a person: ``"'Shapes'"``.
    """

    shape: tuple[int, ...]
    name: str = field(compare=False)
    notes: tuple[str, ...] = field(compare=False)

    def mask(self) -> Mask:
        """Return an array of the image's shape, true where it is segmented; slow if it is large."""
        covered = np.zeros(self.shape, dtype=bool)
        self._fill(covered)
        if not covered.any():
            raise InputError(
                f"{self.name} covers no pixel of the image; draw on the image, or choose the "
                "whole image."
            )
        return covered

    @abstractmethod
    def _fill(self, covered: Mask) -> None:
        """Mark the pixels that are covered."""


@dataclass(frozen=True)
class BoxRegion(Region):
    """All pixels of a box."""

    box: Window

    def _fill(self, covered: Mask) -> None:
        covered[self.box] = True


@dataclass(frozen=True, slots=True)
class Outline:
    """A polygon in the plane of two axes, which goes through all of the third one."""

    axes: tuple[int, int]
    vertices: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class OutlineRegion(Region):
    """The pixels whose middle lies in one of several polygons."""

    outlines: tuple[Outline, ...]

    def _fill(self, covered: Mask) -> None:
        for outline in self.outlines:
            # The two axes last; the polygon goes through what is before.
            seen = np.moveaxis(covered, outline.axes, (-2, -1))
            rows, columns = np.asarray(outline.vertices).T
            seen[(..., *polygon(rows, columns, shape=seen.shape[-2:]))] = True


@dataclass(frozen=True, eq=False)
class LabelsRegion(Region):
    """The pixels at which an array is above 0; the nearest label counts."""

    array: Any = field(compare=False)
    index: tuple[int | slice, ...]
    to_array: Map

    @cached_property
    def _content(self) -> int:
        # Takes a while, so it is made when it is asked for.
        if isinstance(self.array, np.ndarray):
            return checksum(self.array[self.index])
        return id(self.array)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, LabelsRegion)
            and (self.shape, self.index, self.to_array)
            == (other.shape, other.index, other.to_array)
            and self._content == other._content
        )

    def _fill(self, covered: Mask) -> None:
        # What is found belongs to what is painted now, whatever is painted later.
        _ = self._content
        painted = np.asarray(self.array[self.index]) > 0
        if not painted.any():
            raise InputError(
                f"Nothing is painted in {self.name}; paint where the image is to be segmented, or "
                "choose the whole image."
            )
        step = max(_BLOCK // max(math.prod(self.shape[1:]), 1), 1)
        for start in range(0, self.shape[0], step):
            rows = slice(start, min(start + step, self.shape[0]))
            others = (slice(0, length) for length in self.shape[1:])
            where, is_within = self._look_up(np.ogrid[(rows, *others)], painted.shape)
            covered[rows] = painted[where] & is_within

    def _look_up(
        self, places: Any, shape: tuple[int, ...]
    ) -> tuple[tuple[NDArray[np.intp], ...], Any]:
        """Return the index of each pixel, and whether it is one of the array."""
        where: list[NDArray[np.intp]] = []
        is_within: Any = True
        for row, start, length in zip(self.to_array.rows, self.to_array.offset, shape, strict=True):
            # Axes that do not matter are left out, so that most indices stay short.
            place = start + sum(
                factor * along for factor, along in zip(row, places, strict=True) if factor
            )
            nearest = np.floor(np.asarray(place) + 0.5).astype(np.intp)
            is_within = is_within & (nearest >= 0) & (nearest < length)
            where.append(np.clip(nearest, 0, length - 1))
        return tuple(where), is_within
