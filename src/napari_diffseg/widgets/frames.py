"""All frames of the chosen images, along time and depth alike; nothing is read ahead.

A *frame* is what one position of the sliders shows. The axes that are neither displayed
nor channels are those of the stack; frames are counted in C order, the last axis fastest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.images.axes import resolve_axes
from napari_diffseg.images.pixel_size import PixelSize, is_size
from napari_diffseg.io.pixel_size import parse_unit
from napari_diffseg.widgets.planes import NO_BREAK, ImageSource, describe_source, guess_axes

if TYPE_CHECKING:
    import napari
    from napari.components import Dims
    from napari.layers import Image, Layer


@dataclass(frozen=True, slots=True)
class FrameSet:
    """The frames of one Image layer, or of several that are its channels.

    Attributes
    ----------
    layers : tuple of Image
        The layers.
    shown : ImageSource
        The frame that was displayed when this was made.
    letters : str
        One letter for each axis of the layers.
    """

    layers: tuple[Image, ...]
    shown: ImageSource
    letters: str

    @property
    def stack(self) -> tuple[int, ...]:
        """The axes along which there are frames."""
        return tuple(a for a, where in enumerate(self.shown.index) if not isinstance(where, slice))

    @property
    def lengths(self) -> tuple[int, ...]:
        """How many frames there are along each of these axes."""
        return tuple(self.shown.canvas.shape[axis] for axis in self.stack)

    @property
    def n_frames(self) -> int:
        """How many frames there are; 1 for a plane."""
        return int(np.prod(self.lengths, dtype=np.int64))

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        rows, columns = (self.shown.canvas.shape[axis] for axis in self.shown.displayed)
        return rows, columns

    @property
    def n_channels(self) -> int:
        """Channels of a frame."""
        shown = self.shown
        array = tuple(int(n) for n in shown.arrays[0].shape)
        kept = [n for axis, n in enumerate(array) if axis not in self.stack]
        shape = kept if len(shown.arrays) == 1 else [len(shown.arrays), *kept]
        return resolve_axes(tuple(shape), shown.axes, rgb=shown.rgb).n_channels

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

    def read(self, number: int) -> NDArray[Any]:
        """Load a frame, with the axes `shown.axes`; slow for data on disk."""
        where = dict(zip(self.stack, self.position(number), strict=True))
        index = tuple(where.get(axis, old) for axis, old in enumerate(self.shown.index))
        return replace(self.shown, index=index).read()

    def window(self, number: int, rows: slice, columns: slice) -> tuple[int | slice, ...]:
        """Return where a window of a frame stands in an array of the canvas's shape."""
        index: list[int | slice] = [0] * len(self.shown.canvas.shape)
        for axis, place in zip(self.stack, self.position(number), strict=True):
            index[axis] = place
        for axis, side in zip(self.shown.displayed, (rows, columns), strict=True):
            index[axis] = side
        return tuple(index)

    def lies_as(self, other: FrameSet) -> bool:
        """Whether both are the same frames of the same arrays, at the same places."""
        mine, theirs = self.shown.canvas.transform, other.shown.canvas.transform
        return (
            self.stack == other.stack
            and replace(self.shown, index=other.shown.index).shows_the_same(other.shown)
            and all(np.array_equal(mine[name], theirs[name]) for name in mine)
        )

    def seen_on(self, layer: Layer, dims: Dims) -> int | None:
        """Return the frame that the sliders show; None where they stand outside.

        Parameters
        ----------
        layer : Layer
            A layer on the canvas of these frames.
        dims : Dims
            The sliders of the viewer.
        """
        point = np.round(layer.world_to_data(dims.point)).astype(int)
        position = [int(point[axis]) for axis in self.stack]
        if not all(0 <= p < n for p, n in zip(position, self.lengths, strict=True)):
            return None
        return self.number(position)

    def go_to(self, number: int, layer: Layer, viewer: napari.Viewer) -> None:
        """Move the sliders to a frame.

        Parameters
        ----------
        number : int
            The frame.
        layer : Layer
            A layer on the canvas of these frames.
        viewer : napari.Viewer
            Whose sliders are moved.
        """
        point = np.zeros(layer.ndim)
        point[list(self.stack)] = self.position(number)
        world = layer.data_to_world(point)
        # A viewer has the axes of its largest layer; smaller ones miss the first of them.
        surplus = viewer.dims.ndim - layer.ndim
        axes = [axis + surplus for axis in self.stack]
        viewer.dims.set_point(axes, [float(world[axis]) for axis in self.stack])


def describe_frames(layers: Sequence[Image], dims: Dims, axes: str | None = None) -> FrameSet:
    """Find out which frames there are.

    Parameters
    ----------
    layers : sequence of Image
        One layer, or several of one shape, each of which is a channel.
    dims : Dims
        What the viewer displays.
    axes : str, optional
        One letter of ``T C Z Y X`` for each axis of the layers; guessed where None.

    Raises
    ------
    InputError
        As for `describe_source`.
    """
    shown = describe_source(layers, dims, axes)
    letters = guess_axes(layers[0]) if axes is None else axes.strip().upper()
    return FrameSet(tuple(layers), shown, letters)


def pixel_size_of(source: ImageSource) -> PixelSize | None:
    """Return how large a pixel is, where the layer says so in a unit of length."""
    transform = source.canvas.transform
    units = [parse_unit(str(transform["units"][axis])) for axis in source.displayed]
    height, width = (abs(float(transform["scale"][axis])) for axis in source.displayed)
    if units[0] is None or units[0] != units[1] or not (is_size(height) and is_size(width)):
        return None
    return PixelSize(height, width, units[0])
