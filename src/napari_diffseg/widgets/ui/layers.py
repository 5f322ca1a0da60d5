"""What every room does with layers, which are known by ``==``: napari hands out proxies of them."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer


def move_below(viewer: napari.Viewer, layer: Layer, other: Layer) -> None:
    """Move a layer below another one, where it lies above."""
    layers = viewer.layers
    if other in layers and layers.index(layer) > layers.index(other):
        layers.move(layers.index(layer), layers.index(other))


def checksum(labels: NDArray[Any]) -> int:
    """Return a number that changes with the labels or the strokes."""
    return zlib.crc32(np.ascontiguousarray(labels))
