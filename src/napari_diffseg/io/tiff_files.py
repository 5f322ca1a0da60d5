"""TIFF files (OME, ImageJ, plain): what they say of their image, and whether they are whole."""

from __future__ import annotations

import struct

import numpy as np
import tifffile

from napari_diffseg.images.pixel_size import PixelSize, is_size
from napari_diffseg.io import channel_names, steps
from napari_diffseg.io.facts import ImageFacts, Spacing, check_level, check_shape_of_level
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


def level_of(series: tifffile.TiffPageSeries, level: int, name: str) -> tifffile.TiffPageSeries:
    """Return one of the resolutions of an image; 0 is the full one.

    Raises
    ------
    InputError
        There is no such level, or it is no smaller picture of level 0.
    """
    if level == 0:
        return series
    check_level(level, len(series.levels), name)
    found = series.levels[level]
    check_shape_of_level(tuple(found.shape), tuple(series.shape), series.axes, level, name)
    return found


def data_offset(series: tifffile.TiffPageSeries) -> int | None:
    """Return where pixels begin that lie in the file as in memory; None where they do not."""
    return None if series.is_multifile else series.dataoffset


def tiff_facts(
    tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, level: tifffile.TiffPageSeries
) -> ImageFacts:
    """Return what a file says of the first of its images, at one of its resolutions."""
    axes, rgb = _axes(series)
    size = _pixel_size(tif, series)
    spacing = None if size is None else size.spacing
    if spacing is None and size is None and tif.imagej_metadata:
        spacing = _spacing_without_unit(tif, series)
    if level is not series:
        factor = _factors(series, level)
        size = None if size is None else size.times(**factor)
        if spacing is not None:
            z, y, x = (length * factor[a] for length, a in zip(spacing, "zyx", strict=True))
            spacing = (z, y, x)
    t_step: float | None = None
    names: tuple[str, ...] = ()
    if tif.ome_metadata:
        t_step = steps.from_ome_xml(tif.ome_metadata)
        names = channel_names.from_ome_xml(tif.ome_metadata)
    elif tif.imagej_metadata:
        t_step = steps.from_imagej(tif.imagej_metadata)
    return ImageFacts(
        axes=axes,
        shape=tuple(level.shape),
        dtype=np.dtype(level.dtype).newbyteorder("="),
        rgb=rgb,
        pixel_size=size,
        spacing=spacing,
        t_step=t_step,
        channel_names=() if rgb else names,
        n_levels=len(series.levels),
        notes=_notes(tif),
    )


def _factors(series: tifffile.TiffPageSeries, level: tifffile.TiffPageSeries) -> dict[str, float]:
    """Return how many times longer a pixel of a level is than one of level 0, along each axis."""
    factor = dict.fromkeys("zyx", 1.0)
    for letter, full, own in zip(series.axes.lower(), series.shape, level.shape, strict=True):
        if letter in factor:
            factor[letter] = _whole_factor(full, own)
    return factor


def _whole_factor(full: int, own: int) -> float:
    """Return the ratio of two lengths: a whole number, where one was rounded to a whole pixel."""
    nearest = max(round(full / own), 1)
    return float(nearest) if own in (full // nearest, -(-full // nearest)) else full / own


def _spacing_without_unit(
    tif: tifffile.TiffFile, series: tifffile.TiffPageSeries
) -> Spacing | None:
    """Return how far voxels are apart in a file of ImageJ that counts in pixels."""
    spacing = steps.positive((tif.imagej_metadata or {}).get("spacing"))
    if spacing is None:
        return None
    per_y, per_x = _resolution(series)
    return (
        spacing,
        1 / per_y if is_size(per_y) else 1.0,
        1 / per_x if is_size(per_x) else 1.0,
    )


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
    per_y, per_x = _resolution(series)
    size = from_ome_xml(tif.ome_metadata) if tif.ome_metadata else None
    if size is None and tif.imagej_metadata:
        size = from_imagej(tif.imagej_metadata, per_y, per_x)
    # A missing unit means inch by the standard, but says in truth that nobody set it.
    unit = _UNITS.get(series.keyframe.tags.valueof("ResolutionUnit", 1))
    if size is None and unit is not None:
        size = from_resolution(per_y, per_x, unit)
    return size


def _resolution(series: tifffile.TiffPageSeries) -> tuple[float, float]:
    """Return pixels per unit along y and x; 0 where they are missing."""
    tags = series.keyframe.tags
    return _ratio(tags.valueof("YResolution")), _ratio(tags.valueof("XResolution"))


def _ratio(value: tuple[int, int] | None) -> float:
    """Return the value of a RATIONAL tag; 0 where it is missing or has no value."""
    return value[0] / value[1] if value and value[1] else 0.0


def _notes(tif: tifffile.TiffFile) -> tuple[str, ...]:
    n_images = len(tif.series)
    if n_images == 1:
        return ()
    return (f"The file holds {n_images} images; the first one was read.",)
