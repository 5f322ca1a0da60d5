"""What every room does with layers, which are known by ``==``: napari hands out proxies of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.widgets.region.placement import camera_of

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer


def move_below(viewer: napari.Viewer, layer: Layer, other: Layer) -> None:
    """Move a layer below another one, where it lies above."""
    layers = viewer.layers
    if other in layers and layers.index(layer) > layers.index(other):
        layers.move(layers.index(layer), layers.index(other))


def go_to(viewer: napari.Viewer, point: NDArray[np.float64], *, channel: int = -1) -> int:
    """Bring a point of the world, of a layer's axes, to the middle of the view.

    The channel on view, along this axis of the layer, stays. Returns how many axes the viewer has
    before those of the layer.
    """
    dims = viewer.dims
    surplus = dims.ndim - len(point)
    for axis in dims.not_displayed:
        if axis >= surplus and axis - surplus != channel:
            dims.set_point(axis, float(point[axis - surplus]))
    shown = [float(point[axis - surplus]) for axis in dims.displayed if axis >= surplus]
    camera_of(viewer).center = tuple(shown)
    return int(surplus)
