"""Several arrays as one, and a part of an array, without reading any of it.

What napari shows may be numpy, dask, zarr or anything that can be indexed by whole numbers
and slices. These two can be indexed so too, and read no more than they are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Where = int | slice
"""A place along one axis."""


def common_dtype(dtypes: Sequence[DTypeLike]) -> np.dtype[Any]:
    """Return the narrowest data type that holds the values of all of these.

    Floats of 32 bits hold integers of 16 exactly; of wider ones it takes 64 bits.
    """
    return np.result_type(*(np.dtype(one) for one in dtypes))


class _Lazy:
    """What can be indexed like an array; `shape` and `dtype` are known beforehand."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: object) -> NDArray[Any]:
        return self._read(_one_per_axis(index, self.ndim))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        pixels = np.asarray(self[...])
        # Freshly read, or a view of what is in memory: which, only numpy can tell.
        return np.array(pixels, dtype=dtype, copy=bool(copy) or None)

    def _read(self, where: tuple[Where, ...]) -> NDArray[Any]:
        raise NotImplementedError


class LazyStack(_Lazy):
    """Arrays of one shape, as one array with a further axis."""

    def __init__(self, arrays: Sequence[Any], axis: int = 0) -> None:
        shapes = {tuple(int(n) for n in array.shape) for array in arrays}
        if len(shapes) != 1:
            raise ValueError(f"The arrays are of the shapes {sorted(shapes)}, not of one.")
        (shape,) = shapes
        self.arrays = tuple(arrays)
        self.axis = axis
        self.shape = (*shape[:axis], len(self.arrays), *shape[axis:])
        self.dtype = common_dtype([array.dtype for array in arrays])

    def _read(self, where: tuple[Where, ...]) -> NDArray[Any]:
        which, rest = where[self.axis], (*where[: self.axis], *where[self.axis + 1 :])
        if not isinstance(which, slice):
            return self._read_one(self.arrays[which], rest)
        parts = [self._read_one(array, rest) for array in self.arrays[which]]
        # The axes before it that are still there.
        axis = sum(isinstance(one, slice) for one in where[: self.axis])
        if not parts:
            shape = list(self._read_one(self.arrays[0], rest).shape)
            return np.empty((*shape[:axis], 0, *shape[axis:]), self.dtype)
        is_masked = any(isinstance(part, np.ma.MaskedArray) for part in parts)
        return (np.ma.stack if is_masked else np.stack)(parts, axis=axis)

    def _read_one(self, array: Any, where: tuple[Where, ...]) -> NDArray[Any]:
        return np.asanyarray(array[where]).astype(self.dtype, copy=False)


class LazyPart(_Lazy):
    """A part of an array.

    Axes of which `index` names one place are gone.
    """

    def __init__(self, array: Any, index: object) -> None:
        where = _one_per_axis(index, len(array.shape))
        places = [range(int(n))[one] for n, one in zip(array.shape, where, strict=True)]
        self.array = array
        self.dtype = np.dtype(array.dtype)
        self.shape = tuple(len(place) for place in places if isinstance(place, range))
        self._places = places

    def _read(self, where: tuple[Where, ...]) -> NDArray[Any]:
        wanted = iter(where)
        index = [
            place[next(wanted)] if isinstance(place, range) else place for place in self._places
        ]
        return np.asanyarray(self.array[tuple(_as_slice(one) for one in index)])


def join_channels(arrays: Sequence[Any]) -> Any:
    """Return arrays as one with a channel axis first; a single one as it is."""
    return arrays[0] if len(arrays) == 1 else LazyStack(arrays)


def part_of(array: Any, index: object) -> Any:
    """Return a part of an array without reading it."""
    # Numpy gives a view, dask a plan; what others give may be a copy.
    if isinstance(array, np.ndarray) or hasattr(array, "dask"):
        return array[index]
    return LazyPart(array, index)


def _one_per_axis(index: object, n_axes: int) -> tuple[Where, ...]:
    """Return a place for each axis; those that are not named are taken whole."""
    named = index if isinstance(index, tuple) else (index,)
    where: list[Where] = []
    for one in named:
        if one is Ellipsis:
            where += [slice(None)] * (n_axes - len(named) + 1)
        elif isinstance(one, slice):
            where.append(one)
        else:
            where.append(one.__index__())
    if len(where) > n_axes:
        raise IndexError(f"{len(where)} places are named, but there are {n_axes} axes.")
    return (*where, *(slice(None),) * (n_axes - len(where)))


def _as_slice(places: int | range) -> Where:
    if not isinstance(places, range):
        return places
    # One before the first would be the last.
    stop = places.stop if places.stop >= 0 else None
    return slice(places.start, stop, places.step)
