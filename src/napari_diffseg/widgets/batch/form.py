"""The section of the dock that applies a model to other frames: controls only."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_diffseg.params import ApplyParams
from napari_diffseg.widgets.batch.area_plot import AreaPlot
from napari_diffseg.widgets.ui.controls import MUTED, RED, Sentence, narrow_combo
from napari_diffseg.widgets.ui.preferences import start_in

_SPECS = {spec.name: spec for spec in ApplyParams.specs()}


class Scope(Enum):
    """To what a model is applied."""

    FRAME = "this frame"
    ALL = "all frames"
    FOLDER = "folder"


class ApplyForm(QWidget):
    """What stands in the section and how it shows things; it decides nothing."""

    changed = Signal()
    """Emitted after a change of what a person chose, but for the model."""

    def __init__(self) -> None:
        super().__init__()
        self.model = narrow_combo()
        self.model_row = QLabel("Model")
        self.scope = narrow_combo()
        self.intensities = narrow_combo()
        self.adapt = QSpinBox()
        self.apply_button = QPushButton("Apply")
        self.stop_button = QPushButton("Stop")
        self.reason = Sentence()
        self.lazy_box = QCheckBox("Compute frames as I look at them")
        self.progress_bar = QProgressBar()
        self.status = Sentence()
        self.plot = AreaPlot()
        self._fill()
        self._lay_out()
        self.intensities.currentIndexChanged.connect(lambda _: self.changed.emit())
        self.scope.currentIndexChanged.connect(lambda _: self.changed.emit())
        self.adapt.valueChanged.connect(lambda _: self.changed.emit())

    # --- reading things -------------------------------------------------------------

    def params(self) -> ApplyParams:
        """Return how a model is to be applied."""
        return ApplyParams(
            intensities=self.intensities.currentData(), adapt_steps=self.adapt.value()
        )

    def chosen_scope(self) -> Scope:
        """Return to what it is to be applied."""
        scope: Scope = self.scope.currentData()
        return scope

    # --- showing things -------------------------------------------------------------

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Write the status line."""
        self.status.setText(text)
        self.status.setStyleSheet(RED if wrong else "")

    def show_reason(self, reason: str, *, wrong: bool) -> None:
        """Say why nothing can be applied; an empty text where something can."""
        self.reason.setText(reason)
        self.reason.setStyleSheet(RED if wrong else MUTED)

    def offer_models(self, titles: Mapping[str, str], chosen: str | None) -> None:
        """Offer models by key and title; the row is there where there is a choice."""
        with QSignalBlocker(self.model):
            self.model.clear()
            for key, title in titles.items():
                self.model.addItem(title, key)
            self.model.setCurrentIndex(self.model.findData(chosen))
        for widget in (self.model, self.model_row):
            widget.setVisible(len(titles) > 1)

    def offer_frames(self, n_frames: int, *, are_volumes: bool = False) -> None:
        """Offer all frames, or volumes, where there are more than one."""
        noun = "volume" if are_volumes else "frame"
        titles = {Scope.FRAME: f"This {noun if n_frames > 1 or are_volumes else 'image'}"}
        if n_frames > 1:
            titles[Scope.ALL] = f"All {n_frames} {noun}s"
        titles[Scope.FOLDER] = "A folder of images …"
        self.lazy_box.setVisible(n_frames > 1)
        if [self.scope.itemText(row) for row in range(self.scope.count())] == [*titles.values()]:
            return
        had_frames = self.scope.findData(Scope.ALL) >= 0
        chosen = self.chosen_scope() if self.scope.count() else None
        with QSignalBlocker(self.scope):
            self.scope.clear()
            for scope, title in titles.items():
                self.scope.addItem(title, scope)
            # Who has a stack wants all of it, unless they have said otherwise.
            wanted = chosen if had_frames or n_frames < 2 else Scope.ALL
            self.scope.setCurrentIndex(max(self.scope.findData(wanted), 0))

    def show_progress(self, done: int, total: int | None) -> None:
        """Show how much is done; None hides the bar."""
        self.progress_bar.setRange(0, max(total or 0, 1))
        self.progress_bar.setValue(done)
        self.progress_bar.setVisible(total is not None)

    # --- making things --------------------------------------------------------------

    def _fill(self) -> None:
        intensities, adapt = _SPECS["intensities"], _SPECS["adapt_steps"]
        for value in intensities.choices:
            self.intensities.addItem(intensities.title_of(value), value)
        self.intensities.setToolTip(intensities.about(titled=True))
        self.adapt.setRange(int(adapt.low or 0), int(adapt.high or 0))
        self.adapt.setSpecialValueText(adapt.title_of(0))
        self.adapt.setSuffix(" steps of training per frame")
        self.adapt.setToolTip(adapt.about(titled=True))
        self.adapt.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.scope.setToolTip("To what the trained model is applied; nothing is trained anew.")
        self.model.setToolTip("Which model is applied: that of the newest result, or a loaded one.")
        self.apply_button.setToolTip(
            "Label the frames with the model, on a layer of their own; the frame that you see "
            "comes first. Your strokes and results stay as they are."
        )
        self.stop_button.setToolTip("Stop now and keep the frames that are done.")
        self.stop_button.setEnabled(False)
        self.lazy_box.setToolTip(
            "Each frame gets its labels when the slider stops there, and keeps them."
        )
        self.progress_bar.setTextVisible(False)
        self.progress_bar.setStyleSheet("QProgressBar::chunk { background-color: #4f9be0; }")
        self.progress_bar.setFixedHeight(5)
        self.offer_frames(1)
        self.show_reason("", wrong=False)
        self.offer_models({}, None)
        self.show_progress(0, None)
        self.plot.setVisible(False)
        self.say("")

    def _lay_out(self) -> None:
        rows = QFormLayout()
        rows.setHorizontalSpacing(12)
        rows.setVerticalSpacing(6)
        rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        rows.addRow(self.model_row, self.model)
        rows.addRow("Apply to", self.scope)
        rows.addRow("Intensities", self.intensities)
        rows.addRow("Adapt", self.adapt)
        buttons = QHBoxLayout()
        buttons.addWidget(self.apply_button, stretch=3)
        buttons.addWidget(self.stop_button, stretch=2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 4)
        layout.setSpacing(6)
        layout.addLayout(rows)
        layout.addLayout(buttons)
        layout.addWidget(self.reason)
        layout.addWidget(self.lazy_box)
        layout.addWidget(self.progress_bar)
        layout.addWidget(self.status)
        layout.addWidget(self.plot)


def ask_for_folders(parent: QWidget) -> tuple[str, str] | None:
    """Ask for the folder of images, then for that of the labels; None where a person cancels."""
    inputs = QFileDialog.getExistingDirectory(parent, "Folder with the images to label", start_in())
    if not inputs:
        return None
    output = QFileDialog.getExistingDirectory(parent, "Folder for the labels", start_in())
    return (inputs, output) if output else None
