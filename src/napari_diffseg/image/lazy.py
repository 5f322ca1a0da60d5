"""Arrays of which nothing is read before it is asked for, and then no more than that.

What napari shows and what files hold may be numpy, dask, zarr or anything that can be indexed by
whole numbers and slices. These can be indexed so, too.
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


class LazyArray:
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

    def __getitem__(self, index: object) -> Any:
        where = _one_per_axis(index, self.ndim)
        # Of anything else numpy says what it is.
        return self._whole()[index] if where is None else self._read(where)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        pixels = np.asarray(self._whole())
        if copy is False and dtype is not None and np.dtype(dtype) != pixels.dtype:
            raise ValueError("It cannot be had in another type without a copy of it.")
        # Freshly read, or a view of what is in memory: which, only numpy can tell.
        return np.array(pixels, dtype=dtype, copy=bool(copy) or None)

    def _whole(self) -> Any:
        return self._read((slice(None),) * self.ndim)

    def _read(self, where: tuple[Where, ...]) -> NDArray[Any]:
        raise NotImplementedError


class LazyStack(LazyArray):
    """Arrays of one shape as one with a further axis first; each value keeps its number."""

    def __init__(self, arrays: Sequence[Any]) -> None:
        shapes = {tuple(int(n) for n in array.shape) for array in arrays}
        if len(shapes) != 1:
            raise ValueError(f"The arrays are of the shapes {sorted(shapes)}, not of one.")
        (shape,) = shapes
        self.arrays = tuple(arrays)
        self.shape = (len(self.arrays), *shape)
        self.dtype = common_dtype([array.dtype for array in arrays])

    def _read(self, where: tuple[Where, ...]) -> NDArray[Any]:
        which, rest = where[0], where[1:]
        if not isinstance(which, slice):
            return self._read_one(self.arrays[which], rest)
        parts = [self._read_one(array, rest) for array in self.arrays[which]]
        if not parts:
            return np.empty((0, *self._read_one(self.arrays[0], rest).shape), self.dtype)
        is_masked = any(isinstance(part, np.ma.MaskedArray) for part in parts)
        stacked: NDArray[Any] = (np.ma.stack if is_masked else np.stack)(parts)
        return stacked

    def _read_one(self, array: Any, where: tuple[Where, ...]) -> NDArray[Any]:
        pixels: NDArray[Any] = np.asanyarray(array[where]).astype(self.dtype, copy=False)
        return pixels


class LazyPart(LazyArray):
    """A part of an array; axes of which its index names one place are gone."""

    def __init__(self, array: Any, index: tuple[Where, ...]) -> None:
        where = (*index, *(slice(None),) * (len(array.shape) - len(index)))
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


def part_of(array: Any, index: tuple[Where, ...]) -> Any:
    """Return a part of an array without reading it."""
    # Numpy gives a view, dask a plan; what others give may be a copy.
    if isinstance(array, np.ndarray) or hasattr(array, "dask"):
        return array[index]
    return LazyPart(array, index)


def as_region(
    where: tuple[Where, ...], shape: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[Where, ...]]:
    """Return the smallest region, with slices of step 1, that holds places; and these within it."""
    region: list[slice] = []
    rest: list[Where] = []
    for one, length in zip(where, shape, strict=True):
        chosen = range(length)[one]
        if not isinstance(chosen, range):
            region.append(slice(chosen, chosen + 1))
            rest.append(0)
            continue
        # Of the ends alone: Python goes through a whole range for its least number.
        ends = (chosen[0], chosen[-1]) if chosen else ()
        region.append(slice(min(ends, default=0), max(ends, default=-1) + 1))
        rest.append(slice(None, None, chosen.step))
    return tuple(region), tuple(rest)


def _one_per_axis(index: object, n_axes: int) -> tuple[Where, ...] | None:
    """Return a place for each axis, whole where none is named; None where it is another index."""
    named = index if isinstance(index, tuple) else (index,)
    where: list[Where] = []
    for one in named:
        if one is Ellipsis:
            where += [slice(None)] * (n_axes - len(named) + 1)
        elif isinstance(one, slice):
            where.append(one)
        elif isinstance(one, int | np.integer) and not isinstance(one, bool):
            where.append(int(one))
        else:
            return None
    if len(where) > n_axes or sum(one is Ellipsis for one in named) > 1:
        return None
    return (*where, *(slice(None),) * (n_axes - len(where)))


def _as_slice(places: int | range) -> Where:
    if not isinstance(places, range):
        return places
    # One before the first would be the last.
    stop = places.stop if places.stop >= 0 else None
    return slice(places.start, stop, places.step)
