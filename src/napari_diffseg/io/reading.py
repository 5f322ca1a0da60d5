"""Images from files: TIFF (OME, ImageJ, plain), OME-Zarr and zarr, PNG and JPEG.

The kind of a file is told by its first bytes, not by its name. A file that is cut
short is refused, never filled up with zeros.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_diffseg.errors import InputError
from napari_diffseg.io.facts import ImageFacts, Spacing, check_level
from napari_diffseg.io.frame_axes import size_along
from napari_diffseg.io.kinds import damaged, is_zarr, kind_of, too_large
from napari_diffseg.io.pictures import read_picture
from napari_diffseg.io.pixel_size import PixelSize
from napari_diffseg.io.tiff_files import (
    TIFF_DAMAGE,
    data_offset,
    first_series,
    level_of,
    tiff_facts,
)

__all__ = ["ImageFile", "PixelSize", "read_class_numbers", "read_image"]


_MOST_READ = 64 * 2**20
"""A larger image that lies in a TIFF file as in memory stays there until it is looked at, bytes."""


@dataclass(frozen=True, eq=False, slots=True)
class ImageFile:
    """An image and what its file says of it.

    Attributes
    ----------
    pixels : ndarray, numpy.memmap or zarr.Array
        As stored, any dtype; of the last two only what is asked for is read.
    axes : str or None
        One letter of T C Z Y X per array axis; None where the file does not say.
    rgb : bool or None
        Whether the channels are colours; None where the file does not say.
    pixel_size : PixelSize or None
        None where the file has none, or only a resolution for screen or print.
    path : Path
        Where it was read.
    spacing : tuple of 3 floats, or None
        Distances of voxels along z, y and x, where the file says them, in whatever unit.
    channel_names : tuple of str
        One a channel; empty where the file has none.
    n_levels : int
        How many resolutions of the image the file has.
    notes : tuple of str
        Sentences that the person should read, e.g. that other images were left out.
    """

    pixels: Any
    axes: str | None
    rgb: bool | None
    pixel_size: PixelSize | None
    path: Path
    spacing: Spacing | None = None
    channel_names: tuple[str, ...] = ()
    n_levels: int = 1
    notes: tuple[str, ...] = ()

    def stated(self, axes: str | None) -> Self:
        """Return the same image with the axes that a person states; unchanged where None."""
        if axes is None:
            return self
        # Whether channels are colours is known of the file's own axes only.
        restated = replace(self, axes=axes.strip().upper(), rgb=None)
        if not {"Y", "X"} <= set(restated.axes or ""):
            return restated  # refused where they are read
        size, spacing = size_along(self.axes, self.pixel_size, self.spacing, restated.axes or "")
        return replace(restated, pixel_size=size, spacing=spacing)


def read_image(path: str | PathLike[str], *, level: int = 0) -> ImageFile:
    """Read one image from a TIFF, OME-TIFF, OME-Zarr, zarr, PNG or JPEG file.

    Parameters
    ----------
    path : path-like
        Its name does not matter, its first bytes do; for zarr a folder.
    level : int
        Which resolution, where the file has several; 0 is the full one.

    Returns
    -------
    ImageFile
        The first image of the file, of any number of axes. The palette of a PNG becomes RGB;
        the orientation in the EXIF data of a JPEG is left alone.

    Raises
    ------
    InputError
        The file is missing, a folder, empty, truncated, damaged or of another kind, or it
        has no such level.
    OutOfMemoryError
        The image does not fit into memory.
    """
    path = Path(path)
    if is_zarr(path):
        from napari_diffseg.io.zarr_images import open_zarr_image

        return _image(path, *open_zarr_image(path, level))
    return _read(path, kind_of(path), level, indexed=False)


def read_class_numbers(path: str | PathLike[str]) -> ImageFile:
    """Read an image of whole numbers, such as scribbles, from a TIFF, zarr or PNG file.

    Parameters
    ----------
    path : path-like
        Its name does not matter, its first bytes do.

    Returns
    -------
    ImageFile
        As of `read_image`, but of a picture with a palette it has the numbers, not the
        colours that they are shown in.

    Raises
    ------
    InputError
        As for `read_image`; or the file holds colours, or is a JPEG.
    OutOfMemoryError
        The image does not fit into memory.
    """
    path = Path(path)
    if is_zarr(path):
        file = read_image(path)
        return replace(file, pixels=np.asarray(file.pixels))
    kind = kind_of(path)
    if kind == "JPEG":
        raise InputError(
            f"{path} is a JPEG file, which keeps numbers only roughly; save the class numbers as "
            "PNG or TIFF."
        )
    file = _read(path, kind, 0, indexed=True)
    if file.rgb:
        raise InputError(
            f"{path} is a picture in colours, or has several planes, but one number for each "
            "pixel was expected; save the class numbers (0 = unpainted) as a grayscale or indexed "
            "PNG or TIFF."
        )
    return file


def _read(path: Path, kind: str, level: int, *, indexed: bool) -> ImageFile:
    try:
        if kind == "TIFF":
            return _image(path, *_read_tiff(path, level))
        check_level(level, 1, str(path))
        return _image(path, *read_picture(path, kind, indexed=indexed))
    except MemoryError as error:
        raise too_large(path) from error


def _image(path: Path, pixels: Any, facts: ImageFacts) -> ImageFile:
    has_planes = facts.axes is None or "Z" in facts.axes
    return ImageFile(
        pixels=pixels,
        axes=facts.axes,
        rgb=facts.rgb,
        pixel_size=facts.pixel_size if has_planes else facts.pixel_size and facts.pixel_size.plane,
        path=path,
        spacing=facts.spacing,
        channel_names=facts.channel_names,
        n_levels=facts.n_levels,
        notes=facts.notes,
    )


def _read_tiff(path: Path, level: int) -> tuple[NDArray[Any], ImageFacts]:
    try:
        with tifffile.TiffFile(path) as tif:
            series = first_series(tif)
            chosen = level_of(series, level, str(path))
            facts = tiff_facts(tif, series, chosen)
            offset = data_offset(chosen)
            if offset is None or chosen.nbytes <= _MOST_READ:
                return chosen.asarray(), facts
            dtype = np.dtype(chosen.dtype).newbyteorder(tif.byteorder)
        return np.memmap(path, dtype, "r", offset, tuple(chosen.shape)), facts
    except TIFF_DAMAGE as error:
        raise damaged(path, error) from error
