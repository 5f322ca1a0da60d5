"""The dock widget *Segment*: composes state, views and controllers, and adds nothing.

Opening it loads no torch.
"""

from __future__ import annotations

from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QSignalBlocker, Qt
from qtpy.QtWidgets import QFrame, QLabel, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from napari_diffseg.errors import DiffSegError
from napari_diffseg.widgets.batch.form import ApplyForm
from napari_diffseg.widgets.batch.section import ApplySection
from napari_diffseg.widgets.export.form import ExportForm
from napari_diffseg.widgets.export.section import ExportSection
from napari_diffseg.widgets.files.sizes import KnownSizes
from napari_diffseg.widgets.image.axes_form import AxesForm
from napari_diffseg.widgets.image.axes_section import AxesSection
from napari_diffseg.widgets.image.channels_section import ChannelsSection
from napari_diffseg.widgets.image.fields import FillField, LevelChooser
from napari_diffseg.widgets.image.layer_facts import image_layers
from napari_diffseg.widgets.measure.form import MeasureForm
from napari_diffseg.widgets.measure.section import MeasureSection
from napari_diffseg.widgets.models.form import ModelForm
from napari_diffseg.widgets.models.section import ModelSection
from napari_diffseg.widgets.objects.form import ObjectsForm
from napari_diffseg.widgets.objects.section import ObjectsSection
from napari_diffseg.widgets.region.chooser import RegionChooser
from napari_diffseg.widgets.region.reading import region_layers
from napari_diffseg.widgets.scribbles.form import LearnFromChooser, ScribblesForm
from napari_diffseg.widgets.scribbles.section import ScribblesSection
from napari_diffseg.widgets.segment.choice import Choice
from napari_diffseg.widgets.segment.follower import StrokeFollower
from napari_diffseg.widgets.segment.overview import Overview
from napari_diffseg.widgets.segment.results import Results
from napari_diffseg.widgets.segment.runs import Runs
from napari_diffseg.widgets.segment.state import SegmentState
from napari_diffseg.widgets.segment.uncertainty import UncertaintyView
from napari_diffseg.widgets.segment.view import KnobsView, RunView
from napari_diffseg.widgets.ui import words
from napari_diffseg.widgets.ui.controls import MUTED, Chooser, Sentence, folded, stack

if TYPE_CHECKING:
    import napari.viewer

_AT_HAND = {
    "run_view": (
        *(
            "segment_button",
            "stop_button",
            "live_box",
            "previous_button",
            "uncertain_button",
            "keep_button",
        ),
        *("uncertainty_box", "reason", "status", "memory", "progress_bar"),
    ),
    "knobs": ("labels", "preset", "device", "params_form", "options_form"),
}
"""What scripts press and read, by the view in which it stands."""


