"""The dock widget *Segment*: composes state, views and controllers, and adds nothing.

Opening it waits for no torch: that is loaded in a thread from then on.
"""

from __future__ import annotations

from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QSignalBlocker
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QSizePolicy, QWidget
from superqt.utils import qdebounced

from napari_diffseg.errors import DiffSegError
from napari_diffseg.widgets.batch.section import ApplySection
from napari_diffseg.widgets.export.again import RunAgain
from napari_diffseg.widgets.export.section import ExportSection
from napari_diffseg.widgets.files.sizes import KnownSizes
from napari_diffseg.widgets.image.axes_section import AxesSection
from napari_diffseg.widgets.image.layer_facts import image_layers, opened_together, read_layer
from napari_diffseg.widgets.measure.section import MeasureSection
from napari_diffseg.widgets.models.section import ModelSection
from napari_diffseg.widgets.models.shelf import ModelShelf
from napari_diffseg.widgets.objects.section import ObjectsSection
from napari_diffseg.widgets.region.drawn import region_layers
from napari_diffseg.widgets.scribbles.rest import RestOfImage
from napari_diffseg.widgets.scribbles.section import ScribblesSection
from napari_diffseg.widgets.segment.choice import Choice, SegmentState
from napari_diffseg.widgets.segment.follower import StrokeFollower
from napari_diffseg.widgets.segment.overview import Overview
from napari_diffseg.widgets.segment.press import Press
from napari_diffseg.widgets.segment.reopening import Left, keep, leave, take_left, take_up
from napari_diffseg.widgets.segment.results import Results
from napari_diffseg.widgets.segment.runs import Runs
from napari_diffseg.widgets.segment.uncertainty import UncertaintyView
from napari_diffseg.widgets.segment.view import SegmentView
from napari_diffseg.widgets.tasks.early import load_early
from napari_diffseg.widgets.ui import words
from napari_diffseg.widgets.ui.controls import stack
from napari_diffseg.widgets.ui.preferences import Preferences
from napari_diffseg.widgets.ui.refreshing import Refreshing

if TYPE_CHECKING:
    import napari.viewer


_PAUSE = 500
"""So many milliseconds after a change, it is kept for the next session."""


