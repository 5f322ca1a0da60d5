"""What a person has chosen, drawn or brought into view → a region of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Shapes
from numpy.typing import NDArray

from napari_diffseg.errors import InputError
from napari_diffseg.widgets.image.layer_facts import arrays_of
from napari_diffseg.widgets.region.grid import (
    Grid,
    Map,
    bounds_within,
    size_in_words,
    units_between,
)
from napari_diffseg.widgets.region.placement import camera_of
from napari_diffseg.widgets.region.region import (
    BoxRegion,
    LabelsRegion,
    Outline,
    OutlineRegion,
    Region,
    RegionKind,
    RegionWish,
)

if TYPE_CHECKING:
    import napari

_WITH_INSIDE = ("rectangle", "ellipse", "polygon")
_ROUND = np.linspace(0, 2 * np.pi, 360, endpoint=False)
_SMALLEST = 0.25
"""A shape of a smaller area, in pixels, is seen from its edge and covers nothing."""


def region_layers(viewer: napari.Viewer) -> list[Shapes | Labels]:
    """Return the layers inside of which can be segmented, topmost first."""
    return [layer for layer in reversed(viewer.layers) if isinstance(layer, Shapes | Labels)]


def describe_region(wish: RegionWish, grid: Grid, viewer: napari.Viewer) -> Region | None:
    """Find out where an image is to be segmented; quick, and no pixel is read."""
    if wish.kind is RegionKind.VIEW:
        return _view_region(grid, viewer)
    if wish.kind is RegionKind.INSIDE and isinstance(wish.layer, Shapes):
        return _shapes_region(wish.layer, grid)
    if wish.kind is RegionKind.INSIDE and isinstance(wish.layer, Labels):
        return _labels_region(wish.layer, grid, viewer)
    return None


# --- the field of view ---------------------------------------------------------------


def _view_region(grid: Grid, viewer: napari.Viewer) -> Region | None:
    to_canvas, half = _canvas_map(grid, viewer)
    box = bounds_within(to_canvas, -half, half, grid.shape)
    if box is None:
        raise InputError(
            "Nothing of the image is in view; move the view to the image, or choose the whole "
            "image."
        )
    if all((side.start, side.stop) == (0, n) for side, n in zip(box, grid.shape, strict=True)):
        return None
    note = f"Only the field of view is segmented: {size_in_words(box)}."
    return BoxRegion(grid.shape, "The field of view", (note,), box)


def _canvas_map(grid: Grid, viewer: napari.Viewer) -> tuple[Map, NDArray[np.float64]]:
    """Return where pixels lie from the middle of the canvas, and how far the canvas reaches."""
    canvas = getattr(viewer, "canvas", None)
    if canvas is None:
        raise InputError(
            "Only napari 0.9 and later says what its canvas shows; update napari, or draw the "
            "region on a Shapes layer."
        )
    camera, dims = camera_of(viewer), viewer.dims
    # In grid mode each part shows as much, around the same centre.
    parts = np.asarray(canvas.grid.actual_shape(viewer.layers))
    half = np.asarray(canvas.size) / parts / (2 * camera.zoom)
    displayed = list(dims.displayed)
    centre = np.asarray(camera.center)[-len(displayed) :]
    directions = np.eye(2)
    if len(displayed) == 3:
        up = np.asarray(camera.up_direction)
        directions = np.stack([up, np.cross(camera.view_direction, up)])
    units = grid.placement.transform["units"]
    ratios = units_between(units, viewer.layers.extent.units or ())

    def to_canvas(place: NDArray[np.float64]) -> NDArray[np.float64]:
        # A viewer has the axes of its largest layer; smaller ones miss the first of them.
        world = np.zeros(dims.ndim)
        world[-len(units) :] = grid.to_world(place) * ratios
        return np.asarray(directions @ (world[displayed] - centre))

    return Map.of(to_canvas, len(grid.shape)), half


# --- drawn shapes --------------------------------------------------------------------


def _shapes_region(layer: Shapes, grid: Grid) -> Region:
    kinds = [str(kind) for kind in layer.shape_type]
    drawn = [
        _edge(np.asarray(vertices, dtype=np.float64), kind)
        for vertices, kind in zip(layer.data, kinds, strict=True)
        if kind in _WITH_INSIDE
    ]
    if not drawn:
        what = "only lines, which have no inside" if kinds else "nothing yet"
        raise InputError(
            f"{layer.name!r} holds {what}; draw a rectangle, an ellipse or a polygon, or choose "
            "the whole image."
        )
    outlines = [_outline(_in_image(vertices, layer, grid)) for vertices in drawn]
    notes = [f"Only what lies inside {layer.name!r} is segmented."]
    if any(length > 1 for length in _frames(grid)) or len(grid.shape) == 3:
        notes.append("A shape counts on every plane, whichever it was drawn on.")
    if len(drawn) < len(kinds):
        notes.append("Its lines and paths have no inside and do not count.")
    seen = tuple(one for one in outlines if one is not None)
    return OutlineRegion(grid.shape, repr(str(layer.name)), tuple(notes), seen)


def _edge(vertices: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    """Return the vertices of a polygon that is as good as the shape."""
    if kind != "ellipse":
        return vertices
    # Given by the corners of a box around it, which may be turned.
    first, second, _, last = vertices
    centre = vertices.mean(axis=0)
    along, across = (second - first) / 2, (last - first) / 2
    round_it = np.outer(np.cos(_ROUND), along) + np.outer(np.sin(_ROUND), across)
    return np.asarray(centre + round_it)


def _in_image(vertices: NDArray[np.float64], layer: Shapes, grid: Grid) -> NDArray[np.float64]:
    """Return vertices in pixels of the image ``(n, axes)``."""
    to_world = Map.of(layer.data_to_world, layer.ndim)
    world = vertices @ np.asarray(to_world.rows).T + to_world.offset
    units = grid.placement.transform["units"]
    world = world * units_between([*layer.units], units)
    n_missing = len(units) - layer.ndim
    if n_missing > 0:
        # Where the image is, along axes that the shapes do not have.
        here = grid.to_world(np.zeros(len(grid.shape)))[:n_missing]
        world = np.concatenate([np.tile(here, (len(world), 1)), world], axis=1)
    return grid.from_world(world[:, -len(units) :])


def _outline(vertices: NDArray[np.float64]) -> Outline | None:
    """Return a polygon in the plane in which it lies; None where that is seen from its edge."""
    axes = list(range(vertices.shape[1]))
    if len(axes) == 3:
        axes.remove(int(np.ptp(vertices, axis=0).argmin()))
    flat = vertices[:, axes]
    rows, columns = (flat - flat.mean(axis=0)).T
    area = abs(np.sum(rows * np.roll(columns, 1) - columns * np.roll(rows, 1))) / 2
    if area < _SMALLEST:
        return None
    return Outline((axes[0], axes[1]), tuple(map(tuple, flat.tolist())))


def _frames(grid: Grid) -> list[int]:
    """Return the lengths of the axes along which the image has further frames."""
    shape = grid.placement.shape
    return [length for axis, length in enumerate(shape) if axis not in grid.spatial]


# --- painted labels ------------------------------------------------------------------


def _labels_region(layer: Labels, grid: Grid, viewer: napari.Viewer) -> Region:
    array = arrays_of(layer)[0]
    to_layer = _layer_map(layer, grid, viewer)
    n_missing = len(grid.placement.shape) - layer.ndim
    index: list[int | slice] = []
    for axis, length in enumerate(int(n) for n in array.shape):
        is_across = axis + n_missing in grid.spatial[-2:]
        if not is_across and length == 1:
            # What has one plane only counts on every plane, as a shape does.
            index.append(0)
        elif not is_across and not any(to_layer.rows[axis]):
            index.append(_place_along(layer, to_layer.offset[axis], length))
        else:
            index.append(slice(None))
    kept = [axis for axis, where in enumerate(index) if isinstance(where, slice)]
    note = f"Only what is painted in {layer.name!r} is segmented."
    return LabelsRegion(
        grid.shape, repr(str(layer.name)), (note,), array, tuple(index), to_layer.pick(kept)
    )


def _layer_map(layer: Labels, grid: Grid, viewer: napari.Viewer) -> Map:
    units = grid.placement.transform["units"]
    ratios = units_between(units, layer.units)
    n_more = max(layer.ndim - len(units), 0)
    # Along axes that the image does not have, what the viewer shows counts.
    shown = np.asarray(viewer.dims.point)[-layer.ndim :][:n_more]

    def to_layer(place: NDArray[np.float64]) -> Any:
        world = np.concatenate([shown, grid.to_world(place) * ratios])
        return layer.world_to_data(world[-layer.ndim :])

    return Map.of(to_layer, len(grid.shape))


def _place_along(layer: Labels, place: float, length: int) -> int:
    nearest = int(np.floor(place + 0.5))
    if not 0 <= nearest < length:
        raise InputError(
            f"{layer.name!r} does not reach the frame that is shown; choose another layer, or the "
            "whole image."
        )
    return nearest
