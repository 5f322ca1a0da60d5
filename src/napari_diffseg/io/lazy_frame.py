"""One frame of a stack, which reads what is asked of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_diffseg.io.frames import FrameStack

Region = tuple[slice, ...]
"""One slice of step 1 for each axis."""


class LazyFrame:
    """One frame of a stack: slices of it are numpy arrays.

    Where a part of the frame costs as much to read as all of it, all of it is read, once,
    and kept as long as this object lives.
    """

    __slots__ = ("_pixels", "_stack", "index")

    def __init__(self, stack: FrameStack, index: int) -> None:
        self._stack = stack
        self._pixels: NDArray[Any] | None = None
        self.index = index

    @property
    def axes(self) -> str:
        """One letter of Z, Y, X and C for each axis."""
        return self._stack.frame_axes

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self._stack.frame_shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels."""
        return self._stack.dtype

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

    def __repr__(self) -> str:
        return f"LazyFrame({self._stack.name_of(self.index)}, {self.shape}, {self.dtype})"

    def __reduce__(self) -> tuple[type[LazyFrame], tuple[FrameStack, int]]:
        return LazyFrame, (self._stack, self.index)

    def __getitem__(self, key: Any) -> Any:
        """Read a part, as of a numpy array."""
        parts = _split(key, self.shape)
        if parts is None or self._pixels is not None or self._stack.reads_whole(self.index):
            return self._all()[key]
        region, rest = parts
        return self._stack.read(self.index, region)[rest]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        pixels = self._all()
        if copy is False and dtype is not None and np.dtype(dtype) != pixels.dtype:
            raise ValueError("A frame cannot be had in another type without a copy of it.")
        return np.array(pixels, dtype, copy=True) if copy else np.asarray(pixels, dtype)

    def _all(self) -> NDArray[Any]:
        if self._pixels is not None:
            return self._pixels
        everything = tuple(slice(0, length) for length in self.shape)
        pixels = self._stack.read(self.index, everything)
        if self._stack.reads_whole(self.index):
            self._pixels = pixels
            pixels.flags.writeable = False
        return pixels


def _split(key: Any, shape: tuple[int, ...]) -> tuple[Region, tuple[int | slice, ...]] | None:
    """Turn a key into the smallest region that holds it, and the key within that region.

    None where it is not made of numbers, slices and ``...`` that fit the shape: numpy then
    says what it is.
    """
    parts = list(key) if isinstance(key, tuple) else [key]
    if any(part is Ellipsis for part in parts):
        if sum(part is Ellipsis for part in parts) > 1 or len(parts) > len(shape) + 1:
            return None
        place = next(at for at, part in enumerate(parts) if part is Ellipsis)
        parts[place : place + 1] = [slice(None)] * (len(shape) + 1 - len(parts))
    parts += [slice(None)] * (len(shape) - len(parts))
    if len(parts) != len(shape):
        return None
    region: list[slice] = []
    rest: list[int | slice] = []
    for part, length in zip(parts, shape, strict=True):
        if isinstance(part, slice):
            chosen = range(length)[part]
            low, high = (min(chosen), max(chosen) + 1) if chosen else (0, 0)
            region.append(slice(low, high))
            rest.append(slice(None, None, chosen.step))
        elif _is_number(part) and -length <= part < length:
            where = int(part) % length
            region.append(slice(where, where + 1))
            rest.append(0)
        else:
            return None
    return tuple(region), tuple(rest)


def _is_number(part: Any) -> bool:
    return isinstance(part, int | np.integer) and not isinstance(part, bool)
