"""What the dock widget looks like: its controls in the order in which they are used."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_diffseg.errors import ParameterError
from napari_diffseg.parameters import Scalar
from napari_diffseg.params import PRESETS, RunOptions, SegmentationParams
from napari_diffseg.widgets.batch.form import ApplyForm
from napari_diffseg.widgets.image.axes_form import AxesForm
from napari_diffseg.widgets.image.channels_section import ChannelsSection
from napari_diffseg.widgets.image.fill_field import FillField
from napari_diffseg.widgets.image.level_chooser import LevelChooser
from napari_diffseg.widgets.measure.form import MeasureForm
from napari_diffseg.widgets.models.form import ModelForm
from napari_diffseg.widgets.objects.form import ObjectsForm
from napari_diffseg.widgets.region.chooser import RegionChooser
from napari_diffseg.widgets.scribbles.form import ScribblesForm
from napari_diffseg.widgets.scribbles.learn_from import LearnFromChooser
from napari_diffseg.widgets.segment.memory_line import MemoryLine
from napari_diffseg.widgets.ui.controls import (
    AMBER,
    RED,
    ImageChooser,
    LabelsSlider,
    folded,
    narrow_combo,
    wrapped_text,
)
from napari_diffseg.widgets.ui.form import ParameterForm

_PRESET_TITLES = {
    "default": "Default: quick",
    "paper": "Paper: as published, slow",
    "custom": "Custom",
}
_MOST_LABELS = 16  # where the slider ends, if the image itself chooses where it starts
_N_LABELS = next(s for s in SegmentationParams.specs() if s.name == "n_labels")


class SegmentFace(QWidget):
    """The controls, what stands in them and how they show things; it decides nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._n_found = 0
        self.images = ImageChooser()
        self.axes_form = AxesForm()
        self.channels = ChannelsSection()
        self.channels_fold = folded("Channels", self.channels)
        self._several, self._single = _empty_box(), _empty_box()
        self.level = LevelChooser()
        self.region = RegionChooser()
        self.fill = FillField()
        self.notes = wrapped_text(AMBER)
        self.memory = MemoryLine()
        self.scribbles = ScribblesForm()
        self.scribble_notes = wrapped_text(AMBER)
        self.learn_from = LearnFromChooser()
        self.segment_button = QPushButton("Segment")
        self.stop_button = QPushButton("Stop")
        self.live_box = QCheckBox("Live: the result follows each stroke")
        self.previous_button = QPushButton("Previous result")
        self.uncertainty_box = QCheckBox("Show uncertainty")
        self.uncertain_button = QPushButton("Go to most uncertain")
        self.reason = wrapped_text(RED)
        self.progress_bar = QProgressBar()
        self.status = wrapped_text("")
        self.device = narrow_combo()
        self._about_labels = f"{_N_LABELS.help} After a run it acts at once."
        self.labels = LabelsSlider(self._about_labels)
        self.preset = narrow_combo()
        self.params_form = ParameterForm(SegmentationParams)
        self.options_form = ParameterForm(RunOptions, skip=("device", "previews"))
        self.objects_form = ObjectsForm()
        self.objects_fold = folded("Objects", self.objects_form)
        self.measure_form = MeasureForm()
        self.measure_fold = folded("Measure", self.measure_form)
        self.apply_form = ApplyForm()
        self.apply_fold = folded("Apply to other frames", self.apply_form)
        self.model_form = ModelForm()
        self.model_fold = folded("Model", self.model_form)
        self.advanced = folded("Advanced", self._make_advanced())
        self._lay_out()
        self._dress()
        self.offer_devices()

    # --- reading things -------------------------------------------------------------

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

    def fill_in_preset(self, index: int) -> None:
        """Write a preset into the form, but for the seed."""
        name = self.preset.itemData(index)
        preset = PRESETS[name]().to_dict() if name in PRESETS else {}
        # "Custom" is what the form is when it is neither; to choose it changes nothing.
        self.params_form.write({name: preset[name] for name in preset if name != "seed"})

    # --- showing things -------------------------------------------------------------

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Write the status line."""
        self.status.setText(text)
        self.status.setStyleSheet(RED if wrong else "")

    def give_reason(self, reason: str, *, wrong: bool, busy: bool) -> None:
        """Say why Segment is off; it takes the place of a status that is over."""
        self.reason.setText(reason)
        self.reason.setStyleSheet(RED if wrong else AMBER)
        self.reason.setVisible(bool(reason))
        self.status.setVisible(busy or not reason)

    def show_scribble_notes(self, notes: Sequence[str]) -> None:
        """Say what a person should know of the scribbles."""
        self.scribble_notes.setText(" ".join(notes))
        self.scribble_notes.setVisible(bool(notes))

    def show_image_notes(self, notes: Sequence[str]) -> None:
        """Say what a person should know of the image."""
        self.notes.setText(" ".join(notes))
        self.notes.setVisible(bool(notes))

    def show_channels(self) -> None:
        """Show the channels with the image where there are several, else among the last folds."""
        n_rows = len(self.channels.rows)
        self.channels_fold.setVisible(n_rows > 0)
        self.channels_fold.setText(self.channels.title())
        place = self._several if n_rows > 1 else self._single
        if self.channels_fold.parent() is not place:
            place.layout().addWidget(self.channels_fold)
        self._several.setVisible(n_rows > 1)
        self._single.setVisible(n_rows == 1)

    def show_merging(self, reason: str) -> None:
        """Switch the slider off for a reason; on, where there is none."""
        self.labels.setEnabled(not reason)
        self.labels.setToolTip(reason)
        self.labels.slider.setToolTip(reason or self._about_labels)

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
            preset = params.preset
            chooses = params.design == "pretrained"
            most = params.n_clusters
            if chooses:
                most = min(most, max(_MOST_LABELS, params.n_labels))
            found = self._n_found
            self.labels.show_value(params.n_labels, most, found=found, chooses=chooses)
        with QSignalBlocker(self.preset):
            self.preset.setCurrentIndex(self.preset.findData(preset))

    def show_progress(self, done: int, total: int | None) -> None:
        """Show how much is done; None hides the bar."""
        # No bar that runs to and fro while the total is unknown: each of its pictures has the
        # whole window drawn anew, canvas included, which takes seconds where there is no GPU.
        self.progress_bar.setRange(0, max(total or 0, 1))
        self.progress_bar.setValue(done)
        # It keeps its place when it is hidden, so that nothing jumps.
        self.progress_bar.setVisible(total is not None)

    def offer_devices(self) -> None:
        """Offer the devices; which GPUs there are is known once torch has been loaded."""
        chosen = self.device.currentData() or "auto"
        with QSignalBlocker(self.device):
            self.device.clear()
            for name, title in _devices().items():
                self.device.addItem(title, name)
            self.device.setCurrentIndex(max(self.device.findData(chosen), 0))

    # --- making things --------------------------------------------------------------

    def _make_advanced(self) -> QWidget:
        box = QWidget()
        layout = QVBoxLayout(box)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.addWidget(self.params_form.native)
        layout.addWidget(QLabel("<b>Machine</b>"))
        layout.addWidget(self.options_form.native)
        return box

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.addWidget(self.segment_button, stretch=3)
        buttons.addWidget(self.stop_button, stretch=2)
        after = QHBoxLayout()
        after.addWidget(self.previous_button)
        after.addWidget(self.uncertain_button)
        knobs = QFormLayout()
        knobs.setHorizontalSpacing(12)
        knobs.setVerticalSpacing(8)
        knobs.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        knobs.addRow("Labels", self.labels)
        knobs.addRow("Preset", self.preset)
        knobs.addRow("Device", self.device)
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(10, 10, 10, 10)
        layout.setSpacing(6)
        layout.addWidget(QLabel("<b>Image</b>"))
        layout.addWidget(self.images)
        layout.addWidget(self.axes_form)
        layout.addWidget(self.level)
        layout.addWidget(self.region)
        layout.addWidget(self.fill)
        layout.addWidget(self._several)
        layout.addWidget(self.notes)
        layout.addSpacing(4)
        layout.addWidget(QLabel("<b>Scribbles</b>"))
        layout.addWidget(self.scribbles)
        layout.addWidget(self.scribble_notes)
        layout.addWidget(self.learn_from)
        layout.addSpacing(8)
        layout.addLayout(buttons)
        layout.addWidget(self.live_box)
        layout.addWidget(self.memory)
        layout.addWidget(self.progress_bar)
        layout.addWidget(self.reason)
        layout.addWidget(self.status)
        layout.addLayout(after)
        layout.addWidget(self.uncertainty_box)
        layout.addSpacing(8)
        layout.addLayout(knobs)
        layout.addSpacing(4)
        for section in (
            self.objects_fold,
            self.measure_fold,
            self._single,
            self.apply_fold,
            self.model_fold,
            self.advanced,
        ):
            layout.addWidget(section)
        layout.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(page)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.setMinimumWidth(320)

    def _dress(self) -> None:
        self.segment_button.setStyleSheet(
            "QPushButton { font-weight: bold; padding: 7px; background-color: #2f6fb3; "
            "color: white; } "
            "QPushButton:disabled { background-color: rgba(128, 128, 128, 70); color: #8f959e; }"
        )
        self.stop_button.setStyleSheet("QPushButton { padding: 7px; }")
        self.stop_button.setEnabled(False)
        self.stop_button.setToolTip("Stop now and keep the regions found so far.")
        self.live_box.setToolTip(
            "Strokes, fills, erasures, undo and redo update the result at once."
        )
        self.previous_button.setToolTip(
            "Go back to the result before this one; your strokes stay as they are."
        )
        self.uncertain_button.setToolTip(
            "Move the view to where the result is least sure: a stroke helps most there."
        )
        self.uncertainty_box.setToolTip(
            "Cyan where the two best answers are nearly level, clear where the result is sure."
        )
        self.progress_bar.setTextVisible(False)
        self.progress_bar.setStyleSheet("QProgressBar::chunk { background-color: #4f9be0; }")
        self.progress_bar.setFixedHeight(5)
        policy = self.progress_bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.progress_bar.setSizePolicy(policy)
        self.progress_bar.setVisible(False)
        self.status.setMinimumHeight(self.status.fontMetrics().lineSpacing() * 2 + 6)
        for name, title in _PRESET_TITLES.items():
            self.preset.addItem(title, name)
        self.preset.setToolTip(
            "Default is made for people who wait. Paper has the published settings "
            "(Kim et al. 2020), to compare with the literature."
        )
        self.device.setToolTip(next(s.help for s in RunOptions.specs() if s.name == "device"))


def _empty_box() -> QWidget:
    """Return a place for something that has another one too."""
    box = QWidget()
    layout = QVBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    return box


def _devices() -> dict[str, str]:
    """Return device name → title; loads no torch."""
    titles = {"auto": "Automatic", "cpu": "Processor (CPU)"}
    if "napari_diffseg.core.device" not in sys.modules:
        return titles
    from napari_diffseg.core.device import available_devices

    gpus = [name for name in available_devices() if name != "cpu"]
    return {**titles, **{name: f"GPU ({name})" for name in gpus}}
