"""How far voxels are apart: as stated on the command line, or as the file says."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass

from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.image.units import is_size, parse_unit

_LAST_AND_UNIT = re.compile(r"(.*?[0-9.]+(?:e[-+]?[0-9]+)?)\s*([^\s0-9]*)", re.IGNORECASE)

Distances = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class StatedSpacing:
    """What a person says of a volume."""

    distances: Distances
    unit: str | None


def stated_spacing(text: str) -> StatedSpacing:
    """Read ``"2,0.5,0.5"`` or ``"2,0.5,0.5um"``."""
    lengths, unit = _lengths(text)
    if len(lengths) != 3:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no spacing; write three positive numbers, the distances along z, y and "
            "x, and a unit if you like, such as 2,0.5,0.5um"
        )
    z, y, x = lengths
    return StatedSpacing((z, y, x), unit)


def stated_pixel_size(text: str) -> PixelSize:
    """Read ``"0.3um"``, ``"0.3,0.3um"`` or ``"2,0.3,0.3um"``."""
    lengths, unit = _lengths(text)
    if len(lengths) not in (1, 2, 3) or unit is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no size of a pixel; write one number, or those along y and x, or z, y "
            "and x, and the unit, such as 2,0.3,0.3um"
        )
    *first, y, x = lengths if len(lengths) > 1 else lengths * 3
    return PixelSize(y, x, unit, first[0] if first else None)


def _lengths(text: str) -> tuple[list[float], str | None]:
    """Return positive numbers with commas between, and their unit; no numbers where it is wrong."""
    parts = _LAST_AND_UNIT.fullmatch(text.strip())
    try:
        lengths = [float(part) for part in parts[1].split(",")] if parts else []
    except ValueError:
        lengths = []
    unit = parse_unit(parts[2]) if parts else None
    is_right = all(is_size(one) for one in lengths) and (unit or not (parts and parts[2]))
    return (lengths if is_right else []), unit


@dataclass(frozen=True, slots=True)
class Space:
    """How large the voxels of an image are.

    `spacing` along z, y and x, whatever its unit; `pixel_size` is what the labels get, `said` where
    both are from.
    """

    spacing: Distances | None
    pixel_size: PixelSize | None
    said: str


def space_of(
    stated: StatedSpacing | None, spacing: Distances | None, size: PixelSize | None
) -> Space:
    """Find out how large the voxels of a volume are."""
    in_file = None
    if spacing is not None:
        in_file = _words(spacing, None if size is None or size.z is None else size.unit)
    if stated is None:
        said = (
            "the file does not say how far planes are apart, so voxels are taken for cubes; state "
            "it with --spacing."
            if in_file is None
            else f"voxels of {in_file} (z × y × x), as the file says."
        )
        return Space(spacing, size, said)
    z, y, x = stated.distances
    if stated.unit is not None:
        size = PixelSize(y, x, stated.unit, z)
    elif size is not None:
        # Only the ratio is known: a pixel stays as large as the file says.
        size = PixelSize(size.y, size.x, size.unit, z * (size.y + size.x) / (y + x))
    said = f"voxels of {_words(stated.distances, stated.unit)} (z × y × x), as stated"
    if in_file is not None:
        said += f", where the file says {in_file}"
    return Space(stated.distances, size, f"{said}.")


def _words(distances: Distances, unit: str | None) -> str:
    return " × ".join(f"{one:.6g}" for one in distances) + (f" {unit}" if unit else "")
