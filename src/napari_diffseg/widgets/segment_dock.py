"""The dock widget *Segment*: composes session, worker, layers and form, and adds nothing.

Opening it loads no torch.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari.utils import progress
from napari.utils.notifications import notification_manager, show_error
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QWidget

from napari_diffseg.errors import DiffSegError, InputError
from napari_diffseg.params import PRESETS, RunOptions, SegmentationParams
from napari_diffseg.widgets import words
from napari_diffseg.widgets.face import SegmentFace
from napari_diffseg.widgets.layers import ResultLayer
from napari_diffseg.widgets.planes import ImageSource, describe_source, guess_axes, image_layers
from napari_diffseg.widgets.relabel import LabelMerger
from napari_diffseg.widgets.session import SegmentationSession, SessionState
from napari_diffseg.widgets.worker import segmentation_steps, start_worker

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image

    from napari_diffseg.core.segmentation import Segmentation
    from napari_diffseg.core.training import Iteration


class SegmentDock(SegmentFace):
    """Press Segment: regions form on the image until they are done, or you press Stop.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Whose images are segmented.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._guessed_for: Image | None = None
        self._result: ResultLayer | None = None
        self._finished: ResultLayer | None = None
        self._merger = LabelMerger(self._on_merged, self._show_failure)
        self._progress: progress | None = None
        self._was_docked = False
        self.session = SegmentationSession(start_worker)
        self.session.state_changed.connect(self._on_state)
        self.session.stepped.connect(self._on_step)
        self.session.succeeded.connect(self._on_success)
        self.session.failed.connect(self._on_failure)
        self.segment_button.clicked.connect(self.start)
        self.stop_button.clicked.connect(self.session.finish)
        self.images.changed.connect(self._on_image_chosen)
        self.axes_edit.textEdited.connect(self._refresh)
        self.preset.activated.connect(self._on_preset)
        self.labels.moved.connect(self._on_labels)
        self.params_form.changed.connect(self._refresh)
        self.options_form.changed.connect(self._refresh)
        self._links = [
            (viewer.layers.events.inserted, self._on_layers),
            (viewer.layers.events.removed, self._on_layer_removed),
            (viewer.layers.events.reordered, self._on_layers),
            (viewer.layers.events.renamed, self._on_layers),
            (viewer.dims.events, self._refresh),
        ]
        for emitter, slot in self._links:
            emitter.connect(slot)
        self.destroyed.connect(partial(_release, self.session, self._links))
        self._on_layers()
        active = viewer.layers.selection.active
        if active in image_layers(viewer):
            self.images.choose(active)
        self.say(words.HINT)

    # --- what a run is told ---------------------------------------------------------

    def source(self) -> ImageSource:
        """Return what Segment would segment now.

        Raises
        ------
        InputError
            Nothing that could be segmented.
        """
        axes = self.axes_edit.text() if self.axes_row.isVisibleTo(self) else None
        return describe_source(self.images.chosen(), self._viewer.dims, axes)

    def params(self) -> SegmentationParams:
        """Return the parameters in the form.

        Raises
        ------
        ParameterError
            One of them is out of its bounds.
        """
        return SegmentationParams.from_dict(self.params_form.values())

    def options(self) -> RunOptions:
        """Return the options in the form.

        Raises
        ------
        ParameterError
            One of them is out of its bounds.
        """
        values = {**self.options_form.values(), "device": self.device.currentData()}
        return RunOptions.from_dict(values)

    # --- what a person does ---------------------------------------------------------

    def start(self) -> None:
        """Start a run on what is chosen now; where one is under way, only say so."""
        if self.session.is_busy:
            self.say(words.BUSY, wrong=True)
            return
        try:
            source, params, options = self.source(), self.params(), self.options()
        except DiffSegError as error:
            self.say(str(error), wrong=True)
            return
        self._forget_finished()
        result = self._result = ResultLayer(self._viewer, source, params.n_clusters)
        self.segment_button.setEnabled(False)
        self._progress = progress(
            total=params.n_iterations, desc=f"Segmenting {source.layer_names[0]}"
        )
        # napari lets other events through while it makes the bar; the layer may be gone.
        if self._result is result:
            try:
                self.session.start(partial(segmentation_steps, source, params, options))
            finally:
                if not self.session.is_busy:
                    self._abandon()
                    self._refresh()
        else:
            self._close_progress()

    def _on_preset(self, index: int) -> None:
        name = self.preset.itemData(index)
        if name in PRESETS:
            preset = PRESETS[name]().to_dict()
            self.params_form.write({name: preset[name] for name in preset if name != "seed"})
        else:
            # "Custom" is what the form is when it is neither; it cannot be chosen.
            self._refresh()

    def _on_labels(self, n_labels: int) -> None:
        self.params_form.write({"n_labels": n_labels})
        if self._may_change_result():
            self._merger.ask(n_labels)

    def _on_image_chosen(self) -> None:
        layers = self.images.chosen()
        image = layers[0] if layers else None
        # What a person typed stays for as long as the image is the same one; layers are
        # compared by ==, because napari hands out proxies of them.
        if image is None or self._guessed_for is None or image != self._guessed_for:
            self._guessed_for = image
            try:
                self.axes_edit.setText(guess_axes(image) if image is not None else "")
            except InputError:
                self.axes_edit.setText("")
        # With two axes there is nothing to choose.
        self.axes_row.setVisible(bool(layers) and layers[0].ndim > 2)
        self._refresh()

    # --- what the viewer does -------------------------------------------------------

    def _on_layers(self, event: Any = None) -> None:
        self.images.offer(image_layers(self._viewer))

    def _on_layer_removed(self, event: Any) -> None:
        if self._result is not None and self._result.is_layer(event.value):
            self.session.cancel()
            self._result = None
            self.say(words.REMOVED)
        if self._finished is not None and self._finished.is_layer(event.value):
            self._forget_finished()
        self._on_layers()

    def _refresh(self, event: Any = None) -> None:
        """Read the axes out, mark what is wrong, and say why Segment is off."""
        reason = self._show_source() or next(iter(self._problems().values()), "")
        self.show_parameters(self.params_form.values())
        busy = self.session.is_busy
        self.give_reason(reason, wrong=bool(self.images.chosen()), busy=busy)
        self.segment_button.setEnabled(not reason and not busy)
        self.segment_button.setToolTip(reason or words.HINT)

    def _problems(self) -> dict[str, str]:
        return {**self.params_form.problems(), **self.options_form.problems()}

    def _show_source(self) -> str:
        """Show what would be segmented; return why nothing can be, or an empty text."""
        try:
            source = self.source()
        except InputError as error:
            self.show_image("", ())
            self.mark_axes(wrong=bool(self.images.chosen()))
            return str(error)
        self.show_image(source.description, source.notes)
        self.mark_axes(wrong=False)
        return ""

    # --- what the run says ----------------------------------------------------------

    def _on_state(self, state: SessionState) -> None:
        running = state in (SessionState.RUNNING, SessionState.FINISHING)
        self.stop_button.setEnabled(state is SessionState.RUNNING)
        self.show_progress(0, 0 if running else None)
        if state is SessionState.RUNNING:
            self.say(words.STARTING)
        elif state is SessionState.FINISHING:
            self.say(words.FINISHING)
        else:
            self._close_progress()
            self.offer_devices()
        self._refresh()

    def _on_step(self, facts: Iteration) -> None:
        if facts.labels is not None and self._result is not None:
            self._result.show_preview(facts.labels)
        if self.session.state is SessionState.RUNNING:
            self.say(words.progress_in_words(facts))
        self.show_progress(facts.index, facts.n_iterations)
        bar = self._progress
        if bar is not None:
            # Last, because this too lets other events through: the run may be over then.
            bar.set_description(words.count_in_words(facts.n_clusters, "cluster"))
            bar.update(facts.index - bar.n)

    def _on_success(self, segmentation: Segmentation) -> None:
        if self._result is not None:
            self._result.complete(segmentation)
            self._finished, self._result = self._result, None
            self._merger.hold(segmentation)
            self.say(words.result_in_words(segmentation))

    def _on_merged(self, segmentation: Segmentation) -> None:
        # Asked again: a person may have painted while the labels were merged.
        if self._finished is not None and self._may_change_result():
            self._finished.complete(segmentation)
            self.say(words.merged_in_words(segmentation))

    def _may_change_result(self) -> bool:
        """Whether a finished result is as it came; one that a person edited is let go."""
        if self._finished is not None and self._finished.was_edited:
            self._forget_finished()
            self.say(words.EDITED)
        return self._finished is not None

    def _forget_finished(self) -> None:
        """From now on the knob is for the next run only."""
        self._finished = None
        self._merger.hold(None)

    def _on_failure(self, error: Exception) -> None:
        self._abandon()
        self._show_failure(error)

    def _abandon(self) -> None:
        """Leave the viewer as it was before the run."""
        self._close_progress()
        if self._result is not None:
            result, self._result = self._result, None
            result.discard()

    def _show_failure(self, error: Exception) -> None:
        self.say(words.error_in_words(error), wrong=True)
        if isinstance(error, DiffSegError):
            show_error(str(error))
        else:
            # With its traceback, for a report.
            notification_manager.receive_error(type(error), error, error.__traceback__)

    def _close_progress(self) -> None:
        if self._progress is not None:
            self._progress.close()
            self._progress = None

    # --- the end of the dock --------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        """Notice that napari has taken the widget out of its dock, and go."""
        if event.type() == QEvent.Type.ParentChange:
            if self._was_docked and self.parent() is None:
                self.close_down()
            self._was_docked = self.parent() is not None
        return super().event(event)

    def close_down(self) -> None:
        """Cancel the run, leave things as they were, and delete the widget."""
        _release(self.session, self._links)
        self._forget_finished()
        self._abandon()
        self.deleteLater()


def _release(
    session: SegmentationSession, links: list[tuple[Any, Any]], destroyed: QWidget | None = None
) -> None:
    """Cut every line into the widget, so that nothing calls it when it is gone."""
    for signal in (session.state_changed, session.stepped, session.succeeded, session.failed):
        signal.disconnect()
    session.cancel()
    for emitter, slot in links:
        emitter.disconnect(slot)
    links.clear()
