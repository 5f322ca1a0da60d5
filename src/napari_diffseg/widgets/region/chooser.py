"""The control that says where an image is segmented."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QWidget

from napari_diffseg.widgets.image.level_chooser import TITLE_WIDTH
from napari_diffseg.widgets.region.region import RegionKind, RegionWish
from napari_diffseg.widgets.ui.controls import narrow_combo

if TYPE_CHECKING:
    from napari.layers import Labels, Shapes

_ABOUT = (
    "Where the image is segmented; the rest gets label 0, and nothing is learned from it.\n\n"
    "Field of view: what the canvas shows when the run starts.\n"
    "Inside a layer: within the rectangles, ellipses and polygons of a Shapes layer, or where a\n"
    "Labels layer is painted. A shape counts on every plane."
)
_FIXED = (RegionWish(), RegionWish(RegionKind.VIEW))


class RegionChooser(QWidget):
    """Choose the whole image, the field of view, or a layer to stay inside of."""

    changed = Signal()
    """Emitted after every change of the choice."""

    def __init__(self) -> None:
        super().__init__()
        self._wishes: list[RegionWish] = list(_FIXED)
        self.combo = narrow_combo()
        self.combo.setToolTip(_ABOUT)
        title = QLabel("Region")
        title.setMinimumWidth(TITLE_WIDTH)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(title)
        layout.addWidget(self.combo, stretch=1)
        self._fill(_FIXED[0])
        self.combo.currentIndexChanged.connect(lambda _: self.changed.emit())

    def offer(self, layers: Sequence[Shapes | Labels]) -> None:
        """Offer these layers; the choice is kept as far as it is still there."""
        chosen = self.chosen()
        self._wishes = [*_FIXED, *(RegionWish(RegionKind.INSIDE, layer) for layer in layers)]
        self._fill(chosen)
        if not _is_same(chosen, self.chosen()):
            self.changed.emit()

    def chosen(self) -> RegionWish:
        """Return where to segment."""
        return self._wishes[self.combo.currentIndex()]

    def choose(self, wish: RegionWish) -> None:
        """Choose as a person does, among what is on offer."""
        self.combo.setCurrentIndex(self._row_of(wish))

    def _fill(self, chosen: RegionWish) -> None:
        with QSignalBlocker(self.combo):
            self.combo.clear()
            for wish in self._wishes:
                inside = "" if wish.layer is None else f" {wish.layer.name}"
                self.combo.addItem(f"{wish.kind.value}{inside}")
            self.combo.setCurrentIndex(self._row_of(chosen))

    def _row_of(self, wish: RegionWish) -> int:
        """Return where a wish stands; that of the whole image where it is gone."""
        rows = (row for row, one in enumerate(self._wishes) if _is_same(one, wish))
        return next(rows, 0)


def _is_same(one: RegionWish, other: RegionWish) -> bool:
    # Layers are compared by ==, because napari hands out proxies of them.
    return one.kind is other.kind and bool(one.layer == other.layer)
