"""Layers → arrays: what a run would segment, and where its result would stand.

One or several Image layers, how their axes are read and what the viewer displays become an
`ImageSource`. Nothing is read here, and no layer is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.errors import InputError
from napari_diffseg.widgets.image.axes_reading import AxesReading, Extent
from napari_diffseg.widgets.image.channel_sources import check_same_grid
from napari_diffseg.widgets.image.image_source import ImageSource
from napari_diffseg.widgets.image.layer_facts import layer_shape
from napari_diffseg.widgets.image.level import Level, array_of
from napari_diffseg.widgets.image.voxel_size import VoxelSize
from napari_diffseg.widgets.region.placement import place
from napari_diffseg.widgets.ui.words import NO_BREAK

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Image


def check_layers(layers: Sequence[Image]) -> None:
    """Check that there is a layer, and that several are the channels of one image."""
    if not layers:
        raise InputError("There is no image yet; open one with File ▸ Open, or File ▸ Open Sample.")
    check_same_grid(layers)


def describe_source(
    layers: Sequence[Image],
    dims: Dims,
    reading: AxesReading,
    extent: Extent = Extent.PLANE,
    level: Level | None = None,
) -> ImageSource:
    """Find out what a run would segment, and where its result would stand.

    The displayed plane, in whichever way the view is turned, or the volume that it is in, which
    does not depend on the view; at the finest level where None.
    """
    check_layers(layers)
    layer = layers[0]
    level = level or _finest(layer)
    is_volume = extent is Extent.VOLUME and reading.n_planes > 1
    cut = _cut_volume(layer, reading, dims) if is_volume else _cut_plane(layer, reading, dims)
    factors = np.asarray(level.factors, dtype=np.float64)
    position = {axis: int(cut.position[axis]) for axis in cut.stack}
    canvas = place(layer, level.shape, factors, cut.channel, {})
    pixel, voxel = sizes_of(reading, cut.spatial, factors)
    return ImageSource(
        layer_names=tuple(str(one.name) for one in layers),
        arrays=tuple(array_of(one, level) for one in layers),
        index=tuple(
            slice(None) if axis in cut.whole else int(cut.position[axis] // factors[axis])
            for axis in range(layer.ndim)
        ),
        spatial=cut.spatial,
        axes=_array_axes(layers, cut),
        letters=reading.letters,
        rgb=reading.rgb,
        channel=cut.channel,
        placement=place(layer, level.shape, factors, cut.channel, position),
        canvas=canvas,
        spacing=voxel.sizes,
        pixel_size=voxel.pixel_size() or pixel.pixel_size(),
        look_at=_look_at(cut, level) if is_volume else None,
        notes=(*reading.notes, *cut.notes, *_data_type_notes(layers)),
    )


@dataclass(frozen=True, slots=True)
class _Cut:
    """The plane or the volume of a layer that is taken: what each of its axes is for.

    `letters` are what the network sees along `spatial`; `channel` is -1 where there is none,
    `position` where the sliders stand, in pixels of the layer.
    """

    letters: str
    spatial: tuple[int, ...]
    channel: int
    position: NDArray[np.int64]
    notes: tuple[str, ...]

    @property
    def whole(self) -> tuple[int, ...]:
        """The axes that are taken whole."""
        return self.spatial if self.channel < 0 else (*self.spatial, self.channel)

    @property
    def stack(self) -> tuple[int, ...]:
        """The axes of which one position is taken."""
        return tuple(axis for axis in range(len(self.letters)) if axis not in self.whole)


def _cut_plane(layer: Image, reading: AxesReading, dims: Dims) -> _Cut:
    # A viewer has the axes of its largest layer; smaller ones miss the first of them.
    # In a 3D view the slider still says which plane the 2D view would show.
    displayed = tuple(sorted(int(axis) - (dims.ndim - layer.ndim) for axis in dims.order[-2:]))
    channel, letters = reading.letters.find("C"), reading.letters
    if displayed[0] < 0:
        raise InputError(
            f"The view shows an axis that {layer.name!r} does not have; "
            "change the order of the visible axes."
        )
    if channel in displayed:
        raise InputError(
            "The view shows the channel axis as if it were space; change the order of the "
            "visible axes (a button below the layer list), or correct the letters of the axes."
        )
    position = _position(layer, dims)
    stack = [a for a in range(layer.ndim) if a not in displayed and a != channel]
    _check_position(layer, letters, position, stack)
    notes = []
    if any(layer_shape(layer)[axis] > 1 for axis in stack):
        where = _where(layer, letters, position, stack)
        what = "plane" if any(letters[axis] == "Z" for axis in stack) else "frame"
        notes.append(f"Only the displayed {what} is segmented: {where}")
    shown = [letters[axis] for axis in displayed]
    if set(shown) != {"Y", "X"}:
        notes.append(f"The view shows {' and '.join(shown)}, so the plane lies along these two.")
    # Whatever the two displayed axes mean, the network sees them as the Y and X of an image.
    seen = ["C" if axis == channel else "T" for axis in range(layer.ndim)]
    for axis, letter in zip(displayed, "YX", strict=True):
        seen[axis] = letter
    return _Cut("".join(seen), displayed, channel, position, tuple(notes))


def _cut_volume(layer: Image, reading: AxesReading, dims: Dims) -> _Cut:
    letters, channel = reading.letters, reading.letters.find("C")
    spatial = tuple(letters.index(one) for one in "ZYX")
    position = _position(layer, dims)
    stack = [a for a in range(layer.ndim) if a not in spatial and a != channel]
    _check_position(layer, letters, position, stack)
    notes = list(reading.volume_notes)
    if any(layer_shape(layer)[axis] > 1 for axis in stack):
        where = _where(layer, letters, position, stack)
        notes.insert(0, f"Only the volume of the displayed time point is segmented: {where}")
    return _Cut(letters, spatial, channel, position, tuple(notes))


def _position(layer: Image, dims: Dims) -> NDArray[np.int64]:
    return np.round(layer.world_to_data(dims.point)).astype(np.int64)


def _check_position(
    layer: Image, letters: str, position: NDArray[np.int64], stack: Sequence[int]
) -> None:
    for axis in stack:
        last = layer_shape(layer)[axis] - 1
        if not 0 <= position[axis] <= last:
            raise InputError(
                f"{layer.name!r} ends at {letters[axis]} {last}, and the slider stands outside "
                "of it; move the slider until the image is displayed."
            )


def _where(layer: Image, letters: str, position: NDArray[np.int64], stack: Sequence[int]) -> str:
    # Counted as on napari's sliders, from 0 to the last.
    shape = layer_shape(layer)
    names = [f"{letters[a]} {position[a]} of 0–{shape[a] - 1}" for a in stack]
    return ", ".join(name.replace(" ", NO_BREAK) for name in names) + "."


def _array_axes(layers: Sequence[Image], cut: _Cut) -> str:
    """Return the axes of what `ImageSource.read` will give."""
    axes = "".join(one for axis, one in enumerate(cut.letters) if axis in cut.whole)
    if layers[0].rgb:
        return axes + "C"
    return "C" + axes if len(layers) > 1 else axes


def sizes_of(
    reading: AxesReading, spatial: Sequence[int], factors: NDArray[np.float64]
) -> tuple[VoxelSize, VoxelSize]:
    """Return the size of pixels, and of a volume that of voxels, along these axes of a layer.

    The factors say how many times coarser the level is along each axis of the layer.
    """
    *depth, y, x = spatial
    sizes = reading.voxel.sizes or ()
    known = dict(zip("ZYX"[-len(sizes) :], sizes, strict=True)) if sizes else {}
    sides = [known.get(reading.letters[axis]) for axis in (y, x)]
    pixel = VoxelSize()
    if None not in sides:
        pixel = VoxelSize(tuple(sides), reading.voxel.unit).times(factors[[y, x]])
    if not depth:
        return pixel, VoxelSize()
    voxel = reading.voxel if reading.voxel.z_step else VoxelSize()
    return pixel, voxel.times(factors[list(spatial)])


def _look_at(cut: _Cut, level: Level) -> int:
    axis = cut.spatial[0]
    plane = int(cut.position[axis] // level.factors[axis])
    return min(max(plane, 0), level.shape[axis] - 1)


def _finest(layer: Image) -> Level:
    shape = layer_shape(layer)[: layer.ndim]
    return Level(0, shape, (1.0,) * layer.ndim)


def _data_type_notes(layers: Sequence[Image]) -> list[str]:
    types = {str(np.dtype((one.data[0] if one.multiscale else one.data).dtype)) for one in layers}
    if len(types) == 1:
        return []
    return [
        f"The channels have different data types ({', '.join(sorted(types))}); with the "
        "intensity range 'dtype' the widest would count for all."
    ]
