"""What the runs of a dock have come to: which layer is written to, and what it shows.

No Qt here: a run begins on a layer of its own, or follows on the layer of a finished one;
it completes or is abandoned; a finished result can be replaced by the one before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_diffseg.widgets.image.image_source import ImageSource
from napari_diffseg.widgets.models.facts import facts_known
from napari_diffseg.widgets.scribbles.class_names import names_in
from napari_diffseg.widgets.segment.history import ResultHistory
from napari_diffseg.widgets.ui.layers import ResultLayer

if TYPE_CHECKING:
    import napari
    from napari.layers import Labels

    from napari_diffseg.core.result import Segmentation
    from napari_diffseg.params import SegmentationParams
    from napari_diffseg.widgets.batch.layer import AppliedLayer
    from napari_diffseg.widgets.objects.layer import ObjectsLayer
    from napari_diffseg.widgets.scribbles.other_planes import Lesson
    from napari_diffseg.widgets.segment.order import Order


class Results:
    """The result layers of a dock, and the newest result."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self._layers: list[ResultLayer | AppliedLayer | ObjectsLayer] = []
        self._scribbles: Labels | None = None
        self.running: ResultLayer | None = None
        self.finished: ResultLayer | None = None
        self.segmentation: Segmentation | None = None
        self.source: ImageSource | None = None
        self.lesson: Lesson | None = None
        self.history = ResultHistory()
        self._begun: Lesson | None = None
        self._names: dict[int, str] = {}

    # --- a run ----------------------------------------------------------------------

    def begin(self, order: Order, *, in_place: bool, follows: bool) -> None:
        """Make ready the layer of a run."""
        self._scribbles = order.scribbles
        self._begun = self.lesson if follows else order.lesson
        standing = self.running or self.finished
        if not in_place or standing is None or not standing.source.lies_as(order.source):
            self.abandon()
            standing = self._layer_of(order.source) if in_place else None
        if standing is not None:
            self.running = standing
            standing.lock()
            return
        n_clusters = order.params.n_clusters
        self.running = ResultLayer(self._viewer, order.source, n_clusters, order.scribbles)
        self._layers.append(self.running)

    def color_classes(self, classes: tuple[int, ...]) -> None:
        """Give painted classes the colours of their strokes while the run goes on."""
        if self.running is not None and self._scribbles is not None:
            self.running.color_classes(_colors(self._scribbles, classes))

    def complete(self, segmentation: Segmentation) -> None:
        """Show the result of the run under way; the one before it goes to the history."""
        if self.running is None:
            return
        layer, self.running = self.running, None
        if layer is not self.finished:
            self.history.clear()
        elif self.segmentation is not None:
            self.history.push(self.segmentation)
        self.finished, self.source, self.lesson = layer, layer.source, self._begun
        self._show(segmentation)

    def abandon(self) -> None:
        """Leave the viewer as it was before the run."""
        layer, self.running = self.running, None
        if layer is None:
            return
        if layer.has_result:
            layer.restore()
        else:
            self._layers.remove(layer)
            layer.discard()

    # --- a finished result ----------------------------------------------------------

    def replace(self, segmentation: Segmentation) -> None:
        """Show the same result with other labels, such as fewer."""
        if self.finished is not None:
            self._show(segmentation)

    def step_back(self) -> bool:
        """Show the result before this one; return whether there was one."""
        if self.finished is None or not self.history:
            return False
        self._show(self.history.pop())
        return True

    def name_classes(self, names: Mapping[int, str]) -> None:
        """Let the status bar say the names of the classes, and the model know them."""
        self._names = dict(names)
        if self.finished is not None:
            self.finished.name_classes(names)
        if self.segmentation is not None:
            self.segmentation = self._with_facts(self.segmentation)

    def let_go_of_edited(self) -> bool:
        """Let go of a finished layer that a person has edited; return whether it was one."""
        if self.finished is not None and self.finished.was_edited:
            self.finished = None
            self.history.clear()
            return True
        return False

    def forget(self) -> None:
        """Let go of the finished result; its layer stays as it is."""
        self.finished = self.segmentation = self.source = self.lesson = None
        self.history.clear()

    # --- layers ---------------------------------------------------------------------

    def adopt(self, layer: AppliedLayer | ObjectsLayer) -> None:
        """Own a layer that another part of the dock writes to."""
        self._layers.append(layer)

    def labelled(self) -> list[tuple[Labels, ImageSource, bool, tuple[str, ...]]]:
        """Return the layers that have labels, the newest first."""
        newest_first = self._layers[::-1]
        # The finished one before all others.
        newest_first.sort(key=lambda one: one is not self.finished)
        return [found for one in newest_first if (found := one.labelled()) is not None]

    def owns(self, layer: object) -> bool:
        """Whether this is the layer of a result."""
        return any(one.is_layer(layer) for one in self._layers)

    def on_removed(self, layer: object) -> tuple[bool, bool]:
        """Let go of a layer that was removed."""
        self._layers = [one for one in self._layers if not one.is_layer(layer)]
        was_running = self.running is not None and self.running.is_layer(layer)
        was_finished = self.finished is not None and self.finished.is_layer(layer)
        if was_running:
            self.running = None
        if was_finished:
            self.finished = None
            self.history.clear()
        return was_running, was_finished

    def _layer_of(self, source: ImageSource) -> ResultLayer | None:
        """Return the newest layer that shows a plane, unless a person has edited it."""
        layers = [one for one in self._layers if isinstance(one, ResultLayer)]
        newest = next((one for one in reversed(layers) if one.source.lies_as(source)), None)
        return None if newest is None or newest.was_edited else newest

    def _with_facts(self, segmentation: Segmentation) -> Segmentation:
        """Return the result with a model that knows its classes, and the size of a pixel."""
        layer, labels = self.finished, segmentation.model.labels
        colors, source = (None, None) if layer is None else (layer.colors(labels), layer.source)
        changes = facts_known(labels, self._names, colors, source)
        facts = segmentation.model.facts
        if all(getattr(facts, name) == value for name, value in changes.items()):
            return segmentation
        return replace(segmentation, model=segmentation.model.with_facts(**changes))

    def _show(self, segmentation: Segmentation) -> None:
        self.segmentation = segmentation
        layer = self.finished
        if layer is None:
            return
        scribbles = self._scribbles
        if scribbles is not None and segmentation.scribbles is not None:
            layer.color_classes(_colors(scribbles, segmentation.painted_classes))
        layer.complete(segmentation)
        if scribbles is not None:
            self._names = names_in(scribbles.features)
            layer.name_classes(self._names)
        self.segmentation = self._with_facts(segmentation)


def follows(
    results: Results, source: ImageSource, params: SegmentationParams
) -> Segmentation | None:
    """Return the result from which a run on this image can follow; None where there is none.

    The number of labels may be another one: it only says what is merged.
    """
    segmentation = results.segmentation
    if segmentation is None or results.source is None or not segmentation.can_be_corrected:
        return None
    is_same = replace(segmentation.params, n_labels=params.n_labels) == params
    return segmentation if is_same and results.source.shows_the_same(source) else None


def _colors(scribbles: Labels, classes: tuple[int, ...]) -> dict[int, NDArray[Any]]:
    return {number: scribbles.get_color(number) for number in classes}
