"""Arrays → layers: the only file that adds or edits layers.

A `ResultLayer` holds on to the one Labels layer of a run, never to its name. Layers are
compared by ``==``, not ``is``: napari hands its plugins proxies of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.colormaps import CyclicLabelColormap, label_colormap
from numpy.typing import NDArray

from napari_diffseg.images.labels import smallest_unsigned_dtype
from napari_diffseg.widgets.planes import ImageSource

if TYPE_CHECKING:
    import napari
    from napari.layers import Labels

    from napari_diffseg.core.segmentation import Segmentation


class ResultLayer:
    """The Labels layer of one run: empty at first, then its previews, then its result.

    It is made before the run begins, because a window stands still for a moment while
    napari builds the controls of a new layer; to change its data costs next to nothing.

    Parameters
    ----------
    viewer : napari.Viewer
        Gets the layer.
    source : ImageSource
        What is segmented.
    n_clusters : int
        The most labels that there can be; each gets a colour of its own.
    """

    def __init__(self, viewer: napari.Viewer, source: ImageSource, n_clusters: int) -> None:
        self._viewer = viewer
        self._source = source
        self._colormap = distinct_colors(n_clusters)
        selection = viewer.layers.selection
        self._selected_before = [one for one in viewer.layers if one in selection]
        self._active_before = selection.active
        # napari makes the name unique; no layer is ever looked up by it.
        self._layer: Labels = viewer.add_labels(
            np.zeros(source.placement.shape, dtype=smallest_unsigned_dtype(n_clusters)),
            name=f"{source.layer_names[0]} regions",
            colormap=self._colormap,
            opacity=0.6,
            **source.placement.transform,
        )
        self._layer.editable = False
        self._checksum = 0

    @property
    def was_edited(self) -> bool:
        """Whether a person has changed the labels since the result was shown."""
        return self._checksum != _checksum(self._layer.data)

    def is_layer(self, layer: object) -> bool:
        """Whether this is the layer of the run."""
        return bool(self._layer == layer)

    def show_preview(self, labels: NDArray[np.unsignedinteger]) -> None:
        """Show the labels ``(y, x)`` of a preview."""
        self._layer.data = labels.reshape(self._source.placement.shape)
        # New data make a layer editable again, but the next preview would wipe strokes out.
        self._layer.editable = False

    def complete(self, segmentation: Segmentation) -> None:
        """Show the result, in the colours of the previews, with its provenance."""
        self._layer.data = segmentation.labels.reshape(self._source.placement.shape)
        self._layer.colormap = _recolored(self._colormap, segmentation.preview_numbers)
        self._layer.metadata["napari_diffseg"] = {
            **segmentation.provenance(),
            "image_layers": list(self._source.layer_names),
            "notes": [*self._source.notes, *segmentation.notes],
        }
        self._layer.editable = True
        self._checksum = _checksum(self._layer.data)

    def discard(self) -> None:
        """Take the layer out of the viewer again, which is then as it was before."""
        layers = self._viewer.layers
        if self._layer not in layers:
            return
        # A person who has selected something else since then keeps that.
        was_selected = self._layer in layers.selection
        layers.remove(self._layer)
        if was_selected:
            layers.selection.clear()
            layers.selection.update(one for one in self._selected_before if one in layers)
            if len(self._selected_before) > 1 and self._active_before in layers:
                layers.selection.active = self._active_before


def _checksum(labels: NDArray[Any]) -> int:
    return zlib.adler32(np.ascontiguousarray(labels))


def distinct_colors(number: int) -> CyclicLabelColormap:
    """Return napari's colours for so many labels, without those that come twice."""
    surplus = label_colormap(2 * number)
    colors = np.asarray(surplus.colors)
    first_seen = np.sort(np.unique(colors[1:], axis=0, return_index=True)[1]) + 1
    return _with_colors(surplus, colors[[0, *first_seen[:number]]])


def _recolored(
    colormap: CyclicLabelColormap, preview_numbers: Sequence[int]
) -> CyclicLabelColormap:
    """Return the colours in another order: label n gets that of its number in the previews."""
    colors = np.asarray(colormap.colors)
    taken = list(preview_numbers)
    free = [number for number in range(1, len(colors)) if number not in set(taken)]
    order = [0, *(number or free.pop(0) for number in taken), *free]
    return _with_colors(colormap, colors[order])


def _with_colors(colormap: CyclicLabelColormap, colors: NDArray[Any]) -> CyclicLabelColormap:
    return CyclicLabelColormap(
        colors=colors,
        controls=np.linspace(0, 1, len(colors) + 1),
        interpolation=colormap.interpolation,
        background_value=colormap.background_value,
        name=colormap.name,
    )
