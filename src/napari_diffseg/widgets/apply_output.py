"""Where the labels of all frames are kept while they are computed: in memory, or on disk."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from typing import Any

import numpy as np

MOST_IN_MEMORY = 1 << 30
"""Labels that take more bytes than this are kept in a temporary folder."""

_CHUNK = 1024
"""Rows and columns of a chunk on disk, as of the windows that a model labels."""


def make_output(shape: tuple[int, ...], frame_axes: tuple[int, int], dtype: np.dtype[Any]) -> Any:
    """Return an array of zeros that a layer can show and a run can write to.

    Parameters
    ----------
    shape : tuple of int
        Of all frames together.
    frame_axes : tuple of int
        The two axes of a frame.
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

    chunks = tuple(min(n, _CHUNK) if axis in frame_axes else 1 for axis, n in enumerate(shape))
    folder = tempfile.mkdtemp(prefix="napari-diffseg-")
    array = zarr.create_array(store=folder, shape=shape, dtype=dtype, chunks=chunks, fill_value=0)
    weakref.finalize(array, shutil.rmtree, folder, ignore_errors=True)
    return array
