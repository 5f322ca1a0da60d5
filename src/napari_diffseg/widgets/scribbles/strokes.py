"""Labels layers → strokes: which pixels of which Labels layer belong to the pixels of a run.

As in `sources`, nothing is read before it is asked for, and no layer is touched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_diffseg.errors import InputError
from napari_diffseg.image.arrays import checksum
from napari_diffseg.image.windows import Window
from napari_diffseg.widgets.image.image_source import ImageSource
from napari_diffseg.widgets.image.layer_facts import arrays_of

if TYPE_CHECKING:
    import napari
    from napari.components import Dims

_BRUSH_ON_SCREEN = 12
"""Width of a new brush, in pixels of the screen."""
_BRUSHES_ACROSS = 25
"""A new brush is no wider than this part of the shorter side of the image."""


@dataclass(frozen=True, slots=True)
class PaintedPlane:
    """What is painted on one plane, or in one volume."""

    checksum: int  # Changes with the strokes
    classes: tuple[int, ...]  # The numbers that are painted, ascending


@dataclass(frozen=True, slots=True)
class StrokeSource:
    """The strokes on the plane or in the volume of a run; nothing is read before `read`."""

    array: Any  # Its data, at the finest level
    index: tuple[int | slice, ...]  # The plane or the volume within it
    order: tuple[int, ...]  # The axes of what `array[index]` gives, as ``(y, x)`` or ``(z, y, x)``
    channel: int  # Its axis along which strokes count alike; −1 for none
    stack: tuple[int, ...]  # The axes of the array along which further planes can be painted
    missing: int  # How many of the image's first axes the array does not have

    @property
    def is_in_memory(self) -> bool:
        """Whether reading takes next to no time."""
        return isinstance(self.array, np.ndarray)

    @property
    def position(self) -> tuple[int, ...]:
        """Where the plane stands along the axes of the stack."""
        places = (self.index[axis] for axis in self.stack)
        return tuple(int(place) for place in places if not isinstance(place, slice))

    def at(self, position: tuple[int, ...]) -> StrokeSource:
        """Return the strokes on another plane of the stack."""
        where = dict(zip(self.stack, position, strict=True))
        return replace(self, index=tuple(where.get(a, old) for a, old in enumerate(self.index)))

    def spans_the_same(self, other: StrokeSource) -> bool:
        """Whether both are planes of the same stack."""
        start = (0,) * len(self.stack)
        return (
            self.array is other.array
            and (self.stack, self.channel) == (other.stack, other.channel)
            and self.at(start).index == other.at(start).index
        )

    def find_painted(self) -> dict[tuple[int, ...], PaintedPlane]:
        """Return where in the stack something is painted, and what; slow for much data."""
        found = {}
        for at in np.ndindex(*(int(self.array.shape[axis]) for axis in self.stack)):
            plane = self.at(at)
            # Not a copy, as `read` makes: most planes are empty.
            if np.asarray(plane.array[plane.index]).any():
                strokes = plane.read()
                found[at] = PaintedPlane(checksum(strokes), painted_classes(strokes))
        return found

    def read(self) -> NDArray[Any]:
        """Return a copy of the strokes ``(y, x)`` or ``(z, y, x)``; slow for data on disk."""
        strokes: NDArray[Any] = np.asarray(self.array[self.index])
        if self.channel < 0:
            return strokes.transpose(self.order).copy()
        strokes = strokes.transpose(self.channel, *self.order)
        together: NDArray[Any] = strokes[0].copy() if len(strokes) == 1 else strokes.max(axis=0)
        return together


def scribble_layers(viewer: napari.Viewer) -> list[Labels]:
    """Return the viewer's Labels layers, topmost first as in the layer list."""
    return [layer for layer in reversed(viewer.layers) if isinstance(layer, Labels)]


def describe_strokes(layer: Labels, source: ImageSource) -> StrokeSource:
    """Find the strokes that belong to the pixels of a run."""
    array = arrays_of(layer)[0]
    shape = tuple(int(n) for n in array.shape)
    missing = len(source.canvas.shape) - len(shape)
    index = _find_index(shape, missing, source)
    if index is None:
        wanted = " × ".join(str(n) for n in source.canvas.shape if n > 1)
        raise InputError(
            f"The scribbles {layer.name!r} are {' × '.join(map(str, shape))}, but the image "
            f"{source.layer_names[0]!r} is {wanted}; choose others, "
            "or none to segment without, or press New."
        )
    if not _lie_on_plane(layer, index, missing, source):
        raise InputError(
            f"The scribbles {layer.name!r} do not lie on {source.layer_names[0]!r}: their scale "
            "or position is another; give them that of the image, choose none to segment without, "
            "or press New."
        )
    channel = source.channel - missing
    stack = tuple(
        axis for axis, where in enumerate(index) if not isinstance(where, slice) and shape[axis] > 1
    )
    return StrokeSource(
        array=array,
        index=index,
        order=tuple(_axis_left(index, axis - missing) for axis in source.spatial),
        channel=_axis_left(index, channel) if source.channel >= 0 and channel >= 0 else -1,
        stack=stack,
        missing=missing,
    )


