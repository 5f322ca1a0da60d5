"""The section of the dock that makes objects of classes: controls only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QLabel,
    QPushButton,
    QSlider,
    QSpinBox,
    QWidget,
)

from napari_diffseg.instances.finding import background_of, is_background
from napari_diffseg.instances.params import ObjectParams
from napari_diffseg.widgets.ui.controls import (
    MUTED,
    Chooser,
    Sentence,
    Status,
    beside,
    form_rows,
    guard_wheel,
    stack,
    swatch,
    titled_row,
)
from napari_diffseg.widgets.ui.wait_row import WaitRow

if TYPE_CHECKING:
    from napari.layers import Labels

_SPECS = {spec.name: spec for spec in ObjectParams.specs()}
_FARTHEST = 50
"""Where the slider ends; more can be typed."""
_MOST = int(min(_SPECS["split"].high or 0, _SPECS["smooth"].high or 0))
_MOST_ROWS = 32
_BOX_WIDTH = 92
_NO_LABELS = "no labels yet"
_NO_CLASSES = "none yet: press Segment first"
_ABOUT_MAKING = (
    "Give each piece of the ticked classes a number of its own, on a layer of its own; "
    "from then on the objects follow what you change here. The classes stay as they are."
)


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
        self.combo = Chooser(tooltip="The layer of classes that objects are made of.")
        self.combo.offer([], _NO_LABELS)
        self.classes = ClassTicks()
        self.split = NumberSlider("split", _FARTHEST, _MOST)
        self.neck = NumberSlider("neck", int(_SPECS["neck"].high or 0))
        self.smooth = NumberSlider("smooth", _FARTHEST // 5, _MOST)
        self.min_size = _spin_box("min_size", int(_SPECS["min_size"].high or 0))
        self.fill_holes, self.clear_border = _tick("fill_holes"), _tick("clear_border")
        self.make_button = QPushButton("Make objects")
        self.make_button.setToolTip(_ABOUT_MAKING)
        self.count = QLabel()
        self.count.setStyleSheet("font-weight: bold;")
        self.status = Status()
        self.say = self.status.tell
        self.wait = WaitRow("Stop now; what is shown stays as it is.")
        named = ((n, getattr(self, n)) for n in ("split", "neck", "min_size", "smooth"))
        titled = ((_SPECS[name].title, control) for name, control in named)
        rows = form_rows(("Classes", self.classes), *titled)
        ticks = self.fill_holes, self.clear_border
        foot = beside(self.make_button, self.count, widest=1)
        head = titled_row("From", self.combo)
        stack(self, head, rows, *ticks, foot, self.wait, self.status, spacing=6, edge=4)
        self.combo.changed.connect(self.layer_chosen.emit)
        for box in ticks:
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

    def write(self, params: ObjectParams) -> None:
        """Show how objects were made; nobody is told."""
        with QSignalBlocker(self):
            for name in ("split", "neck", "smooth"):
                getattr(self, name).box.setValue(int(getattr(params, name)))
            self.min_size.setValue(params.min_size)
            self.fill_holes.setChecked(params.fill_holes)
            self.clear_border.setChecked(params.clear_border)
            self.classes.tick(params.class_numbers)

    def offer(self, layers: Sequence[Labels], wanted: Labels | None = None) -> None:
        """Offer layers of classes; keep the choice, unless another one is wanted."""
        is_other = self.combo.offer([(str(one.name), one) for one in layers], _NO_LABELS)
        if wanted is not None and wanted in layers:
            with QSignalBlocker(self.combo):
                is_other |= not bool(wanted == self.chosen())
                self.combo.choose(wanted)
        if is_other:
            self.layer_chosen.emit()

    def chosen(self) -> Labels | None:
        """Return the chosen layer; None where there is none."""
        layer: Labels | None = self.combo.chosen()
        return layer

    def show_count(self, text: str) -> None:
        """Say how many objects there are."""
        self.count.setText(text)


class ClassTicks(QWidget):
    """A tick for each class, with its colour and name."""

    changed = Signal()
    """Emitted when a person ticks or unticks a class."""

    def __init__(self) -> None:
        super().__init__()
        self.boxes: dict[int, QCheckBox] = {}
        self._n_columns = 2
        # What a person has chosen of the classes that there were then; None before that.
        self._chosen: dict[int, bool] | None = None
        self._grounds: set[int] = set()
        self._none = Sentence(MUTED, _NO_CLASSES)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(2)
        self._grid.addWidget(self._none, 0, 0)

    def ticked(self) -> tuple[int, ...]:
        """Return the classes that are ticked, ascending."""
        return tuple(number for number, box in self.boxes.items() if box.isChecked())

    def settle(self) -> None:
        """Let the ticks be a person's choice: no class that comes later is ticked by itself."""
        self._chosen = (self._chosen or {}) | {n: box.isChecked() for n, box in self.boxes.items()}

    def tick(self, numbers: Sequence[int]) -> None:
        """Tick these classes and no others; nobody is told."""
        self._chosen = dict.fromkeys(numbers, True)
        for number, box in self.boxes.items():
            with QSignalBlocker(box):
                box.setChecked(number in numbers)

    def show_classes(self, facts: Sequence[ClassFact], *, keep: bool, empty: str = "") -> None:
        """List classes, or say why there are none; the ticks are those of a person, if kept.

        Before a person has chosen, all are ticked but the background.
        """
        facts = facts[:_MOST_ROWS]
        grounds = {one.number for one in facts if is_background(one.name)}
        if not keep:
            self._chosen = None
        if self._chosen is None:
            ticks = {one.number: not one.is_background or len(facts) == 1 for one in facts}
        else:
            # Of what is called background from now on no objects are made; all else stays.
            self._chosen |= dict.fromkeys(grounds - self._grounds, False)
            ticks = {one.number: self._chosen.get(one.number, False) for one in facts}
        self._grounds = grounds
        # The dock is narrow: names stand one below the other.
        n_columns = 1 if any(one.name for one in facts) else 2
        if list(self.boxes) != list(ticks) or n_columns != self._n_columns:
            self._n_columns = n_columns
            self._make(list(ticks))
        self._none.setText("" if facts else empty or _NO_CLASSES)
        for one in facts:
            box = self.boxes[one.number]
            box.setText(f"{one.number}  {one.name}".strip())
            box.setIcon(swatch(one.color))
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
            box.toggled.connect(lambda _: self._on_ticked())
            self._grid.addWidget(box, *divmod(place, self._n_columns))

    def _on_ticked(self) -> None:
        self.settle()
        self.changed.emit()


