"""How image files say how large a pixel or voxel is.

OME-XML, ImageJ, TIFF tags and PNG each have a way of their own. What screens and
printers need (72 dpi and its like) stands in the same places, put there by programs
that know nothing of the object; it is never taken for a size under the microscope.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_diffseg.image.pixel_size import PixelSize, in_one_unit
from napari_diffseg.image.units import MICROMETRES, is_size, number, parse_unit, positive

if TYPE_CHECKING:
    import tifffile

_STK = ("ZDistance", "TimeCreated")
"""Of each plane of MetaMorph: its distance from the one before, and milliseconds since midnight."""

_PRINT_DPI = (72, 90, 96, 100, 120, 144, 150, 180, 200, 220, 240, 300, 350, 400, 600, 1200)
"""Resolutions that programs write by default or for a printer, in pixels per inch."""


def from_resolution(per_y: float, per_x: float, unit: str) -> PixelSize | None:
    """Turn a resolution into a pixel size in µm.

    None where it says nothing of the object: zero, one pixel per unit, or what programs write for
    screens and printers.
    """
    if not (is_size(per_y) and is_size(per_x)):
        return None
    if per_y == per_x == 1 or _are_for_print(per_y, per_x, unit):
        return None
    length = MICROMETRES[unit]
    return PixelSize(length / per_y, length / per_x, "µm")


def from_imagej(metadata: Mapping[str, Any], per_y: float, per_x: float) -> PixelSize | None:
    """Read the pixel size of an ImageJ TIFF: pixels per unit, and spacing and unit in its text.

    Returns None where the text has no unit, or ``"pixel"``, or where ImageJ has taken the size over
    from a picture for screens or printers.
    """
    unit = metadata.get("unit")
    known = parse_unit(unit)
    if known in ("in", "cm") and _are_for_print(per_y, per_x, known):
        return None
    y, x = (
        (1 / per if is_size(per) else None, parse_unit(metadata.get(key, unit)))
        for per, key in ((per_y, "yunit"), (per_x, "unit"))
    )
    z = imagej_spacing(metadata), parse_unit(metadata.get("zunit", unit))
    return in_one_unit(y, x, z)


def imagej_spacing(metadata: Mapping[str, Any]) -> float | None:
    """Return how far planes are apart, whichever way they count; None where not said."""
    spacing = number(metadata.get("spacing"))
    if spacing is None and "scales" in metadata:  # as ImageJ2 writes it, with SCIFIO
        names, scales = (str(metadata.get(key, "")).split(",") for key in ("axes", "scales"))
        spacing = number(dict(zip(names, scales, strict=False)).get("Z"))
    return abs(spacing) if spacing else None


def from_aperio(text: str) -> PixelSize | None:
    """Read the pixel size of a slide scanned by Aperio (SVS): ``MPP`` in its description.

    Returns None where the text is of another program or has no such number.
    """
    if not text.startswith("Aperio "):
        return None
    said = dict(part.partition("=")[::2] for part in text.split("|"))
    size = positive({key.strip(): value for key, value in said.items()}.get("MPP"))
    return None if size is None else PixelSize(size, size, "µm")


class _Said(NamedTuple):
    """Lengths in one unit, and seconds, as the program of a microscope says them."""

    x: object
    y: object
    z: object = None
    unit: object = "m"
    t_step: object = None


def from_microscope(tif: tifffile.TiffFile) -> tuple[PixelSize | None, float | None]:
    """Read the pixel size, in µm, and seconds between frames, of TIFF files of microscopes.

    Those of Zeiss (LSM and SEM), MetaMorph (STK), Micro-Manager, Olympus (SIS) and FEI.
    """
    for found, read in (
        (tif.lsm_metadata, _of_lsm),
        (tif.stk_metadata, _of_stk),
        (tif.micromanager_metadata, _of_micromanager),
        (tif.sem_metadata, _of_sem),
        (tif.sis_metadata, lambda said: _Said(said.get("pixelsizex"), said.get("pixelsizey"))),
        (tif.fei_metadata, _of_fei),
    ):
        if found:
            said = read(found)
            per = MICROMETRES.get(parse_unit(said.unit) or "")
            z, y, x = (
                (None if size is None or per is None else size * per, "µm")
                for size in (positive(said.z), positive(said.y), positive(said.x))
            )
            return in_one_unit(y, x, z), positive(said.t_step)
    return None, None


def _of_lsm(said: Mapping[str, Any]) -> _Said:
    x, y, z = (said.get(f"VoxelSize{axis}") for axis in "XYZ")
    return _Said(x, y, z, t_step=said.get("TimeIntervall"))  # so it is spelt there


def _of_stk(said: Mapping[str, Any]) -> _Said:
    depths, times = ([float(one) for one in said.get(key, ())] for key in _STK)
    size = said.get("XCalibration"), said.get("YCalibration")
    step = (times[-1] - times[0]) / (len(times) - 1) / 1000 if len(times) > 1 else None
    return _Said(*size, abs(depths[0]) if depths else None, said.get("CalibrationUnits"), step)


def _of_micromanager(said: Mapping[str, Any]) -> _Said:
    summary = said.get("Summary") or {}
    size, step = summary.get("PixelSize_um"), positive(summary.get("Interval_ms"))
    return _Said(size, size, summary.get("z-step_um"), "µm", None if step is None else step / 1000)


def _of_sem(said: Mapping[str, Any]) -> _Said:
    _, size, unit = (*said.get("ap_pixel_size", ()), None, None, None)[:3]
    return _Said(size, size, unit=unit)


def _of_fei(said: Mapping[str, Any]) -> _Said:
    scan = said.get("Scan") or {}
    return _Said(scan.get("PixelWidth"), scan.get("PixelHeight"))


def _are_for_print(per_y: float, per_x: float, unit: str) -> bool:
    return all(_is_for_print(per, MICROMETRES[unit]) for per in (per_y, per_x))


def _is_for_print(per_unit: float, length: float) -> bool:
    """Whether a resolution per `length` µm is one of `_PRINT_DPI`.

    PNG counts whole pixels per metre and others round to whole centimetres, so a
    third of a pixel per inch of difference is let pass.
    """
    dpi = per_unit * MICROMETRES["in"] / length
    return any(abs(dpi - known) < 0.3 for known in _PRINT_DPI)
