"""Two controls of the dock: which images, and how many labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_diffseg.widgets.planes import layer_shape, shape_in_words

if TYPE_CHECKING:
    from napari.layers import Image

MUTED = "color: #8f959e;"

_TALLEST = (1 << 24) - 1
"""The height that Qt gives to widgets that may have any."""


def folded(title: str, content: QWidget) -> QCollapsible:
    """Return a section that opens and closes with a click on its title."""
    section = QCollapsible(title, collapsedIcon=_icon("▸"), expandedIcon=_icon("▾"))
    section.setDuration(0)
    section.layout().setContentsMargins(0, 0, 0, 0)
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
    """Choose one Image layer, and further ones of its shape as channels."""

    changed = Signal()
    """Emitted after every change of the choice."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layers: list[Image] = []
        self.combo = narrow_combo()
        self.combo.setToolTip("The image to segment.")
        self.channels = QListWidget()
        self.channels.setToolTip("Tick further images of the same shape as channels.")
        self.more = folded("More channels", self.channels)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.combo)
        layout.addWidget(self.more)
        self.combo.currentIndexChanged.connect(self._on_image_changed)
        self.channels.itemChanged.connect(self._on_tick)
        self._fill_channels(())

    def offer(self, layers: Sequence[Image]) -> None:
        """Offer these layers and keep the choice as far as it is still there."""
        chosen = self.chosen()
        ticked = chosen[1:]
        self._layers = list(layers)
        with QSignalBlocker(self.combo):
            self.combo.clear()
            self.combo.addItems([str(layer.name) for layer in self._layers])
            if not self._layers:
                self.combo.addItem("no image layer")
            self.combo.setEnabled(bool(self._layers))
            if chosen and chosen[0] in self._layers:
                self.combo.setCurrentIndex(self._layers.index(chosen[0]))
            elif chosen:
                ticked = []
        self._fill_channels(ticked)
        self.changed.emit()

    def choose(self, layer: Image) -> None:
        """Choose a layer that is on offer."""
        self.combo.setCurrentIndex(self._layers.index(layer))

    def chosen(self) -> list[Image]:
        """Return the chosen layer and the further channels; empty where there is none."""
        if not self._layers:
            return []
        first = self._layers[self.combo.currentIndex()]
        items = [self.channels.item(row) for row in range(self.channels.count())]
        ticked = [item for item in items if item.checkState() == Qt.CheckState.Checked]
        return [first, *(item.data(Qt.ItemDataRole.UserRole)[0] for item in ticked)]

    def _on_image_changed(self) -> None:
        self._fill_channels(())
        self.changed.emit()

    def _on_tick(self) -> None:
        self._name_section()
        self.changed.emit()

    def _fill_channels(self, ticked: Sequence[Image]) -> None:
        with QSignalBlocker(self.channels):
            self.channels.clear()
            first = self._layers[self.combo.currentIndex()] if self._layers else None
            for layer in self._layers:
                if first is not None and layer != first:
                    self.channels.addItem(_channel_item(layer, first, layer in ticked))
        rows = min(max(self.channels.count(), 1), 5)
        self.channels.setFixedHeight(rows * max(self.channels.sizeHintForRow(0), 18) + 8)
        self.more.setVisible(first is not None and not first.rgb and self.channels.count() > 0)
        self._name_section()

    def _name_section(self) -> None:
        n_more = len(self.chosen()) - 1
        self.more.setText(f"More channels ({n_more} chosen)" if n_more > 0 else "More channels")


def _channel_item(layer: Image, first: Image, ticked: bool) -> QListWidgetItem:
    item = QListWidgetItem(str(layer.name))
    # In a list, because Qt would copy what looks like a sequence, and layers do not.
    item.setData(Qt.ItemDataRole.UserRole, [layer])
    if layer.rgb or first.rgb or layer_shape(layer) != layer_shape(first):
        item.setText(f"{layer.name}   ({shape_in_words(layer)})")
        item.setToolTip("Cannot be a channel: not of the same shape, or a colour image.")
        item.setFlags(Qt.ItemFlag.NoItemFlags)
        return item
    item.setFlags(Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEnabled)
    item.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)
    return item


class LabelsSlider(QWidget):
    """A slider from few labels to all that there are.

    Parameters
    ----------
    tooltip : str
        What the number does.
    """

    moved = Signal(int)
    """Emitted with the number when a person moves the slider; 0 for all."""

    FEWEST = 2

    def __init__(self, tooltip: str) -> None:
        super().__init__()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setMinimum(self.FEWEST)
        self.slider.setPageStep(4)
        self.slider.setToolTip(tooltip)
        self.number = QLabel()
        self.number.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.number.setFixedWidth(self.number.fontMetrics().horizontalAdvance("0000"))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addWidget(QLabel("Fewer"))
        layout.addWidget(self.slider, stretch=1)
        layout.addWidget(QLabel("More"))
        layout.addWidget(self.number)
        self.slider.valueChanged.connect(self._on_moved)

    def show_value(self, n_labels: int, most: int) -> None:
        """Move the slider, without a signal; 0 labels means all that there are."""
        with QSignalBlocker(self.slider):
            self.slider.setMaximum(max(most, self.FEWEST))
            self.slider.setValue(n_labels or most)
        self._write_number(0 if n_labels >= most else n_labels)

    def _on_moved(self, position: int) -> None:
        n_labels = 0 if position == self.slider.maximum() else position
        self._write_number(n_labels)
        self.moved.emit(n_labels)

    def _write_number(self, n_labels: int) -> None:
        self.number.setText(str(n_labels) if n_labels else "all")
