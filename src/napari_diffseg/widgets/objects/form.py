"""The section of the dock that makes objects of classes: controls only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_diffseg.instances.finding import background_of
from napari_diffseg.instances.params import ObjectParams
from napari_diffseg.widgets.batch.form import Sentence
from napari_diffseg.widgets.ui.controls import AMBER, MUTED, RED, narrow_combo

if TYPE_CHECKING:
    from napari.layers import Labels

_SPECS = {spec.name: spec for spec in ObjectParams.specs()}
_FARTHEST = 50
"""Where the slider ends; more can be typed."""
_MOST = int(min(_SPECS["split"].high or 0, _SPECS["smooth"].high or 0))
_MOST_ROWS = 32
_BOX_WIDTH = 92


@dataclass(frozen=True, slots=True)
class ClassFact:
    """A class that objects can be made of."""

    number: int
    color: NDArray[np.floating]
    name: str
    is_background: bool


class ObjectsForm(QWidget):
    """What stands in the section and how it shows things; it decides nothing."""

    changed = Signal()
    """Emitted after a change of what objects are made of, and how."""
    layer_chosen = Signal()
    """Emitted when another layer is chosen."""

    def __init__(self) -> None:
        super().__init__()
        self._layers: list[Labels] = []
        self.combo = narrow_combo()
        self.classes = ClassTicks()
        self.split = NumberSlider(_FARTHEST, " px")
        self.neck = NumberSlider(int(_SPECS["neck"].high or 0), " %")
        self.min_size = QSpinBox()
        self.fill_holes = QCheckBox(_SPECS["fill_holes"].title)
        self.clear_border = QCheckBox(_SPECS["clear_border"].title)
        self.smooth = NumberSlider(_FARTHEST // 5, " px")
        self.make_button = QPushButton("Make objects")
        self.count = QLabel()
        self.status = Sentence()
        self._fill()
        self._lay_out()
        self.combo.currentIndexChanged.connect(lambda _: self.layer_chosen.emit())
        for box in (self.fill_holes, self.clear_border):
            box.toggled.connect(lambda _: self.changed.emit())
        for part in (self.split, self.neck, self.smooth, self.classes):
            part.changed.connect(self.changed.emit)
        self.min_size.valueChanged.connect(lambda _: self.changed.emit())

    def params(self) -> ObjectParams:
        """Return how objects are to be made; without a ticked class they are made of none."""
        return ObjectParams(
            classes=",".join(map(str, self.classes.ticked())),
            split=float(self.split.value()),
            neck=self.neck.value(),
            min_size=self.min_size.value(),
            fill_holes=self.fill_holes.isChecked(),
            clear_border=self.clear_border.isChecked(),
            smooth=float(self.smooth.value()),
        )

    def offer(self, layers: Sequence[Labels], wanted: Labels | None = None) -> None:
        """Offer layers of classes; keep the choice, unless another one is wanted."""
        chosen = wanted if wanted is not None else self.chosen()
        same = len(layers) == len(self._layers) and all(
            one == other for one, other in zip(layers, self._layers, strict=True)
        )
        titles = [str(layer.name) for layer in layers] or ["no labels yet"]
        shown = [self.combo.itemText(row) for row in range(self.combo.count())]
        if same and titles == shown and (wanted is None or wanted == self.chosen()):
            return
        before = self.chosen()
        self._layers = list(layers)
        with QSignalBlocker(self.combo):
            self.combo.clear()
            self.combo.addItems(titles)
            self.combo.setEnabled(bool(self._layers))
            if chosen is not None and chosen in self._layers:
                self.combo.setCurrentIndex(self._layers.index(chosen))
        now = self.chosen()
        if (before is None) != (now is None) or (before is not None and before != now):
            self.layer_chosen.emit()

    def chosen(self) -> Labels | None:
        """Return the chosen layer; None where there is none."""
        row = self.combo.currentIndex()
        return self._layers[row] if 0 <= row < len(self._layers) else None

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Write the status line."""
        self.status.setText(text)
        self.status.setStyleSheet(RED if wrong else AMBER)

    def show_count(self, text: str) -> None:
        """Say how many objects there are."""
        self.count.setText(text)

    def _fill(self) -> None:
        self.combo.setMinimumContentsLength(6)
        self.combo.setToolTip("The layer of classes that objects are made of.")
        for name in ("split", "neck", "smooth"):
            number: NumberSlider = getattr(self, name)
            number.setToolTip(_SPECS[name].help)
            number.set_value(int(_SPECS[name].default))
        spec = _SPECS["min_size"]
        self.min_size.setRange(0, int(spec.high or 0))
        self.min_size.setValue(int(spec.default))
        self.min_size.setSuffix(" px")
        self.min_size.setSpecialValueText("any")
        self.min_size.setToolTip(spec.help)
        self.min_size.setMinimumWidth(_BOX_WIDTH)
        self.min_size.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        for box, name in ((self.fill_holes, "fill_holes"), (self.clear_border, "clear_border")):
            box.setChecked(bool(_SPECS[name].default))
            box.setToolTip(_SPECS[name].help)
        self.make_button.setToolTip(
            "Give each piece of the ticked classes a number of its own, on a layer of its own; "
            "from then on the objects follow what you change here. The classes stay as they are."
        )
        self.count.setStyleSheet("font-weight: bold;")
        self.say("")

    def _lay_out(self) -> None:
        rows = QFormLayout()
        rows.setHorizontalSpacing(12)
        rows.setVerticalSpacing(6)
        rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        rows.addRow("From", self.combo)
        rows.addRow("Classes", self.classes)
        rows.addRow(_SPECS["split"].title, self.split)
        rows.addRow(_SPECS["neck"].title, self.neck)
        rows.addRow(_SPECS["min_size"].title, self.min_size)
        rows.addRow(_SPECS["smooth"].title, self.smooth)
        foot = QHBoxLayout()
        foot.addWidget(self.make_button)
        foot.addWidget(self.count, stretch=1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 4)
        layout.setSpacing(6)
        layout.addLayout(rows)
        layout.addWidget(self.fill_holes)
        layout.addWidget(self.clear_border)
        layout.addLayout(foot)
        layout.addWidget(self.status)


