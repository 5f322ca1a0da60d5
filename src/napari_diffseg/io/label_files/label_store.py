"""Labels in OME-Zarr, written window by window, by many workers, in any order.

They stand at ``labels/diffseg`` of the group, where NGFF has them; the group itself shows the
same arrays as an image, because viewers look for an image first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from math import prod
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_diffseg.errors import InputError, OutputError, first_line
from napari_diffseg.files import cannot_write, made_aside
from napari_diffseg.image.info import Placed
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.image.windows import Window, size, tiles, whole
from napari_diffseg.io.facts import Index
from napari_diffseg.io.kinds import DAMAGE
from napari_diffseg.io.label_files.lasting_folder import lasting_folder
from napari_diffseg.io.label_files.provenance import LABELS, NAME, PROVENANCE_KEY
from napari_diffseg.io.ngff.labels import VERSION, image_label, multiscales
from napari_diffseg.io.ngff.metadata import ome_attributes, read_datasets
from napari_diffseg.io.ngff.pyramid import CHUNKS, Level, levels_of

if TYPE_CHECKING:
    import zarr

_MOST_HELD = 256 * 2**20
"""So many bytes of planes are held at a time, where a volume is gone through plane by plane."""


_LARGEST_CHUNK = max(map(prod, CHUNKS.values()))


class Described(TypedDict, total=False):
    """What is said of labels: which axes are a frame, where pixels lie, names, colours, and more.

    Colours are red, green, blue and alpha from 0 to 1; the provenance holds what JSON can.
    """

    volumes: bool
    pixel_size: PixelSize | None
    t_step: float | None
    placement: Mapping[str, Placed] | None
    names: Mapping[int, str] | None
    colors: Mapping[int, Sequence[float]] | None
    provenance: Mapping[str, Any] | None


class LabelStore:
    """Labels in OME-Zarr (NGFF 0.5, zarr 3), written in parts; 0 where not written; can be pickled.

    Chunks appear whole; workers may write at once where their windows do not overlap. Its bytes
    depend on the labels and what it was made with, not on the order of writing.
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
        """Make an empty store, of unsigned labels of the axes T, Z (where there are) and YX.

        It is there as a whole or not at all; of `volumes` the entries of Z are one frame together.
        """
        path, axes = Path(path), axes.upper()
        lengths, volumes = tuple(int(length) for length in shape), said.get("volumes", False)
        kind, pixel = _checked(axes, lengths, np.dtype(dtype), volumes), said.get("pixel_size")
        levels = levels_of(lengths, "ZYX" if volumes else "YX", (pixel and pixel.z_step) or 1.0)
        image, labels = _metadata(axes, levels, said)
        if path.exists():
            raise OutputError(f"{path} exists already; choose another name, or remove it.")
        with made_aside(path) as part:
            import zarr

            root = zarr.create_group(part, zarr_format=3)
            root.update_attributes(image)
            group = root.create_group("labels")
            group.update_attributes({"ome": {"version": VERSION, "labels": [NAME]}})
            _create_arrays(group.create_group(NAME, attributes=labels), axes, levels, kind)
        return cls.open(path)

    @classmethod
    def open(cls, path: str | PathLike[str]) -> LabelStore:
        """Open a store that `create` has made; raises `InputError` where there is none."""
        store = cls(path)
        if not store._levels:
            raise InputError(f"{path} holds no labels of napari-diffseg; name a folder that does.")
        return store

    def __reduce__(self) -> tuple[type[LabelStore], tuple[Path]]:
        return LabelStore, (self.path,)

    @cached_property
    def _levels(self) -> tuple[tuple[zarr.Array[Any], tuple[int, ...]], ...]:
        """The arrays, and the stride along each axis that makes them of the labels."""
        import zarr

        try:
            folder = lasting_folder(self.path)
            group = zarr.open_group(folder, path=LABELS, mode="r+", zarr_format=3)
            found = []
            for dataset in read_datasets(ome_attributes(group.attrs.asdict())):
                array = group.get(dataset.path)
                if isinstance(array, zarr.Array):
                    if prod(array.chunks) > _LARGEST_CHUNK:  # zarr would ask for its memory
                        raise ValueError(f"chunks of {array.chunks} were not made by it")
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
        """Write the labels of a window (None: all) of a frame, and their place in smaller arrays.

        Frames count in C order over the axes before the spatial ones. A window has a slice for each
        spatial axis, from a multiple of a side of `CHUNKS` to one, or to the frame's end.
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

    def write_frame(self, i: int, labels: NDArray[np.unsignedinteger]) -> None:
        """Write the labels of a whole frame, chunk by chunk."""
        for window in tiles(whole(labels.shape), CHUNKS[self.spatial]):
            self.write(i, window, labels[window])

    def clear(self, i: int) -> None:
        """Set a frame to 0, as if it had never been written."""
        frame = self._frame(i)
        try:
            for stored, _ in self._levels:
                stored[frame] = 0
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def read(self, i: int, window: Window | None = None) -> NDArray[np.unsignedinteger]:
        """Read the labels of a frame, or of any window of it; raises where they are damaged."""
        frame = self._frame(i)
        try:
            key: Index = (*frame, *(window or whole(self.frame_shape)))
            return np.asarray(self.array[key])
        except DAMAGE as error:
            raise InputError(
                f"Frame {i} of {self.path} is damaged ({first_line(error)}); compute it again."
            ) from error

    def planes(self) -> Iterator[NDArray[np.unsignedinteger]]:
        """Yield the labels of all frames plane by plane, in C order; few are held at a time."""
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

        Chunks are written beside their place and moved: a killed writer leaves a file nobody reads.
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


def _metadata(
    axes: str, levels: Sequence[Level], said: Described
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the attributes of the group as an image, and those of its labels."""
    describe = partial(
        multiscales,
        axes,
        pixel_size=said.get("pixel_size"),
        t_step=said.get("t_step"),
        placement=said.get("placement"),
        factors=[dict(zip(axes, level.steps, strict=True)) for level in levels],
    )
    numbers = [str(number) for number in range(len(levels))]
    image = describe([f"{LABELS}/{number}" for number in numbers], name="label numbers")
    labels = {
        "version": VERSION,
        "multiscales": describe(numbers, name=NAME),
        "image-label": image_label(said.get("names") or {}, said.get("colors") or {}),
    }
    return (
        {"ome": {"version": VERSION, "multiscales": image}},
        {"ome": labels, PROVENANCE_KEY: dict(said.get("provenance") or {})},
    )