class SegmentDock(QWidget):
    """Press Segment: labels form on the image until they are done, or you press Stop."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._was_docked = False
        self.state = SegmentState()
        self.params, self.options = self.state.params, self.state.options
        left, self.preferences = take_left(viewer), Preferences()
        self.results = Results(viewer) if left is None else left.results
        turn = Lock()
        self.runs = Runs(self.state, self.results, turn)
        self.session = self.runs.session
        self.view = SegmentView()
        self.refreshing = Refreshing(self, self._refresh)
        # Scripts reach every control by the dock.
        vars(self).update(self.view.parts())
        stack(self, self.view)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.setMinimumWidth(320)
        self._make_controllers(turn, left)
        self._overview = Overview(self)
        self.press = Press(self)
        self._parts = (self.press, *self._parts)
        self.start = self.press.start
        self._connect_state()
        self._connect_views()
        self._connect_viewer()
        with self.refreshing.once():
            self._on_layers()
            self.images.choose(viewer.layers.selection.active)
            take_up(self, left)
        self.state.events.image.connect(self._on_other_image)
        self._bind_keys()
        self.run_view.say(words.HINT if self.results.segmentation is None else words.GOES_ON)
        load_early()

    # --- what it is composed of -----------------------------------------------------

    def _make_controllers(self, turn: Lock, left: Left | None) -> None:
        viewer, results, fail = self._viewer, self.results, self.runs.fail

        def scribbles() -> Any:
            return self.state.scribbles

        self.section = ScribblesSection(viewer, self.scribbles, results, fail)
        self.rest = RestOfImage(self.section, self.scribbles.classes, self.knobs.params_form)
        self.axes = AxesSection(self.axes_form, () if left is None else left.said)
        self.choice = Choice(viewer, self.state, results, self.section.planes)
        ask = partial(self.choice.request, follows=True)
        once = self.refreshing.once
        self._follower = StrokeFollower(
            self.state, self.section, self.runs, ask, once, lambda: self.press.is_waiting
        )
        self.doubts = UncertaintyView(viewer, results, scribbles, self.runs, turn, self.run_view)
        shelf = ModelShelf() if left is None else left.shelf
        self.modelling = ModelSection(self.model_form, results, scribbles, shelf)
        frames, options, form = self.choice.frames, self.options, self.apply_form
        self.applying = ApplySection(viewer, form, self.modelling, results, frames, options, turn)
        self.sizes = sizes = KnownSizes(viewer, self.axes)
        self.objects = ObjectsSection(viewer, self.objects_form, results, frames, scribbles, sizes)
        is_open = self.measure_fold.isExpanded
        self.measuring = MeasureSection(viewer, self.measure_form, self.objects, is_open)
        self.again = RunAgain(viewer, self.export_form, results, self.objects, self.applying, shelf)
        self.exporting = ExportSection(self.export_form, results, self.objects, self.again)
        self._parts: tuple[Any, ...] = (
            *(self.runs, self.axes, self.rest, self.section, self.doubts, self.modelling),
            *(self.applying, self.measuring, self.exporting, self.again, self.objects),
        )

    def _connect_state(self) -> None:
        """Let every view write what is chosen in it into the state, which the dock then shows."""
        state, knobs = self.state, self.knobs
        for view, name, read in (
            (self.channels, "channels", self.channels.wish),
            (self.level, "level", lambda: self.level.wanted),
            (self.region, "region", self.region.chosen),
            (self.fill, "fill", self.fill.typed),
            (self.learn_from, "learn_from", self.learn_from.chosen),
            (self.section, "scribbles", lambda: self.section.layer),
            (knobs.params_form, "typed_params", knobs.params_form.values),
            (knobs.options_form, "typed_options", knobs.options),
            (knobs, "typed_options", knobs.options),
        ):
            view.changed.connect(partial(self._on_chosen, name, read))
        # Of the state and not of the forms, which may be gone when this comes.
        self._keep = qdebounced(lambda: keep(state), timeout=_PAUSE)
        for event in (state.events.typed_params, state.events.typed_options):
            event.connect(lambda _: self._keep())
        self.live_box.toggled.connect(partial(setattr, state, "is_live"))
        self.images.changed.connect(self._on_image_chosen)
        self.axes.changed.connect(self._on_image_chosen)

    def _connect_views(self) -> None:
        runs, run = self.runs, self.run_view
        runs.said.connect(run.say)
        self.rest.said.connect(run.say)
        runs.progressed.connect(run.show_progress)
        runs.begun.connect(self._on_layers)
        runs.changed.connect(lambda: self.refreshing())
        runs.ended.connect(self.knobs.offer_devices)
        for part in (self.doubts, self.modelling, self.objects):
            self.results.changed.connect(part.follow)
        self.results.changed.connect(self._show_found)
        run.segment_button.clicked.connect(lambda: self.start())
        run.stop_button.clicked.connect(lambda: self.press.stop())
        run.previous_button.clicked.connect(lambda: runs.step_back())
        run.keep_button.clicked.connect(lambda: runs.keep())
        run.uncertainty_box.toggled.connect(self.doubts.show)
        run.uncertain_button.clicked.connect(lambda: self.doubts.go())
        self.scribbles.new_button.clicked.connect(lambda: self.add_scribbles())
        self.knobs.labels.moved.connect(self._on_labels)
        self.measure_fold.toggled.connect(lambda _: self.measuring.look())

    def _bind_keys(self) -> None:
        """Bind keys, which the tooltips of the buttons say."""
        # Shortcuts of Qt go with the dock; keys that are bound to a viewer would outlive it.
        for key, slot in (
            (words.KEY_SEGMENT, self.segment_button.click),
            (words.KEY_STOP, self.stop_button.click),
            (words.KEY_SHOW, self.results.show_or_hide),
            (words.KEY_CLASS, self.section.pick_next),
        ):
            QShortcut(QKeySequence(key), self).activated.connect(slot)

    def _connect_viewer(self) -> None:
        layers = self._viewer.layers.events
        self._links = [
            *((emitter, self._on_layers) for emitter in (layers.reordered, layers.renamed)),
            (layers.inserted, self._on_layer_inserted),
            (layers.removed, self._on_layer_removed),
            # A slider that moves has five events, and a new layer ten.
            (self._viewer.dims.events, self.refreshing.soon),
        ]
        for emitter, slot in self._links:
            emitter.connect(slot)
        self.destroyed.connect(
            partial(_release, self.results, self.state, self._links, self._parts)
        )

    # --- what a person does ---------------------------------------------------------

    def add_scribbles(self) -> None:
        """Make a layer to paint on."""
        try:
            self.section.add(self.choice.source(), self.params().n_clusters)
        except DiffSegError as error:
            self.run_view.say(str(error), wrong=True)
            return
        self.run_view.say(words.PAINT)

    def _on_labels(self, n_labels: int) -> None:
        self.knobs.params_form.write({"n_labels": n_labels})
        self.runs.merge(n_labels)

    def _on_other_image(self, image: Any) -> None:
        self.state.typed_params = self.knobs.take_n_labels(self.results.params_of(image))
        if not self.session.is_busy:
            self.run_view.say(words.HINT)

    def _on_chosen(self, name: str, read: Any) -> None:
        setattr(self.state, name, read())
        self.refreshing()

    def _on_image_chosen(self) -> None:
        """Let the controls be about the image that is chosen, and offer what goes with it."""
        image = self.images.chosen()
        self.axes.take(image)
        self.state.image, self.state.axes = image, self.axes.said
        try:
            letters, first = read_layer(image, self.axes.said.sizeless).letters, image
        except DiffSegError:
            letters, first = "", None
        others = [one for one in self.images.items() if one != image]
        drawn = [one for one in region_layers(self._viewer) if self._is_drawn(one)]
        with QSignalBlocker(self.channels), QSignalBlocker(self.region):
            self.channels.offer(first, others, letters)
            self.region.offer(drawn)
        self.state.channels, self.state.region = self.channels.wish(), self.region.chosen()
        self.refreshing()

    def _is_drawn(self, layer: Any) -> bool:
        """Whether a layer is neither a result nor painted on to show what is what."""
        scribbles = self.section.layer
        return not self.results.owns(layer) and (scribbles is None or layer != scribbles)

    # --- what the viewer and the runs do --------------------------------------------

    def _on_layers(self, event: Any = None) -> None:
        layers = [one for one in image_layers(self._viewer) if not self.doubts.is_layer(one)]
        with self.refreshing.once():
            self.images.offer([(str(one.name), one) for one in layers], "no image layer")
            self.section.offer()
            self._on_image_chosen()

    def _on_layer_inserted(self, event: Any) -> None:
        """Be about an image that is opened, unless there is work on another one."""
        with self.refreshing.once():
            self._on_layers()
            new, chosen = event.value, self.images.chosen()
            if new not in self.images.items() or new == chosen or opened_together(new, chosen):
                return
            if self.results.is_empty and self.section.layer is None:
                self.images.choose(new)
            else:
                self.run_view.say(words.stays_in_words(str(new.name), str(chosen.name)))

    def _on_layer_removed(self, event: Any) -> None:
        layer = event.value
        with self.refreshing.once():
            self.runs.on_layer_removed(layer)
            if self.doubts.is_layer(layer):
                self.doubts.on_removed()
                self.run_view.uncertainty_box.setChecked(False)
            if self.section.layer is not None and self.section.layer == layer:
                self.run_view.say(words.SCRIBBLES_GONE)
            self.axes.on_removed(layer)
            self.applying.on_layer_removed(layer)
            self.objects.on_layer_removed(layer)
            self._on_layers()

    def _refresh(self) -> None:
        """Bring the controls up to date with what is chosen."""
        self._overview.show()
        for part in (self.applying, self.objects, self.measuring, self.exporting):
            part.refresh()

    def _show_found(self) -> None:
        segmentation = self.results.segmentation
        is_free = segmentation is not None and not segmentation.only_painted
        self.knobs.show_found(segmentation.n_labels if is_free else 0)

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
        _release(self.results, self.state, self._links, self._parts)
        self.results.abandon()
        keep(self.state)
        leave(self._viewer, self)
        self.deleteLater()


def _release(
    results: Results,
    state: SegmentState,
    links: list[tuple[Any, Any]],
    parts: tuple[Any, ...],
    destroyed: QWidget | None = None,
) -> None:
    """Cut every line into the widget, once, so that nothing calls it when it is gone.

    When it is deleted, some time after it was closed, the next dock may have its results.
    """
    if not links:
        return
    results.changed.disconnect()
    # psygnal keeps what hears a state for as long as that lives, and with it the whole dock.
    for name in state.events:
        state.events[name].disconnect()
    for part in parts:
        part.close()
    for emitter, slot in links:
        emitter.disconnect(slot)
    links.clear()
