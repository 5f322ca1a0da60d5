"""Labels in OME-Zarr, written window by window, by many workers, in any order."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from math import prod
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_diffseg.errors import InputError
from napari_diffseg.files import cannot_write
from napari_diffseg.image.windows import Window, size, whole
from napari_diffseg.io.kinds import DAMAGE, first_line
from napari_diffseg.io.label_files.layout import LABELS, Described, create_store
from napari_diffseg.io.ngff.metadata import ome_attributes, read_datasets
from napari_diffseg.io.ngff.pyramid import CHUNKS
from napari_diffseg.io.sources import Index

if TYPE_CHECKING:
    import zarr

_MOST_HELD = 256 * 2**20
"""So many bytes of planes are held at a time, where a volume is gone through plane by plane."""


class LabelStore:
    """Labels in OME-Zarr (NGFF 0.5, zarr 3) that can be written in parts.

    It is small and can be sent to another process, where it opens the same folder. What is
    written appears chunk by chunk, each whole; two workers may write at the same time as
    long as their windows do not overlap. The bytes of a store depend on its labels and what
    it was made with, not on the order of writing. Labels that were not written are 0.

    Attributes
    ----------
    path : Path
        The folder.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)

    @classmethod
    def create(
        cls,
        path: str | PathLike[str],
        *,
        axes: str,
        shape: Sequence[int],
        dtype: Any,
        **said: Unpack[Described],
    ) -> LabelStore:
        """Make an empty store; it is there as a whole or not at all.

        Parameters
        ----------
        path : path-like
            Nothing may be there.
        axes : str
            Of the labels: T and Z where there are frames, then ``YX``.
        shape : sequence of int
            Length of each axis.
        dtype : dtype
            Unsigned.
        volumes : bool
            Whether the entries of Z are one frame together; Z then stands before ``YX``.
        pixel_size : PixelSize, optional
            Becomes the scale and the units.
        t_step : float, optional
            Distance of frames in seconds.
        placement : mapping of str to Placed, optional
            Where the pixels of the image lie.
        names : mapping of int to str, optional
            Name of each label.
        colors : mapping of int to 4 floats, optional
            Red, green, blue and alpha of each label, from 0 to 1.
        provenance : mapping, optional
            How the labels came about, in values that JSON can hold.

        Returns
        -------
        LabelStore

        Raises
        ------
        InputError
            The axes, the shape, the dtype or the colours are not as above.
        OutputError
            There is something at `path`, or it cannot be written to.
        """
        create_store(Path(path), axes, shape, dtype, **said)
        return cls.open(path)

    @classmethod
    def open(cls, path: str | PathLike[str]) -> LabelStore:
        """Open a store that `create` has made.

        Raises
        ------
        InputError
            There is no such store.
        """
        store = cls(path)
        if not store._levels:
            raise InputError(f"{path} holds no labels of napari-diffseg; name a folder that does.")
        return store

    def __reduce__(self) -> tuple[type[LabelStore], tuple[Path]]:
        return LabelStore, (self.path,)

    @cached_property
    def _levels(self) -> tuple[tuple[zarr.Array[Any], tuple[int, ...]], ...]:
        """The arrays, and every how manieth label of each axis is in them."""
        import zarr

        try:
            group = zarr.open_group(self.path / LABELS, mode="r+", zarr_format=3)
            found = []
            for dataset in read_datasets(ome_attributes(group.attrs.asdict())):
                array = group.get(dataset.path)
                if isinstance(array, zarr.Array):
                    found.append((array, dataset.factors))
        except DAMAGE as error:
            raise InputError(
                f"{self.path} holds no labels that can be read ({first_line(error)}); name a "
                "folder that napari-diffseg has written."
            ) from error
        return tuple(found)

    @property
    def array(self) -> zarr.Array[Any]:
        """The labels at full resolution."""
        return self._levels[0][0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the labels."""
        return np.dtype(self.array.dtype)

    @property
    def axes(self) -> str:
        """One letter of T, Z, Y and X for each axis."""
        names = getattr(self.array.metadata, "dimension_names", None) or ()
        return "".join(str(name).upper() for name in names)

    @property
    def spatial(self) -> str:
        """The axes of a frame: ``"ZYX"`` where planes share their chunks, else ``"YX"``."""
        return "ZYX" if len(self.shape) > 2 and self.array.chunks[-3] > 1 else "YX"

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Length of each axis of a frame."""
        return self.shape[-len(self.spatial) :]

    @property
    def n_frames(self) -> int:
        """How many frames there are; 1 for a plane, or one volume."""
        return prod(self.shape[: -len(self.spatial)])

    def write(self, i: int, window: Window | None, labels: ArrayLike) -> None:
        """Write the labels of a window of a frame, and their place in the smaller arrays.

        Parameters
        ----------
        i : int
            The frame, from 0 on, in C order over the axes before the spatial ones.
        window : tuple of slice, or None
            One for each spatial axis; each begins at a multiple of a side of `CHUNKS` and ends
            at one or with the frame. None is the whole frame.
        labels : array_like of unsigned int, (y, x) or (z, y, x)
            Of the shape of the window.

        Raises
        ------
        InputError
            There is no such frame, or the window or the labels do not fit.
        OutputError
            The labels cannot be written, for the disk is full, for example.
        """
        window = self._checked_window(window)
        array = np.asarray(labels)
        if array.shape != size(window) or not np.can_cast(array.dtype, self.dtype):
            raise InputError(
                f"The labels have the shape {array.shape} and the type {array.dtype}, but "
                f"{size(window)} and {self.dtype} are expected."
            )
        frame = self._frame(i)
        try:
            for stored, factors in self._levels:
                steps = factors[-array.ndim :]
                part = array[tuple(slice(None, None, step) for step in steps)]
                starts = [side.start // step for side, step in zip(window, steps, strict=True)]
                place = (
                    slice(start, start + length)
                    for start, length in zip(starts, part.shape, strict=True)
                )
                key: Index = (*frame, *place)
                stored[key] = part
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def clear(self, i: int) -> None:
        """Set a frame to 0, as if it had never been written.

        Raises
        ------
        InputError
            There is no such frame.
        OutputError
            The store cannot be written to.
        """
        frame = self._frame(i)
        try:
            for stored, _ in self._levels:
                stored[frame] = 0
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def read(self, i: int, window: Window | None = None) -> NDArray[np.unsignedinteger]:
        """Read the labels of a frame, or of any window of it.

        Raises
        ------
        InputError
            There is no such frame, or its labels are damaged.
        """
        frame = self._frame(i)
        try:
            key: Index = (*frame, *(window or whole(self.frame_shape)))
            return np.asarray(self.array[key])
        except DAMAGE as error:
            raise InputError(
                f"Frame {i} of {self.path} is damaged ({first_line(error)}); compute it again."
            ) from error

    def planes(self) -> Iterator[NDArray[np.unsignedinteger]]:
        """Yield the labels of all frames plane by plane, in C order; few are held at a time.

        Raises
        ------
        InputError
            Labels are damaged.
        """
        for i in range(self.n_frames):
            if self.spatial == "YX":
                yield self.read(i)
                continue
            depth, *sides = self.frame_shape
            # As many as share a chunk, for each would be decoded with every one of its planes.
            fitting = _MOST_HELD // (prod(sides) * self.dtype.itemsize)
            at_once = max(1, min(CHUNKS["ZYX"][0], fitting))
            for start in range(0, depth, at_once):
                planes = slice(start, min(start + at_once, depth))
                yield from self.read(i, (planes, *whole(sides)))

    def sweep(self) -> None:
        """Remove what writers that were killed have left; none may be at work.

        Chunks are written beside their place and moved there: a writer that is killed
        leaves a file that nobody reads, but that an undisturbed run would not have.

        Raises
        ------
        OutputError
            Something cannot be removed.
        """
        try:
            for folder, _, names in os.walk(self.path, topdown=False):
                for name in names:
                    if name.endswith(".partial"):
                        Path(folder, name).unlink()
                # Chunks of nothing but zeros are removed, their folders are not.
                if not os.listdir(folder):
                    Path(folder).rmdir()
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def _frame(self, i: int) -> tuple[int, ...]:
        if not 0 <= i < self.n_frames:
            raise InputError(
                f"There is no frame {i} in {self.path}, which has {self.n_frames} (the first is 0)."
            )
        leading = self.shape[: -len(self.spatial)]
        return tuple(int(number) for number in np.unravel_index(i, leading)) if leading else ()

    def _checked_window(self, window: Window | None) -> Window:
        if window is None:
            return whole(self.frame_shape)
        sides = CHUNKS[self.spatial]
        if len(window) != len(sides):
            raise InputError(
                f"The window has {len(window)} axes, but frames with the axes {self.spatial} have "
                f"{len(sides)}."
            )
        for part, length, side in zip(window, self.frame_shape, sides, strict=True):
            ends = part.stop == length or part.stop % side == 0
            if part.start % side or not ends or not 0 <= part.start < part.stop <= length:
                raise InputError(
                    f"The window from {part.start} to {part.stop} does not begin and end at "
                    f"multiples of {side}, or with the frame, which is {length} long."
                )
        return window
