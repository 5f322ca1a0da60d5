"""The section of the dock about scribbles: which layer, and what its classes are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QToolButton,
    QWidget,
)

from napari_diffseg.widgets.scribbles.other_planes import MOST_OTHERS, LearnFrom
from napari_diffseg.widgets.ui import words
from napari_diffseg.widgets.ui.controls import MUTED, Chooser, beside, stack, titled_row

if TYPE_CHECKING:
    from napari.layers import Labels

MOST_ROWS = 12
"""So many classes are listed at most."""

_NONE = "none", None
_ABOUT_LAYER = "The Labels layer with your strokes: each label is a class, 0 is unpainted."
_LEARN_FROM = [
    ("this and painted planes", LearnFrom.PAINTED),
    ("also start, middle, end", LearnFrom.SPREAD),
    ("this plane only", LearnFrom.HERE),
]
_ABOUT_LEARNING = (
    "Which planes the next run learns from; the plane shown is the one that gets labels.\n\n"
    "This and painted planes: strokes on all planes count together, so that a plane\n"
    "without strokes is labelled by what you painted elsewhere.\n"
    "Also start, middle, end: the run also looks at the first, the middle and the last\n"
    "plane of the stack, painted or not. Good where the image changes along it, and before\n"
    "you apply the model to all frames.\n"
    "This plane only: no other plane counts.\n\n"
    f"At most {MOST_OTHERS} other planes are used, of large ones fewer; the nearest come first."
)


class ScribblesForm(QWidget):
    """Choose the Labels layer that is painted on, make one, and name its classes."""

    changed = Signal()
    """Emitted after every change of the choice, and whenever layers are offered."""

    def __init__(self) -> None:
        super().__init__()
        self.combo = Chooser([_NONE], tooltip=_ABOUT_LAYER)
        self.new_button = QPushButton("New")
        self.new_button.setToolTip("Make an empty layer of the image's size, ready to paint on.")
        self.classes = ClassList()
        stack(self, beside(self.combo, self.new_button), self.classes)
        self.combo.changed.connect(self._on_chosen)
        self.choose, self.chosen = self.combo.choose, self.combo.chosen
        self.classes.setVisible(False)

    def offer(self, layers: Sequence[Labels]) -> None:
        """Offer these layers, and none; keep the choice as far as it is still there."""
        if self.combo.offer([_NONE, *((str(layer.name), layer) for layer in layers)]):
            self._on_chosen()

    def _on_chosen(self) -> None:
        self.classes.setVisible(self.chosen() is not None)
        self.changed.emit()


class LearnFromChooser(QWidget):
    """Choose which planes of a stack a run learns from; of use only where there are several."""

    changed = Signal()
    """Emitted after every change of the choice."""

    def __init__(self) -> None:
        super().__init__()
        self.combo = Chooser()
        self.show_stack(is_movie=False)
        titled_row("Learn from", self.combo, owner=self)
        self.combo.changed.connect(self.changed.emit)
        self.choose = self.combo.choose
        self.setVisible(False)

    def show_stack(self, *, is_movie: bool) -> None:
        """Speak of the frames of a movie, or of the planes of another stack."""
        self.combo.offer([(words.of_frames(title, is_movie), one) for title, one in _LEARN_FROM])
        self.setToolTip(words.of_frames(_ABOUT_LEARNING, is_movie))

    def chosen(self) -> LearnFrom:
        """Return which planes count."""
        choice: LearnFrom = self.combo.chosen()
        return choice


class ClassList(QWidget):
    """One row for each class: its colour and number to paint with, and its name."""

    picked = Signal(int)
    """Emitted with the number of the class to paint with."""
    named = Signal(int, str)
    """Emitted with a class and its new name."""
    rest_ticked = Signal(bool)
    """Emitted when a person says whether all that the only painted class leaves is one class."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers: list[int] = []
        self.buttons: dict[int, QToolButton] = {}
        self.names: dict[int, QLineEdit] = {}
        self.add_button = QToolButton()
        self.add_button.setText("+ class")
        self.add_button.setToolTip(
            f"Paint with a further class. {words.KEY_CLASS} goes from class to class."
        )
        self.add_button.clicked.connect(lambda: self.picked.emit(max(self._numbers) + 1))
        self._more = QLabel()
        self._more.setStyleSheet(MUTED)
        self.rest_box = QCheckBox("Everything else is background")
        self.rest_box.setToolTip(
            "Ticked: what the class that you painted does not claim is one class, the background, "
            "and gets no labels of its own. Untick it, and it does."
        )
        # To the signal itself: PySide6 would call its emit without what was clicked.
        self.rest_box.clicked.connect(self.rest_ticked)
        self._foot = QWidget()
        stack(self._foot, beside(self.add_button, self._more, widest=1), self.rest_box)
        self.rest_box.setVisible(False)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(3)
        self._grid.setColumnStretch(1, 1)

    def show_classes(
        self,
        numbers: Iterable[int],
        colors: Mapping[int, NDArray[np.floating]],
        names: Mapping[int, str],
        selected: int,
    ) -> None:
        """List these classes."""
        every = sorted(numbers)
        if every != self._numbers:
            self._fill(every)
        for number, button in self.buttons.items():
            button.setStyleSheet(_swatch(colors[number], is_selected=number == selected))
            edit, name = self.names[number], names.get(number, "")
            # What a person is typing is not taken out of their hands.
            if edit.text() != name and not edit.hasFocus():
                with QSignalBlocker(edit):
                    edit.setText(name)

    def show_rest(self, *, is_one: bool, is_offered: bool) -> None:
        """Show whether all the rest is one class, where that is so or can be."""
        self.rest_box.setVisible(is_one or is_offered)
        self.rest_box.setChecked(is_one)

    def _fill(self, numbers: list[int]) -> None:
        self._numbers = numbers
        for widget in (*self.buttons.values(), *self.names.values()):
            self._grid.removeWidget(widget)
            widget.hide()
            widget.deleteLater()
        self.buttons.clear()
        self.names.clear()
        for row, number in enumerate(numbers[:MOST_ROWS]):
            self._add_row(row, number)
        last = len(self.buttons)
        self._grid.addWidget(self._foot, last, 0, 1, 2)
        n_more = len(numbers) - last
        self._more.setText(f"and {n_more} more classes" if n_more > 0 else "")

    def _add_row(self, row: int, number: int) -> None:
        button = QToolButton()
        button.setText(str(number))
        button.setToolTip(f"Paint with class {number}.")
        button.setMinimumWidth(30)
        button.clicked.connect(lambda: self.picked.emit(number))
        name = QLineEdit()
        name.setPlaceholderText(f"name of class {number}")
        name.setToolTip("Shown in the status bar for the strokes and for the result.")
        name.editingFinished.connect(lambda: self.named.emit(number, name.text().strip()))
        self.buttons[number], self.names[number] = button, name
        self._grid.addWidget(button, row, 0)
        self._grid.addWidget(name, row, 1)


def _swatch(color: NDArray[np.floating], *, is_selected: bool) -> str:
    red, green, blue = (round(255 * float(part)) for part in color[:3])
    text = "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 128 else "white"
    frame = "2px solid white" if is_selected else "2px solid transparent"
    return (
        f"QToolButton {{ background-color: rgb({red}, {green}, {blue}); color: {text}; "
        f"border: {frame}; border-radius: 3px; padding: 2px; font-weight: bold; }}"
    )
