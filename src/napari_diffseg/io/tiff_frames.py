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

from napari_diffseg.io.kinds import damaged
from napari_diffseg.io.sources import Index
from napari_diffseg.io.tiff_files import (
    TIFF_DAMAGE,
    data_offset,
    first_series,
    level_of,
    tiff_facts,
)


class TiffSource:
    """The first image of a TIFF file, read in parts.

    Parameters
    ----------
    path : Path
        Of the file; it stays open as long as this object lives.
    level : int
        Which resolution; 0 is the full one.

    Raises
    ------
    InputError
        The file is truncated or damaged, or has no such level.
    """

    def __init__(self, path: Path, level: int = 0) -> None:
        try:
            tif = tifffile.TiffFile(path)
        except TIFF_DAMAGE as error:
            raise damaged(path, error) from error
        weakref.finalize(self, tif.close)
        try:
            series = first_series(tif)
            chosen = level_of(series, level, str(path))
            self.facts = tiff_facts(tif, series, chosen)
            offset = data_offset(chosen)
            self._parts: _Rows | _Segments = (
                _Segments(chosen) if offset is None else _Rows(tif, chosen, offset)
            )
        except TIFF_DAMAGE as error:
            tif.close()
            raise damaged(path, error) from error

    def reads_whole(self, spatial: tuple[int, ...]) -> bool:
        """Whether a part of a frame costs as much as all of it, for its spatial axes."""
        return self._parts.reads_whole(spatial)

    def read(self, index: Index) -> NDArray[Any]:
        """Read a part of the image."""
        return self._parts.read(index)


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
        return np.asarray(self._array[index])


def _as_slice(where: int | slice) -> slice:
    return slice(where, where + 1) if isinstance(where, int) else where
