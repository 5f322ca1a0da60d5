"""Images from files: TIFF (OME, ImageJ, plain), OME-Zarr and zarr, PNG and JPEG.

The kind of a file is told by its first bytes, not by its name. A file that is cut
short is refused, never filled up with zeros.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import prod
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.errors import InputError
from napari_diffseg.image.info import ImageInfo
from napari_diffseg.image.lazy import LazyArray, Where, as_region
from napari_diffseg.io.kinds import DAMAGE, SMALL, check_fits, damaged, too_large
from napari_diffseg.io.sources import Source, new_source

__all__ = ["ImageFile", "read_class_numbers", "read_image"]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ImageFile(ImageInfo):
    """An image and what its file says of it.

    Pixels as stored, any dtype; of a memory map or a zarr array only what is asked for is read.
    """

    pixels: Any
    path: Path


class _Parts(LazyArray):
    """An image that stays in its file, whatever it is compressed by: parts of it are read."""

    def __init__(self, source: Source, path: Path) -> None:
        self._source, self._path = source, path
        self.shape, self.dtype = source.facts.shape, source.facts.dtype

    def _read(self, where: tuple[Where, ...]) -> NDArray[Any]:
        part, rest = as_region(where, self.shape)
        check_fits(self._path, (one.stop - one.start for one in part), self.dtype)
        try:
            return self._source.read(part)[rest]
        except DAMAGE as error:
            raise damaged(self._path, error) from error


def read_image(
    path: str | PathLike[str],
    *,
    level: int = 0,
    series: int = 0,
    axes: str | None = None,
    in_parts: bool = False,
) -> ImageFile:
    """Read one image from a TIFF, OME-TIFF, OME-Zarr, zarr, PNG or JPEG file.

    What a person says of the axes comes before the file's own word. The palette of a PNG becomes
    RGB, that of a TIFF too, unless it only shows intensities; EXIF orientation is left alone.
    A large one may be read `in_parts`, as they are asked for, where all of it is not wanted.
    """
    return _read(Path(path), level, series, axes, in_parts=in_parts).stated(axes)


def read_class_numbers(path: str | PathLike[str]) -> ImageFile:
    """Read an image of whole numbers, such as scribbles, from a TIFF, zarr or PNG file.

    Of a picture with a palette the numbers, not the colours that they are shown in.
    """
    path = Path(path)
    file = _read(path, numbers=True)
    if file.rgb:
        raise InputError(
            f"{path} is a picture in colours, or has several planes, but one number for each "
            "pixel was expected; save the class numbers (0 = unpainted) as a grayscale or indexed "
            "PNG or TIFF."
        )
    return file


def _read(
    path: Path,
    level: int = 0,
    series: int = 0,
    axes: str | None = None,
    *,
    numbers: bool = False,
    in_parts: bool = False,
) -> ImageFile:
    source = new_source(path, level, series, axes, numbers=numbers)
    try:
        is_large = prod(source.facts.shape) * source.facts.dtype.itemsize > SMALL
        pixels = _Parts(source, path) if in_parts and is_large else source.whole()
        if numbers and not isinstance(pixels, np.ndarray):
            check_fits(path, pixels.shape, pixels.dtype)
            pixels = np.asarray(pixels)
    except MemoryError as error:
        raise too_large(path) from error
    facts = source.facts if source.facts.axes is None else source.facts.along(source.facts.axes)
    return ImageFile(
        pixels=pixels, path=path, **{one.name: getattr(facts, one.name) for one in fields(facts)}
    )
