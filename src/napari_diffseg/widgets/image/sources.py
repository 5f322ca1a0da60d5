"""Layers → arrays: what a run would segment, and where its result would stand.

One or several Image layers, how their axes are read and what the viewer displays become an
`ImageSource`. Nothing is read here, and no layer is touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_diffseg.errors import InputError
from napari_diffseg.widgets.image.axes_reading import AxesReading, Extent
from napari_diffseg.widgets.image.channel_sources import check_same_grid
from napari_diffseg.widgets.image.image_source import ImageSource
from napari_diffseg.widgets.image.layer_facts import arrays_of, layer_shape
from napari_diffseg.widgets.image.level import Level
from napari_diffseg.widgets.region.placement import place
from napari_diffseg.widgets.ui.words import NO_BREAK

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Image


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
    check_same_grid(layers)
    layer, letters = layers[0], reading.letters
    level = level or Level(0, layer_shape(layer)[: layer.ndim], (1.0,) * layer.ndim)
    is_volume, channel = extent is Extent.VOLUME and reading.n_planes > 1, letters.find("C")
    if is_volume:
        spatial = tuple(letters.index(one) for one in "ZYX")
    else:
        spatial = _displayed_axes(layer, dims, channel)
    point = [int(place) for place in np.round(layer.world_to_data(dims.point))]
    stack = [axis for axis in range(layer.ndim) if axis not in (*spatial, channel)]
    position = {axis: point[axis] for axis in stack}
    notes = [*reading.info.notes, *_stack_notes(layer, letters, position, is_volume=is_volume)]
    notes += _extent_notes(reading, spatial)
    # Whatever two displayed axes mean, the network sees them as the Y and X of an image.
    seen = dict(zip(spatial, "ZYX"[-len(spatial) :], strict=True)) | {channel: "C"}
    whole = sorted(seen.keys() - {-1})
    at = [int(place // factor) for place, factor in zip(point, level.factors, strict=True)]
    factors, depth = np.asarray(level.factors, dtype=np.float64), spatial[0]
    placement, canvas = place(layer, level.shape, factors, channel, position)
    return ImageSource(
        layer_names=tuple(str(one.name) for one in layers),
        arrays=tuple(arrays_of(one)[level.number] for one in layers),
        index=tuple(slice(None) if a in whole else at[a] for a in range(layer.ndim)),
        spatial=spatial,
        axes=_with_channels("".join(seen[axis] for axis in whole), layers),
        rgb=bool(reading.info.rgb),
        channel=channel,
        placement=placement,
        canvas=canvas,
        look_at=min(max(at[depth], 0), level.shape[depth] - 1) if is_volume else None,
        notes=(*notes, *_data_type_notes(layers)),
        **sizes_at(reading, level, is_volume=is_volume),
    )


def sizes_at(reading: AxesReading, level: Level, *, is_volume: bool) -> dict[str, Any]:
    """Return the fields `info` and `spacing` of the source of a plane or volume at a level."""
    factors = dict(zip(reading.letters, level.factors, strict=True))
    info = reading.info.coarser(level.shape, factors)
    spacing: tuple[float, ...] | None = None
    if is_volume and "Z" in info.placement:
        spacing = info.spacing
    elif is_volume and len({factors[letter] for letter in "ZYX"}) > 1:
        # Only their ratio is known, and it is another one at this level.
        spacing = tuple(factors[letter] for letter in "ZYX")
    return {"info": info, "spacing": spacing}


def _displayed_axes(layer: Image, dims: Dims, channel: int) -> tuple[int, ...]:
    # A viewer has the axes of its largest layer; smaller ones miss the first of them.
    # In a 3D view the slider still says which plane the 2D view would show.
    displayed = tuple(sorted(int(axis) - (dims.ndim - layer.ndim) for axis in dims.order[-2:]))
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
    return displayed


def _stack_notes(
    layer: Image, letters: str, position: Mapping[int, int], *, is_volume: bool
) -> list[str]:
    """Say which of several planes or volumes is taken; refuse a place outside of the layer."""
    shape = layer_shape(layer)
    for axis, at in position.items():
        if not 0 <= at < shape[axis]:
            raise InputError(
                f"{layer.name!r} ends at {letters[axis]} {shape[axis] - 1}, and the slider stands "
                "outside of it; move the slider until the image is displayed."
            )
    if all(shape[axis] == 1 for axis in position):
        return []
    what = (
        "displayed plane" if any(letters[axis] == "Z" for axis in position) else "displayed frame"
    )
    if is_volume:
        what = "volume of the displayed time point"
    # Counted as on napari's sliders, from 0 to the last.
    places = [f"{letters[a]} {at} of 0–{shape[a] - 1}" for a, at in position.items()]
    where = ", ".join(one.replace(" ", NO_BREAK) for one in places)
    return [f"Only the {what} is segmented: {where}."]


def _extent_notes(reading: AxesReading, spatial: Sequence[int]) -> list[str]:
    """Say what a person should know of the voxels of a volume, or of a view that is turned."""
    if len(spatial) == 3:
        return [reading.volume_note] if reading.volume_note else []
    shown = [reading.letters[axis] for axis in spatial]
    if set(shown) == {"Y", "X"}:
        return []
    return [f"The view shows {' and '.join(shown)}, so the plane lies along these two."]


def _with_channels(axes: str, layers: Sequence[Image]) -> str:
    """Return the axes of what `ImageSource.read` will give."""
    if layers[0].rgb:
        return axes + "C"
    return "C" + axes if len(layers) > 1 else axes


def _data_type_notes(layers: Sequence[Image]) -> list[str]:
    types = {str(np.dtype(arrays_of(one)[0].dtype)) for one in layers}
    if len(types) == 1:
        return []
    return [
        f"The channels have different data types ({', '.join(sorted(types))}); with the "
        "intensity range 'dtype' the widest would count for all."
    ]
