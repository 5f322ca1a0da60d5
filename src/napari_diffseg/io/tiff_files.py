"""TIFF files (OME, ImageJ, plain): what they say of their image, and whether they are whole."""

from __future__ import annotations

import struct

import numpy as np
import tifffile

from napari_diffseg.images.pixel_size import PixelSize
from napari_diffseg.io import steps
from napari_diffseg.io.facts import ImageFacts
from napari_diffseg.io.kinds import DAMAGE
from napari_diffseg.io.pixel_size import from_imagej, from_ome_xml, from_resolution

# A ValueError in later versions only.
TIFF_DAMAGE = (*DAMAGE, tifffile.TiffFileError)
"""What tifffile and its decoders raise on bytes that make no sense."""

_UNITS = {2: "in", 3: "cm", 4: "mm", 5: "µm"}
"""Value of the ResolutionUnit tag → unit; 1 says that there is none."""


def first_series(tif: tifffile.TiffFile) -> tifffile.TiffPageSeries:
    """Return the first image of a file, after a look at whether the file is whole.

    Raises
    ------
    one of TIFF_DAMAGE
        There is no image, or the file ends too early.
    """
    if len(tif.pages) == 0:
        raise tifffile.TiffFileError("there is no image in it")
    series = tif.series[0]
    _check_complete(tif, series)
    return series


def tiff_facts(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> ImageFacts:
    """Return what a file says of the first of its images."""
    axes, rgb = _axes(series)
    size = _pixel_size(tif, series)
    z_step = t_step = None
    if tif.ome_metadata:
        z_step, t_step = steps.from_ome_xml(tif.ome_metadata, size)
    elif tif.imagej_metadata:
        z_step, t_step = steps.from_imagej(tif.imagej_metadata, size)
    dtype = np.dtype(series.dtype).newbyteorder("=")
    return ImageFacts(axes, tuple(series.shape), dtype, rgb, size, z_step, t_step, _notes(tif))


def _check_complete(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> None:
    """Raise where the file ends too early: tifffile reads what is left and only logs it."""
    if tif.is_imagej and series.kind != "imagej":
        raise tifffile.TiffFileError("fewer planes than ImageJ wrote")
    for page in series.pages:
        if page is None:
            raise tifffile.TiffFileError("planes are missing")
    last, layout = tif.pages[-1], tif.tiff
    file = tif.filehandle
    file.seek(last.offset)
    (n_tags,) = struct.unpack(layout.tagnoformat, file.read(layout.tagnosize))
    file.seek(last.offset + layout.tagnosize + n_tags * layout.tagsize)
    (next_offset,) = struct.unpack(layout.offsetformat, file.read(layout.offsetsize))
    if next_offset != 0:
        raise tifffile.TiffFileError("the last pages are missing")


def _axes(series: tifffile.TiffPageSeries) -> tuple[str | None, bool | None]:
    """Return the axes of a series and whether its channels are colours."""
    # tifffile calls the samples of a pixel S, and axes that the file does not name Q or I.
    axes = series.axes
    if not set(axes) <= set("TCZYXS"):
        return None, None
    photometric = series.keyframe.photometric
    rgb = "S" in axes and photometric in (
        tifffile.PHOTOMETRIC.RGB,
        tifffile.PHOTOMETRIC.YCBCR,
    )
    return axes.replace("S", "C"), rgb


def _pixel_size(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> PixelSize | None:
    tags = series.keyframe.tags
    per_x, per_y = (_ratio(tags.valueof(name)) for name in ("XResolution", "YResolution"))
    size = from_ome_xml(tif.ome_metadata) if tif.ome_metadata else None
    if size is None and tif.imagej_metadata:
        size = from_imagej(tif.imagej_metadata, per_y, per_x)
    # A missing unit means inch by the standard, but says in truth that nobody set it.
    unit = _UNITS.get(tags.valueof("ResolutionUnit", 1))
    if size is None and unit is not None:
        size = from_resolution(per_y, per_x, unit)
    return size


def _ratio(value: tuple[int, int] | None) -> float:
    """Return the value of a RATIONAL tag; 0 where it is missing or has no value."""
    return value[0] / value[1] if value and value[1] else 0.0


def _notes(tif: tifffile.TiffFile) -> tuple[str, ...]:
    n_images = len(tif.series)
    if n_images == 1:
        return ()
    return (f"The file holds {n_images} images; the first one was read.",)