class ClassTicks(QWidget):
    """A tick for each class, with its colour and name."""

    changed = Signal()
    """Emitted when a person ticks or unticks a class."""

    def __init__(self) -> None:
        super().__init__()
        self.boxes: dict[int, QCheckBox] = {}
        self._n_columns = 2
        self._none = QLabel("none yet: press Segment first")
        self._none.setStyleSheet(MUTED)
        self._none.setWordWrap(True)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(2)
        self._grid.addWidget(self._none, 0, 0)

    def ticked(self) -> tuple[int, ...]:
        """Return the classes that are ticked, ascending."""
        return tuple(number for number, box in self.boxes.items() if box.isChecked())

    def show_classes(self, facts: Sequence[ClassFact], *, keep: bool) -> None:
        """List classes; those that are new are ticked, but for the largest, the background.

        Parameters
        ----------
        facts : sequence of ClassFact
            By rising number; of very many the first ones are listed.
        keep : bool
            Whether classes that are listed already keep their ticks.
        """
        facts = facts[:_MOST_ROWS]
        ticks = {one.number: not one.is_background or len(facts) == 1 for one in facts}
        if keep:
            ticks |= {n: box.isChecked() for n, box in self.boxes.items() if n in ticks}
        # The dock is narrow: names stand one below the other.
        n_columns = 1 if any(one.name for one in facts) else 2
        if list(self.boxes) != list(ticks) or n_columns != self._n_columns:
            self._n_columns = n_columns
            self._make(list(ticks))
        self._none.setVisible(not facts)
        for one in facts:
            box = self.boxes[one.number]
            box.setText(f"{one.number}  {one.name}".strip())
            box.setIcon(_swatch(one.color))
            with QSignalBlocker(box):
                box.setChecked(ticks[one.number])

    def _make(self, numbers: list[int]) -> None:
        for box in self.boxes.values():
            self._grid.removeWidget(box)
            box.hide()
            box.deleteLater()
        self.boxes = {number: QCheckBox() for number in numbers}
        for place, (number, box) in enumerate(self.boxes.items()):
            box.setToolTip(f"Make objects of class {number}.")
            box.toggled.connect(lambda _: self.changed.emit())
            self._grid.addWidget(box, *divmod(place, self._n_columns))


class NumberSlider(QWidget):
    """A number, as a slider and to be typed; 0 is off.

    Parameters
    ----------
    farthest : int
        Where the slider ends; of pixels more can be typed.
    suffix : str
        Unit, with a space before it.
    """

    changed = Signal()
    """Emitted when the number is another one."""

    def __init__(self, farthest: int, suffix: str) -> None:
        super().__init__()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, farthest)
        self.slider.setMinimumWidth(40)
        self.box = QSpinBox()
        self.box.setRange(0, _MOST if suffix == " px" else farthest)
        self.box.setSuffix(suffix)
        self.box.setSpecialValueText("off")
        self.box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        # Qt would ask for room for the widest number.
        self.box.setFixedWidth(_BOX_WIDTH)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.slider, stretch=1)
        layout.addWidget(self.box)
        self.slider.valueChanged.connect(self.box.setValue)
        self.box.valueChanged.connect(self._on_typed)

    def value(self) -> int:
        """Return the number."""
        return int(self.box.value())

    def set_value(self, value: int) -> None:
        """Set the number."""
        self.box.setValue(value)

    def _on_typed(self, value: int) -> None:
        with QSignalBlocker(self.slider):
            self.slider.setValue(min(value, self.slider.maximum()))
        self.changed.emit()


def class_facts(
    areas: Mapping[int, int], colors: Mapping[int, NDArray[Any]], names: Mapping[int, str]
) -> list[ClassFact]:
    """Return what is to be listed of classes with these areas."""
    background = background_of(areas)
    return [
        ClassFact(number, colors[number], names.get(number, ""), number == background)
        for number in sorted(areas)
        if number > 0
    ]


def _swatch(color: NDArray[np.floating]) -> QIcon:
    pixmap = QPixmap(14, 14)
    pixmap.fill(QColor.fromRgbF(*(float(part) for part in color[:3])))
    return QIcon(pixmap)
