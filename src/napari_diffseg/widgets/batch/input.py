"""The pixels of a frame to which a model is applied: read at once, or of large ones in parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.errors import InputError
from napari_diffseg.widgets.batch.frames import FrameSet

MOST_AT_ONCE = 1 << 28
"""Of a frame of more bytes, only the parts that are looked at are in memory."""


def read_frame(frames: FrameSet, number: int) -> Any:
    """Return a frame as an array, or as what can be read like one.

    Parameters
    ----------
    frames : FrameSet
        Which there are.
    number : int
        Which of them.

    Raises
    ------
    InputError
        It cannot be read; what is read later raises it too.
    """
    frame = _Frame(frames, number, frames.pixels(number))
    is_small = int(np.prod(frame.shape, dtype=np.int64)) * frame.dtype.itemsize <= MOST_AT_ONCE
    return np.asarray(frame) if is_small else frame


class _Frame:
    """A frame of which a part is read when it is asked for; errors say which frame it is."""

    def __init__(self, frames: FrameSet, number: int, pixels: Any) -> None:
        self._frames, self._number, self._pixels = frames, number, pixels
        self.shape: tuple[int, ...] = tuple(int(length) for length in pixels.shape)
        self.dtype: np.dtype[Any] = np.dtype(pixels.dtype)
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> NDArray[Any]:
        with self._named_errors():
            return np.asanyarray(self._pixels[index])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        with self._named_errors():
            return np.asarray(self._pixels, dtype)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:
            # What the readers of damaged files raise; nothing else runs here.
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            frames = self._frames
            name = frames.name(self._number) or "The image"
            raise InputError(
                f"{name} of {frames.shown.layer_names[0]!r} cannot be read: {reason}."
            ) from error
