"""The dock widget *Segment*: composes session, worker, layers and form, and adds nothing.

Opening it loads no torch.
"""

from __future__ import annotations

from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QWidget

from napari_diffseg.errors import DiffSegError
from napari_diffseg.widgets.batch.section import ApplySection
from napari_diffseg.widgets.image.axes_section import AxesSection
from napari_diffseg.widgets.image.layer_facts import image_layers
from napari_diffseg.widgets.measure.section import MeasureSection
from napari_diffseg.widgets.models.section import ModelSection
from napari_diffseg.widgets.objects.section import ObjectsSection
from napari_diffseg.widgets.scribbles.section import ScribblesSection
from napari_diffseg.widgets.scribbles.strokes import painted_classes
from napari_diffseg.widgets.segment.choice import Choice
from napari_diffseg.widgets.segment.face import SegmentFace
from napari_diffseg.widgets.segment.follower import StrokeFollower
from napari_diffseg.widgets.segment.live import Answer
from napari_diffseg.widgets.segment.order import Order
from napari_diffseg.widgets.segment.overview import Overview
from napari_diffseg.widgets.segment.relabel import LabelMerger
from napari_diffseg.widgets.segment.results import Results
from napari_diffseg.widgets.segment.uncertainty import UncertaintyView
from napari_diffseg.widgets.tasks.session import SegmentationSession, SessionState
from napari_diffseg.widgets.tasks.worker import launcher, steps_maker
from napari_diffseg.widgets.ui import words
from napari_diffseg.widgets.ui.notices import notify_of

if TYPE_CHECKING:
    import napari.viewer

    from napari_diffseg.core.published.training import Iteration
    from napari_diffseg.core.result import Segmentation


