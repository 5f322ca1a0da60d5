"""TIFF files (OME, ImageJ, slides, plain): what they say of their images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_diffseg.errors import InputError, Remedy
from napari_diffseg.image.info import ImageInfo, Placed, placed_by, whole_factor
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.image.units import is_size, number, parse_unit, seconds
from napari_diffseg.io.facts import (
    check_level,
    check_series,
    check_shape_of_level,
    orientation_notes,
)
from napari_diffseg.io.kinds import DAMAGE
from napari_diffseg.io.resolution import (
    from_aperio,
    from_imagej,
    from_microscope,
    from_resolution,
    imagej_spacing,
)
from napari_diffseg.io.tiff.colors import Colors, calibrated, colors_of
from napari_diffseg.io.tiff.ome_xml import OmeFacts, read_ome_xml
from napari_diffseg.io.tiff.planes import Present, present_planes

# A ValueError in later versions only.
TIFF_DAMAGE = (*DAMAGE, tifffile.TiffFileError)
"""What tifffile and its decoders raise on bytes that make no sense."""

_UNITS = {2: "in", 3: "cm", 4: "mm", 5: "µm"}
"""Value of the ResolutionUnit tag → unit; 1 says that there is none."""


@dataclass(frozen=True, slots=True)
class TiffImage:
    """One image of a TIFF file, at one of its resolutions."""

    level: tifffile.TiffPageSeries
    axes: str  # in the file, where the samples of a pixel are S
    colors: Colors
    facts: ImageInfo

    @property
    def data_offset(self) -> int | None:
        """Where pixels begin that lie in the file as in memory; None where they do not."""
        return None if self.level.is_multifile else self.level.dataoffset


def open_tiff(
    tif: tifffile.TiffFile, path: Path, level: int = 0, series: int = 0, *, numbers: bool = False
) -> TiffImage:
    """Find an image in a TIFF file, after a look at whether it is whole."""
    if len(tif.pages) == 0:
        raise tifffile.TiffFileError("there is no image in it")
    # Beside the image of an LSM file is a smaller picture of it, which may stand first elsewhere.
    images = [one for one in tif.series if one.kind != "lsm" or not one.keyframe.is_reduced]
    images.sort(key=lambda one: bool(one.keyframe.is_reduced))
    others = check_series(series, [_name(one) for one in images], str(path))
    ome = _ome(tif, tif.series.index(images[series]))
    present = present_planes(tif, images[series], ome, path)
    axes = _stored_axes(present.series)
    colors = colors_of(present.series.keyframe, "S" in axes, numbers=numbers)
    if not numbers and not tif.ome_metadata:
        colors = calibrated(tif.imagej_metadata or {}, colors)
    if present.series.kind == "lsm":  # of three channels it says that they are red, green and blue
        colors = replace(colors, rgb=False, note="")
    facts = _facts(tif, present, axes, colors, ome, path)
    turned = present.series.keyframe.tags.valueof("Orientation")
    notes = (*others, *_set_of(ome, path), *present.notes, *filter(None, [colors.note]))
    notes += orientation_notes(turned)
    facts = replace(facts, notes=notes)
    if level == 0:
        return TiffImage(present.series, axes, colors, facts)
    check_level(level, facts.n_levels, str(path))
    return _at_level(TiffImage(present.series, axes, colors, facts), level, str(path))


def _name(series: tifffile.TiffPageSeries) -> str:
    """Return an image in words: its name and its shape."""
    sides = " × ".join(map(str, series.shape))
    return f"{series.name!r} ({sides})" if series.name else sides


def _ome(tif: tifffile.TiffFile, series: int) -> OmeFacts:
    """Return what OME-XML says of an image; of images without pixels tifffile has no series."""
    ome = read_ome_xml(tif.ome_metadata, series)
    n_known = len(tif.series) if tif.series[series].kind == "ome" else 1
    if series > 0 and n_known != (tif.ome_metadata or "").count("DimensionOrder="):
        return OmeFacts()
    return ome


def _set_of(ome: OmeFacts, path: Path) -> tuple[str, ...]:
    """Say which file knows more of a set than the one that was opened."""
    if ome.described_in is None:
        return ()
    there = (path.parent / ome.described_in).exists()
    way_out = "is beside it" if there else "is missing"
    return (
        f"{path.name} is one of a set of files that {ome.described_in} describes, which {way_out}; "
        "this file was read by itself.",
    )


def _facts(
    tif: tifffile.TiffFile, present: Present, stored: str, colors: Colors, ome: OmeFacts, path: Path
) -> ImageInfo:
    series = present.series
    axes, problem = _axes(series, stored, colors, path)
    names = ome.channel_names
    if names and "C" in present.kept:
        names = tuple(names[c] for c in present.kept["C"] if c < len(names))
    return ImageInfo(
        axes=axes,
        shape=_shape(series, stored, colors),
        dtype=colors.dtype,
        # Of samples that are no colours, and whose axes nobody knows, nothing is said.
        rgb=colors.rgb if axes is not None or colors.rgb else None,
        placement=_placement(tif, present, ome),
        channel_names=() if colors.rgb else names,
        n_levels=len(series.levels),
        problem=problem,
    )


def _stored_axes(series: tifffile.TiffPageSeries) -> str:
    """Return the axes in the file; S are samples of a pixel, which Python programs often call C."""
    axes, page = str(series.axes), series.keyframe
    place = page.axes.find("S") - len(page.axes)
    if "S" in axes or "S" not in page.axes or -place > len(axes) or axes[place] != "C":
        return axes
    return axes[:place] + "S" + axes[place:][1:]


def _read_axes(stored: str, colors: Colors) -> str:
    """Return the axes of an image once its numbers are brought to what they stand for."""
    if colors.n_samples is None:
        return stored.replace("S", "")
    return stored if "S" in stored else stored + "S"


def _shape(series: tifffile.TiffPageSeries, stored: str, colors: Colors) -> tuple[int, ...]:
    """Return the shape of an image once its numbers are brought to what they stand for."""
    sides, at = list(series.shape), stored.find("S")
    if at >= 0:
        del sides[at]
    if colors.n_samples is not None:
        sides.insert(at if at >= 0 else len(sides), colors.n_samples)
    return tuple(sides)


def _at_level(image: TiffImage, level: int, name: str) -> TiffImage:
    """Return an image at a smaller resolution."""
    series, found = image.level, image.level.levels[level]
    check_shape_of_level(tuple(found.shape), tuple(series.shape), series.axes, level, name)
    facts = image.facts.coarser(_shape(found, image.axes, image.colors), _factors(series, found))
    return replace(image, level=found, facts=facts)


def _factors(series: tifffile.TiffPageSeries, level: tifffile.TiffPageSeries) -> dict[str, float]:
    """Return how many times longer a pixel of a level is than one of level 0, along each axis."""
    sides = zip(series.axes, series.shape, level.shape, strict=True)
    return {letter: whole_factor(full, own) for letter, full, own in sides if letter in "ZYX"}


def _placement(tif: tifffile.TiffFile, present: Present, ome: OmeFacts) -> dict[str, Placed]:
    """Return where the pixels lie; ImageJ's z also where it counts in pixels."""
    said, (known, step) = tif.imagej_metadata or {}, from_microscope(tif)
    size = _pixel_size(tif, present.series, ome, known)
    placement, spacing = placed_by(size), imagej_spacing(said)
    if size is None and spacing is not None and parse_unit(said.get("unit")) is None:
        per = _resolution(present.series)
        y, x = (1 / one if is_size(one) else 1.0 for one in per)
        placement = {"Z": Placed(spacing), "Y": Placed(y), "X": Placed(x)}
    t_step = step if ome.t_step is None else ome.t_step
    if not tif.ome_metadata and said:
        t_step = seconds(said.get("finterval"), said.get("tunit", "s"))
    if t_step is not None and not np.any(np.diff(present.kept.get("T", [])) > 1):
        placement["T"] = Placed(t_step, 0.0, "s")
    starts = _starts(said, placement) if said and not tif.ome_metadata else ome.starts
    for letter, start in starts.items():
        if letter in placement:
            placement[letter] = placement[letter]._replace(start=start)
    for letter, kept in present.kept.items():
        if letter in placement and kept:
            step, start, unit = placement[letter]
            placement[letter] = Placed(step, start + kept[0] * step, unit)
    return placement


