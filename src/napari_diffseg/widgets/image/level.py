"""Multiscale layers: their levels, which of them is segmented, and which is looked at first.

A pixel of a level covers a block of the full resolution, and lies where the middle of that
block is. So napari draws levels, and so `napari_diffseg.widgets.region.placement.place` places
what is made from one, with `Level.factors`. No Qt, and nothing is read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.errors import InputError
from napari_diffseg.image.info import whole_factor
from napari_diffseg.widgets.image.layer_facts import arrays_of

if TYPE_CHECKING:
    from napari.layers import Image

MOST_PIXELS = 1 << 22
"""Of a multiscale image the finest level is suggested with no more pixels in a plane …"""
MOST_VOXELS = 1 << 25
"""… and with no more voxels in a volume: 128 planes of 512 × 512."""
PREVIEW_PIXELS = 1 << 16
"""The first preview is made from a level with no more pixels in a plane …"""
PREVIEW_VOXELS = 1 << 21
"""… and no more voxels in a volume."""

_OPEN_ALONE = "open its full resolution alone, or make the pyramid anew"

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution of a layer.

    `number` 0 is the full one; `shape` without the colours of RGB; by `factors` each axis is
    shrunk.
    """

    number: int
    shape: tuple[int, ...]
    factors: tuple[float, ...]

    def lengths(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """Return the length of some axes, such as those along which a run goes."""
        return tuple(self.shape[axis] for axis in spatial)

    def fits(self, spatial: Sequence[int], most_pixels: int, most_voxels: int) -> bool:
        """Whether a plane, and all planes, have no more pixels."""
        lengths = self.lengths(spatial)
        return math.prod(lengths[-2:]) <= most_pixels and math.prod(lengths) <= most_voxels


def find_levels(layers: Sequence[Image], letters: str) -> tuple[Level, ...]:
    """Return the levels of a layer, or those that several layers have in common.

    From fine to coarse; only the first where a layer is not multiscale.
    """
    every = [_levels_of(layer, letters) for layer in layers]
    common = []
    for levels in zip(*every, strict=False):
        if any(level.shape != levels[0].shape for level in levels):
            break
        common.append(levels[0])
    return tuple(common)


def suggest_level(levels: Sequence[Level], spatial: Sequence[int]) -> Level:
    """Return the finest level that a run of some seconds can take, or the coarsest one."""
    fitting = (one for one in levels if one.fits(spatial, MOST_PIXELS, MOST_VOXELS))
    return next(fitting, levels[-1])


def preview_level(levels: Sequence[Level], spatial: Sequence[int], chosen: Level) -> Level | None:
    """Return the level from which a first look is had, long before a large one is read.

    None where a run on the chosen one shows something in a second itself, or none is coarser.
    """
    if chosen.fits(spatial, MOST_PIXELS, MOST_VOXELS):
        return None
    coarser = [one for one in levels if one.number > chosen.number]
    if not coarser:
        return None
    fitting = (one for one in coarser if one.fits(spatial, PREVIEW_PIXELS, PREVIEW_VOXELS))
    return next(fitting, coarser[-1])


def choose_level(levels: Sequence[Level], spatial: Sequence[int], wanted: Level | None) -> Level:
    """Return the level to segment: the one that is wanted, where it is there."""
    return wanted if wanted is not None and wanted in levels else suggest_level(levels, spatial)


def level_note(levels: Sequence[Level], spatial: Sequence[int], wanted: Level | None) -> str:
    """Return what a person should know of the level; an empty text where it is the finest."""
    level = choose_level(levels, spatial, wanted)
    if level == levels[0]:
        return ""
    title = level_title(level, spatial).replace(", ", " of its resolution, ")
    why = "The image" if level == wanted else "The image is large, so it"
    return f"{why} is segmented at {title}."


def level_title(level: Level, spatial: Sequence[int]) -> str:
    """Return e.g. ``"full, 4096 × 4096"`` or ``"1/2, 2048 × 2048"``."""
    size = " × ".join(str(length) for length in level.lengths(spatial))
    factor = max(level.factors[axis] for axis in spatial)
    return f"full, {size}" if level.number == 0 else f"1/{factor:.3g}, {size}"


def carry_labels(
    labels: NDArray[Any], from_level: Level, to_level: Level, spatial: Sequence[int]
) -> NDArray[Any]:
    """Bring the labels of a level onto the pixels of another one; each gets the nearest."""
    index = []
    for axis, length in zip(spatial, labels.shape, strict=True):
        middles = _middles(np.arange(to_level.shape[axis]), to_level.factors[axis])
        nearest = (middles - _middles(0, from_level.factors[axis])) / from_level.factors[axis]
        # Of two that are equally near, the latter, as the block that holds a pixel is.
        index.append(np.clip(np.floor(nearest + 0.5), 0, length - 1).astype(np.intp))
    return labels[np.ix_(*index)]


def _middles(places: Any, factor: float) -> Any:
    """Return where pixels of a level lie, in pixels of the full resolution."""
    return places * factor + (factor - 1) / 2


def _levels_of(layer: Image, letters: str) -> list[Level]:
    """Return the levels of one layer; those that are as large as the one before are left out."""
    shapes = [tuple(int(n) for n in array.shape) for array in arrays_of(layer)]
    full = shapes[0][: layer.ndim]
    levels = [Level(0, full, (1.0,) * layer.ndim)]
    for number, shape in enumerate(shapes[1:], start=1):
        if len(shape) != len(shapes[0]):
            raise InputError(
                f"The pyramid of {layer.name!r} does not match: its level {number} has "
                f"{len(shape)} axes, but the full resolution has {len(shapes[0])}; {_OPEN_ALONE}."
            )
        level = Level(number, shape[: layer.ndim], ())
        _check_shrinks(layer, letters, level, levels[-1])
        if level.shape != levels[-1].shape:
            factors = _find_factors(layer, letters, level, full)
            levels.append(Level(number, level.shape, factors))
    return levels


def _check_shrinks(layer: Image, letters: str, level: Level, before: Level) -> None:
    for axis, (length, longer) in enumerate(zip(level.shape, before.shape, strict=True)):
        letter = letters[axis]
        if length > longer or (letter in "TC" and length != longer):
            expected = "as long" if letter in "TC" else "no longer"
            raise InputError(
                f"The pyramid of {layer.name!r} does not match: {letter} is {length} long in its "
                f"level {level.number} and {longer} in the finer level {before.number}, but should "
                f"be {expected}; {_OPEN_ALONE}."
            )


def _find_factors(
    layer: Image, letters: str, level: Level, full: tuple[int, ...]
) -> tuple[float, ...]:
    """Return by how much each axis is shrunk; Y and X are by the same factor."""
    y, x = letters.index("Y"), letters.index("X")
    y_range, x_range = _possible(full[y], level.shape[y]), _possible(full[x], level.shape[x])
    if max(y_range[0], x_range[0]) >= min(y_range[1], x_range[1]):
        sizes = [f"{shape[y]} × {shape[x]}" for shape in (level.shape, full)]
        raise InputError(
            f"The pyramid of {layer.name!r} does not match: its level {level.number} is "
            f"{sizes[0]} pixels of {sizes[1]}, so Y and X are not shrunk alike; {_OPEN_ALONE}."
        )
    # The longer axis tells the factor more exactly.
    longer = y if full[y] >= full[x] else x
    plane = whole_factor(full[longer], level.shape[longer])
    factors = [1.0] * len(full)
    for axis, (whole, length) in enumerate(zip(full, level.shape, strict=True)):
        if letters[axis] in "YX":
            factors[axis] = plane
        elif length < whole:
            low, high = _possible(whole, length)
            is_alike = length > 1 and low < plane < high
            factors[axis] = plane if is_alike else whole_factor(whole, length)
    return tuple(factors)


def _possible(whole: int, length: int) -> Interval:
    """Return between which factors an axis was shrunk, whichever way lengths were rounded."""
    return whole / (length + 1), whole / (length - 1) if length > 1 else math.inf
