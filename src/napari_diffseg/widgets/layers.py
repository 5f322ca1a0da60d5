"""Arrays → layers: the only file that adds or edits layers.

A `ResultLayer` holds on to the one Labels layer of a run, never to its name. Layers are
compared by ``==``, not ``is``: napari hands its plugins proxies of them.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.colormaps import CyclicLabelColormap, label_colormap
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from skimage.color import rgb2lab

from napari_diffseg.images.labels import smallest_unsigned_dtype
from napari_diffseg.widgets.planes import ImageSource

if TYPE_CHECKING:
    import napari
    from napari.layers import Labels

    from napari_diffseg.core.segmentation import Segmentation


_MOST_COMPARED = 1 << 20
"""Colours are kept by comparing about so many pixels before and after."""


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
        """Show the result with its provenance; what was shown before keeps its colours."""
        self._colormap = _recolored(self._colormap, self._layer.data, segmentation.labels)
        self._layer.data = segmentation.labels.reshape(self._source.placement.shape)
        self._layer.colormap = self._colormap
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


def _checksum(labels: NDArray[Any]) -> int:
    return zlib.adler32(np.ascontiguousarray(labels))


def distinct_colors(number: int) -> CyclicLabelColormap:
    """Return napari's colours for so many labels, the first ones as unlike as can be."""
    surplus = label_colormap(8 * (number + 1))
    unlabelled, *others = np.asarray(surplus.colors)
    candidates = np.unique(others, axis=0)
    lab = rgb2lab(candidates[:, :3])
    # Nearly black and white ones are hard to see on an image, and glaring ones outshine it.
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    is_calm = (np.abs(lab[:, 0] - 60) < 28) & (chroma < 75)
    candidates, lab = candidates[is_calm], lab[is_calm]
    # The calmest one is the first, because the first label is the largest.
    chosen = [int(np.argmin(chroma[is_calm]))]
    apart = np.full(len(lab), np.inf)
    while len(chosen) < number:
        apart = np.minimum(apart, np.linalg.norm(lab - lab[chosen[-1]], axis=1))
        chosen.append(int(np.argmax(apart)))
    return _with_colors(surplus, np.stack([unlabelled, *candidates[chosen]]))


def _recolored(
    colormap: CyclicLabelColormap, shown: NDArray[Any], labels: NDArray[Any]
) -> CyclicLabelColormap:
    """Return the colours in another order, in which as many pixels as can be keep theirs."""
    colors = np.asarray(colormap.colors)
    step = -(-labels.size // _MOST_COMPARED)
    before = np.minimum(shown.reshape(-1)[::step], len(colors) - 1)
    after = labels.reshape(-1)[::step].astype(np.int64)
    pairs = np.bincount(after * len(colors) + before, minlength=len(colors) ** 2)
    overlap = pairs.reshape(len(colors), len(colors))[1:, 1:]
    _, order = linear_sum_assignment(overlap, maximize=True)
    return _with_colors(colormap, colors[[0, *(order + 1)]])


def _with_colors(colormap: CyclicLabelColormap, colors: NDArray[Any]) -> CyclicLabelColormap:
    return CyclicLabelColormap(
        colors=colors,
        controls=np.linspace(0, 1, len(colors) + 1),
        interpolation=colormap.interpolation,
        background_value=colormap.background_value,
        name=colormap.name,
    )
