"""How large pixels and voxels are: as stated on the command line, or as the file says."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, NamedTuple

from napari_diffseg.cli.terminal import tell
from napari_diffseg.errors import InputError
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.image.units import is_size, parse_unit

if TYPE_CHECKING:
    from napari_diffseg.image.info import ImageInfo

_CUBES = (
    "the file does not say how far planes are apart, so voxels are taken for cubes; state it with "
    "--spacing."
)
_LAST_AND_UNIT = re.compile(r"(.*?[0-9.]+(?:e[-+]?[0-9]+)?)\s*([^\s0-9]*)", re.IGNORECASE)

Distances = tuple[float, float, float]


class StatedSpacing(NamedTuple):
    """What a person says of a volume."""

    distances: Distances
    unit: str | None


class Sizes(NamedTuple):
    """Distances of voxels along z, y and x, whatever their unit; and what the labels get."""

    spacing: Distances | None
    pixel_size: PixelSize | None


def stated_spacing(text: str) -> StatedSpacing:
    """Read ``"2,0.5,0.5"`` or ``"2,0.5,0.5um"``."""
    lengths, unit = _lengths(text)
    if len(lengths) != 3:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no spacing; write three positive numbers, the distances along z, y and "
            "x, and a unit if you like, decimals with a point, such as 2,0.5,0.5um"
        )
    z, y, x = lengths
    return StatedSpacing((z, y, x), unit)


def stated_pixel_size(text: str) -> PixelSize:
    """Read ``"0.3um"``, ``"0.3,0.3um"`` or ``"2,0.3,0.3um"``."""
    lengths, unit = _lengths(text)
    if len(lengths) not in (1, 2, 3) or unit is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no size of a pixel; write one number, or those along y and x, or z, y "
            "and x, and the unit, decimals with a point, such as 2,0.3,0.3um"
        )
    if len(lengths) == 2 and "." not in text and lengths[0] != lengths[1]:
        y, x = lengths
        last = re.sub(r".*[0-9.]", "", text)
        raise argparse.ArgumentTypeError(
            f"{text!r} may be one number with a decimal comma, or two numbers; write "
            f"{text.replace(',', '.')}, or {y},{x}{last} for two"
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


def sizes_of(args: argparse.Namespace, info: ImageInfo, plane: str, shown: str = "") -> Sizes:
    """Find out how large pixels or voxels are; of volumes it is said, after what is `shown`.

    `plane` says what an image is that is no volume, of which no spacing can be stated.
    """
    stated: StatedSpacing | None = args.spacing
    said: PixelSize | None = getattr(args, "pixel_size", None)  # No option of every command
    spacing, size = info.spacing, info.pixel_size
    if plane:
        if stated is not None:
            way_out = ", or state the axes of a volume (such as --axes ZYX)"
            raise InputError(
                f"--spacing is about volumes, but {plane}; leave it away"
                f"{way_out if len(info.shape) > 2 else ''}."
            )
        return Sizes(None, said or size)
    if said is not None:
        stated = stated or _of_voxels(said)
    in_file = "" if spacing is None else _words(spacing, size.unit if size and size.z else None)
    if stated is None:
        known = f"voxels of {in_file} (z × y × x), as the file says."
        # Each plane by itself has no need of the distance.
        unknown = "taken plane by plane." if args.planes else _CUBES
        tell(args, f"{shown}{known if in_file else unknown}")
        return Sizes(spacing, size)
    words = f"{shown}voxels of {_words(*stated)} (z × y × x), as stated"
    is_other = in_file and in_file != _words(*stated)
    tell(args, f"{words}, where the file says {in_file}." if is_other else f"{words}.")
    z, y, x = stated.distances
    if said is not None:
        size = said
    elif stated.unit is not None:
        size = PixelSize(y, x, stated.unit, z)
    elif size is not None:
        # Only the ratio is known: a pixel stays as large as the file says.
        size = PixelSize(size.y, size.x, size.unit, z * (size.y + size.x) / (y + x))
    return Sizes(stated.distances, size)


def _of_voxels(size: PixelSize) -> StatedSpacing:
    if size.spacing is None:
        raise InputError(
            f"--pixel-size says {size}, but the image is a volume; write three numbers, those "
            "along z, y and x."
        )
    return StatedSpacing(size.spacing, size.unit)


def _words(distances: Distances, unit: str | None) -> str:
    return " × ".join(f"{one:.6g}" for one in distances) + (f" {unit}" if unit else "")
