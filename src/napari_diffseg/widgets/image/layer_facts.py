"""Image layers → the description of their image; no pixel is read, and no layer is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image

from napari_diffseg.errors import DiffSegError, InputError
from napari_diffseg.io.sources import open_source
from napari_diffseg.widgets.image.axes_reading import AxesReading, AxesSaid, LayerFacts, read_axes

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

    from napari_diffseg.image.info import ImageInfo

_NOTED = ("axes", "dims", "axis_labels", "dimension_order", "dim_order")
"""Where the metadata of a layer may name the axes of its file."""


def image_layers(viewer: napari.Viewer) -> list[Image]:
    """Return the viewer's Image layers, topmost first as in the layer list."""
    return [layer for layer in reversed(viewer.layers) if isinstance(layer, Image)]


def arrays_of(layer: Layer) -> list[Any]:
    """Return the pixels of a layer, of each of its levels."""
    return list(layer.data) if layer.multiscale else [layer.data]


def opened_together(one: Image, other: Image) -> bool:
    """Whether two layers are of one file or sample; where neither is of any, of one shape."""
    here, there = ((layer.source.path, layer.source.sample) for layer in (one, other))
    if any((*here, *there)):
        return bool(here == there)
    return layer_shape(one) == layer_shape(other)


def layer_shape(layer: Image) -> tuple[int, ...]:
    """Return the shape of a layer's data at full resolution."""
    return tuple(int(n) for n in arrays_of(layer)[0].shape)


def shape_in_words(layer: Image) -> str:
    """Return the shape of a layer for a person, e.g. ``"512 × 512 RGB"``."""
    shape = layer_shape(layer)
    text = " × ".join(str(n) for n in (shape[:-1] if layer.rgb else shape))
    return f"{text} RGB" if layer.rgb else text


def read_layer(layer: Image | None, said: AxesSaid | None = None, n_layers: int = 1) -> AxesReading:
    """Return how the axes are read of a layer, of which so many are taken for channels.

    Raises `InputError` where what was said cannot be, or there are too many axes to guess.
    """
    if layer is None:
        raise InputError("There is no image yet; open one with File ▸ Open, or File ▸ Open Sample.")
    return read_axes(replace(facts_of(layer), n_layers=n_layers), said)


def facts_of(layer: Image) -> LayerFacts:
    """Return what is known of the axes of a layer."""
    shape, info = layer_shape(layer), file_info(layer)
    units = tuple(str(unit) for unit in layer.units)
    # Steps of 1 in pixels are what napari's own reader leaves. Where the layer says how large its
    # pixels are, the file says what its axes are all the same.
    is_silent = set(units) <= {"pixel"} and all(abs(step) == 1 for step in layer.scale)
    return LayerFacts(
        name=str(layer.name),
        shape=shape[: layer.ndim],
        dtype=np.dtype(arrays_of(layer)[0].dtype),
        labels=tuple(str(label) for label in layer.axis_labels),
        units=units,
        scale=tuple(float(step) for step in layer.scale),
        n_colors=shape[-1] if layer.rgb else 0,
        noted=_noted(layer.metadata) or _axes_of(info, shape),
        in_file=info.placement if info is not None and is_silent else {},
    )


def file_of(layer: Layer) -> Path | None:
    """Return the file that a layer, or what it was made from, was read from."""
    source = layer.source
    while source.path is None and source.parent is not None and source.parent() is not None:
        source = source.parent().source
    return Path(source.path) if source.path else None


def file_info(layer: Layer) -> ImageInfo | None:
    """Return what the file that a layer was read from says of its image; None where nothing."""
    path = file_of(layer)
    try:
        return None if path is None else _read_info(path, path.stat().st_mtime_ns)
    except OSError:
        return None  # an address on the network, or a file that is gone


@lru_cache(maxsize=64)
def _read_info(path: Path, stamp: int) -> ImageInfo | None:
    try:
        return open_source(path).facts
    except DiffSegError:
        return None  # napari could read what we cannot


def _axes_of(info: ImageInfo | None, shape: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(info.axes) if info is not None and info.axes and info.shape == shape else ()


def _noted(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the axes that a reader has left in the metadata of a layer."""
    found = next((metadata[key] for key in _NOTED if metadata.get(key)), ())
    if not isinstance(found, Sequence):
        return ()
    # As OME-Zarr writes them: [{"name": "z", "type": "space"}, …].
    names = [one.get("name", "") if isinstance(one, Mapping) else one for one in found]
    return tuple(str(name) for name in names)