def _checked(
    axes: str, shape: tuple[int, ...], dtype: np.dtype[Any], volumes: bool
) -> np.dtype[Any]:
    """Check what a store is to be made with; return the dtype in the native byte order."""
    if axes not in ("YX", "TYX", "ZYX", "TZYX", "ZTYX"):
        raise InputError(f"Labels have the axes {axes!r}, but T and Z must stand before 'YX'.")
    if len(shape) != len(axes) or min(shape) < 1:
        raise InputError(
            f"Labels of the shape {shape} do not have the axes {axes!r}, each at least 1 long."
        )
    if volumes and (not axes.endswith("ZYX") or shape[-3] == 1):
        raise InputError(
            f"Labels of the shape {shape} with the axes {axes!r} are no volumes, which have "
            "several planes along Z before 'YX'."
        )
    if dtype.kind != "u":
        raise InputError(f"Labels are of the type {dtype}, but must be of an unsigned type.")
    return dtype.newbyteorder("=")


def _create_arrays(
    group: zarr.Group, axes: str, levels: Sequence[Level], dtype: np.dtype[Any]
) -> None:
    from zarr.codecs import ZstdCodec

    for number, level in enumerate(levels):
        group.create_array(
            str(number),
            shape=level.shape,
            dtype=dtype,
            chunks=level.chunks,
            compressors=ZstdCodec(level=3),
            fill_value=0,
            dimension_names=[letter.lower() for letter in axes],
        )
