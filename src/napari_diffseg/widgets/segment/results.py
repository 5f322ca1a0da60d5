"""What the runs of a dock have come to: which layer is written to, and what it shows.

No Qt here: a run begins on a layer of its own, or follows on the layer of a finished one;
it completes or is abandoned; a finished result can be replaced by the one before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_diffseg.widgets.image.image_source import ImageSource
from napari_diffseg.widgets.image.layer_facts import arrays_of, image_layers
from napari_diffseg.widgets.models.shelf import facts_known
from napari_diffseg.widgets.scribbles.class_names import names_in
from napari_diffseg.widgets.segment.result_layer import KeptLayer, ResultLayer

if TYPE_CHECKING:
    import napari
    from napari.layers import Image, Labels

    from napari_diffseg.core.result import Segmentation
    from napari_diffseg.params import SegmentationParams
    from napari_diffseg.widgets.batch.layer import AppliedLayer
    from napari_diffseg.widgets.objects.layer import ObjectsLayer
    from napari_diffseg.widgets.segment.request import RunRequest

MOST_RESULTS = 10
"""So many results are kept at most."""

MOST_PIXELS = 60_000_000
"""Of large images fewer are kept: those that have no more pixels together; one always is."""


class ResultHistory:
    """The results before the one on show, the newest last; bounded, for the memory's sake."""

    def __init__(self, most_results: int = MOST_RESULTS, most_pixels: int = MOST_PIXELS) -> None:
        self._most_results, self._most_pixels = most_results, most_pixels
        self._results: deque[tuple[Segmentation, RunRequest | None]] = deque()

    def __len__(self) -> int:
        return len(self._results)

    def push(self, segmentation: Segmentation, request: RunRequest | None = None) -> None:
        """Keep a result that is being replaced, and what it was asked by; the oldest ones go."""
        self._results.append((segmentation, request))
        while len(self._results) > 1 and self._is_too_much():
            self._results.popleft()

    def pop(self) -> tuple[Segmentation, RunRequest | None]:
        """Take the newest one back; raises `IndexError` where there is none."""
        return self._results.pop()

    def clear(self) -> None:
        """Forget them all."""
        self._results.clear()

    def _is_too_much(self) -> bool:
        n_pixels = sum(one.labels.size for one, _ in self._results)
        return len(self._results) > self._most_results or n_pixels > self._most_pixels


