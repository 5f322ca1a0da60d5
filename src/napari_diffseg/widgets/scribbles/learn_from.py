"""The control that says which planes of a stack a run learns from."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QWidget

from napari_diffseg.widgets.scribbles.other_planes import MOST_OTHERS, LearnFrom
from napari_diffseg.widgets.ui.controls import narrow_combo, titled_row

_TITLES = {
    LearnFrom.PAINTED: "this and painted planes",
    LearnFrom.SPREAD: "also start, middle, end",
    LearnFrom.HERE: "this plane only",
}
_ABOUT = (
    "Which planes the next run learns from; the plane shown is the one that gets labels.\n\n"
    "This and painted planes: strokes on all planes count together, so that a plane\n"
    "without strokes is labelled by what you painted elsewhere.\n"
    "Also start, middle, end: the run also looks at the first, the middle and the last\n"
    "plane of the stack, painted or not. Good where the image changes along it, and before\n"
    "you apply the model to all frames.\n"
    "This plane only: no other plane counts.\n\n"
    f"At most {MOST_OTHERS} other planes are used, of large ones fewer; the nearest come first."
)


class LearnFromChooser(QWidget):
    """Choose which planes count; of use only where there are several."""

    changed = Signal()
    """Emitted when a person has chosen."""

    def __init__(self) -> None:
        super().__init__()
        self.combo = narrow_combo()
        for choice, title in _TITLES.items():
            self.combo.addItem(title, choice)
        self.setToolTip(_ABOUT)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(titled_row("Learn from", self.combo))
        self.combo.activated.connect(lambda _: self.changed.emit())
        self.setVisible(False)

    def chosen(self) -> LearnFrom:
        """Return which planes count."""
        choice: LearnFrom = self.combo.currentData()
        return choice

    def choose(self, choice: LearnFrom) -> None:
        """Choose as a person does."""
        self.combo.setCurrentIndex(list(_TITLES).index(choice))
        self.changed.emit()
