"""Arrays that labels are written to while they are shown: in memory, or on disk."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.image.arrays import checksum
from napari_diffseg.io.ngff.pyramid import CHUNKS

if TYPE_CHECKING:
    from napari_diffseg.image.windows import Window

MOST_IN_MEMORY = 1 << 30
"""Labels that take more bytes than this are kept in a temporary folder."""


def make_labels(shape: tuple[int, ...], spatial: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Return zeros for the labels of all frames, whose spatial axes are given: numpy, or zarr.

    The latter's folder goes when nobody holds the array any more, at the latest with the program.
    """
    if int(np.prod(shape, dtype=np.int64)) * dtype.itemsize <= MOST_IN_MEMORY:
        return np.zeros(shape, dtype)
    import zarr

    sides = dict(zip(spatial, CHUNKS["ZYX"[-len(spatial) :]], strict=True))
    chunks = tuple(min(n, sides.get(axis, 1)) for axis, n in enumerate(shape))
    folder = tempfile.mkdtemp(prefix="napari-diffseg-")
    array = zarr.create_array(store=folder, shape=shape, dtype=dtype, chunks=chunks, fill_value=0)
    weakref.finalize(array, shutil.rmtree, folder, ignore_errors=True)
    return array


Place = tuple[int | slice, ...]


class ArraySink:
    """An array of labels that a layer can show while it is written to.

    `place` is where a window of a frame stands in it, `turned` brings labels ``((z,) y, x)`` into
    the order of its axes. `n_writes` (n) of each frame tell whoever shows the array of news.
    """

    def __init__(
        self,
        array: Any,
        n_frames: int,
        place: Callable[[int, Window], Place] = lambda i, window: (i, *window),
        turned: Callable[[NDArray[Any]], NDArray[Any]] = lambda labels: labels,
        n_spatial: int = 2,
    ) -> None:
        self.array, self._place, self._turned = array, place, turned
        self._whole = (slice(None),) * n_spatial
        self.n_writes = np.zeros(n_frames, np.int64)
        # Of each frame the places that were written to, with a checksum.
        self._written: list[dict[str, tuple[Place, int]]] = [{} for _ in range(n_frames)]

    def write(self, i: int, window: Window, labels: NDArray[Any]) -> None:
        """Write the labels of a window of a frame."""
        place, turned = self._place(i, window), self._turned(labels)
        self.array[place] = turned
        self._written[i][str(place)] = place, checksum(turned.astype(self.array.dtype))
        self.n_writes[i] += 1

    def clear(self, i: int) -> None:
        """Set a frame to 0."""
        self.array[self._place(i, self._whole)] = 0
        self._written[i].clear()
        self.n_writes[i] += 1

    def is_as_written(self, array: Any) -> bool:
        """Whether an array of this shape has what was written, and nothing else; reads it all."""
        return all(
            all(checksum(np.asarray(array[at])) == told for at, told in frame.values())
            if frame
            else not np.any(array[self._place(i, self._whole)])
            for i, frame in enumerate(self._written)
        )

    def holds_something(self, i: int) -> bool:
        """Whether a frame has labels."""
        return bool(np.any(self.array[self._place(i, self._whole)]))
