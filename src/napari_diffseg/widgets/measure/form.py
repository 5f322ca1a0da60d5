"""The section of the dock that measures objects: controls only."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_diffseg.errors import InputError
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.image.units import MICROMETRES
from napari_diffseg.widgets.batch.form import Sentence
from napari_diffseg.widgets.measure.table import MeasureTable
from napari_diffseg.widgets.ui.controls import AMBER, MUTED, RED

_WRONG = "background-color: #7a2e2e; color: white; border: 1px solid #e5534b;"
_IN_PIXELS = "Sizes are in pixels: type how large a pixel is, and they are in µm."


class MeasureForm(QWidget):
    """What stands in the section and how it shows things; it decides nothing."""

    changed = Signal()
    """Emitted when another size of a pixel was typed."""

    def __init__(self) -> None:
        super().__init__()
        self.side = QLineEdit()
        self.depth = QLineEdit()
        self._depth_title = QLabel("z")
        self.unit = QComboBox()
        self.table = MeasureTable()
        self.save_button = QPushButton("Save CSV …")
        self.summary_button = QPushButton("Save summary …")
        self.about = Sentence()
        self.status = Sentence()
        self._fill()
        self._lay_out()
        for line in (self.side, self.depth):
            line.textEdited.connect(lambda _: self._on_typed())
        self.unit.currentIndexChanged.connect(lambda _: self._on_typed())

    def pixel_size(self) -> PixelSize | None:
        """Return the size that stands here; None where none does.

        Raises
        ------
        InputError
            It cannot be read.
        """
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
        self.status.setText(text)
        self.status.setStyleSheet(RED if wrong else MUTED)

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
            self.about.setText(str(error))
            self.about.setStyleSheet(RED)
            self.side.setStyleSheet(_WRONG)
            return False
        self.side.setStyleSheet("")
        self.about.setStyleSheet(AMBER)
        lacks_depth = size is not None and size.z is None and self.depth.isVisibleTo(self)
        self.about.setText(_IN_PIXELS if size is None or lacks_depth else "")
        return True

    def _fill(self) -> None:
        self.unit.addItems(list(MICROMETRES))
        self.unit.setCurrentText("µm")
        self.side.setPlaceholderText("not known")
        self.side.setToolTip("Width of a pixel; of pixels that are no squares, height × width.")
        self.depth.setPlaceholderText("not known")
        self.depth.setToolTip("Distance from plane to plane.")
        self.unit.setToolTip("Unit of these sizes; the table is in µm.")
        self.table.setToolTip(
            "One row for each object: click it to go there; click an object to find its row."
        )
        self.save_button.setToolTip("Write the table to a file that spreadsheets open.")
        self.summary_button.setToolTip(
            "Write count, mean and total area of each class and frame to a file."
        )
        self.allow_saving(False)
        self.show_depth(False)
        self.say("")

    def _lay_out(self) -> None:
        sizes = QHBoxLayout()
        sizes.addWidget(QLabel("Pixel size"))
        sizes.addWidget(self.side, stretch=1)
        sizes.addWidget(self._depth_title)
        sizes.addWidget(self.depth, stretch=1)
        sizes.addWidget(self.unit)
        for line in (self.side, self.depth):
            line.setMinimumWidth(50)
        buttons = QHBoxLayout()
        buttons.addWidget(self.save_button)
        buttons.addWidget(self.summary_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 4)
        layout.setSpacing(6)
        layout.addLayout(sizes)
        layout.addWidget(self.about)
        layout.addWidget(self.table)
        layout.addLayout(buttons)
        layout.addWidget(self.status)


def _number(text: str) -> float:
    try:
        return float(text.strip())
    except ValueError as error:
        raise InputError(
            f"The size of a pixel is {text.strip()!r}, but a number was expected, such as 0.325."
        ) from error
