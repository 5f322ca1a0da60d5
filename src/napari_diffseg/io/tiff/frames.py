"""TIFF files of any number of pages, read page by page and part by part, by many threads."""

from __future__ import annotations

import weakref
from itertools import product
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_diffseg.io.chunks import read_part
from napari_diffseg.io.facts import Index
from napari_diffseg.io.kinds import check_fits, damaged
from napari_diffseg.io.tiff.files import TIFF_DAMAGE, TiffImage, open_tiff

_MOST_READ = 64 * 2**20
"""A larger image that lies in the file as in memory stays there until it is looked at, bytes."""


class TiffSource:
    """An image of a TIFF file, read in parts."""

    def __init__(
        self, path: Path, level: int = 0, series: int = 0, *, numbers: bool = False
    ) -> None:
        self._path = path
        try:
            tif = tifffile.TiffFile(path)
        except TIFF_DAMAGE as error:
            raise damaged(path, error) from error
        weakref.finalize(self, tif.close)
        try:
            self._image = open_tiff(tif, path, level, series, numbers=numbers)
            self._parts = _parts(tif, self._image)
        except TIFF_DAMAGE as error:
            raise damaged(path, error) from error
        self.facts, self._byteorder = self._image.facts, tif.byteorder

    def reads_whole(self, spatial: tuple[int, ...]) -> bool:
        """Whether a part of a frame costs as much as all of it, for its spatial axes."""
        at = self._image.axes.find("S")
        is_dropped = at >= 0 and self._image.colors.n_samples is None
        return self._parts.reads_whole(tuple(a + (is_dropped and a >= at) for a in spatial))

    def read(self, index: Index) -> NDArray[Any]:
        """Read a part of the image."""
        colors = self._image.colors
        if colors.convert is None:
            return self._parts.read(index)
        return _converted(self._parts, self._image, index)

    def whole(self) -> NDArray[Any]:
        """Read all of the image; a large one stays in the file where it lies as in memory."""
        image = self._image
        try:
            offset = image.data_offset
            if offset is None or image.colors.convert is not None:
                check_fits(self._path, image.facts.shape, image.facts.dtype)
            if image.colors.convert is not None:
                return self.read((slice(None),) * len(image.facts.shape))
            if offset is None or image.level.nbytes <= _MOST_READ:
                return image.level.asarray()
            dtype = np.dtype(image.level.dtype).newbyteorder(self._byteorder)
            return np.memmap(self._path, dtype, "r", offset, tuple(image.level.shape))
        except TIFF_DAMAGE as error:
            raise damaged(self._path, error) from error


def _parts(tif: tifffile.TiffFile, image: TiffImage) -> _Rows | _Segments:
    offset = image.data_offset
    return _Segments(image.level) if offset is None else _Rows(tif, image.level, offset)


def _converted(parts: _Rows | _Segments, image: TiffImage, index: Index) -> NDArray[Any]:
    """Read a part, with all the samples that its pixels have in the file, and convert these."""
    convert, at = image.colors.convert, image.axes.find("S")
    stored, wanted = list(index), None
    if image.colors.n_samples is not None:
        wanted = stored.pop(at)  # the last one, where they have no axis in the file
    if at >= 0:
        stored.insert(at, slice(None))
    pixels = parts.read(tuple(stored))
    # Numbers have taken their axes away.
    place = sum(isinstance(one, slice) for one in (stored[:at] if at >= 0 else stored))
    if convert is not None:
        pixels = convert(np.moveaxis(pixels, place, -1) if at >= 0 else pixels)
    return (
        pixels
        if wanted is None
        else np.moveaxis(pixels, -1, place)[(slice(None),) * place + (wanted,)]
    )


class _Rows:
    """Pixels that lie in the file as they lie in memory: rows are read as they are wanted.

    The file is not mapped into memory: what has been read of a map counts as memory used.
    """

    def __init__(
        self, tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, offset: int
    ) -> None:
        self._file, self._offset, self._lock = tif.filehandle, offset, Lock()
        self._shape = tuple(series.shape)
        self._dtype = np.dtype(series.dtype).newbyteorder(tif.byteorder)
        # Rows in the sense of the file: everything behind this axis is read.
        self._row_axis = min(series.axes.find(letter) for letter in "YX")

    def reads_whole(self, spatial: tuple[int, ...]) -> bool:
        return False

    def read(self, index: Index) -> NDArray[Any]:
        axis = max(self._row_axis, 0)
        ranges = [
            (where,) if isinstance(where, int) else range(*where.indices(length))
            for where, length in zip(index[:axis], self._shape[:axis], strict=True)
        ]
        start, stop, _ = _as_slice(index[axis]).indices(self._shape[axis])
        block = (max(stop - start, 0), *self._shape[axis + 1 :])
        parts = np.empty((*(len(entries) for entries in ranges), *block), self._dtype)
        for place, where in zip(np.ndindex(parts.shape[:axis]), product(*ranges), strict=True):
            self._read_rows(parts[place], (*where, start))
        kept = tuple(0 if isinstance(where, int) else slice(None) for where in index[: axis + 1])
        native = parts.astype(self._dtype.newbyteorder("="), copy=False)
        return native[(*kept, *index[axis + 1 :])]

    def _read_rows(self, rows: NDArray[Any], first: tuple[int, ...]) -> None:
        """Fill an array with what the file has from an index on."""
        behind = (0,) * (len(self._shape) - len(first))
        if rows.size == 0:
            return
        position = int(np.ravel_multi_index((*first, *behind), self._shape))
        with self._lock:
            self._file.seek(self._offset + position * self._dtype.itemsize)
            found = self._file.read(rows.nbytes)
        if len(found) != rows.nbytes:
            raise EOFError("the file ends before its pixels do")
        rows[...] = np.frombuffer(found, self._dtype).reshape(rows.shape)


class _Segments:
    """Pixels in strips or tiles, most of them compressed: those wanted are decoded."""

    def __init__(self, series: tifffile.TiffPageSeries) -> None:
        import zarr

        # Threads take turns in reading, and decode side by side: not within zarr's own loop.
        self._array = zarr.open_array(series.aszarr(level=0, maxworkers=2), mode="r")

    def reads_whole(self, spatial: tuple[int, ...]) -> bool:
        return all(self._array.chunks[axis] >= self._array.shape[axis] for axis in spatial)

    def read(self, index: Index) -> NDArray[Any]:
        return read_part(self._array, index)


def _as_slice(where: int | slice) -> slice:
    return slice(where, where + 1) if isinstance(where, int) else where
