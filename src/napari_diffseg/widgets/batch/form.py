"""The section of the dock that applies a model to other frames: controls only."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QFileDialog, QPushButton, QSpinBox, QWidget

from napari_diffseg.params import ApplyParams
from napari_diffseg.widgets.batch.area_plot import AreaPlot
from napari_diffseg.widgets.ui.controls import (
    MUTED,
    RED,
    Chooser,
    Sentence,
    Status,
    beside,
    form_rows,
    guard_wheel,
    show_progress,
    stack,
    thin_bar,
)
from napari_diffseg.widgets.ui.preferences import start_in

_SPECS = {spec.name: spec for spec in ApplyParams.specs()}
_ABOUT = {
    "model": "Which model is applied: that of the newest result, or a loaded one.",
    "scope": "To what the trained model is applied; nothing is trained anew.",
    "intensities": _SPECS["intensities"].about(titled=True),
    "adapt": _SPECS["adapt_steps"].about(titled=True),
    "apply_button": "Label the frames with the model, on a layer of their own; the frame that you "
    "see comes first. Your strokes and results stay as they are.",
    "stop_button": "Stop now and keep the frames that are done.",
    "lazy_box": "Each frame gets its labels when the slider stops there, and keeps them.",
}


class Scope(Enum):
    """To what a model is applied."""

    FRAME = "this frame"
    ALL = "all frames"
    FOLDER = "folder"


class ApplyForm(QWidget):
    """What stands in the section and how it shows things; it decides nothing.

    `changed` after a change of what a person chose, but for the model.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.model, self.scope, self.adapt = Chooser(), Chooser(), QSpinBox()
        spec = _SPECS["intensities"]
        self.intensities = Chooser([(spec.title_of(kind), kind) for kind in spec.choices])
        self.apply_button, self.stop_button = QPushButton("Apply"), QPushButton("Stop")
        self.lazy_box = QCheckBox("Compute frames as I look at them")
        self.reason, self.progress_bar, self.status = Sentence(), thin_bar(), Status("")
        self.say = self.status.tell
        self.plot = AreaPlot()
        self._lay_out()
        self.offer_frames(1)
        self.offer_models({}, None)
        self.show_progress(0, None)
        for chooser in (self.intensities, self.scope):
            chooser.changed.connect(self.changed.emit)
        self.adapt.valueChanged.connect(lambda _: self.changed.emit())

    # --- reading things -------------------------------------------------------------

    def params(self) -> ApplyParams:
        """Return how a model is to be applied."""
        return ApplyParams(intensities=self.intensities.chosen(), adapt_steps=self.adapt.value())

    def chosen_scope(self) -> Scope:
        """Return to what it is to be applied."""
        scope: Scope = self.scope.chosen()
        return scope

    # --- showing things -------------------------------------------------------------

    def show_reason(self, reason: str, *, wrong: bool) -> None:
        """Say why nothing can be applied; an empty text where something can."""
        self.reason.say(reason, RED if wrong else MUTED)

    def offer_models(self, titles: Mapping[str, str], chosen: str | None) -> None:
        """Offer models by key and title; the row is there where there is a choice."""
        with QSignalBlocker(self.model):
            self.model.offer([(title, key) for key, title in titles.items()])
            self.model.choose(chosen)
        self._rows.setRowVisible(self.model, len(titles) > 1)

    def offer_frames(self, n_frames: int, *, are_volumes: bool = False) -> None:
        """Offer all frames, or volumes, where there are more than one."""
        noun = "volume" if are_volumes else "frame"
        titles = {Scope.FRAME: f"This {noun if n_frames > 1 or are_volumes else 'image'}"}
        if n_frames > 1:
            titles[Scope.ALL] = f"All {n_frames} {noun}s"
        titles[Scope.FOLDER] = "A folder of images …"
        self.lazy_box.setVisible(n_frames > 1)
        # Who has a stack wants all of it, unless they have said otherwise.
        is_new_stack = n_frames > 1 and Scope.ALL not in self.scope.items()
        with QSignalBlocker(self.scope):
            self.scope.offer([(title, scope) for scope, title in titles.items()])
            if is_new_stack:
                self.scope.choose(Scope.ALL)

    def show_progress(self, done: int, total: int | None) -> None:
        """Show how much is done; None hides the bar."""
        show_progress(self.progress_bar, done, total or 0)
        self.progress_bar.setVisible(total is not None)

    # --- making things --------------------------------------------------------------

    def _lay_out(self) -> None:
        for name, about in _ABOUT.items():
            getattr(self, name).setToolTip(about)
        adapt = _SPECS["adapt_steps"]
        self.adapt.setRange(int(adapt.low or 0), int(adapt.high or 0))
        self.adapt.setSpecialValueText(adapt.title_of(0))
        self.adapt.setSuffix(" steps of training per frame")
        guard_wheel(self.adapt)
        self.stop_button.setEnabled(False)
        self.plot.setVisible(False)
        self._rows = form_rows(
            ("Model", self.model),
            ("Apply to", self.scope),
            ("Intensities", self.intensities),
            ("Adapt", self.adapt),
        )
        buttons = beside(self.apply_button, self.stop_button)
        buttons.setSpacing(6)
        buttons.setStretch(0, 3)
        buttons.setStretch(1, 2)
        below = self.reason, self.lazy_box, self.progress_bar, self.status, self.plot
        stack(self, self._rows, buttons, *below, spacing=6, edge=4)


def ask_for_folders(parent: QWidget) -> tuple[str, str] | None:
    """Ask for the folder of images, then for that of the labels; None where a person cancels."""
    inputs = QFileDialog.getExistingDirectory(parent, "Folder with the images to label", start_in())
    if not inputs:
        return None
    output = QFileDialog.getExistingDirectory(parent, "Folder for the labels", start_in())
    return (inputs, output) if output else None
