"""The layer that a run writes to; it is held on to, and never looked up by its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_diffseg.image.arrays import checksum
from napari_diffseg.instances.finding import is_background
from napari_diffseg.numeric.labels import smallest_unsigned_dtype
from napari_diffseg.widgets.scribbles.class_names import features_for
from napari_diffseg.widgets.ui.colors import Coloring
from napari_diffseg.widgets.ui.layers import move_below

if TYPE_CHECKING:
    import napari
    from napari.components import Dims

    from napari_diffseg.core.result import Segmentation
    from napari_diffseg.widgets.image.image_source import ImageSource

_COPIED = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels", "colormap")


class ResultLayer:
    """The Labels layer of one run: empty at first, then its previews, then its result.

    It is made before the run begins, because a window stands still for a moment while
    napari builds the controls of a new layer; to change its data costs next to nothing.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        source: ImageSource,
        n_clusters: int,
        scribbles: Labels | None = None,
    ) -> None:
        self._viewer = viewer
        self.source = source
        self._n_clusters, self._coloring = n_clusters, Coloring(n_clusters)
        selection = viewer.layers.selection
        self._selected_before = [one for one in viewer.layers if one in selection]
        was_active = scribbles is not None and selection.active == scribbles
        # napari makes the name unique; no layer is ever looked up by it.
        self._layer: Labels = viewer.add_labels(
            np.zeros(source.placement.shape, dtype=smallest_unsigned_dtype(n_clusters)),
            name=f"{source.layer_names[0]} labels",
            colormap=self._coloring.colormap,
            opacity=0.6,
            **source.placement.transform,
        )
        if scribbles is not None:
            move_below(viewer, self._layer, scribbles)
        if was_active:
            selection.active = scribbles
        self._checksum = 0
        self._result: NDArray[Any] | None = None
        self._was_visible = True
        self.lock()

    @property
    def has_result(self) -> bool:
        """Whether a run has ended here."""
        return self._result is not None

    @property
    def layer(self) -> Labels:
        """The Labels layer."""
        return self._layer

    def labelled(self) -> tuple[Labels, ImageSource, bool, tuple[str, ...]] | None:
        """Return the layer, its image, that it has one frame, and names of channels."""
        if not self.has_result:
            return None
        source = self.source
        names = tuple(channel.name for channel in source.channels or ())
        is_all = len(names) == source.image_axes.n_channels
        return self._layer, source, False, names if is_all else ()

    @property
    def was_edited(self) -> bool:
        """Whether a person has changed the labels since the result was shown."""
        return not self._is_locked and self._checksum != checksum(self._layer.data)

    def is_layer(self, layer: object) -> bool:
        """Whether this is the layer of the run."""
        return bool(self._layer == layer)

    def colors(self, numbers: Iterable[int]) -> dict[int, NDArray[Any]]:
        """Return the colours of labels."""
        return {number: self._layer.get_color(number) for number in numbers}

    def begin(self, n_clusters: int) -> None:
        """Make ready for a run with so many labels; what stands here is shown until then."""
        if n_clusters > self._n_clusters:
            self._n_clusters, self._coloring = n_clusters, Coloring(n_clusters)
        if not self._is_locked:
            self._was_visible = bool(self._layer.visible)
        self._layer.visible = True
        self.lock()

    def lock(self) -> None:
        """Let nobody paint on the layer while a run writes to it."""
        self._is_locked = True
        self._layer.editable = False

    def color_classes(self, colors: Mapping[int, NDArray[Any]]) -> None:
        """Give painted classes the colours of their strokes."""
        if self._coloring.fix(colors):
            self._layer.colormap = self._coloring.colormap

    def name_classes(self, names: Mapping[int, str]) -> None:
        """Write the names of the classes where napari's status bar reads them."""
        features = features_for(self._layer.features, names, int(self._layer.data.max()))
        if features is not None:
            self._layer.features = features
        clear = {number for number, name in names.items() if is_background(name)}
        if self._coloring.clear(clear):
            self._layer.colormap = self._coloring.colormap

    def show_preview(self, labels: NDArray[np.unsignedinteger]) -> None:
        """Show the labels ``(y, x)`` or ``(z, y, x)`` of a preview.

        Planes of a volume that a preview leaves out stay as they are.
        """
        if self.source.is_volume:
            is_made = labels.any(axis=(1, 2))
            if not is_made.all():
                shown = self.source.from_place(np.asarray(self._layer.data)).copy()
                shown[is_made] = labels[is_made]
                labels = shown
        self._layer.data = self.source.in_place(labels)
        # New data make a layer editable again, but the next preview would wipe strokes out.
        self.lock()

    def complete(self, segmentation: Segmentation) -> None:
        """Show the result with its provenance; what was shown before keeps its colours."""
        labels = self.source.in_place(segmentation.labels)
        self._coloring.keep(self._layer.data, labels)
        self._layer.data = labels
        self._layer.colormap = self._coloring.colormap
        self._layer.metadata["napari_diffseg"] = {
            **segmentation.provenance(),
            "image_layers": list(self.source.layer_names),
            "notes": [*self.source.notes, *segmentation.notes],
        }
        self._result = self._layer.data
        self._selected_before.clear()  # nobody discards it any more, and one may be closed
        self._unlock()

    def restore(self) -> None:
        """Show the newest result again, in place of the previews of a run that was given up."""
        if self._result is not None:
            self._layer.data = self._result
            self._layer.visible = self._layer.visible and self._was_visible
            self._unlock()

    def point_in_world(self, *place: float) -> NDArray[np.float64]:
        """Return where a point ``(y, x)`` or ``(z, y, x)`` lies in the world."""
        point = self.source.point(*place)
        return np.asarray(self._layer.data_to_world(point), dtype=np.float64)

    def is_on_view(self, dims: Dims) -> bool:
        """Whether the view shows the frame, or plane, of the result; one that shows all does."""
        surplus = dims.ndim - self._layer.ndim
        at = self._layer.world_to_data(np.asarray(dims.point[surplus:]))
        hidden = [axis for axis in self.source.stack if axis + surplus not in dims.displayed]
        # Along these it has one entry, at 0.
        return all(round(float(at[axis])) == 0 for axis in hidden)

    def visible_size(self) -> tuple[int, ...]:
        """Return how many pixels the window shows along each spatial axis."""
        first, last = np.asarray(self._layer.corner_pixels)
        return tuple(int(last[axis] - first[axis]) + 1 for axis in self.source.spatial)

    def _unlock(self) -> None:
        self._layer.editable = True
        self._is_locked = False
        self._checksum = checksum(self._layer.data)

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


class KeptLayer:
    """A copy of a result on a layer of its own, which no run changes; hidden, below the result."""

    def __init__(self, viewer: napari.Viewer, result: ResultLayer) -> None:
        self._viewer, self._result = viewer, result
        original = result.layer
        self.layer = Labels(
            np.array(original.data),
            name=f"{original.name} kept",
            opacity=original.opacity,
            features=original.features,
            metadata=dict(original.metadata),
            visible=False,
            **{name: getattr(original, name) for name in _COPIED},
        )

    def add(self) -> None:
        """Add the layer; what was selected stays selected."""
        layers, active = self._viewer.layers, self._viewer.layers.selection.active
        self._viewer.add_layer(self.layer)
        move_below(self._viewer, self.layer, self._result.layer)
        layers.selection.active = active

    def is_layer(self, layer: object) -> bool:
        """Whether this is the layer."""
        return bool(self.layer == layer)

    def labelled(self) -> tuple[Labels, ImageSource, bool, tuple[str, ...]] | None:
        """Return the layer and what is known of the result; objects can be made of it, too."""
        known = self._result.labelled()
        return None if known is None else (self.layer, *known[1:])
