"""How image files say how large a pixel or voxel is.

OME-XML, ImageJ, TIFF tags and PNG each have a way of their own. What screens and
printers need (72 dpi and its like) stands in the same places, put there by programs
that know nothing of the object; it is never taken for a size under the microscope.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_diffseg.image.pixel_size import PixelSize, in_one_unit
from napari_diffseg.image.units import MICROMETRES, is_size, parse_unit, positive

_PRINT_DPI = (72, 90, 96, 100, 120, 144, 150, 180, 200, 220, 240, 300, 350, 400, 600, 1200)
"""Resolutions that programs write by default or for a printer, in pixels per inch."""


def from_resolution(per_y: float, per_x: float, unit: str) -> PixelSize | None:
    """Turn a resolution into a pixel size in µm.

    None where it says nothing of the object: zero, one pixel per unit, or what programs write for
    screens and printers.
    """
    if not (is_size(per_y) and is_size(per_x)):
        return None
    length = MICROMETRES[unit]
    placeholder = per_y == per_x == 1
    if placeholder or (_is_for_print(per_y, length) and _is_for_print(per_x, length)):
        return None
    return PixelSize(length / per_y, length / per_x, "µm")


def from_imagej(metadata: Mapping[str, Any], per_y: float, per_x: float) -> PixelSize | None:
    """Read the pixel size of an ImageJ TIFF: pixels per unit, and spacing and unit in its text.

    Returns None where the text has no unit, or ``"pixel"``.
    """
    unit = metadata.get("unit")
    y, x = (
        (1 / per if is_size(per) else None, parse_unit(metadata.get(key, unit)))
        for per, key in ((per_y, "yunit"), (per_x, "unit"))
    )
    spacing = positive(metadata.get("spacing"))
    return in_one_unit(y, x, (spacing, parse_unit(metadata.get("zunit", unit))))


def from_aperio(text: str) -> PixelSize | None:
    """Read the pixel size of a slide scanned by Aperio (SVS): ``MPP`` in its description.

    Returns None where the text is of another program or has no such number.
    """
    if not text.startswith("Aperio "):
        return None
    said = dict(part.partition("=")[::2] for part in text.split("|"))
    size = positive({key.strip(): value for key, value in said.items()}.get("MPP"))
    return None if size is None else PixelSize(size, size, "µm")


def _is_for_print(per_unit: float, length: float) -> bool:
    """Whether a resolution per `length` µm is one of `_PRINT_DPI`.

    PNG counts whole pixels per metre and others round to whole centimetres, so a
    third of a pixel per inch of difference is let pass.
    """
    dpi = per_unit * MICROMETRES["in"] / length
    return any(abs(dpi - known) < 0.3 for known in _PRINT_DPI)