def _find_index(
    shape: tuple[int, ...], missing: int, source: ImageSource
) -> tuple[int | slice, ...] | None:
    """Return what of an array of scribbles belongs to a run; None where the shape is another."""
    if missing < 0 or min(source.spatial) < missing:
        return None
    index: list[int | slice] = []
    for axis, length in enumerate(shape):
        of_image = axis + missing
        whole = source.canvas.shape[of_image]
        where = source.index[of_image]
        if of_image == source.channel:
            fits = length in (1, source.arrays[0].shape[of_image])
            index.append(slice(None))
        elif isinstance(where, slice):
            fits = length == whole
            index.append(slice(None))
        else:
            fits = length in (1, whole)
            index.append(0 if length == 1 else where)
        if not fits:
            return None
    return tuple(index)


def _axis_left(index: tuple[int | slice, ...], axis: int) -> int:
    """Return which axis of what is read an axis of the layer has become."""
    return sum(isinstance(where, slice) for where in index[:axis])


def _lie_on_plane(
    layer: Labels, index: tuple[int | slice, ...], missing: int, source: ImageSource
) -> bool:
    """Whether two corners of what is segmented are at one place of the world in both."""
    compared = [a for a in range(missing, len(source.index)) if a != source.channel]
    near = 0.3 * np.abs(source.placement.transform["scale"])[compared]
    for corner in (0, 1):
        on_plane = source.point(*(corner * (length - 1) for length in source.spatial_shape))
        on_scribbles = on_plane[missing:].copy()
        for axis, where in enumerate(index):
            if not isinstance(where, slice):
                on_scribbles[axis] = where
        there = np.asarray(layer.data_to_world(on_scribbles), dtype=np.float64)
        here = source.placement.to_world(on_plane)
        apart = np.abs(here[compared] - there[[axis - missing for axis in compared]])
        # A scale of 0 would have no width; napari does not allow it.
        if (apart > near).any():
            return False
    return True


def painted_classes(strokes: NDArray[Any]) -> tuple[int, ...]:
    """Return the numbers that are painted, ascending."""
    return tuple(int(number) for number in np.unique(strokes[strokes > 0]))


def visible_part(layer: Labels, source: ImageSource, dims: Dims) -> Window | None:
    """Return what the window shows of the pixels of a run."""
    missing, n_axes = len(source.index) - layer.ndim, len(source.index)
    shown = [axis - dims.ndim + n_axes for axis in dims.order[-2:]]
    whole = {axis: slice(0, source.canvas.shape[axis]) for axis in source.spatial}
    first, last = np.asarray(layer.corner_pixels)
    sides = {
        axis: slice(max(int(first[axis - missing]), 0), int(last[axis - missing]) + 1)
        for axis in shown
        if axis in whole
    }
    # A layer that was never drawn is said to show its first pixel.
    if dims.ndisplay > 2 or any(side.stop - side.start <= 1 for side in sides.values()):
        sides = {axis: whole[axis] for axis in sides}
    position = np.round(layer.world_to_data(dims.point)).astype(int)
    for axis in set(whole) - set(sides):
        place = min(max(int(position[axis - missing]), 0), whole[axis].stop - 1)
        sides[axis] = slice(place, place + 1)
    view = tuple(
        slice(sides[axis].start, min(sides[axis].stop, whole[axis].stop)) for axis in source.spatial
    )
    return None if view == tuple(whole.values()) else view


def sensible_brush(source: ImageSource, zoom: float) -> int:
    """Return the width of a brush, in pixels of the image, that suits image and zoom."""
    *_, height, width = source.spatial_shape
    axes = list(source.spatial[-2:])
    pixel = float(np.min(np.abs(source.placement.transform["scale"])[axes]))
    widest = max(min(height, width) // _BRUSHES_ACROSS, 1)
    return int(np.clip(round(_BRUSH_ON_SCREEN / max(zoom * pixel, 1e-9)), 1, widest))
