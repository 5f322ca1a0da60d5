"""What the dock looks like: controls only, they decide nothing."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QFrame, QLabel, QPushButton, QScrollArea, QSlider, QWidget

from napari_diffseg.errors import ParameterError
from napari_diffseg.parameters import Scalar
from napari_diffseg.params import PRESETS, RunOptions, SegmentationParams
from napari_diffseg.widgets.batch.form import ApplyForm
from napari_diffseg.widgets.export.form import ExportForm
from napari_diffseg.widgets.image.axes_form import AxesForm
from napari_diffseg.widgets.image.channels_section import ChannelsSection
from napari_diffseg.widgets.image.fields import FillField, LevelChooser
from napari_diffseg.widgets.measure.form import MeasureForm
from napari_diffseg.widgets.models.form import ModelForm
from napari_diffseg.widgets.objects.form import ObjectsForm
from napari_diffseg.widgets.region.chooser import RegionChooser
from napari_diffseg.widgets.scribbles.form import LearnFromChooser, ScribblesForm
from napari_diffseg.widgets.segment.choice import SegmentState
from napari_diffseg.widgets.ui import words
from napari_diffseg.widgets.ui.controls import (
    MUTED,
    RED,
    Chooser,
    Sentence,
    beside,
    fit_height,
    folded,
    form_rows,
    narrow_combo,
    restyle,
    show_progress,
    stack,
    thin_bar,
)
from napari_diffseg.widgets.ui.form import ParameterForm
from napari_diffseg.widgets.ui.memory_line import MemoryLine
from napari_diffseg.widgets.ui.preferences import read_preferences
from napari_diffseg.widgets.ui.remembered import recall

_PRESET_TITLES = {
    "default": "Default: quick",
    "paper": "Paper: as published, slow",
    "custom": "Custom",
}
_OF_AN_IMAGE = ("n_labels", "only_painted")
_MOST_LABELS = 16  # where the slider ends, if the image itself chooses where it starts
_SPECS = {one.name: one for kind in (SegmentationParams, RunOptions) for one in kind.specs()}
_ABOUT_LABELS = f"{_SPECS['n_labels'].about(titled=True)}\nAfter a run it acts at once."
_PROMINENT = (
    "QPushButton { font-weight: bold; padding: 7px; background-color: #2f6fb3; color: white; } "
    "QPushButton:disabled { background-color: rgba(128, 128, 128, 70); color: #8f959e; }"
)
ABOUT_RUNS = {
    "stop_button": f"Stop now and keep the labels found so far ({words.KEY_STOP}). "
    "Pressed again it keeps nothing of this run and is done at once.",
    "live_box": "Strokes, fills, erasures, undo and redo update the result at once.",
    "previous_button": "Go back to the result before this one; your strokes stay as they are. "
    f"{words.KEY_SHOW} shows and hides the result.",
    "keep_button": "Copy this result to a layer of its own: the next run writes to the same layer "
    "again.",
    "uncertain_button": "Move the view to where the result is unsure. Press again for the next "
    "place.",
    "uncertainty_box": "Cyan where the two best answers are nearly level, clear where the result "
    "is sure.",
}


class SegmentView(QScrollArea):
    """All the controls of the dock, in the order in which they are used."""

    def __init__(self) -> None:
        super().__init__()
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
        self.objects_form, self.measure_form = ObjectsForm(), MeasureForm()
        self.apply_form, self.model_form = ApplyForm(), ModelForm()
        self.objects_fold = folded("Objects", self.objects_form)
        self.measure_fold = folded("Measure", self.measure_form)
        self.apply_fold = folded("Apply to other frames", self.apply_form)
        self.export_form = ExportForm()
        self.export_fold = folded("Export", self.export_form)
        self.model_fold = folded("Model", self.model_form)
        self.advanced = folded("Advanced", self.knobs.advanced)
        self._lay_out()

    def parts(self) -> dict[str, QWidget]:
        """Return every control by its name."""
        every = vars(self.run_view) | vars(self.knobs) | vars(self)
        return {name: part for name, part in every.items() if not name.startswith("_")}

    def take_up(self, state: SegmentState) -> None:
        """Show what was chosen before, as far as it is still there."""
        self.images.choose(state.image)
        self.scribbles.choose(state.scribbles)
        self.fill.type(state.fill)
        self.level.wanted = state.level
        self.region.choose(state.region)
        self.learn_from.choose(state.learn_from)
        self.channels.take_up(state.channels)
        self.knobs.params_form.write(state.typed_params)
        self.knobs.set_machine(state.typed_options)
        self.run_view.live_box.setChecked(state.is_live)

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
        layout = page.layout()
        layout.setContentsMargins(10, 10, 10, 10)
        layout.addStretch(1)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(page)


class RunView(QWidget):
    """Segment and Stop, how far a run is, and what can be done with its result."""

    def __init__(self) -> None:
        super().__init__()
        self.segment_button, self.stop_button = QPushButton("Segment"), QPushButton("Stop")
        self.segment_button.setStyleSheet(_PROMINENT)
        self.stop_button.setStyleSheet("QPushButton { padding: 7px; }")
        self.live_box = QCheckBox("Live: the result follows each stroke")
        self.memory, self.progress_bar, self.reason = MemoryLine(), thin_bar(), Sentence(RED)
        policy = self.progress_bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.progress_bar.setSizePolicy(policy)
        self.progress_bar.setVisible(False)
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.previous_button = QPushButton("Previous result")
        self.keep_button = QPushButton("Keep a copy")
        self.uncertainty_box = QCheckBox("Show uncertainty")
        self.uncertain_button = QPushButton("Go to most uncertain")
        for name, about in ABOUT_RUNS.items():
            getattr(self, name).setToolTip(about)
        buttons = beside(self.segment_button, self.stop_button)
        buttons.setStretch(0, 3)
        buttons.setStretch(1, 2)
        after = beside(self.previous_button, self.keep_button)
        after.setStretch(1, 1)
        doubts = beside(self.uncertainty_box, self.uncertain_button)
        texts = self.memory, self.progress_bar, self.reason, self.status
        stack(self, buttons, self.live_box, *texts, after, doubts, spacing=6)
        self.say("")

    def say(self, text: str, wrong: bool = False) -> None:
        """Write the status line."""
        self.status.setText(text)
        restyle(self.status, RED if wrong else "")
        fit_height(self.status, least=self.status.fontMetrics().lineSpacing() * 2 + 6)

    def unsay(self, text: str) -> None:
        """Empty the status line if it still says this."""
        if text and self.status.text() == text:
            self.say("")

    def give_reason(self, reason: str, *, wrong: bool, busy: bool) -> None:
        """Say why Segment is off; it takes the place of a status that is over."""
        self.reason.say(reason, RED if wrong else MUTED)
        self.status.setVisible(busy or not reason)

    def show_progress(self, done: int, total: int | None) -> None:
        """Show how much is done; None hides the bar."""
        show_progress(self.progress_bar, done, total or 0)
        # It keeps its place when it is hidden, so that nothing jumps.
        self.progress_bar.setVisible(total is not None)


class KnobsView(QWidget):
    """How many labels, which preset, which device; the forms of all parameters stand elsewhere."""

    changed = Signal()
    """Emitted when another device is chosen."""

    def __init__(self) -> None:
        super().__init__()
        self._n_found = 0
        self.labels = LabelsSlider(_ABOUT_LABELS)
        self.preset = narrow_combo()
        for name, title in _PRESET_TITLES.items():
            self.preset.addItem(title, name)
        self.preset.setToolTip(
            "Default is made for people who wait. Paper has the published settings "
            "(Kim et al. 2020), to compare with the literature."
        )
        self.device = narrow_combo()
        self.device.setToolTip(
            f"{_SPECS['device'].help} GPUs are listed after the first run, where there are any."
        )
        self.params_form = ParameterForm(SegmentationParams)
        self.options_form = ParameterForm(RunOptions, skip=("device", "previews"))
        self.reset_button = QPushButton("Reset")
        self.reset_button.setToolTip("Fill in the defaults of all parameters.")
        self.reset_button.clicked.connect(lambda: self.reset())
        self.advanced = QWidget()
        forms = self.params_form.native, QLabel("<b>Machine</b>"), self.options_form.native
        stack(self.advanced, *forms, self.reset_button, edge=4)
        rows = ("Labels", self.labels), ("Preset", self.preset), ("Device", self.device)
        stack(self, form_rows(*rows))
        self.preset.activated.connect(self._fill_in_preset)
        self.device.currentIndexChanged.connect(lambda _: self.changed.emit())
        self.offer_devices()

    def options(self) -> dict[str, Scalar]:
        """Return the options as they stand here."""
        return {**self.options_form.values(), "device": self.device.currentData()}

    def kind_of_device(self) -> str:
        """Return what a run would compute on, such as ``"cuda"``, as far as that is known."""
        chosen: str = self.device.currentData()
        if chosen == "auto":
            chosen = next((name for name in _devices() if name not in ("auto", "cpu")), "cpu")
        return chosen.partition(":")[0]

    def problem(self) -> str:
        """Return what is wrong with one of the fields, or an empty text."""
        problems = {**self.params_form.problems(), **self.options_form.problems()}
        return next(iter(problems.values()), "")

    def reset(self) -> None:
        """Fill in the defaults."""
        self.params_form.reset()
        self.options_form.reset()

    def recall(self) -> None:
        """Fill in what a person set last, but for what is a matter of each image."""
        self.params_form.write(recall(SegmentationParams, but_for=_OF_AN_IMAGE))
        self.set_machine(recall(RunOptions))

    def take_n_labels(self, params: SegmentationParams | None) -> dict[str, Scalar]:
        """Fill in how many labels an image has, or is to have by preference; return all parameters.

        Nobody is told: what else is of the image may not have been chosen yet.
        """
        with self.params_form.changed.blocked():
            self.params_form.write({"n_labels": (params or read_preferences()).n_labels})
        return self.params_form.values()

    def set_machine(self, options: Mapping[str, Scalar]) -> None:
        """Fill in options; a GPU is not yet on offer before torch has been loaded."""
        self.options_form.write(options)
        name = str(options.get("device", self.device.currentData()))
        if self.device.findData(name) < 0:
            self.device.addItem(_gpu(name), name)
        self.device.setCurrentIndex(self.device.findData(name))

    def show_merging(self, n_painted: int) -> None:
        """Switch the slider off where all labels, so many, are of painted classes; else on."""
        reason = words.ALL_PAINTED if n_painted else ""
        if n_painted:
            self.labels.show_value(n_painted, max(n_painted, self.labels.slider.maximum()))
        self.labels.setEnabled(not reason)
        self.labels.setToolTip(reason)
        self.labels.slider.setToolTip(reason or _ABOUT_LABELS)

    def show_found(self, n_labels: int) -> None:
        """Let the slider start from how many labels the result on show has."""
        self._n_found = n_labels
        self.show_parameters(self.params_form.values())

    def show_parameters(self, values: Mapping[str, Scalar]) -> None:
        """Set slider and preset to what stands in the form."""
        try:
            params = SegmentationParams.from_dict(values)
        except ParameterError:
            preset = "custom"
        else:
            preset, chooses = params.preset, params.design == "pretrained"
            most = params.n_clusters
            if chooses:
                most = min(most, max(_MOST_LABELS, params.n_labels))
            found = self._n_found
            self.labels.show_value(params.n_labels, most, found=found, chooses=chooses)
        with QSignalBlocker(self.preset):
            self.preset.setCurrentIndex(self.preset.findData(preset))

    def offer_devices(self) -> None:
        """Offer the devices; which GPUs there are is known once torch has been loaded."""
        chosen = self.device.currentData() or "auto"
        with QSignalBlocker(self.device):
            self.device.clear()
            for name, title in _devices().items():
                self.device.addItem(title, name)
            self.device.setCurrentIndex(max(self.device.findData(chosen), 0))

    def _fill_in_preset(self, index: int) -> None:
        """Write a preset into the form, but for the seed."""
        name = self.preset.itemData(index)
        preset = PRESETS[name]().to_dict() if name in PRESETS else {}
        # "Custom" is what the form is when it is neither; to choose it changes nothing.
        self.params_form.write({name: preset[name] for name in preset if name != "seed"})


class LabelsSlider(QWidget):
    """A slider from few labels to many; it starts where the image itself says."""

    moved = Signal(int)
    """Emitted with the number when a person moves the slider; 0 at the end that means all."""

    FEWEST = 2

    def __init__(self, tooltip: str) -> None:
        super().__init__()
        self._all_at_end = False
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setMinimum(self.FEWEST)
        self.slider.setPageStep(4)
        self.slider.setToolTip(tooltip)
        self.number = QLabel()
        self.number.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.number.setFixedWidth(self.number.fontMetrics().horizontalAdvance("auto0"))
        self.setLayout(beside(QLabel("Fewer"), self.slider, QLabel("More"), self.number, widest=1))
        self.slider.valueChanged.connect(self._on_moved)

    def show_value(self, n_labels: int, most: int, *, found: int = 0, chooses: bool = True) -> None:
        """Move the slider, without a signal."""
        self._all_at_end = not chooses
        with QSignalBlocker(self.slider):
            self.slider.setMaximum(max(most, self.FEWEST))
            self.slider.setValue(n_labels or (found if chooses and found else most))
        is_all = self._all_at_end and n_labels >= most
        self._write_number(0 if is_all else n_labels or (found if chooses else 0))

    def _on_moved(self, position: int) -> None:
        at_end = position == self.slider.maximum()
        n_labels = 0 if self._all_at_end and at_end else position
        self._write_number(n_labels)
        self.moved.emit(n_labels)

    def _write_number(self, n_labels: int) -> None:
        open_ended = "all" if self._all_at_end else "auto"
        self.number.setText(str(n_labels) if n_labels else open_ended)


def _devices() -> dict[str, str]:
    """Return device name → title; loads no torch."""
    titles = {name: _SPECS["device"].title_of(name) for name in ("auto", "cpu")}
    if "napari_diffseg.core.device" not in sys.modules:
        return titles
    from napari_diffseg.core.device import available_devices

    gpus = [name for name in available_devices() if name != "cpu"]
    return {**titles, **{name: _gpu(name) for name in gpus}}


def _gpu(name: str) -> str:
    return f"GPU ({name})"
