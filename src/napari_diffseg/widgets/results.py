"""What the runs of a dock have come to: which layer is written to, and what it shows.

No Qt here: a run begins on a layer of its own, or follows on the layer of a finished one;
it completes or is abandoned; a finished result can be replaced by the one before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_diffseg.widgets.class_names import names_in
from napari_diffseg.widgets.history import ResultHistory
from napari_diffseg.widgets.layers import ResultLayer
from napari_diffseg.widgets.planes import ImageSource

if TYPE_CHECKING:
    import napari
    from napari.layers import Labels

    from napari_diffseg.core.result import Segmentation
    from napari_diffseg.params import SegmentationParams
    from napari_diffseg.widgets.apply_layer import AppliedLayer


class Results:
    """The result layers of a dock, and the newest result.

    Parameters
    ----------
    viewer : napari.Viewer
        Gets the layers.

    Attributes
    ----------
    running : ResultLayer or None
        Where the run under way shows its previews.
    finished : ResultLayer or None
        Where the newest result stands; None once a person has edited or removed it.
    segmentation : Segmentation or None
        The newest result itself; strokes follow from it even when its layer is gone.
    source : ImageSource or None
        What it was made from.
    history : ResultHistory
        The results that the finished layer has shown before.
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self._layers: list[ResultLayer | AppliedLayer] = []
        self._scribbles: Labels | None = None
        self.running: ResultLayer | None = None
        self.finished: ResultLayer | None = None
        self.segmentation: Segmentation | None = None
        self.source: ImageSource | None = None
        self.history = ResultHistory()

    # --- a run ----------------------------------------------------------------------

    def begin(
        self,
        source: ImageSource,
        n_clusters: int,
        scribbles: Labels | None,
        *,
        in_place: bool,
    ) -> None:
        """Make ready the layer of a run.

        Parameters
        ----------
        source : ImageSource
            What is segmented.
        n_clusters : int
            The most labels that there can be.
        scribbles : Labels, optional
            The layer whose strokes the run is told.
        in_place : bool
            Whether it may be the layer of the finished run, where that shows the same.
        """
        self._scribbles = scribbles
        standing = self.running or self.finished
        if in_place and standing is not None and standing.source.lies_as(source):
            self.running = standing
            standing.lock()
            return
        self.abandon()
        self.running = ResultLayer(self._viewer, source, n_clusters, scribbles)
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
        self.finished, self.source = layer, layer.source
        self._show(segmentation)

    def abandon(self) -> None:
        """Leave the viewer as it was before the run."""
        layer, self.running = self.running, None
        if layer is None:
            return
        if layer is self.finished and self.segmentation is not None:
            layer.complete(self.segmentation)
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
        """Let the status bar say the names of the classes."""
        if self.finished is not None:
            self.finished.name_classes(names)

    def let_go_of_edited(self) -> bool:
        """Let go of a finished layer that a person has edited; return whether it was one."""
        if self.finished is not None and self.finished.was_edited:
            self.finished = None
            self.history.clear()
            return True
        return False

    def forget(self) -> None:
        """Let go of the finished result; its layer stays as it is."""
        self.finished = self.segmentation = self.source = None
        self.history.clear()

    # --- layers ---------------------------------------------------------------------

    def adopt(self, layer: AppliedLayer) -> None:
        """Own a layer that another part of the dock writes to."""
        self._layers.append(layer)

    def owns(self, layer: object) -> bool:
        """Whether this is the layer of a result."""
        return any(one.is_layer(layer) for one in self._layers)

    def on_removed(self, layer: object) -> tuple[bool, bool]:
        """Let go of a layer that was removed.

        Returns
        -------
        tuple of bool
            Whether it was the layer of the run under way, and of the finished one.
        """
        self._layers = [one for one in self._layers if not one.is_layer(layer)]
        was_running = self.running is not None and self.running.is_layer(layer)
        was_finished = self.finished is not None and self.finished.is_layer(layer)
        if was_running:
            self.running = None
        if was_finished:
            self.finished = None
            self.history.clear()
        return was_running, was_finished

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
            layer.name_classes(names_in(scribbles.features))


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
