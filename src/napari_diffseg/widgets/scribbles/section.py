"""Scribbles in the dock: joins the form, the layer that is painted on, and its classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_diffseg.widgets.region.placement import camera_of
from napari_diffseg.widgets.scribbles.class_names import features_for, names_in
from napari_diffseg.widgets.scribbles.layer import add_scribbles, unbox_brush
from napari_diffseg.widgets.scribbles.painted_planes import PaintedPlanes
from napari_diffseg.widgets.scribbles.strokes import (
    StrokeSource,
    describe_strokes,
    scribble_layers,
    sensible_brush,
)
from napari_diffseg.widgets.scribbles.watch import StrokeWatch

if TYPE_CHECKING:
    import napari
    from napari.layers import Labels

    from napari_diffseg.widgets.image.image_source import ImageSource
    from napari_diffseg.widgets.scribbles.form import ScribblesForm
    from napari_diffseg.widgets.segment.results import Results

_ALWAYS_LISTED = (1, 2)


class ScribblesSection:
    """The layer that is painted on."""

    changed = Signal()
    """Emitted when another layer is chosen, may lie elsewhere, or has other painted planes."""
    painted = Signal()
    """Emitted a moment after strokes may have changed."""
    listed = Signal()
    """Emitted when the classes, or what is painted, may be others."""

    def __init__(
        self,
        viewer: napari.Viewer,
        form: ScribblesForm,
        results: Results,
        fail: Callable[[Exception], None],
    ) -> None:
        self._viewer, self._form, self._results = viewer, form, results
        unbox_brush(viewer)
        self._painted: tuple[int, ...] = ()
        self.planes = PaintedPlanes(fail)
        self.planes.changed.connect(self._on_planes)
        self._watch = StrokeWatch(self.painted.emit, self.changed.emit, self.show_classes)
        form.changed.connect(self._on_chosen)
        form.classes.picked.connect(self.pick)
        form.classes.named.connect(self.name)

    @property
    def layer(self) -> Labels | None:
        """The chosen layer."""
        return self._form.chosen()

    def offer(self) -> None:
        """Offer the viewer's Labels layers, but for results."""
        layers = scribble_layers(self._viewer)
        self._form.offer([one for one in layers if not self._results.owns(one)])

    def add(self, source: ImageSource, n_clusters: int) -> None:
        """Make a layer to paint on, and choose it."""
        brush = sensible_brush(source, float(camera_of(self._viewer).zoom))
        layer = add_scribbles(self._viewer, source, n_clusters, brush)
        self._form.choose(layer)

    def strokes(self, source: ImageSource) -> StrokeSource | None:
        """Return the strokes on the plane of a run; None where no layer is chosen."""
        return None if self.layer is None else describe_strokes(self.layer, source)

    def look(self) -> None:
        """Look at the strokes soon, as if there were new ones."""
        self._watch.look()

    def pick(self, number: int) -> None:
        """Paint with this class from now on."""
        layer = self.layer
        if layer is None:
            return
        layer.selected_label = number
        self._viewer.layers.selection.active = layer
        if layer.editable and str(layer.mode) not in ("paint", "fill", "polygon"):
            layer.mode = "paint"

    def pick_next(self) -> None:
        """Paint with the next of the listed classes; after the last with the first."""
        if self.layer is not None:
            listed, selected = self._listed(), int(self.layer.selected_label)
            self.pick(next((one for one in listed if one > selected), listed[0]))

    @property
    def painted_classes(self) -> set[int]:
        """The classes that are painted, on any plane."""
        return {*self._painted, *self.planes.classes}

    def name(self, number: int, name: str) -> None:
        """Name a class, in the layer and in the result."""
        layer = self.layer
        if layer is None:
            return
        names = {**names_in(layer.features), number: name}
        names = {one: text for one, text in names.items() if text}
        features = features_for(layer.features, names, max(self._listed()))
        if features is not None:
            layer.features = features
        self._results.name_classes(names)

    def note_classes(self, classes: tuple[int, ...]) -> None:
        """Take notice of what is painted."""
        self._painted = classes
        self.show_classes()

    def show_classes(self) -> None:
        """List the classes with their colours and names."""
        layer = self.layer
        if layer is None:
            return
        numbers, names = self._listed(), names_in(layer.features)
        self._form.classes.show_classes(
            numbers,
            {number: layer.get_color(number) for number in numbers},
            names,
            int(layer.selected_label),
        )
        self.listed.emit()

    def close(self) -> None:
        """Hear of nothing any more."""
        self._watch.watch(None)
        self.planes.close()
        for signal in (self.changed, self.painted, self.listed):
            signal.disconnect()

    def _on_planes(self) -> None:
        self.show_classes()
        self.changed.emit()

    def _listed(self) -> list[int]:
        layer = self.layer
        if layer is None:
            return []
        selected = int(layer.selected_label)
        numbers = {*_ALWAYS_LISTED, *self.painted_classes, *names_in(layer.features), selected}
        return sorted(number for number in numbers if number > 0)

    def _on_chosen(self) -> None:
        layer = self.layer
        self._watch.watch(layer)
        self._painted = ()
        if layer is None:
            self.planes.watch(None)
        self.show_classes()
        if layer is not None:
            self.look()
        self.changed.emit()
