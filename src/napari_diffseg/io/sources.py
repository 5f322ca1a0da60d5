"""Files that pixels are read from, as a whole or in parts; a few of them stay open."""

from __future__ import annotations

from functools import lru_cache
from os import getpid
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from napari_diffseg.errors import InputError
from napari_diffseg.files import ZARR_FILES, is_zarr
from napari_diffseg.image.info import ImageInfo
from napari_diffseg.io.facts import Index
from napari_diffseg.io.kinds import kind_of, not_there, too_large

_OPEN_FILES = 16


class Source(Protocol):
    """A file that pixels are read from."""

    facts: ImageInfo

    def reads_whole(self, spatial: tuple[int, ...]) -> bool:
        """Whether a part of a frame costs as much as all of it, for its spatial axes."""

    def read(self, index: Index) -> NDArray[Any]:
        """Read a part: a number, or a slice of step 1, for each axis of the file."""

    def whole(self) -> Any:
        """Return all pixels, of which those of large images are read as they are wanted."""


def open_source(
    path: Path,
    level: int = 0,
    series: int = 0,
    axes: str | None = None,
    *,
    numbers: bool = False,
) -> Source:
    """Open a file as `new_source` does, or return it if this process has it open already."""
    # Of a folder, the files at its top tell whether it was written anew.
    told_by = [path, *(path / name for name in ZARR_FILES)] if path.is_dir() else [path]
    try:
        stats = [file.stat() for file in told_by if file.exists()]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not stats:
        raise not_there(path)
    # A file written anew is opened anew; an open file is not shared with a forked process.
    stamp = tuple((stat.st_mtime_ns, stat.st_size) for stat in stats)
    return _kept_open(
        path, level, series, axes if path.is_dir() else None, numbers, stamp, getpid()
    )


@lru_cache(maxsize=_OPEN_FILES)
def _kept_open(
    path: Path,
    level: int,
    series: int,
    axes: str | None,
    numbers: bool,
    stamp: tuple[tuple[int, int], ...],
    process: int,
) -> Source:
    return new_source(path, level, series, axes, numbers=numbers)


def new_source(
    path: Path,
    level: int = 0,
    series: int = 0,
    axes: str | None = None,
    *,
    numbers: bool = False,
) -> Source:
    """Open a file for the caller alone.

    `numbers`: whether those of a palette are wanted, which stand for classes, not its colours.
    """
    try:
        source = _opened(path, level, series, axes, numbers=numbers)
    except MemoryError as error:
        raise too_large(path) from error
    if 0 in source.facts.shape:
        raise InputError(
            f"{path} has no pixels (its shape is {source.facts.shape}); save the image again."
        )
    return source


def _opened(path: Path, level: int, series: int, axes: str | None, *, numbers: bool) -> Source:
    if is_zarr(path):
        from napari_diffseg.io.ngff.images import ZarrSource

        return ZarrSource(path, level, series, axes)
    kind = kind_of(path)
    if kind == "TIFF":
        from napari_diffseg.io.tiff.frames import TiffSource

        return TiffSource(path, level, series, numbers=numbers)
    if kind not in ("PNG", "JPEG"):
        from napari_diffseg.io.vendor_images import VendorSource

        return VendorSource(path, kind, level, series)
    if numbers and kind == "JPEG":
        raise InputError(
            f"{path} is a JPEG file, which keeps numbers only roughly; save the class numbers as "
            "PNG or TIFF."
        )
    from napari_diffseg.io.pictures import PictureSource

    return PictureSource(path, kind, level, series, numbers=numbers)
