"""Images in OME-Zarr and in plain zarr arrays, read as lazily as their chunks allow."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from math import prod
from os import scandir
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.errors import InputError, Remedy
from napari_diffseg.image.info import ImageInfo
from napari_diffseg.image.lazy import LazyArray, Where
from napari_diffseg.io.chunks import read_part
from napari_diffseg.io.facts import Index, check_level, check_series, check_shape_of_level
from napari_diffseg.io.kinds import DAMAGE, damaged
from napari_diffseg.io.ngff.metadata import images_of, ome_attributes, read_multiscale
from napari_diffseg.io.ngff.plates import what_is_in

if TYPE_CHECKING:
    import zarr

# Frames that lie together in chunks are read together where they take no more than this ...
_MOST_BLOCK_BYTES = 64 * 2**20
# ... and so many blocks are kept, because two workers may be at either side of a border.
_BLOCKS = 2


class ZarrSource:
    """A zarr array, or an OME-Zarr image, that is read in parts."""

    def __init__(
        self, path: Path, level: int = 0, series: int = 0, axes: str | None = None
    ) -> None:
        self._array, self.facts = open_zarr_image(path, level, series, axes)
        self._blocks = _Blocks(self._array)
        self._path = path

    def reads_whole(self, spatial: tuple[int, ...]) -> bool:
        """Whether a part of a frame costs as much as all of it, for its spatial axes."""
        return all(self._array.chunks[axis] >= self._array.shape[axis] for axis in spatial)

    def read(self, index: Index) -> NDArray[Any]:
        """Read a part of the array."""
        block = self._blocks.read(index)
        return read_part(self._array, index) if block is None else block

    def whole(self) -> LazyArray:
        """Return the array, of which nothing has been read."""
        return _Pixels(self._array, self._path)


class _Pixels(LazyArray):
    """A zarr array of which nothing has been read; of a damaged chunk it says so in a sentence."""

    def __init__(self, array: zarr.Array[Any], path: Path) -> None:
        self._array, self._path = array, path
        self.shape, self.dtype = array.shape, array.dtype

    def _read(self, where: tuple[Where, ...]) -> NDArray[Any]:
        try:
            return read_part(self._array, where)
        except DAMAGE as error:
            raise damaged(self._path, error) from error


class _Blocks:
    """The frames read last, where many share chunks: to read one decodes all that are in them."""

    def __init__(self, array: zarr.Array[Any]) -> None:
        self._array = array
        self._kept: OrderedDict[tuple[tuple[int, int], ...], NDArray[Any]] = OrderedDict()
        self._lock = Lock()

    def read(self, index: Index) -> NDArray[Any] | None:
        """Read a part by way of a block; None where that would save nothing."""
        shape, chunks = self._array.shape, self._array.chunks
        numbers = [axis for axis, where in enumerate(index) if isinstance(where, int)]
        lengths = [min(chunks[axis], shape[axis]) for axis in numbers]
        rest = prod(shape[axis] for axis in range(len(shape)) if axis not in numbers)
        size = prod(lengths) * rest * self._array.dtype.itemsize
        if prod(lengths) == 1 or size > _MOST_BLOCK_BYTES:
            return None
        place = list(index)
        block: list[slice] = [slice(None)] * len(index)
        for axis in numbers:
            where = int(index[axis])  # type: ignore[arg-type]
            start = where - where % chunks[axis]
            block[axis] = slice(start, min(start + chunks[axis], shape[axis]))
            place[axis] = where - start
        key = tuple((axis, block[axis].start) for axis in numbers)
        return self._block(tuple(block), key)[tuple(place)]

    def _block(self, where: tuple[slice, ...], key: tuple[tuple[int, int], ...]) -> NDArray[Any]:
        # Another worker that wants the same block waits for it instead of reading it too.
        with self._lock:
            if key not in self._kept:
                while len(self._kept) >= _BLOCKS:
                    self._kept.popitem(last=False)
                self._kept[key] = read_part(self._array, where)
            self._kept.move_to_end(key)
            return self._kept[key]


def open_zarr_image(
    path: Path, level: int = 0, series: int = 0, axes: str | None = None
) -> tuple[zarr.Array[Any], ImageInfo]:
    """Open an image of a folder at one resolution, with what is known of it and a person's `axes`.

    Raises `InputError` where there is no such image, or its metadata make no sense.
    """
    import zarr

    try:
        node = zarr.open(path, mode="r")
    except DAMAGE as error:
        raise damaged(path, error) from error
    if isinstance(node, zarr.Array):
        check_level(level, 1, str(path))
        check_series(series, [" × ".join(map(str, node.shape))], str(path))
        return _as_named(node), _plain_facts(node, path)
    group, number, notes = _chosen_image(node, path, series)
    attributes = ome_attributes(group.attrs.asdict())
    found = read_multiscale(attributes, str(path), level, number, axes)
    array = _member(group, found.array, path)
    if axes is None and found.axes is not None and array.ndim != len(found.axes):
        raise InputError(
            f"{path} names the axes {found.axes}, but its array has {array.ndim} (its shape is "
            f"{array.shape}); write the image again, or state its axes.",
            Remedy.STATE_AXES,
        )
    if level > 0 and found.axes is not None:
        full = _member(group, read_multiscale(attributes, str(path), 0, number).array, path)
        check_shape_of_level(array.shape, full.shape, found.axes, level, str(path))
    return array, ImageInfo(
        axes=found.axes,
        shape=array.shape,
        dtype=_dtype(array, path),
        rgb=None,
        channel_names=found.channel_names,
        n_levels=found.n_levels,
        placement=found.placement,
        notes=notes,
        problem=found.problem,
    )


def _chosen_image(
    node: zarr.Group, path: Path, series: int
) -> tuple[zarr.Group, int, tuple[str, ...]]:
    """Return the group of an image, its number in there, and what is to be said of the others."""
    import zarr

    attributes = ome_attributes(node.attrs.asdict())
    if "bioformats2raw.layout" in attributes and "plate" not in attributes:
        names = sorted((name for name, _ in node.groups() if name.isdecimal()), key=int)
        if names:
            notes = check_series(series, names, str(path))
            group = node[names[series]]
            if isinstance(group, zarr.Group):
                return group, 0, notes
    if "multiscales" not in attributes:
        raise InputError(f"{path} holds no OME-Zarr image at its top; {what_is_in(path, node)}.")
    images = images_of(attributes, str(path))
    names = [str(image.get("name") or "without a name") for image in images]
    return node, series, check_series(series, names, str(path))


def _member(group: zarr.Group, name: str, path: Path) -> zarr.Array[Any]:
    import zarr

    try:
        array = group.get(name)
    except DAMAGE as error:
        raise damaged(path, error) from error
    if not isinstance(array, zarr.Array):
        raise InputError(
            f"{path} says that its pixels are in {name!r}, but there is no array of that "
            "name; copy or write the image again."
        )
    return _as_named(array)


def _as_named(array: zarr.Array[Any]) -> zarr.Array[Any]:
    """Return an array that knows what its chunks are called, ``0.0`` or ``0/0``.

    Some writers of version 2 do not say it or say it wrong; zarr then finds none, and reads fill.
    """
    from zarr import Array, AsyncArray
    from zarr.core.metadata import ArrayV2Metadata
    from zarr.storage import LocalStore

    metadata, store = array.metadata, array.store
    if not isinstance(metadata, ArrayV2Metadata) or not isinstance(store, LocalStore):
        return array
    separator = metadata.dimension_separator
    with scandir(store.root / array.path) as entries:
        first = next((one.name for one in entries if one.name[0].isdecimal()), separator)
    if array.ndim < 2 or ("." in first) == (separator == "."):
        return array
    other: Literal[".", "/"] = "." if "." in first else "/"
    return Array(AsyncArray(replace(metadata, dimension_separator=other), array.store_path))


def _plain_facts(array: zarr.Array[Any], path: Path) -> ImageInfo:
    """Return what a plain array says: the names of its axes, if they are such as we know."""
    names = getattr(array.metadata, "dimension_names", None)
    if names is None:
        names = array.attrs.asdict().get("_ARRAY_DIMENSIONS")  # as xarray writes them
    axes = None
    if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
        letters = "".join(name.upper() for name in names)
        known = set(letters) <= set("TCZYX") and len(set(letters)) == len(letters) == array.ndim
        axes = letters if known and {"Y", "X"} <= set(letters) else None
    return ImageInfo(axes, array.shape, _dtype(array, path), None)


def _dtype(array: zarr.Array[Any], path: Path) -> np.dtype[Any]:
    dtype = np.dtype(array.dtype)
    if dtype.kind not in "biufc":
        raise InputError(
            f"{path} holds values of the type {dtype}, but an image is of numbers; name another "
            "array, or save its numbers as one."
        )
    return dtype.newbyteorder("=")
