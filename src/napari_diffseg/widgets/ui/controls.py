"""Two controls of the dock, which image and how many labels, and what all controls are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

if TYPE_CHECKING:
    from napari.layers import Image

MUTED = "color: #8f959e;"
RED = "color: #e5605a;"
AMBER = "color: #d9a441;"
WRONG = "border: 1px solid #e5534b;"
"""Of a field in which something stands that cannot be."""

TITLE_WIDTH = 80
"""Of what stands before a control in a row of its own, so that such rows stand in line."""

_TALLEST = (1 << 24) - 1
"""The height that Qt gives to widgets that may have any."""


def folded(title: str, content: QWidget) -> QCollapsible:
    """Return a section that opens and closes with a click on its title."""
    section = QCollapsible(title, collapsedIcon=_icon("▸"), expandedIcon=_icon("▾"))
    section.setDuration(0)
    section.layout().setContentsMargins(0, 0, 0, 0)
    section.layout().setSpacing(0)
    # napari would paint the title of an open section as a pressed button.
    section.toggleButton().setStyleSheet(
        "QPushButton, QPushButton:checked { background-color: transparent; text-align: left; "
        "border: none; padding: 3px 0px; }"
    )
    # The section changes the height of what it holds, which must not be fixed.
    box = QWidget()
    layout = QVBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(content)
    section.setContent(box)
    section.collapse(animate=False)
    # It would keep the height that it was opened with, whatever is shown in it later.
    section.toggled.connect(lambda is_open: is_open and box.setMaximumHeight(_TALLEST))
    return section


def narrow_combo() -> QComboBox:
    """Return a combobox that does not grow with its longest entry."""
    combo = QComboBox()
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    combo.setMinimumContentsLength(10)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return combo


def titled_row(title: str, control: QWidget) -> QWidget:
    """Return a control with what it is called before it."""
    row, label = QWidget(), QLabel(title)
    label.setMinimumWidth(TITLE_WIDTH)
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(label)
    layout.addWidget(control, stretch=1)
    return row


def wrapped_text(style: str, text: str = "") -> QLabel:
    """Return a text that is broken into lines, and can be copied."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setStyleSheet(style)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _icon(letter: str) -> QIcon:
    """Draw a letter in a grey that is seen on dark and on light; superqt draws it black."""
    pixmap = QPixmap(32, 32)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    font = painter.font()
    font.setPixelSize(30)
    painter.setFont(font)
    painter.setPen(QColor("#8f959e"))
    painter.drawText(pixmap.rect(), Qt.AlignmentFlag.AlignCenter, letter)
    painter.end()
    return QIcon(pixmap)


class ImageChooser(QWidget):
    """Choose one Image layer."""

    changed = Signal()
    """Emitted after every change of the choice."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layers: list[Image] = []
        self.combo = narrow_combo()
        self.combo.setToolTip("The image to segment.")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.combo)
        self.combo.currentIndexChanged.connect(lambda _: self.changed.emit())

    def offer(self, layers: Sequence[Image]) -> None:
        """Offer these layers and keep the choice, if it is still there."""
        chosen = self.chosen()
        self._layers = list(layers)
        with QSignalBlocker(self.combo):
            self.combo.clear()
            self.combo.addItems([str(layer.name) for layer in self._layers])
            if not self._layers:
                self.combo.addItem("no image layer")
            self.combo.setEnabled(bool(self._layers))
            if chosen is not None and chosen in self._layers:
                self.combo.setCurrentIndex(self._layers.index(chosen))
        self.changed.emit()

    def choose(self, layer: Image) -> None:
        """Choose a layer that is on offer."""
        self.combo.setCurrentIndex(self._layers.index(layer))

    def chosen(self) -> Image | None:
        """Return the chosen layer; None where there is none."""
        return self._layers[self.combo.currentIndex()] if self._layers else None

    def others(self) -> list[Image]:
        """Return the layers that are on offer, and not chosen."""
        chosen = self.chosen()
        return [layer for layer in self._layers if layer != chosen]


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
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addWidget(QLabel("Fewer"))
        layout.addWidget(self.slider, stretch=1)
        layout.addWidget(QLabel("More"))
        layout.addWidget(self.number)
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
