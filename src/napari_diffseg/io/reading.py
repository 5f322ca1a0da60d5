"""Images from files: TIFF (OME, ImageJ, plain), PNG and JPEG.

The kind of a file is told by its first bytes, not by its name. A file that is cut
short is refused, never filled up with zeros.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import tifffile
from numpy.typing import NDArray

from napari_diffseg.errors import InputError
from napari_diffseg.io.facts import ImageFacts
from napari_diffseg.io.kinds import damaged, kind_of, too_large
from napari_diffseg.io.pictures import read_picture
from napari_diffseg.io.pixel_size import PixelSize
from napari_diffseg.io.tiff_files import TIFF_DAMAGE, first_series, tiff_facts

__all__ = ["ImageFile", "PixelSize", "read_class_numbers", "read_image"]


@dataclass(frozen=True, eq=False, slots=True)
class ImageFile:
    """An image and what its file says of it.

    Attributes
    ----------
    pixels : ndarray
        As stored, any dtype.
    axes : str or None
        One letter of T C Z Y X per array axis; None where the file does not say.
    rgb : bool or None
        Whether the channels are colours; None where the file does not say.
    pixel_size : PixelSize or None
        None where the file has none, or only a resolution for screen or print.
    path : Path
        Where it was read.
    notes : tuple of str
        Sentences that the person should read, e.g. that other images were left out.
    """

    pixels: NDArray[Any]
    axes: str | None
    rgb: bool | None
    pixel_size: PixelSize | None
    path: Path
    notes: tuple[str, ...] = ()


def read_image(path: str | PathLike[str]) -> ImageFile:
    """Read one image from a TIFF, OME-TIFF, PNG or JPEG file.

    Parameters
    ----------
    path : path-like
        Its name does not matter, its first bytes do.

    Returns
    -------
    ImageFile
        The first image of the file, at full resolution. The palette of a PNG becomes RGB;
        the orientation in the EXIF data of a JPEG is left alone.

    Raises
    ------
    InputError
        The file is missing, a folder, empty, truncated, damaged or of another kind.
    OutOfMemoryError
        The image does not fit into memory.
    """
    path = Path(path)
    return _read(path, kind_of(path), indexed=False)


def read_class_numbers(path: str | PathLike[str]) -> ImageFile:
    """Read an image of whole numbers, such as scribbles, from a TIFF, OME-TIFF or PNG file.

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
    kind = kind_of(path)
    if kind == "JPEG":
        raise InputError(
            f"{path} is a JPEG file, which keeps numbers only roughly; save the class numbers as "
            "PNG or TIFF."
        )
    file = _read(path, kind, indexed=True)
    if file.rgb:
        raise InputError(
            f"{path} is a picture in colours, or has several planes, but one number for each "
            "pixel was expected; save the class numbers (0 = unpainted) as a grayscale or indexed "
            "PNG or TIFF."
        )
    return file


def _read(path: Path, kind: str, *, indexed: bool) -> ImageFile:
    try:
        pixels, facts = (
            _read_tiff(path) if kind == "TIFF" else read_picture(path, kind, indexed=indexed)
        )
    except MemoryError as error:
        raise too_large(path) from error
    return ImageFile(pixels, facts.axes, facts.rgb, facts.pixel_size, path, facts.notes)


def _read_tiff(path: Path) -> tuple[NDArray[Any], ImageFacts]:
    try:
        with tifffile.TiffFile(path) as tif:
            series = first_series(tif)
            return series.asarray(), tiff_facts(tif, series)
    except TIFF_DAMAGE as error:
        raise damaged(path, error) from error