class SegmentDock(SegmentFace):
    """Press Segment: regions form on the image until they are done, or you press Stop."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._was_docked = False
        self._task = Answer.SEGMENT
        self.results = Results(viewer)
        turn = Lock()
        self.session = SegmentationSession(launcher(turn))
        self.section = ScribblesSection(viewer, self.scribbles, self.results, self._show_failure)
        self.axes = AxesSection(self.axes_form)
        self.choice = Choice(viewer, self, self.axes, self.section, self.results)
        self._overview = Overview(
            self, self.choice, self.axes, self.section, self.results, self.session
        )
        self._merger = LabelMerger(self._on_merged, self._show_failure, turn)
        self._doubts = UncertaintyView(
            viewer, self.results, lambda: self.section.layer, self._show_failure, turn
        )
        self.modelling = ModelSection(self.model_form, self.results, lambda: self.section.layer)
        self.applying = ApplySection(
            viewer,
            self.apply_form,
            self.modelling,
            self.results,
            self.choice.frames,
            self.options,
            turn,
        )
        self.objects = ObjectsSection(
            viewer,
            self.objects_form,
            self.results,
            self.choice.frames,
            lambda: self.section.layer,
        )
        self.measuring = MeasureSection(
            viewer, self.measure_form, self.objects, self.measure_fold.isExpanded
        )
        self.measure_fold.toggled.connect(lambda _: self.measuring.look())
        self._follower = StrokeFollower(
            self.section,
            self.session,
            self.results,
            partial(self.choice.order, follows=True),
            self._follow,
            self.say,
        )
        self._connect_controls()
        self._links = [
            (viewer.layers.events.inserted, self._on_layers),
            (viewer.layers.events.removed, self._on_layer_removed),
            (viewer.layers.events.reordered, self._on_layers),
            (viewer.layers.events.renamed, self._on_layers),
            (viewer.dims.events, self._refresh),
        ]
        for emitter, slot in self._links:
            emitter.connect(slot)
        self._parts = (
            self.axes,
            self.section,
            self._doubts,
            self.modelling,
            self.applying,
            self.measuring,
            self.objects,
        )
        self.destroyed.connect(partial(_release, self.session, self._links, self._parts))
        self._on_layers()
        active = viewer.layers.selection.active
        if active in image_layers(viewer):
            self.images.choose(active)
        self.say(words.HINT)

    def _connect_controls(self) -> None:
        self.session.state_changed.connect(self._on_state)
        self.session.stepped.connect(self._on_step)
        self.session.succeeded.connect(self._on_success)
        self.session.failed.connect(self._on_failure)
        self.section.changed.connect(self._refresh)
        self.segment_button.clicked.connect(self.start)
        self.stop_button.clicked.connect(self.session.finish)
        self.scribbles.new_button.clicked.connect(self.add_scribbles)
        self.live_box.toggled.connect(self._follower.set_live)
        self.previous_button.clicked.connect(self.step_back)
        self.uncertainty_box.toggled.connect(self._doubts.show)
        self.uncertain_button.clicked.connect(self._doubts.go)
        self.images.changed.connect(self._on_image_chosen)
        self.axes.changed.connect(self._on_image_chosen)
        for part in (self.channels, self.level, self.region, self.fill):
            part.changed.connect(self._refresh)
        self.preset.activated.connect(self.fill_in_preset)
        self.learn_from.changed.connect(self._refresh)
        self.labels.moved.connect(self._on_labels)
        self.params_form.changed.connect(self._refresh)
        self.options_form.changed.connect(self._refresh)

    # --- what a person does ---------------------------------------------------------

    def start(self) -> None:
        """Start a run on what is chosen now; where one is under way, only say so."""
        if self.session.is_busy:
            self.say(words.BUSY, wrong=True)
            return
        try:
            order = self.choice.order()
        except DiffSegError as error:
            self.say(str(error), wrong=True)
            return
        self._forget_finished()
        in_memory = order.strokes is not None and order.strokes.is_in_memory
        strokes = order.strokes.read() if order.strokes is not None and in_memory else None
        self._run(order, Answer.SEGMENT, strokes, in_place=False)

    def add_scribbles(self) -> None:
        """Make a layer to paint on."""
        try:
            self.section.add(self.choice.source(), self.params().n_clusters)
        except DiffSegError as error:
            self.say(str(error), wrong=True)
            return
        self.say(words.PAINT)

    def step_back(self) -> None:
        """Show the result before this one."""
        if self.session.is_busy or not self._may_change_result():
            return
        if self.results.step_back():
            self._take_up_result()
            self._refresh()
            self.say(words.BACK)

    def _follow(self, order: Order, task: Answer, strokes: NDArray[Any]) -> None:
        # A result that a person has edited is left as it is, and a new layer is made.
        self._may_change_result()
        self._run(order, task, strokes, in_place=True)

    def _run(
        self, order: Order, task: Answer, strokes: NDArray[Any] | None, *, in_place: bool
    ) -> None:
        """Start a run; strokes that are None are read by the run itself, if there are any."""
        results = self.results
        self._task = task
        self._follower.is_starting = True
        try:
            results.begin(order, in_place=in_place, follows=task is Answer.FOLLOW)
            layer = results.running
            self.segment_button.setEnabled(False)
            self._on_layers()
            if strokes is not None:
                results.color_classes(painted_classes(strokes))
            self._follower.started(order, task, strokes)
            base = results.segmentation if task is Answer.FOLLOW else None
            # napari lets other events through while it adds a layer; it may be gone again.
            if results.running is layer:
                self.session.start(steps_maker(order, base, strokes))
        finally:
            self._follower.is_starting = False
            if not self.session.is_busy:
                self._abandon()
                self._refresh()

    def _on_labels(self, n_labels: int) -> None:
        self.params_form.write({"n_labels": n_labels})
        if self._may_change_result():
            self._merger.ask(n_labels)

    def _on_image_chosen(self) -> None:
        self.choice.take()
        self._refresh()

    # --- what the viewer does -------------------------------------------------------

    def _on_layers(self, event: Any = None) -> None:
        layers = image_layers(self._viewer)
        self.images.offer([one for one in layers if not self._doubts.is_layer(one)])
        self.section.offer()

    def _on_layer_removed(self, event: Any) -> None:
        layer = event.value
        was_running, was_finished = self.results.on_removed(layer)
        if was_running:
            self.session.cancel()
            self.say(words.REMOVED)
        if was_finished:
            self._merger.hold(None)
        if self._doubts.is_layer(layer):
            self._doubts.on_removed()
            self.uncertainty_box.setChecked(False)
        if self.section.layer is not None and self.section.layer == layer:
            self.say(words.SCRIBBLES_GONE)
        self.axes.on_removed(layer)
        self.applying.on_layer_removed(layer)
        self.objects.on_layer_removed(layer)
        self._on_layers()

    def _refresh(self, event: Any = None) -> None:
        """Bring the controls up to date with what is chosen."""
        self._overview.show()
        self.applying.refresh()
        self.objects.refresh()

    # --- what the run says ----------------------------------------------------------

    def _on_state(self, state: SessionState) -> None:
        running = state in (SessionState.RUNNING, SessionState.FINISHING)
        self.stop_button.setEnabled(state is SessionState.RUNNING)
        is_whole = self._task is Answer.SEGMENT
        self.show_progress(0, 0 if running and is_whole else None)
        if state is SessionState.RUNNING:
            self.say(words.FOLLOWING if self._task is Answer.FOLLOW else words.STARTING)
        elif state is SessionState.FINISHING:
            self.say(words.FINISHING)
        else:
            if is_whole:
                self.offer_devices()
            self._follower.ended()
        self._refresh()

    def _on_step(self, facts: Iteration) -> None:
        if facts.labels is not None and self.results.running is not None:
            self.results.running.show_preview(facts.labels)
        if self._task is not Answer.SEGMENT:
            return
        if self.session.state is SessionState.RUNNING:
            self.say(words.progress_in_words(facts))
        self.show_progress(facts.index, facts.n_iterations)

    def _on_success(self, segmentation: Segmentation) -> None:
        if self.results.running is not None:
            self.results.complete(segmentation)
            self._take_up_result()
            in_words = words.followed_in_words
            if self._task is Answer.SEGMENT:
                in_words = words.result_in_words
            self.say(in_words(segmentation))
            self._follow_moved_knob(segmentation)

    def _follow_moved_knob(self, segmentation: Segmentation) -> None:
        """Merge anew where the knob was moved while the run was under way."""
        wanted = self.params_form.values()["n_labels"]
        is_moved = wanted != segmentation.params.n_labels
        if is_moved and not segmentation.only_painted and not self.params_form.problems():
            self._merger.ask(wanted)

    def _take_up_result(self) -> None:
        """Let the knob and the uncertainty be about the result on show."""
        segmentation = self.results.segmentation
        self._merger.hold(segmentation)
        is_free = segmentation is not None and segmentation.scribbles is None
        self.show_found(segmentation.n_labels if is_free else 0)
        self._doubts.follow()
        self.modelling.follow()
        self.objects.follow()

    def _on_merged(self, segmentation: Segmentation) -> None:
        # Asked again: a person may have painted while the labels were merged.
        if self._may_change_result():
            self.results.replace(segmentation)
            self._doubts.follow()
            self.modelling.follow()
            self.objects.follow()
            self.say(words.merged_in_words(segmentation))

    def _may_change_result(self) -> bool:
        """Whether a finished result is as it came; one that a person edited is let go."""
        if self.results.let_go_of_edited():
            self._merger.hold(None)
            self.say(words.EDITED)
        return self.results.finished is not None

    def _forget_finished(self) -> None:
        """From now on the knob is for the next run only."""
        self.results.forget()
        self._merger.hold(None)
        self._doubts.follow()

    def _on_failure(self, error: Exception) -> None:
        self._abandon()
        self._refresh()
        self._show_failure(error)

    def _abandon(self) -> None:
        """Leave the viewer as it was before the run."""
        self.results.abandon()

    def _show_failure(self, error: Exception) -> None:
        self.say(words.error_in_words(error), wrong=True)
        notify_of(error)

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
        _release(self.session, self._links, self._parts)
        self._forget_finished()
        self._abandon()
        self.deleteLater()


def _release(
    session: SegmentationSession,
    links: list[tuple[Any, Any]],
    parts: tuple[Any, ...],
    destroyed: QWidget | None = None,
) -> None:
    """Cut every line into the widget, so that nothing calls it when it is gone."""
    for signal in (session.state_changed, session.stepped, session.succeeded, session.failed):
        signal.disconnect()
    session.cancel()
    for part in parts:
        part.close()
    for emitter, slot in links:
        emitter.disconnect(slot)
    links.clear()
