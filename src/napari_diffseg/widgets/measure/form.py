"""The section of the dock that measures objects: controls only."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QLabel, QLineEdit, QPushButton, QWidget

from napari_diffseg.errors import InputError
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.image.units import MICROMETRES
from napari_diffseg.widgets.measure.table import MeasureTable
from napari_diffseg.widgets.ui.controls import AMBER, MUTED, RED, Sentence, beside, stack

_WRONG = "background-color: #7a2e2e; color: white; border: 1px solid #e5534b;"
_ABOUT = {
    "side": "Width of a pixel; of pixels that are no squares, height × width.",
    "depth": "Distance from plane to plane.",
    "unit": "Unit of these sizes; the table is in µm.",
    "table": "One row for each object: click it to go there; click an object to find its row.",
    "save_button": "Write the table to a file that spreadsheets open.",
    "summary_button": "Write count, mean and total area of each class and frame to a file.",
}
_IN_PIXELS = "Sizes are in pixels: type how large a pixel is, and they are in µm."


class MeasureForm(QWidget):
    """What stands in the section and how it shows things; it decides nothing."""

    changed = Signal()
    """Emitted when another size of a pixel was typed."""

    def __init__(self) -> None:
        super().__init__()
        self.side, self.depth, self._depth_title = QLineEdit(), QLineEdit(), QLabel("z")
        self.unit = QComboBox()
        self.unit.addItems(list(MICROMETRES))
        self.unit.setCurrentText("µm")
        self.table = MeasureTable()
        self.save_button = QPushButton("Save CSV …")
        self.summary_button = QPushButton("Save summary …")
        self.about, self.status = Sentence(), Sentence()
        for widget, about in _ABOUT.items():
            getattr(self, widget).setToolTip(about)
        for line in (self.side, self.depth):
            line.setPlaceholderText("not known")
            line.setMinimumWidth(50)
            line.textEdited.connect(lambda _: self._on_typed())
        self.unit.currentIndexChanged.connect(lambda _: self._on_typed())
        size = beside(
            *(QLabel("Pixel size"), self.side, self._depth_title, self.depth, self.unit), widest=1
        )
        size.setStretch(3, 1)
        buttons = beside(self.save_button, self.summary_button)
        stack(self, size, self.about, self.table, buttons, self.status, spacing=6, edge=4)
        self.allow_saving(False)
        self.show_depth(False)

    def pixel_size(self) -> PixelSize | None:
        """Return the size that stands here; None where none does."""
        text = self.side.text().strip()
        if not text:
            return None
        sides = [_number(part) for part in text.replace("×", "x").split("x")]
        if len(sides) > 2:
            raise InputError(
                f"The size of a pixel is {text!r}, but one number was expected, or height × width."
            )
        z = self.depth.text().strip()
        has_depth = self.depth.isVisibleTo(self) and bool(z)
        return PixelSize(
            sides[0], sides[-1], self.unit.currentText(), _number(z) if has_depth else None
        )

    def fill_in(self, size: PixelSize | None) -> None:
        """Write what the image layer says."""
        with QSignalBlocker(self.unit):
            self.unit.setCurrentText("µm" if size is None else size.unit)
        sides = () if size is None else (size.y,) if size.y == size.x else (size.y, size.x)
        self.side.setText(" × ".join(f"{side:.6g}" for side in sides))
        self.depth.setText("" if size is None or size.z is None else f"{size.z:.6g}")
        self._check()

    def show_depth(self, is_volume: bool) -> None:
        """Ask for the distance of planes where there are any."""
        for widget in (self.depth, self._depth_title):
            widget.setVisible(is_volume)
        self._check()

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Write the status line."""
        self.status.say(text, RED if wrong else MUTED)

    def allow_saving(self, is_allowed: bool) -> None:
        """Switch the buttons on or off."""
        self.save_button.setEnabled(is_allowed)
        self.summary_button.setEnabled(is_allowed)

    def _on_typed(self) -> None:
        if self._check():
            self.changed.emit()

    def _check(self) -> bool:
        """Say what is wrong or not known; return whether measurements can be made."""
        try:
            size = self.pixel_size()
        except InputError as error:
            self.about.say(str(error), RED)
            self.side.setStyleSheet(_WRONG)
            return False
        self.side.setStyleSheet("")
        lacks_depth = size is not None and size.z is None and self.depth.isVisibleTo(self)
        self.about.say(_IN_PIXELS if size is None or lacks_depth else "", AMBER)
        return True


def _number(text: str) -> float:
    try:
        return float(text.strip())
    except ValueError as error:
        raise InputError(
            f"The size of a pixel is {text.strip()!r}, but a number was expected, such as 0.325."
        ) from error
