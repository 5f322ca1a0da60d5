"""The one place of the dock where the size of a pixel stands, and is typed."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from napari_diffseg.image.units import MICROMETRES
from napari_diffseg.widgets.image.voxel_size import PIXELS, SizeOrigin, TypedSize, VoxelSize
from napari_diffseg.widgets.ui.controls import MUTED, RED, TITLE_WIDTH, WRONG, Sentence

_ABOUT = {
    SizeOrigin.PERSON: "As you typed it. Edit ▸ As guessed forgets it.",
    SizeOrigin.LAYER: "",
    SizeOrigin.FILE: "From the metadata of the file.",
    SizeOrigin.NOBODY: "Not known: sizes will be in pixels. Type it, if you know it.",
}


class SizeField(QWidget):
    """Side of a pixel, distance of planes, and their unit; it decides nothing."""

    typed = Signal(object)
    """Emitted with a `TypedSize` while a person types."""

    def __init__(self) -> None:
        super().__init__()
        self.side, self.depth, self.unit = QLineEdit(), QLineEdit(), QComboBox()
        self._depth_title = QLabel("z")
        self.about = Sentence(MUTED)
        self.unit.addItems([*MICROMETRES, PIXELS])
        self.unit.setCurrentText("µm")
        self._dress()
        for line in (self.side, self.depth):
            line.textEdited.connect(lambda _: self._emit())
        self.unit.activated.connect(lambda _: self._emit())

    def show_size(
        self, size: VoxelSize, origin: SizeOrigin, said: TypedSize | None, *, has_planes: bool
    ) -> None:
        """Show how large a pixel is, and who says so; what is being typed stays as it is."""
        sides = () if size.sizes is None else size.sizes[-2:]
        side = " × ".join(f"{one:.6g}" for one in (sides if len(set(sides)) > 1 else sides[:1]))
        depth = f"{size.sizes[0]:.6g}" if size.sizes is not None and len(size.sizes) == 3 else ""
        unit = (size.unit or PIXELS) if sides else self.unit.currentText()
        if said is not None:
            side, depth, unit = said.side or side, said.depth or depth, said.unit
        for line, text in ((self.side, side), (self.depth, depth)):
            # Somebody who empties a field is about to type into it.
            if line.text() != text and not (line.hasFocus() and not line.text()):
                with QSignalBlocker(line):
                    line.setText(text)
        with QSignalBlocker(self.unit):
            self.unit.setCurrentText(unit)
        for widget in (self.depth, self._depth_title):
            widget.setVisible(has_planes)
        is_known = size.pixel_size() is not None or origin is SizeOrigin.PERSON
        self._tell(_ABOUT[origin if is_known else SizeOrigin.NOBODY], MUTED)

    def show_wrong(self, reason: str) -> None:
        """Say what is wrong with what is typed; nothing, where that is an empty text."""
        for line in (self.side, self.depth):
            line.setStyleSheet(WRONG if reason else "")
        if reason:
            self._tell(reason, RED)

    def _tell(self, text: str, style: str) -> None:
        self.about.say(text, style)

    def _emit(self) -> None:
        depth = self.depth.text() if self.depth.isVisibleTo(self) else ""
        self.typed.emit(TypedSize(self.side.text(), depth, self.unit.currentText()))

    def _dress(self) -> None:
        self.side.setPlaceholderText("not known")
        self.side.setToolTip("Width of a pixel; of pixels that are no squares, height × width.")
        self.depth.setPlaceholderText("not known")
        self.depth.setToolTip("Distance from plane to plane.")
        self.unit.setToolTip(f"Unit of these sizes; {PIXELS} where only their ratio is known.")
        title = QLabel("Pixel size")
        title.setMinimumWidth(TITLE_WIDTH)
        row = QHBoxLayout()
        row.addWidget(title)
        row.addWidget(self.side, stretch=1)
        row.addWidget(self._depth_title)
        row.addWidget(self.depth, stretch=1)
        row.addWidget(self.unit)
        for line in (self.side, self.depth):
            line.setMinimumWidth(50)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(row)
        layout.addWidget(self.about)
