"""The one place of the dock where the size of a pixel stands, and is typed."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QLabel, QLineEdit, QWidget

from napari_diffseg.image.info import ImageInfo
from napari_diffseg.image.units import MICROMETRES
from napari_diffseg.widgets.image.sizes import PIXELS, SizeOrigin, TypedSize, known_sizes
from napari_diffseg.widgets.ui.controls import (
    MUTED,
    RED,
    TITLE_WIDTH,
    WRONG,
    Sentence,
    beside,
    restyle,
    stack,
)


class SizeField(QWidget):
    """Side of a pixel, distance of planes, and their unit; it decides nothing.

    `typed` is emitted with a `TypedSize` while a person types.
    """

    typed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.side, self.distance, self.unit = QLineEdit(), QLineEdit(), QComboBox()
        self._distance_title = QLabel("z")
        self.about = Sentence(MUTED)
        self.unit.addItems([*MICROMETRES, PIXELS])
        self.unit.setCurrentText("µm")
        self._dress()
        for line in (self.side, self.distance):
            line.textEdited.connect(lambda _: self._emit())
        self.unit.activated.connect(lambda _: self._emit())

    def show_size(
        self, info: ImageInfo, origin: SizeOrigin, said: TypedSize | None, *, has_planes: bool
    ) -> None:
        """Show how large a pixel is, and who says so; what is being typed stays as it is."""
        sizes, known_unit = known_sizes(info)
        sides = sizes[-2:]
        side = " × ".join(f"{one:.6g}" for one in (sides if len(set(sides)) > 1 else sides[:1]))
        depth = f"{sizes[0]:.6g}" if len(sizes) == 3 else ""
        unit = (known_unit or PIXELS) if sides else self.unit.currentText()
        if said is not None:
            side, depth, unit = said.side or side, said.depth or depth, said.unit
        for line, text in ((self.side, side), (self.distance, depth)):
            # Somebody who empties a field is about to type into it.
            if line.text() != text and not (line.hasFocus() and not line.text()):
                with QSignalBlocker(line):
                    line.setText(text)
        with QSignalBlocker(self.unit):
            self.unit.setCurrentText(unit)
        for widget in (self.distance, self._distance_title):
            widget.setVisible(has_planes)
        is_known = info.pixel_size is not None or origin is SizeOrigin.PERSON
        self.about.say((origin if is_known else SizeOrigin.NOBODY).value, MUTED)

    def show_wrong(self, reason: str) -> None:
        """Say what is wrong with what is typed; nothing, where that is an empty text."""
        for line in (self.side, self.distance):
            restyle(line, WRONG if reason else "")
        if reason:
            self.about.say(reason, RED)

    def _emit(self) -> None:
        depth = self.distance.text() if self.distance.isVisibleTo(self) else ""
        self.typed.emit(TypedSize(self.side.text(), depth, self.unit.currentText()))

    def _dress(self) -> None:
        self.side.setPlaceholderText("not known")
        self.side.setToolTip("Width of a pixel; of pixels that are no squares, height × width.")
        self.distance.setPlaceholderText("not known")
        self.distance.setToolTip("Distance from plane to plane.")
        self.unit.setToolTip(f"Unit of these sizes; {PIXELS} where only their ratio is known.")
        title = QLabel("Pixel size")
        title.setMinimumWidth(TITLE_WIDTH)
        row = beside(title, self.side, self._distance_title, self.distance, self.unit, widest=1)
        row.setSpacing(2)
        row.setStretch(3, 1)
        for line in (self.side, self.distance):
            line.setMinimumWidth(50)
        stack(self, row, self.about, spacing=2)
