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

from napari_diffseg.widgets.image.image_source import ImageSource
from napari_diffseg.widgets.ui.words import NO_BREAK

if TYPE_CHECKING:
    import napari
    from napari.components import Dims
    from napari.layers import Image, Layer

    from napari_diffseg.image.windows import Window


@dataclass(frozen=True, slots=True)
class FrameSet:
    """The frames of one Image layer, or of several that are its channels.

    `shown` is the frame that was displayed when this was made; `letters` has one for each axis of
    the layers; channels that nobody names are empty texts.
    """

    layers: tuple[Image, ...]
    shown: ImageSource
    letters: str
    channel_names: tuple[str, ...] = ()

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
        return int(np.prod(self.lengths, dtype=np.int64))

    @property
    def n_channels(self) -> int:
        """Channels of a frame."""
        return self.shown.image_axes.n_channels

    @property
    def in_view(self) -> int:
        """The frame that was displayed when this was made."""
        return self.number([int(self.shown.index[axis]) for axis in self.stack])

    def position(self, number: int) -> tuple[int, ...]:
        """Return where a frame stands along the axes of the stack."""
        return tuple(int(n) for n in np.unravel_index(number, self.lengths)) if self.stack else ()

    def number(self, position: Sequence[int]) -> int:
        """Return which frame stands there."""
        return int(np.ravel_multi_index(tuple(position), self.lengths)) if self.stack else 0

    def name(self, number: int) -> str:
        """Return what a person calls a frame, counted as on napari's sliders: ``"T 3, Z 7"``."""
        places = zip(self.stack, self.position(number), strict=True)
        return ", ".join(f"{self.letters[axis]}{NO_BREAK}{place}" for axis, place in places)

    def pixels(self, number: int) -> Any:
        """Return a frame, with the axes `shown.axes`; nothing is read before it is asked for."""
        return self.shown.at(self.position(number)).pixels()

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
            and self.channel_names == other.channel_names
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
