"""Where the labels of all frames are kept while they are computed: in memory, or on disk."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from typing import Any

import numpy as np

MOST_IN_MEMORY = 1 << 30
"""Labels that take more bytes than this are kept in a temporary folder."""

_CHUNKS = {2: (1024, 1024), 3: (16, 256, 256)}
"""Sides of a chunk on disk: those of the windows of planes that a model labels, or smaller."""


def make_output(shape: tuple[int, ...], spatial: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Return an array of zeros that a layer can show and a run can write to.

    Parameters
    ----------
    shape : tuple of int
        Of all frames together.
    spatial : tuple of int
        The axes of a frame: y and x, or z, y and x.
    dtype : dtype
        Of the labels.

    Returns
    -------
    ndarray or zarr.Array
        The folder of the latter goes when nobody holds the array any more, and with the
        program at the latest.

    Raises
    ------
    OSError
        The folder cannot be made.
    """
    if int(np.prod(shape, dtype=np.int64)) * dtype.itemsize <= MOST_IN_MEMORY:
        return np.zeros(shape, dtype)
    import zarr

    sides = dict(zip(spatial, _CHUNKS[len(spatial)], strict=True))
    chunks = tuple(min(n, sides.get(axis, 1)) for axis, n in enumerate(shape))
    folder = tempfile.mkdtemp(prefix="napari-diffseg-")
    array = zarr.create_array(store=folder, shape=shape, dtype=dtype, chunks=chunks, fill_value=0)
    weakref.finalize(array, shutil.rmtree, folder, ignore_errors=True)
    return array
