"""How far apart neighbouring pixels are, as a layer or a person says; no napari, no Qt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from napari_diffseg.errors import InputError
from napari_diffseg.image.info import Placed
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.image.space import FARTHEST
from napari_diffseg.image.units import MICROMETRES, is_size, parse_unit

PIXELS = "px"
"""What a person chooses as the unit where only the ratio of sizes is known."""

_CUBES = "so voxels are taken as cubes; type it beside the pixel size, in the field z"


class SizeOrigin(Enum):
    """Who says how large a pixel is."""

    PERSON = "typed"
    LAYER = "layer"
    FILE = "file"
    NOBODY = ""


@dataclass(frozen=True, slots=True)
class TypedSize:
    """What a person typed: the side of a pixel, or height × width; distance of planes; unit."""

    side: str = ""
    depth: str = ""
    unit: str = "µm"

    @property
    def says_something(self) -> bool:
        """Whether anything was typed."""
        return bool(self.side.strip() or self.depth.strip())

    def sides(self) -> tuple[float, float] | None:
        """Return height and width; None where nothing was typed."""
        if not self.side.strip():
            return None
        sides = [_number(part) for part in self.side.replace("×", "x").split("x")]
        if len(sides) > 2:
            raise InputError(
                f"The size of a pixel is {self.side!r}, but one number was expected, or height × "
                "width; correct it."
            )
        return sides[0], sides[-1]

    def distance(self) -> float | None:
        """Return the distance of planes; None where nothing was typed."""
        return _number(self.depth) if self.depth.strip() else None


@dataclass(frozen=True, slots=True)
class VoxelSize:
    """Distances of neighbours.

    Along (z,) y and x; None where not known. `unit` is empty where only their ratio is.
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

    def in_unit(self, unit: str) -> tuple[float, ...] | None:
        """Return the sizes in a unit; None where they are not known in one that is like it."""
        if self.sizes is None or bool(unit) != bool(self.unit):
            return None
        if unit == self.unit:
            return self.sizes
        return tuple(one * MICROMETRES[self.unit] / MICROMETRES[unit] for one in self.sizes)

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
    letters: str,
    scale: Sequence[float],
    units: Sequence[str],
    typed: TypedSize | None = None,
    in_file: Mapping[str, Placed] | None = None,
) -> tuple[VoxelSize, SizeOrigin, tuple[str, ...]]:
    """Find out how far apart neighbours are: as typed, as the layer says, as its file says.

    `letters`, `scale` and `units` are of the axes of the layer. Returned are the size along Z, Y
    and X, or Y and X; who says so; and what a person should know of a stack whose planes are at
    an unknown distance, or at one that cannot be. Raises `InputError` for what cannot be read.
    """
    spatial = "ZYX" if "Z" in letters else "YX"
    axes = [letters.index(one) for one in spatial]
    sizes = [abs(float(scale[axis])) for axis in axes]
    named = [str(units[axis]) for axis in axes]
    origin = SizeOrigin.LAYER
    if in_file and says_nothing(sizes, named):
        placed = [in_file.get(one, Placed(1.0)) for one in spatial]
        sizes = [abs(one.step) for one in placed]
        named = [one.unit or "pixel" for one in placed]
        origin = SizeOrigin.FILE
    pixel = size_of_pixels(sizes[-2:], named[-2:])
    voxel, notes = pixel, ()
    if spatial == "ZYX":
        voxel, notes = _believed(size_of_pixels(sizes, named), pixel, sizes, named)
    if typed is not None and typed.says_something:
        voxel, notes = _as_typed(typed, spatial, voxel)
        origin = SizeOrigin.PERSON
    return voxel, SizeOrigin.NOBODY if voxel.sizes is None else origin, notes


def says_nothing(scale: Sequence[float], units: Sequence[str]) -> bool:
    """Whether steps of 1 in pixels are all that a layer says, as napari's own reader leaves it."""
    return all(abs(step) == 1 for step in scale) and set(units) <= {"pixel"}


def _as_typed(
    typed: TypedSize, spatial: str, known: VoxelSize
) -> tuple[VoxelSize, tuple[str, ...]]:
    """Return what was typed, and what is known for the rest, such as the distance of planes."""
    unit = "" if typed.unit == PIXELS else typed.unit
    before = known.in_unit(unit)
    sides = typed.sides() or (before[-2:] if before else (1.0, 1.0) if not unit else None)
    if sides is None:
        raise InputError(
            f"The distance of planes is {typed.depth} {unit}, but how large a pixel is, is not "
            "known; type that too."
        )
    if spatial == "YX":
        return VoxelSize(tuple(sides), unit), ()
    depth = typed.distance()
    if depth is None and before is not None and len(before) == 3:
        depth = before[0]
    if depth is None:
        why = "The distance of the planes is not known"
        return VoxelSize(tuple(sides), unit), (f"{why}, {_CUBES}.",)
    size = VoxelSize((depth, *sides), unit)
    if size.z_step is None or not 1 / FARTHEST <= size.z_step <= FARTHEST:
        raise InputError(
            f"The planes are said to lie {size.z_step:.4g} pixels apart, but that must be from "
            f"{1 / FARTHEST:g} to {FARTHEST:g}; type their distance in the unit of the pixels."
        )
    return size, ()


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
    how = _CUBES
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


def _number(text: str) -> float:
    try:
        found = float(text.strip().replace(",", "."))
    except ValueError:
        found = 0.0
    if not is_size(found):
        raise InputError(
            f"The size of a pixel is {text.strip()!r}, but a positive number was expected, such as "
            "0.325; correct it."
        )
    return found
