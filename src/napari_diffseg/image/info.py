"""What is known of an image beside its pixels: one description, whichever door it comes in by.

Readers of files and layers of a viewer fill it in. What follows from it (the size of a pixel, the
distance of planes) is worked out here alone, and it goes with the image to the last file that
is written.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import numpy as np

from napari_diffseg.errors import InputError
from napari_diffseg.image.pixel_size import Length, PixelSize, in_one_unit
from napari_diffseg.image.units import converted, is_size, parse_unit, seconds

Spacing = tuple[float, float, float]
"""Distances of neighbouring voxels along z, y and x, in one unit, whatever it is."""


class Placed(NamedTuple):
    """Where the pixels lie along an axis: the first at `start`, and so on."""

    step: float  # from one to the next; negative where they run against the axis
    start: float = 0.0
    unit: str | None = None  # name of the unit of both, as whoever said it spells it


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What is known of an image; None where nobody says."""

    axes: str | None  # one letter of T C Z Y X per array axis
    shape: tuple[int, ...]
    dtype: np.dtype[Any]  # in the native byte order
    rgb: bool | None = None  # whether the channels are colours
    # Only axes of which it is known. Resolutions for screen or print are none.
    placement: Mapping[str, Placed] = field(default_factory=dict)
    # One a channel, "" where it has none; empty where no channel has one.
    channel_names: tuple[str, ...] = ()
    n_levels: int = 1  # how many resolutions of the image there are
    # Sentences that the person should read, e.g. that other images were left out.
    notes: tuple[str, ...] = ()
    # Why the axes are not known, where more can be said than that nobody names them; it is an
    # error unless a person states them.
    problem: InputError | None = None

    @property
    def pixel_size(self) -> PixelSize | None:
        """Of a pixel, and how far planes are apart, in the unit of x; None without lengths."""
        return self.size_along("ZYX")

    @property
    def spacing(self) -> Spacing | None:
        """Distances of voxels along z, y and x, also where they have no unit."""
        found, _ = self.distances("ZYX")
        return None if found is None else (found[0], found[1], found[2])

    def size_along(self, axes: str) -> PixelSize | None:
        """Return the size of a pixel whose z, y and x, or y and x, are these axes."""
        return in_one_unit(*(self._known_step(letter) for letter in (*axes[-2:], *axes[:-2])))

    def distances(self, axes: str) -> tuple[tuple[float, ...] | None, str]:
        """Return the distances of neighbours along some axes, in the unit of the last, and it.

        The unit is empty where only their ratio is known; None where that is not known either.
        """
        placed = [self.placement.get(letter, Placed(math.nan)) for letter in axes]
        steps = tuple(abs(one.step) for one in placed)
        units = [parse_unit(one.unit) for one in placed]
        if not all(is_size(step) for step in steps):
            return None, ""
        if all(units):
            unit = str(units[-1])
            each = zip(steps, units, strict=True)
            return tuple(converted(step, str(own), unit) for step, own in each), unit
        # Ones without a unit are what programs write that know nothing of it.
        is_said = len({one.unit for one in placed}) == 1 and set(steps) != {1}
        return (steps, "") if is_said else (None, "")

    @property
    def t_step(self) -> float | None:
        """Seconds from frame to frame; None where not known."""
        placed = self.placement.get("T")
        return None if placed is None else seconds(abs(placed.step), placed.unit)

    def along(self, axes: str) -> Self:
        """Return the same for other axes, with Y and X among them.

        Where a person calls y what the file calls x, the two lengths change places. What has
        no planes has no distance of planes.
        """
        placement = dict(self.placement)
        if _is_turned(axes) != _is_turned(self.axes or "YX"):
            turned = {"Y": "X", "X": "Y"}
            placement = {turned.get(letter, letter): one for letter, one in placement.items()}
        if "Z" not in axes:
            placement.pop("Z", None)
        return replace(self, axes=axes, placement=placement, problem=None)

    def stated(self, axes: str | None) -> Self:
        """Return the same with the axes that a person states; unchanged where None.

        Raises InputError where None are stated, and those of the file cannot be used.
        """
        if axes is None:
            if self.problem is not None:
                raise self.problem
            return self
        letters = axes.strip().upper()
        # Axes without these are refused where they are read.
        known = self.along(letters) if {"Y", "X"} <= set(letters) else self
        # Whether channels are colours is known of the file's own axes only.
        return replace(known, axes=letters, rgb=None, problem=None)

    def coarser(self, shape: tuple[int, ...], factors: Mapping[str, float]) -> Self:
        """Return the same at a resolution whose pixels are so many times longer along an axis."""
        placement = {
            letter: one._replace(
                step=one.step * factors.get(letter, 1.0),
                # The middle of the first of the longer pixels.
                start=one.start + one.step * (factors.get(letter, 1.0) - 1) / 2,
            )
            for letter, one in self.placement.items()
        }
        return replace(self, shape=shape, placement=placement)

    def _known_step(self, letter: str) -> Length:
        placed = self.placement.get(letter, Placed(0.0))
        return abs(placed.step) or None, parse_unit(placed.unit)


def whole_factor(full: int, own: int) -> float:
    """Return the ratio of two lengths: a whole number, where one was rounded to a whole pixel."""
    nearest = max(round(full / own), 1)
    return float(nearest) if own in (full // nearest, -(-full // nearest)) else full / own


def placed_by(size: PixelSize | None) -> dict[str, Placed]:
    """Return where the pixels lie of which the size is all that is known."""
    if size is None:
        return {}
    steps = {"Z": size.z, "Y": size.y, "X": size.x}
    return {one: Placed(step, 0.0, size.unit) for one, step in steps.items() if step is not None}


def _is_turned(axes: str) -> bool:
    return "X" in axes and "Y" in axes[axes.index("X") :]
