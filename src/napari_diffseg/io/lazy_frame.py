"""One frame of a stack, which reads what is asked of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_diffseg.image.lazy import LazyArray, Where, as_region

if TYPE_CHECKING:
    from napari_diffseg.io.frames import FrameStack


class LazyFrame(LazyArray):
    """One frame of a stack: slices of it are numpy arrays.

    Where a part of the frame costs as much to read as all of it, all of it is read, once,
    and kept as long as this object lives.
    """

    def __init__(self, stack: FrameStack, index: int) -> None:
        self._stack, self.index = stack, index
        self._pixels: NDArray[Any] | None = None
        self.shape, self.dtype = stack.frame_shape, stack.dtype

    @property
    def axes(self) -> str:
        """One letter of Z, Y, X and C for each axis."""
        return self._stack.frame_axes

    def __repr__(self) -> str:
        return f"LazyFrame({self._stack.name_of(self.index)}, {self.shape}, {self.dtype})"

    def __reduce__(self) -> tuple[type[LazyFrame], tuple[FrameStack, int]]:
        return LazyFrame, (self._stack, self.index)

    def _read(self, where: tuple[Where, ...]) -> NDArray[Any]:
        if self._pixels is not None or self._stack.reads_whole(self.index):
            return self._whole()[where]
        region, rest = as_region(where, self.shape)
        return self._stack.read(self.index, region)[rest]

    def _whole(self) -> NDArray[Any]:
        if self._pixels is not None:
            return self._pixels
        everything = tuple(slice(0, length) for length in self.shape)
        pixels = self._stack.read(self.index, everything)
        if self._stack.reads_whole(self.index):
            self._pixels = pixels
            pixels.flags.writeable = False
        return pixels