class Results:
    """The result layers of a dock, and the newest result."""

    changed = Signal()
    """Emitted when another result is on show, or none any more."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self._layers: list[ResultLayer | KeptLayer | AppliedLayer | ObjectsLayer] = []
        self._begun: RunRequest | None = None
        self._names: dict[int, str] = {}
        # Where the run under way shows its previews.
        self.running: ResultLayer | None = None
        # Where the newest result stands; None once a person has edited or removed it.
        self.finished: ResultLayer | None = None
        # The newest result itself; strokes follow from it even when its layer is gone.
        self.segmentation: Segmentation | None = None
        # What it was made of.
        self.request: RunRequest | None = None
        # The results that the finished layer has shown before.
        self.history = ResultHistory()

    # --- a run ----------------------------------------------------------------------

    def begin(self, request: RunRequest, *, corrects: bool) -> None:
        """Make ready the layer of a run: the newest one of the same plane, if there is one.

        A run that corrects the finished result learns from what that did.
        """
        if corrects and self.request is not None:
            request = replace(request, context=self.request.context)
        standing = self.running or self.finished
        if standing is None or not standing.source.lies_as(request.source):
            self.abandon()
            standing = self._layer_of(request.source)
        self._begun = request.without_strokes()
        n_clusters, scribbles = request.params.n_clusters, request.scribbles
        if standing is not None:
            self.running = standing
            standing.begin(n_clusters)
        else:
            self.running = ResultLayer(self._viewer, request.source, n_clusters, scribbles)
            self._layers.append(self.running)
        if request.scribbles is not None:
            self.running.color_classes(_colors(request.scribbles, request.classes))

    def complete(self, segmentation: Segmentation) -> None:
        """Show the result of the run under way; the one before it goes to the history."""
        if self.running is None:
            return
        layer, self.running = self.running, None
        before = self.segmentation
        if layer is not self.finished:
            self.history.clear()
        # Who goes back wants to see something else.
        elif before is not None and not np.array_equal(before.labels, segmentation.labels):
            self.history.push(before, self.request)
        self.finished, self.request, self._begun = layer, self._begun, None
        self._show(segmentation)

    def abandon(self) -> None:
        """Leave the viewer as it was before the run."""
        layer, self.running, self._begun = self.running, None, None
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
        segmentation, self.request = self.history.pop()
        self._show(segmentation)
        return True

    def show_or_hide(self) -> None:
        """Show the finished result, or hide it."""
        if self.finished is not None:
            self.finished.layer.visible = not self.finished.layer.visible

    def keep(self) -> str:
        """Copy the finished layer, as it is now, to one that no run changes; return its name."""
        if self.finished is None:
            return ""
        kept = KeptLayer(self._viewer, self.finished)
        self._layers.append(kept)
        kept.add()
        return str(kept.layer.name)

    def name_classes(self, names: Mapping[int, str]) -> None:
        """Let the status bar say the names of the classes, and the model know them."""
        if self.segmentation is None:
            return
        self._names = _names_of(self.segmentation, names)
        if self.finished is not None:
            self.finished.name_classes(self._names)
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
        if self.segmentation is None:
            return
        self.finished = self.segmentation = self.request = None
        self.history.clear()
        self.changed.emit()

    def params_of(self, image: Image | None) -> SegmentationParams | None:
        """Return those of the newest result, where it was made of the pixels of a layer."""
        if image is None or self.request is None or self.segmentation is None:
            return None
        own = arrays_of(image)
        is_of = any(one is array for one in self.request.source.arrays for array in own)
        return self.segmentation.params if is_of else None

    def result_of(self, source: ImageSource) -> Segmentation | None:
        """Return the newest result, where it is one of this image or a part of it."""
        if self.request is None:
            return None
        before = self.request.source
        is_same = before.shows_the_same(replace(source, region=before.region))
        return self.segmentation if is_same else None

    # --- layers ---------------------------------------------------------------------

    def adopt(self, layer: AppliedLayer | ObjectsLayer) -> None:
        """Own a layer that another part of the dock writes to."""
        self._layers.append(layer)

    def labelled(self) -> list[tuple[Labels, ImageSource, bool, tuple[str, ...]]]:
        """Return the layers that have labels, the finished one, then the newest first.

        Of each: the layer; the image that it lies on; whether it has all frames of that; and
        what the channels are called.
        """
        newest_first = self._layers[::-1]
        newest_first.sort(key=lambda one: one is not self.finished)
        return [found for one in newest_first if (found := one.labelled()) is not None]

    @property
    def is_empty(self) -> bool:
        """Whether nothing was run yet."""
        return not self._layers and self.segmentation is None

    def owns(self, layer: object) -> bool:
        """Whether this is the layer of a result."""
        return any(one.is_layer(layer) for one in self._layers)

    def on_removed(self, layer: object) -> tuple[bool, bool]:
        """Let go of a layer that was removed; return whether it was the running, the finished."""
        self._layers = [one for one in self._layers if not one.is_layer(layer)]
        was_running = self.running is not None and self.running.is_layer(layer)
        was_finished = self.finished is not None and self.finished.is_layer(layer)
        if was_running:
            self.running = self._begun = None
        if was_finished:
            self.finished = None
            self.history.clear()
        is_open = self.request is not None and self.is_open(self.request.source)
        if self.finished is None and self.running is None and not is_open:
            self.forget()  # strokes cannot follow from it any more
        return was_running, was_finished

    def is_open(self, source: ImageSource) -> bool:
        """Whether the viewer still has the pixels of a run."""
        there = [array for layer in image_layers(self._viewer) for array in arrays_of(layer)]
        return all(any(one is array for array in there) for one in source.arrays)

    def _layer_of(self, source: ImageSource) -> ResultLayer | None:
        """Return the newest layer that shows a plane, unless a person has edited it."""
        layers = [one for one in self._layers if isinstance(one, ResultLayer)]
        newest = next((one for one in reversed(layers) if one.source.lies_as(source)), None)
        return None if newest is None or newest.was_edited else newest

    def _with_facts(self, segmentation: Segmentation) -> Segmentation:
        """Return the result with a model that knows its classes, and the size of a pixel."""
        layer, labels = self.finished, segmentation.model.labels
        colors = None if layer is None else layer.colors(labels)
        size = None if layer is None else layer.source.pixel_size
        changes = facts_known(labels, self._names, colors, size)
        facts = segmentation.model.facts
        if all(getattr(facts, name) == value for name, value in changes.items()):
            return segmentation
        return replace(segmentation, model=segmentation.model.with_facts(**changes))

    def _show(self, segmentation: Segmentation) -> None:
        self.segmentation, layer = segmentation, self.finished
        if layer is None or self.request is None:
            return
        scribbles = self.request.scribbles
        if scribbles is not None and segmentation.scribbles is not None:
            layer.color_classes(_colors(scribbles, segmentation.painted_classes))
        layer.complete(segmentation)
        if scribbles is not None or self._names:  # those of a result before are none of this one
            names = {} if scribbles is None else names_in(scribbles.features)
            self._names = _names_of(segmentation, names)
            layer.name_classes(self._names)
        self.segmentation = self._with_facts(segmentation)
        self.changed.emit()


def _names_of(segmentation: Segmentation, names: Mapping[int, str]) -> dict[int, str]:
    """Return the names of classes that a result has; its other labels are regions of their own."""
    painted, all_are = segmentation.painted_classes, segmentation.only_painted
    return {number: name for number, name in names.items() if all_are or number in painted}


def _colors(scribbles: Labels, classes: tuple[int, ...]) -> dict[int, NDArray[Any]]:
    return {number: scribbles.get_color(number) for number in classes}
