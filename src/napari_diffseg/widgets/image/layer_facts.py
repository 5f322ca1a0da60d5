"""Image layers → what is known of their axes; no pixel is read, and no layer is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from napari.layers import Image

from napari_diffseg.widgets.image.axes_reading import LayerFacts

if TYPE_CHECKING:
    import napari

_NOTED = ("axes", "dims", "axis_labels", "dimension_order", "dim_order")
"""Where the metadata of a layer may name the axes of its file."""


def image_layers(viewer: napari.Viewer) -> list[Image]:
    """Return the viewer's Image layers, topmost first as in the layer list."""
    return [layer for layer in reversed(viewer.layers) if isinstance(layer, Image)]


def layer_shape(layer: Image) -> tuple[int, ...]:
    """Return the shape of a layer's data at full resolution."""
    return tuple(int(n) for n in (layer.data[0] if layer.multiscale else layer.data).shape)


def shape_in_words(layer: Image) -> str:
    """Return the shape of a layer for a person, e.g. ``"512 × 512 RGB"``."""
    shape = layer_shape(layer)
    text = " × ".join(str(n) for n in (shape[:-1] if layer.rgb else shape))
    return f"{text} RGB" if layer.rgb else text


def facts_of(layer: Image) -> LayerFacts:
    """Return what is known of the axes of a layer."""
    shape = layer_shape(layer)
    return LayerFacts(
        name=str(layer.name),
        shape=shape[: layer.ndim],
        labels=tuple(str(label) for label in layer.axis_labels),
        units=tuple(str(unit) for unit in layer.units),
        scale=tuple(float(step) for step in layer.scale),
        n_colors=shape[-1] if layer.rgb else 0,
        noted=_noted(layer.metadata),
    )


def _noted(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the axes that a reader has left in the metadata of a layer."""
    found = next((metadata[key] for key in _NOTED if metadata.get(key)), ())
    if not isinstance(found, Sequence):
        return ()
    # As OME-Zarr writes them: [{"name": "z", "type": "space"}, …].
    names = [one.get("name", "") if isinstance(one, Mapping) else one for one in found]
    return tuple(str(name) for name in names)
