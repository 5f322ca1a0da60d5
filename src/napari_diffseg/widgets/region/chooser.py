"""The control that says where an image is segmented."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_diffseg.widgets.region.region import RegionKind, RegionWish
from napari_diffseg.widgets.ui.controls import Chooser, titled_row

if TYPE_CHECKING:
    from napari.layers import Labels, Shapes

_ABOUT = (
    "Where the image is segmented; the rest gets label 0, and nothing is learned from it.\n\n"
    "Field of view: what the canvas shows when the run starts.\n"
    "Inside a layer: within the rectangles, ellipses and polygons of a Shapes layer, or where a\n"
    "Labels layer is painted. A shape counts on every plane."
)
_FIXED = [(kind.value, RegionWish(kind)) for kind in (RegionKind.WHOLE, RegionKind.VIEW)]


class RegionChooser(QWidget):
    """Choose the whole image, the field of view, or a layer to stay inside of."""

    changed = Signal()
    """Emitted after every change of the choice."""

    def __init__(self) -> None:
        super().__init__()
        self.combo = Chooser(_FIXED, tooltip=_ABOUT)
        titled_row("Region", self.combo, owner=self)
        self.combo.changed.connect(self.changed.emit)
        self.choose = self.combo.choose

    def offer(self, layers: Sequence[Shapes | Labels]) -> None:
        """Offer these layers; the choice is kept as far as it is still there."""
        inside = RegionKind.INSIDE
        items = [(f"{inside.value} {layer.name}", RegionWish(inside, layer)) for layer in layers]
        if self.combo.offer([*_FIXED, *items]):
            self.changed.emit()

    def chosen(self) -> RegionWish:
        """Return where to segment."""
        wish: RegionWish = self.combo.chosen()
        return wish
