"""How far apart neighbouring pixels are, as a layer or a person says; no napari, no Qt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.image.units import MICROMETRES, is_size, parse_unit

FARTHEST = 100.0
"""Planes that are said to be farther apart than so many pixels, or nearer, are not believed."""


@dataclass(frozen=True, slots=True)
class VoxelSize:
    """Distances of neighbours.

    Attributes
    ----------
    sizes : tuple of float, or None
        Along z, y and x, or y and x; None where they are not known.
    unit : str
        Their unit; empty where only their ratio is known.
    """

    sizes: tuple[float, ...] | None = None
    unit: str = ""

    @property
    def z_step(self) -> float | None:
        """Distance of neighbouring planes in pixels; None where it is not known."""
        if self.sizes is None or len(self.sizes) < 3:
            return None
        z, y, x = self.sizes
        return z / ((y + x) / 2)

    def pixel_size(self) -> PixelSize | None:
        """Return how large a pixel is; None where that is not known in a unit of length."""
        if self.sizes is None or not self.unit:
            return None
        z = self.sizes[0] if len(self.sizes) == 3 else None
        return PixelSize(self.sizes[-2], self.sizes[-1], self.unit, z=z)

    def times(self, factors: Sequence[float]) -> VoxelSize:
        """Return the size of what is so many times as long along each axis."""
        if self.sizes is None:
            # Only their ratio is known, and it is another one where the factors are.
            is_same = len({float(one) for one in factors}) == 1
            return self if is_same else VoxelSize(tuple(float(one) for one in factors))
        return VoxelSize(
            tuple(s * float(f) for s, f in zip(self.sizes, factors, strict=True)), self.unit
        )

    def in_words(self) -> str:
        """Return e.g. ``"3.5 × 0.8 × 0.8 µm"``; an empty text where they are not known."""
        if self.sizes is None:
            return ""
        sizes = " × ".join(f"{size:.4g}" for size in self.sizes)
        return f"{sizes} {self.unit}" if self.unit else f"voxels of {sizes}"


def size_of_pixels(sizes: Sequence[float], units: Sequence[str]) -> VoxelSize:
    """Return the size of the pixels of a plane; see `read_voxel_size`."""
    named = [str(unit) for unit in units]
    lengths = [parse_unit(unit) for unit in named]
    return VoxelSize(*_in_one_unit([abs(float(size)) for size in sizes], lengths, named))


def read_voxel_size(
    letters: str, scale: Sequence[float], units: Sequence[str], z_step: float | None = None
) -> tuple[VoxelSize, tuple[str, ...]]:
    """Find out how far apart neighbours are.

    Parameters
    ----------
    letters : str
        One letter for each axis of the layer, Y and X among them.
    scale : sequence of float
        Step of each axis.
    units : sequence of str
        Unit of each axis.
    z_step : float, optional
        What a person says: distance of neighbouring planes, in pixels.

    Returns
    -------
    VoxelSize
    tuple of str
        What a person should know: of a stack whose planes are at an unknown distance, or at
        one that cannot be.
    """
    spatial = "ZYX" if "Z" in letters else "YX"
    axes = [letters.index(one) for one in spatial]
    sizes = [abs(float(scale[axis])) for axis in axes]
    named = [str(units[axis]) for axis in axes]
    pixel = size_of_pixels(sizes[-2:], named[-2:])
    if spatial == "YX":
        return pixel, ()
    if z_step is not None:
        y, x = pixel.sizes or (1.0, 1.0)
        return VoxelSize((z_step * (y + x) / 2, y, x), pixel.unit), ()
    voxel = size_of_pixels(sizes, named)
    return _believed(voxel, pixel, sizes, named)


def _in_one_unit(
    sizes: Sequence[float], lengths: Sequence[str | None], named: Sequence[str]
) -> tuple[tuple[float, ...] | None, str]:
    """Return sizes in the unit of the last axis; None where they have none in common."""
    if not all(is_size(size) for size in sizes):
        return None, ""
    if all(length is not None for length in lengths):
        last = MICROMETRES[str(lengths[-1])]
        factors = [MICROMETRES[str(length)] / last for length in lengths]
        return tuple(s * f for s, f in zip(sizes, factors, strict=True)), str(lengths[-1])
    # Steps of 1 in pixels are what napari writes where nobody said anything.
    is_said = not all(math.isclose(size, 1) for size in sizes)
    return (tuple(sizes), "") if len(set(named)) == 1 and is_said else (None, "")


def _believed(
    voxel: VoxelSize, pixel: VoxelSize, sizes: Sequence[float], named: Sequence[str]
) -> tuple[VoxelSize, tuple[str, ...]]:
    """Return the size of the voxels of a stack, unless it contradicts itself."""
    how = "so they are taken as cubes; type the Z step under Edit"
    if voxel.z_step is None:
        if not all(is_size(size) for size in sizes):
            why = "The layer's scale has a step that is no positive number"
        elif len(set(named)) > 1:
            why = f"Z is in the unit {named[0]}, but Y and X in {named[-1]}"
        else:
            why = "The size of the voxels is not known"
        return pixel, (f"{why}, {how}.",)
    if not 1 / FARTHEST <= voxel.z_step <= FARTHEST:
        why = f"The planes are said to lie {voxel.z_step:.4g} pixels apart, which cannot be"
        return pixel, (f"{why}, {how}.",)
    return voxel, ()
