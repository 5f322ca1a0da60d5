"""A new layer to paint on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_diffseg.errors import InputError
from napari_diffseg.widgets.ui.colors import scribble_colors

if TYPE_CHECKING:
    import napari
    from napari.layers import Labels

    from napari_diffseg.widgets.image.image_source import ImageSource

MOST_PAINTED = 1 << 32
"""A layer to paint on, which is kept in memory, has no more pixels than this."""


def unbox_brush(viewer: napari.Viewer) -> None:
    """Take away the box behind the circle of the brush, which nobody sees.

    napari 0.9 leaves it in the canvas once the brush is gone. It is drawn from freed memory after
    all layers were removed and others are opened: napari crashes, and unsaved work is lost.
    """
    overlays = getattr(getattr(viewer, "canvas", None), "overlays", {})
    circle = overlays.get("_brush_circle")
    if circle is not None:
        circle.box = False


def add_scribbles(
    viewer: napari.Viewer, source: ImageSource, n_clusters: int, brush: int
) -> Labels:
    """Add an empty Labels layer that lies on the image, ready to be painted on."""
    canvas = source.canvas if math.prod(source.canvas.shape) <= MOST_PAINTED else source.placement
    if math.prod(canvas.shape) > MOST_PAINTED:
        raise InputError(
            f"{source.layer_names[0]!r} has {math.prod(canvas.shape) / 1e9:.0f} thousand million "
            "pixels, too many to paint on; choose a coarser level, or a smaller image."
        )
    layer: Labels = viewer.add_labels(
        np.zeros(canvas.shape, dtype=np.uint8),
        name=f"{source.layer_names[0]} scribbles",
        colormap=scribble_colors(n_clusters),
        opacity=1.0,
        **canvas.transform,
    )
    layer.brush_size = brush
    layer.selected_label = 1
    layer.mode = "paint"
    viewer.layers.selection.active = layer
    return layer