class SegmentDock(QWidget):
    """Press Segment: regions form on the image until they are done, or you press Stop."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._was_docked = False
        self.state = SegmentState()
        self.params, self.options = self.state.params, self.state.options
        self.results = Results(viewer)
        turn = Lock()
        self.runs = Runs(self.state, self.results, turn)
        self.session = self.runs.session
        self._make_views()
        self._make_controllers(turn)
        self._overview = Overview(self)
        self._lay_out()
        self._connect_state()
        self._connect_views()
        self._connect_viewer()
        self._on_layers()
        active = viewer.layers.selection.active
        if active in image_layers(viewer):
            self.images.choose(active)
        self.run_view.say(words.HINT)

    # --- what it is composed of -----------------------------------------------------

    def _make_views(self) -> None:
        self.images = Chooser(tooltip="The image to segment.")
        self.axes_form = AxesForm()
        self.level, self.region, self.fill = LevelChooser(), RegionChooser(), FillField()
        self.channels = ChannelsSection()
        self.channels_fold = folded("Channels", self.channels)
        # The channels stand with the image where there are several, else among the last folds.
        self._several, self._single = QWidget(), QWidget()
        stack(self._several)
        stack(self._single)
        self.notes, self.scribble_notes = Sentence(MUTED), Sentence(MUTED)
        self.scribbles, self.learn_from = ScribblesForm(), LearnFromChooser()
        self.run_view, self.knobs = RunView(), KnobsView()
        for view, names in _AT_HAND.items():
            for name in names:
                setattr(self, name, getattr(getattr(self, view), name))
        self.objects_form, self.measure_form = ObjectsForm(), MeasureForm()
        self.apply_form, self.model_form = ApplyForm(), ModelForm()
        self.objects_fold = folded("Objects", self.objects_form)
        self.measure_fold = folded("Measure", self.measure_form)
        self.apply_fold = folded("Apply to other frames", self.apply_form)
        self.export_form = ExportForm()
        self.export_fold = folded("Export", self.export_form)
        self.model_fold = folded("Model", self.model_form)
        self.advanced = folded("Advanced", self.knobs.advanced)

    def _make_controllers(self, turn: Lock) -> None:
        viewer, results, fail = self._viewer, self.results, self.runs.fail

        def scribbles() -> Any:
            return self.state.scribbles

        self.section = ScribblesSection(viewer, self.scribbles, results, fail)
        self.axes = AxesSection(self.axes_form)
        self.choice = Choice(viewer, self.state, results, self.section.planes)
        ask = partial(self.choice.request, follows=True)
        self._follower = StrokeFollower(self.state, self.section, self.runs, ask)
        self._doubts = UncertaintyView(viewer, results, scribbles, fail, turn)
        self.modelling = ModelSection(self.model_form, results, scribbles)
        frames, options = self.choice.frames, self.options
        self.applying = ApplySection(
            viewer, self.apply_form, self.modelling, results, frames, options, turn
        )
        self.sizes = KnownSizes(viewer, self.axes)
        self.objects = ObjectsSection(
            viewer, self.objects_form, results, frames, scribbles, self.sizes
        )
        is_open = self.measure_fold.isExpanded
        self.measuring = MeasureSection(viewer, self.measure_form, self.objects, is_open)
        self.exporting = ExportSection(self.export_form, results, self.objects)
        self._parts = (
            *(self.runs, self.axes, self.section, self._doubts, self.modelling),
            *(self.applying, self.measuring, self.exporting, self.objects),
        )

    def _lay_out(self) -> None:
        page = QWidget()
        about_image = self.images, self.axes_form, self.level, self.region, self.fill
        about_strokes = self.scribbles, self.scribble_notes, self.learn_from
        folds = (
            *(self.objects_fold, self.measure_fold, self._single),
            *(self.apply_fold, self.export_fold, self.model_fold, self.advanced),
        )
        stack(
            page,
            *(QLabel("<b>Image</b>"), *about_image, self._several, self.notes, 4),
            *(QLabel("<b>Scribbles</b>"), *about_strokes, 8),
            *(self.run_view, 8, self.knobs, 4, *folds),
            spacing=6,
        )
        layout: QVBoxLayout = page.layout()
        layout.setContentsMargins(10, 10, 10, 10)
        layout.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(page)
        stack(self, scroll)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.setMinimumWidth(320)

    def _connect_state(self) -> None:
        """Let every view write what is chosen in it into the state, which the dock then shows."""
        state, knobs = self.state, self.knobs
        for view, name, read in (
            (self.channels, "channels", self.channels.wish),
            (self.level, "level", lambda: self.level.wanted),
            (self.region, "region", self.region.chosen),
            (self.fill, "fill", self.fill.typed),
            (self.learn_from, "learn_from", self.learn_from.chosen),
            (knobs.params_form, "typed_params", knobs.params_form.values),
            (knobs.options_form, "typed_options", knobs.options),
        ):
            view.changed.connect(partial(self._on_chosen, name, read))
        knobs.device.currentIndexChanged.connect(
            lambda _: self._on_chosen("typed_options", knobs.options)
        )
        self.section.changed.connect(
            partial(self._on_chosen, "scribbles", lambda: self.section.layer)
        )
        self.live_box.toggled.connect(partial(setattr, state, "is_live"))
        self.images.changed.connect(self._on_image_chosen)
        self.axes.changed.connect(self._on_image_chosen)

    def _connect_views(self) -> None:
        runs, run = self.runs, self.run_view
        runs.said.connect(run.say)
        runs.progressed.connect(run.show_progress)
        runs.begun.connect(self._on_layers)
        runs.changed.connect(self._refresh)
        runs.ended.connect(self.knobs.offer_devices)
        for part in (self._doubts, self.modelling, self.objects):
            self.results.changed.connect(part.follow)
        self.results.changed.connect(self._show_found)
        run.segment_button.clicked.connect(lambda: self.start())
        run.stop_button.clicked.connect(lambda: self.session.finish())
        run.previous_button.clicked.connect(lambda: runs.step_back())
        run.keep_button.clicked.connect(lambda: runs.keep())
        run.uncertainty_box.toggled.connect(self._doubts.show)
        run.uncertain_button.clicked.connect(lambda: self._doubts.go())
        self.scribbles.new_button.clicked.connect(lambda: self.add_scribbles())
        self.knobs.labels.moved.connect(self._on_labels)
        self.measure_fold.toggled.connect(lambda _: self.measuring.look())

    def _connect_viewer(self) -> None:
        layers = self._viewer.layers.events
        self._links = [
            *((emitter, self._on_layers) for emitter in (layers.inserted, layers.reordered)),
            (layers.renamed, self._on_layers),
            (layers.removed, self._on_layer_removed),
            (self._viewer.dims.events, self._refresh),
        ]
        for emitter, slot in self._links:
            emitter.connect(slot)
        self.destroyed.connect(partial(_release, self.results, self._links, self._parts))

    # --- what a person does ---------------------------------------------------------

    def start(self) -> None:
        """Start a run on what is chosen now; where one is under way, only say so."""
        if self.session.is_busy:
            self.run_view.say(words.BUSY, wrong=True)
            return
        try:
            request = self.choice.request()
        except DiffSegError as error:
            self.run_view.say(str(error), wrong=True)
            return
        self.runs.start(request)

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

    def _on_chosen(self, name: str, read: Any) -> None:
        setattr(self.state, name, read())
        self._refresh()

    def _on_image_chosen(self) -> None:
        """Let the controls be about the image that is chosen, and offer what goes with it."""
        image = self.images.chosen()
        self.axes.take(image)
        self.state.image, self.state.axes = image, self.axes.said
        try:
            letters, first = self.axes.said.sizeless.reading(image).letters, image
        except DiffSegError:
            letters, first = "", None
        others = [one for one in self.images.items() if one != image]
        drawn = [one for one in region_layers(self._viewer) if self._is_drawn(one)]
        with QSignalBlocker(self.channels), QSignalBlocker(self.region):
            self.channels.offer(first, others, letters)
            self.region.offer(drawn)
        self.state.channels, self.state.region = self.channels.wish(), self.region.chosen()
        self._refresh()

    def _is_drawn(self, layer: Any) -> bool:
        """Whether a layer is neither a result nor painted on to show what is what."""
        scribbles = self.section.layer
        return not self.results.owns(layer) and (scribbles is None or layer != scribbles)

    # --- what the viewer and the runs do --------------------------------------------

    def _on_layers(self, event: Any = None) -> None:
        layers = [one for one in image_layers(self._viewer) if not self._doubts.is_layer(one)]
        self.images.offer([(str(one.name), one) for one in layers], "no image layer")
        self.section.offer()
        self._on_image_chosen()

    def _on_layer_removed(self, event: Any) -> None:
        layer = event.value
        self.runs.on_layer_removed(layer)
        if self._doubts.is_layer(layer):
            self._doubts.on_removed()
            self.run_view.uncertainty_box.setChecked(False)
        if self.section.layer is not None and self.section.layer == layer:
            self.run_view.say(words.SCRIBBLES_GONE)
        self.axes.on_removed(layer)
        self.applying.on_layer_removed(layer)
        self.objects.on_layer_removed(layer)
        self._on_layers()

    def _refresh(self, event: Any = None) -> None:
        """Bring the controls up to date with what is chosen."""
        self._overview.show()
        self.applying.refresh()
        self.objects.refresh()
        self.measuring.refresh()
        self.exporting.refresh()

    def _show_found(self) -> None:
        segmentation = self.results.segmentation
        is_free = segmentation is not None and segmentation.scribbles is None
        self.knobs.show_found(segmentation.n_labels if is_free else 0)

    def show_channels(self) -> None:
        """Show the channels where they belong."""
        n_rows, fold = len(self.channels.rows), self.channels_fold
        fold.setVisible(n_rows > 0)
        fold.setText(self.channels.title())
        place = self._several if n_rows > 1 else self._single
        if fold.parent() is not place:
            place.layout().addWidget(fold)
        self._several.setVisible(n_rows > 1)
        self._single.setVisible(n_rows == 1)

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
        _release(self.results, self._links, self._parts)
        self.results.forget()
        self.results.abandon()
        self.deleteLater()


def _release(
    results: Results,
    links: list[tuple[Any, Any]],
    parts: tuple[Any, ...],
    destroyed: QWidget | None = None,
) -> None:
    """Cut every line into the widget, so that nothing calls it when it is gone."""
    results.changed.disconnect()
    for part in parts:
        part.close()
    for emitter, slot in links:
        emitter.disconnect(slot)
    links.clear()
