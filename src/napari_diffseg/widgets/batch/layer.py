"""The Labels layer that shows all frames to which a model was applied."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import CyclicLabelColormap
from numpy.typing import NDArray

from napari_diffseg.widgets.scribbles.class_names import features_for
from napari_diffseg.widgets.ui.colors import Coloring
from napari_diffseg.widgets.ui.layers import move_below

if TYPE_CHECKING:
    import napari

    from napari_diffseg.widgets.batch.job import LayerJob
    from napari_diffseg.widgets.image.image_source import ImageSource

_SHARE = 0.1
"""No more than this part of the window's time is spent on drawing what was written."""


class AppliedLayer:
    """A layer on the canvas of a stack, which a run fills frame by frame; `add` shows it."""

    def __init__(
        self,
        viewer: napari.Viewer,
        job: LayerJob,
        colors: Mapping[int, NDArray[Any]],
        names: Mapping[int, str],
    ) -> None:
        self._viewer, self._job = viewer, job
        last = max(job.model.labels)
        canvas = job.stack.shown.canvas
        # napari makes the name unique; no layer is ever looked up by it.
        self.layer = Labels(
            job.sink.array,
            name=f"{job.stack.shown.layer_names[0]} model labels",
            colormap=_colormap(last, colors),
            opacity=0.6,
            **canvas.transform,
        )
        features = features_for(self.layer.features, names, last)
        if features is not None:
            self.layer.features = features
        self._hidden = WeakSet[Labels]()  # one that is removed is let go, with its pixels
        self._n_shown = -1
        self._due = 0.0

    def labelled(self) -> tuple[Labels, ImageSource, bool, tuple[str, ...]] | None:
        """Return the layer, its image, that it has all frames, and names of channels."""
        stack = self._job.stack
        return self.layer, stack.shown, True, stack.shown.info.channel_names

    @property
    def is_there(self) -> bool:
        """Whether the layer is in the viewer."""
        return self.layer in self._viewer.layers

    def add(self, below: Labels | None, older: Sequence[Labels] = ()) -> None:
        """Add the layer, below the one that is painted on, which stays selected if it was.

        Not where that lies below the image, which would hide the labels. Older labels of the same
        pixels, which would be seen through it, are hidden.
        """
        self._hidden.update(one for one in older if one.visible)
        for one in self._hidden:
            one.visible = False
        selection = self._viewer.layers.selection
        was_active = below is not None and selection.active == below
        self._viewer.add_layer(self.layer)
        if below is not None and self._is_above_images(below):
            move_below(self._viewer, self.layer, below)
        if was_active:
            selection.active = below

    def _is_above_images(self, layer: Labels) -> bool:
        layers = self._viewer.layers
        images = [image for image in self._job.stack.layers if image in layers]
        return layer in layers and all(layers.index(i) < layers.index(layer) for i in images)

    def is_layer(self, layer: object) -> bool:
        """Whether this is the layer."""
        return bool(self.layer == layer)

    def was_edited(self) -> bool:
        """Whether somebody has changed the labels; reads all of them, which may take long."""
        data, sink = self.layer.data, self._job.sink
        is_alike = (data.shape, data.dtype) == (sink.array.shape, sink.array.dtype)
        return not (is_alike and sink.is_as_written(data))

    def lock(self) -> None:
        """Let nobody paint on the layer while a run writes to it."""
        self.layer.editable = False

    def unlock(self, metadata: Mapping[str, Any]) -> None:
        """Show all that was written, say where it comes from, and let a person paint again."""
        self.layer.metadata["napari_diffseg"] = dict(metadata)
        self.layer.refresh(extent=False)
        self.layer.editable = True

    def show_news(self) -> None:
        """Draw the frame in view anew, if something was written to it, and not too often."""
        number = self._job.in_view
        n_written = self._n_written(number)
        start = time.perf_counter()
        if n_written == self._n_shown or start < self._due:
            return
        self._n_shown = n_written
        self.layer.refresh(thumbnail=False, highlight=False, extent=False)
        end = time.perf_counter()
        self._due = end + (end - start) / _SHARE

    def look_elsewhere(self) -> None:
        """Take notice that another frame is in view; what napari drew may be old by now."""
        self._n_shown = -1

    def discard(self) -> None:
        """Take the layer out of the viewer again, and show what it has hidden."""
        if self.is_there:
            self._viewer.layers.remove(self.layer)
        for one in self._hidden:
            one.visible = True

    def _n_written(self, number: int | None) -> int:
        writes = self._job.sink.n_writes
        # In a 3D view all frames are in view.
        if number is None or self._viewer.dims.ndisplay > 2:
            return int(writes.sum())
        return int(writes[number])


def label_colors(
    labels: Sequence[int], colors: Mapping[int, NDArray[Any]]
) -> dict[int, NDArray[Any]]:
    """Return the colours of labels: those that are given, for others those of a palette."""
    colormap = np.asarray(_colormap(max(labels), colors).colors)
    return {label: colormap[label] for label in labels}


def _colormap(last: int, colors: Mapping[int, NDArray[Any]]) -> CyclicLabelColormap:
    coloring = Coloring(last)
    coloring.fix({number: np.asarray(color) for number, color in colors.items()})
    return coloring.colormap
