"""Labels in OME-Zarr, written window by window, by many workers, in any order.

The labels stand at ``labels/diffseg`` of the group, where NGFF has them; the group itself
shows the same arrays as an image, because viewers look for an image first.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_diffseg.errors import InputError, OutputError
from napari_diffseg.files import cannot_write
from napari_diffseg.images.pixel_size import PixelSize
from napari_diffseg.images.windows import Window, whole
from napari_diffseg.io.kinds import DAMAGE, first_line
from napari_diffseg.io.ngff import VERSION, image_label, multiscales
from napari_diffseg.io.sources import Index
from napari_diffseg.io.writing import PROVENANCE_KEY

if TYPE_CHECKING:
    import zarr

CHUNK = 1024
"""Rows and columns of a chunk; windows begin at multiples of it."""

NAME = "diffseg"
"""Name of the labels within the group."""

_LABELS = f"labels/{NAME}"
# Every second pixel is taken until a plane is no longer than this.
_SMALLEST = 512
# A chunk halves from level to level, so that it belongs to one window; 1024 can do so 10 times.
_MOST_LEVELS = 10


def metadata_file(path: Path) -> Path:
    """Return the file of a store that has the metadata of the labels."""
    return path / _LABELS / "zarr.json"


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
        pixel_size: PixelSize | None = None,
        z_step: float | None = None,
        t_step: float | None = None,
        names: Mapping[int, str] | None = None,
        colors: Mapping[int, Sequence[float]] | None = None,
        provenance: Mapping[str, Any] | None = None,
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
        pixel_size : PixelSize, optional
            Becomes the scale and the units.
        z_step, t_step : float, optional
            Distance of planes in the unit of `pixel_size`, and of frames in seconds.
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
        path = Path(path)
        lengths, letters = tuple(int(length) for length in shape), axes.upper()
        kind = _checked(letters, lengths, np.dtype(dtype))
        levels = _levels(lengths)
        describe = partial(
            multiscales, letters, pixel_size=pixel_size, z_step=z_step, t_step=t_step
        )
        labels = {
            "ome": {
                "version": VERSION,
                "multiscales": describe(list(levels), name=NAME),
                "image-label": image_label(names or {}, colors or {}),
            },
            PROVENANCE_KEY: dict(provenance or {}),
        }
        paths = [f"{_LABELS}/{level}" for level in levels]
        image = describe(paths, name="label numbers")
        if path.exists():
            raise OutputError(f"{path} exists already; choose another name, or remove it.")
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            import zarr

            root = zarr.create_group(part, zarr_format=3)
            root.update_attributes({"ome": {"version": VERSION, "multiscales": image}})
            group = root.create_group("labels")
            group.update_attributes({"ome": {"version": VERSION, "labels": [NAME]}})
            _create_arrays(group.create_group(NAME, attributes=labels), letters, levels, kind)
            part.rename(path)
        except OSError as error:
            raise cannot_write(path, error) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
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
    def _levels(self) -> tuple[zarr.Array[Any], ...]:
        import zarr

        try:
            group = zarr.open_group(self.path / _LABELS, mode="r+", zarr_format=3)
            found = [group.get(str(level)) for level in range(_MOST_LEVELS + 1)]
        except DAMAGE as error:
            raise InputError(
                f"{self.path} holds no labels that can be read ({first_line(error)}); name a "
                "folder that napari-diffseg has written."
            ) from error
        return tuple(array for array in found if isinstance(array, zarr.Array))

    @property
    def array(self) -> zarr.Array[Any]:
        """The labels at full resolution."""
        return self._levels[0]

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
    def plane_shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        height, width = self.shape[-2:]
        return height, width

    @property
    def n_frames(self) -> int:
        """How many frames there are; 1 for a plane."""
        return int(np.prod(self.shape[:-2], dtype=np.int64))

    def write(self, i: int, window: Window | None, labels: ArrayLike) -> None:
        """Write the labels of a window of a frame, and their place in the smaller arrays.

        Parameters
        ----------
        i : int
            The frame, from 0 on, in C order over the axes before Y and X.
        window : tuple of two slice, or None
            Rows and columns; each begins at a multiple of `CHUNK` and ends at one or with
            the plane. None is the whole plane.
        labels : array_like of unsigned int, (h, w)
            Of the shape of the window.

        Raises
        ------
        InputError
            There is no such frame, or the window or the labels do not fit.
        OutputError
            The labels cannot be written, for the disk is full, for example.
        """
        rows, columns = self._checked_window(window)
        array = np.asarray(labels)
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if array.shape != (height, width) or not np.can_cast(array.dtype, self.dtype):
            raise InputError(
                f"The labels have the shape {array.shape} and the type {array.dtype}, but "
                f"{(height, width)} and {self.dtype} are expected."
            )
        frame = self._frame(i)
        try:
            for level, stored in enumerate(self._levels):
                step = 2**level
                part = array[::step, ::step]
                top, left = rows.start // step, columns.start // step
                place = (slice(top, top + part.shape[0]), slice(left, left + part.shape[1]))
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
            for stored in self._levels:
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
            rows, columns = window or whole(self.plane_shape)
            key: Index = (*frame, rows, columns)
            return np.asarray(self.array[key])
        except DAMAGE as error:
            raise InputError(
                f"Frame {i} of {self.path} is damaged ({first_line(error)}); compute it again."
            ) from error

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
        return tuple(int(number) for number in np.unravel_index(i, self.shape[:-2]))

    def _checked_window(self, window: Window | None) -> Window:
        if window is None:
            return whole(self.plane_shape)
        for side, length in zip(window, self.plane_shape, strict=True):
            ends = side.stop == length or side.stop % CHUNK == 0
            if side.start % CHUNK or not ends or not 0 <= side.start < side.stop <= length:
                raise InputError(
                    f"The window from {side.start} to {side.stop} does not begin and end at "
                    f"multiples of {CHUNK}, or with the plane, which is {length} long."
                )
        return window


def _checked(axes: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Check what a store is to be made with; return the dtype in the native byte order."""
    if axes not in ("YX", "TYX", "ZYX", "TZYX", "ZTYX"):
        raise InputError(f"Labels have the axes {axes!r}, but T and Z must stand before 'YX'.")
    if len(shape) != len(axes) or min(shape) < 1:
        raise InputError(
            f"Labels of the shape {shape} do not have the axes {axes!r}, each at least 1 long."
        )
    if dtype.kind != "u":
        raise InputError(f"Labels are of the type {dtype}, but must be of an unsigned type.")
    return dtype.newbyteorder("=")


def _levels(shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Return the names and the shapes of the arrays, the largest first."""
    levels = {"0": shape}
    while max(shape[-2:]) > _SMALLEST and len(levels) <= _MOST_LEVELS:
        shape = (*shape[:-2], *(-(-length // 2) for length in shape[-2:]))
        levels[str(len(levels))] = shape
    return levels


def _create_arrays(
    group: zarr.Group, axes: str, levels: Mapping[str, tuple[int, ...]], dtype: np.dtype[Any]
) -> None:
    from zarr.codecs import ZstdCodec

    for level, (name, shape) in enumerate(levels.items()):
        side = CHUNK // 2**level
        group.create_array(
            name,
            shape=shape,
            dtype=dtype,
            chunks=(*(1 for _ in shape[:-2]), *(min(side, length) for length in shape[-2:])),
            compressors=ZstdCodec(level=3),
            fill_value=0,
            dimension_names=[letter.lower() for letter in axes],
        )
