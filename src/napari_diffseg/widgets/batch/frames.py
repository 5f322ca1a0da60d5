"""All frames of the chosen images; nothing is read ahead.

A *frame* is a plane, one for each position of the sliders, or a volume, one for each time.
The axes along which there are further ones are those of the stack; frames are counted in C
order, the last axis fastest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.errors import InputError, first_line
from napari_diffseg.image.lazy import LazyArray, Where
from napari_diffseg.widgets.image.image_source import ImageSource
from napari_diffseg.widgets.ui.words import NO_BREAK

if TYPE_CHECKING:
    import napari
    from napari.components import Dims
    from napari.layers import Image, Layer

    from napari_diffseg.image.windows import Window


MOST_AT_ONCE = 1 << 28
"""Of a frame of more bytes, only the parts that are looked at are in memory."""


class _Frame(LazyArray):
    """A frame of which a part is read when it is asked for; errors say which frame it is."""

    def __init__(self, pixels: Any, name: str) -> None:
        self._pixels, self._name = pixels, name
        self.shape = tuple(int(length) for length in pixels.shape)
        self.dtype = np.dtype(pixels.dtype)

    def _read(self, where: tuple[Where, ...]) -> NDArray[Any]:
        try:
            return np.asanyarray(self._pixels[where])
        except (OSError, ValueError, RuntimeError) as error:
            # What the readers of damaged files raise; nothing else runs here.
            raise InputError(f"{self._name} cannot be read: {first_line(error)}.") from error


@dataclass(frozen=True, slots=True)
class FrameSet:
    """The frames of one Image layer, or of several that are its channels.

    `shown` is the frame that was displayed when this was made.
    """

    layers: tuple[Image, ...]
    shown: ImageSource

    @property
    def stack(self) -> tuple[int, ...]:
        """The axes along which there are frames."""
        return self.shown.stack

    @property
    def lengths(self) -> tuple[int, ...]:
        """How many frames there are along each of these axes."""
        return tuple(self.shown.canvas.shape[axis] for axis in self.stack)

    @property
    def n_frames(self) -> int:
        """How many frames there are; 1 for a plane."""
        return self.shown.n_frames

    @property
    def in_view(self) -> int:
        """The frame that was displayed when this was made."""
        return self.number(self.shown.position)

    def position(self, number: int) -> tuple[int, ...]:
        """Return where a frame stands along the axes of the stack."""
        return tuple(int(n) for n in np.unravel_index(number, self.lengths)) if self.stack else ()

    def number(self, position: Sequence[int]) -> int:
        """Return which frame stands there."""
        return int(np.ravel_multi_index(tuple(position), self.lengths)) if self.stack else 0

    def name(self, number: int) -> str:
        """Return what a person calls a frame, counted as on napari's sliders: ``"T 3, Z 7"``."""
        places = zip(self.stack, self.position(number), strict=True)
        return ", ".join(f"{self.shown.letters[axis]}{NO_BREAK}{place}" for axis, place in places)

    def pixels(self, number: int) -> Any:
        """Return a frame, with the axes `shown.axes`; nothing is read before it is asked for."""
        return self.shown.at(self.position(number)).pixels()

    # --- what the engine asks of frames ---------------------------------------------

    @property
    def frame_axes(self) -> str:
        """The axes of a frame as it is read."""
        return self.shown.axes

    @property
    def rgb(self) -> bool:
        """Whether the channels are colours."""
        return self.shown.rgb

    def region_of(self, number: int) -> None:
        """Return that labels are wanted everywhere."""

    def read(self, number: int) -> Any:
        """Return the pixels of a frame; of a large one, what is read part by part."""
        name = self.name(number) or "The image"
        frame = _Frame(self.pixels(number), f"{name} of {self.shown.layer_names[0]!r}")
        return np.asarray(frame) if frame.size * frame.dtype.itemsize <= MOST_AT_ONCE else frame

    # --- where frames are -----------------------------------------------------------

    def window(self, number: int, window: Window) -> tuple[int | slice, ...]:
        """Return where a window of a frame stands in an array of the canvas's shape."""
        index: list[int | slice] = [0] * len(self.shown.canvas.shape)
        for axis, place in zip(self.stack, self.position(number), strict=True):
            index[axis] = place
        for axis, side in zip(self.shown.spatial, window, strict=True):
            index[axis] = side
        return tuple(index)

    def turned(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Bring labels ``(y, x)`` or ``(z, y, x)`` into the order of the layers' axes."""
        return self.shown.turned(labels)

    def lies_as(self, other: FrameSet) -> bool:
        """Whether both are the same frames of the same arrays, at the same places."""
        mine, theirs = self.shown.canvas.transform, other.shown.canvas.transform
        return (
            self.stack == other.stack
            and replace(self.shown, index=other.shown.index).shows_the_same(other.shown)
            and self.shown.info.channel_names == other.shown.info.channel_names
            and all(np.array_equal(mine[name], theirs[name]) for name in mine)
        )

    def seen_on(self, layer: Layer, dims: Dims) -> int | None:
        """Return the frame that a viewer shows of a layer on the canvas, if it shows one."""
        point = np.round(layer.world_to_data(dims.point)).astype(int)
        position = [int(point[axis]) for axis in self.stack]
        if not all(0 <= p < n for p, n in zip(position, self.lengths, strict=True)):
            return None
        return self.number(position)

    def go_to(self, number: int, layer: Layer, viewer: napari.Viewer) -> None:
        """Move the sliders of a viewer to a frame of a layer on the canvas."""
        point = np.zeros(layer.ndim)
        point[list(self.stack)] = self.position(number)
        world = layer.data_to_world(point)
        # A viewer has the axes of its largest layer; smaller ones miss the first of them.
        surplus = viewer.dims.ndim - layer.ndim
        axes = [axis + surplus for axis in self.stack]
        viewer.dims.set_point(axes, [float(world[axis]) for axis in self.stack])