def _starts(said: Mapping[str, Any], placement: Mapping[str, Placed]) -> dict[str, float]:
    """Return where the first pixel lies along each axis: ImageJ says which one is at 0."""
    origins = {letter: number(said.get(f"{letter.lower()}origin")) for letter in placement}
    return {
        letter: -at * placement[letter].step for letter, at in origins.items() if at is not None
    }


def _axes(
    series: tifffile.TiffPageSeries, stored: str, colors: Colors, path: Path
) -> tuple[str | None, InputError | None]:
    """Return the axes of an image as it is read, and why they are not known."""
    # tifffile calls the samples of a pixel S, and axes that the file does not name Q or I.
    axes = _read_axes(stored, colors)
    if not set(axes) <= set("TCZYXS"):
        return None, None
    if {"C", "S"} <= set(axes):
        n_channels = series.shape[stored.index("C")]
        way_out, remedies = "save one of these as a file of its own", []
        if "T" not in axes:
            other = axes.replace("C", "T").replace("S", "C")
            way_out += f", or take them for frames, which are the axes {other}"
            remedies = [Remedy.STATE_AXES]
        return None, InputError(
            f"{path} has {colors.n_samples} samples a pixel in each of {n_channels} channels, and "
            f"only one of the two can be the channels; {way_out}.",
            *remedies,
        )
    return axes.replace("S", "C"), None


def _pixel_size(
    tif: tifffile.TiffFile,
    series: tifffile.TiffPageSeries,
    ome: OmeFacts,
    known: PixelSize | None,
) -> PixelSize | None:
    per_y, per_x = _resolution(series)
    size = ome.pixel_size or from_aperio(series.keyframe.description)
    if size is None and tif.imagej_metadata:
        size = from_imagej(tif.imagej_metadata, per_y, per_x)
    size = size or known
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