class NumberSlider(QWidget):
    """A number, as a slider to `farthest` and to be typed, up to `most`.

    The slider of superqt has one range for both.
    """

    changed = Signal()
    """Emitted when the number is another one."""

    def __init__(self, name: str, farthest: int, most: int = 0) -> None:
        super().__init__()
        self.setToolTip(_SPECS[name].about(titled=True))
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.box = _spin_box(name, most or farthest)
        self.slider.setRange(self.box.minimum(), farthest)
        self.slider.setMinimumWidth(40)
        # Qt would ask for room for the widest number.
        self.box.setFixedWidth(_BOX_WIDTH)
        self.setLayout(beside(self.slider, self.box))
        self._on_typed(self.value())
        self.slider.valueChanged.connect(self.box.setValue)
        self.box.valueChanged.connect(self._on_typed)

    def value(self) -> int:
        """Return the number."""
        return int(self.box.value())

    def _on_typed(self, value: int) -> None:
        with QSignalBlocker(self.slider):
            self.slider.setValue(min(value, self.slider.maximum()))
        self.changed.emit()


def class_facts(
    areas: Mapping[int, int], colors: Mapping[int, NDArray[Any]], names: Mapping[int, str]
) -> list[ClassFact]:
    """Return what is to be listed of classes with these areas."""
    background = background_of(areas, names)
    return [
        ClassFact(number, colors[number], names.get(number, ""), number in background)
        for number in sorted(areas)
        if number > 0
    ]


def _spin_box(name: str, most: int) -> QSpinBox:
    spec, box = _SPECS[name], QSpinBox()
    box.setRange(int(spec.low or 0), most)
    box.setValue(int(spec.default))
    box.setSuffix(f" {spec.unit}" if spec.unit else " px")
    box.setSpecialValueText(spec.title_of(box.minimum()))
    box.setToolTip(spec.about(titled=True))
    box.setMinimumWidth(_BOX_WIDTH)
    guard_wheel(box)
    return box


def _tick(name: str) -> QCheckBox:
    box = QCheckBox(_SPECS[name].title)
    box.setChecked(bool(_SPECS[name].default))
    box.setToolTip(_SPECS[name].help)
    return box
