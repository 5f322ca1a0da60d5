"""The field that says which value is fill, and what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QWidget

from napari_diffseg.errors import InputError
from napari_diffseg.image.fill import AUTO, Fill, fill_in_words, read_fill
from napari_diffseg.widgets.ui.controls import MUTED, WRONG, titled_row, wrapped_text

if TYPE_CHECKING:
    from napari_diffseg.core.result import Segmentation

_WIDTH = 64
_HINT = "value, auto, none"
_ABOUT = (
    "The value of pixels that are no image: what stitching, rotating, registering or padding put\n"
    "around it, such as 0 or -9999. They get label 0, and nothing is learned from them.\n\n"
    "auto: recognized by itself, where a value at the border stands apart from the image.\n"
    "none: every pixel is image."
)


class FillField(QWidget):
    """Type a value, ``auto`` or ``none``."""

    changed = Signal()
    """Emitted after every change of what stands in the field."""

    def __init__(self) -> None:
        super().__init__()
        self.line = QLineEdit(AUTO)
        self.line.setFixedWidth(_WIDTH)
        self.found = wrapped_text(MUTED, _HINT)
        self.setToolTip(_ABOUT)
        both = QWidget()
        beside = QHBoxLayout(both)
        beside.setContentsMargins(0, 0, 0, 0)
        beside.addWidget(self.line)
        beside.addWidget(self.found, stretch=1)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(titled_row("Fill", both))
        self.line.textChanged.connect(self._on_typed)

    def chosen(self) -> Fill:
        """Return what stands in the field; an empty one is as good as ``auto``."""
        return read_fill(self.line.text().strip() or AUTO)

    def type(self, text: str) -> None:
        """Type as a person does."""
        self.line.setText(text)

    def show_found(self, segmentation: Segmentation | None) -> None:
        """Say what a run on the chosen image has found by itself; None where there was none."""
        said = self.line.text().strip().lower()
        if segmentation is None or said not in (AUTO, ""):
            self.found.setText(_HINT)
            return
        value = segmentation.model.fill
        what = "nothing" if value is None else f"{fill_in_words(value)}, left out"
        self.found.setText(f"found: {what}")

    def _on_typed(self) -> None:
        try:
            self.chosen()
            style = ""
        except InputError:
            style = WRONG
        self.line.setStyleSheet(style)
        self.changed.emit()
