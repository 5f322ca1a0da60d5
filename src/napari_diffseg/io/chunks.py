"""Parts of zarr arrays, however many chunks they have."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.image.lazy import Where, as_region

if TYPE_CHECKING:
    import zarr

_MOST_CHUNKS = 1024
"""So many chunks are read at a time: zarr begins a task for each, and all wait in memory."""


def read_part(array: zarr.Array[Any], where: tuple[Where, ...]) -> NDArray[Any]:
    """Read a part of an array; zarr knows no slices that go back."""
    region, rest = as_region(where, array.shape)
    return _region(array, region)[rest]


def _region(array: zarr.Array[Any], region: tuple[slice, ...]) -> NDArray[Any]:
    """Read a region, so many chunks at a time, between which a person may stop it."""
    if any(one.stop <= one.start for one in region):
        return np.empty([max(one.stop - one.start, 0) for one in region], array.dtype)
    n_chunks = [
        max(-(-one.stop // size) - one.start // size, 1)
        for one, size in zip(region, array.chunks, strict=True)
    ]
    if prod(n_chunks) <= _MOST_CHUNKS:
        return np.asarray(array[region])
    axis = int(np.argmax(n_chunks))
    first, last, size = region[axis].start, region[axis].stop, array.chunks[axis]
    # Of whole chunks, so that none is read twice.
    width = size * max(n_chunks[axis] * _MOST_CHUNKS // prod(n_chunks), 1)
    edges = [first, *range((first // width + 1) * width, last, width), last]
    pixels = np.empty([one.stop - one.start for one in region], array.dtype)
    for start, stop in pairwise(edges):
        some = (*region[:axis], slice(start, stop), *region[axis + 1 :])
        within = (*(slice(None),) * axis, slice(start - first, stop - first))
        pixels[within] = _region(array, some)
    return pixels
