"""Two fields of an image: which value is fill, and which resolution is segmented."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QLineEdit, QWidget

from napari_diffseg.errors import InputError
from napari_diffseg.image.fill import AUTO, NONE, fill_in_words, read_fill
from napari_diffseg.widgets.image.level import Level, choose_level, level_title
from napari_diffseg.widgets.ui.controls import MUTED, WRONG, Chooser, Sentence, restyle, titled_row

if TYPE_CHECKING:
    from napari_diffseg.core.result import Segmentation

_WIDTH = 64
_MEANINGS = {
    AUTO: "An empty border is found by itself.",
    NONE: "Every pixel is image.",
}
_LEFT_OUT = "Pixels of this value are left out."
_ABOUT_FILL = (
    "The value of the empty pixels around an image that was stitched, rotated, registered or\n"
    "padded: often 0 (black), 255 (white) or -9999. They get label 0, and nothing is learned from\n"
    "them. Most images have none; leave it at auto.\n\n"
    "auto: found by itself, where one value along the border stands apart from the image.\n"
    "none: no pixel is left out.\n"
    "A number: every pixel of this value is left out."
)
_ABOUT_LEVEL = (
    "The resolution that is segmented, of those that the image has. The labels lie on the image\n"
    "at its full size, whichever it is.\n\n"
    "The finest one that takes some seconds is suggested. A coarser one is quicker, needs less\n"
    "memory, and sees larger structures."
)


class FillField(QWidget):
    """Type a value, ``auto`` or ``none``; `changed` after every change of what stands there."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.line = QLineEdit(AUTO)
        self.line.setFixedWidth(_WIDTH)
        self.found = Sentence(MUTED, _MEANINGS[AUTO])
        titled_row("Fill", self.line, self.found, owner=self)
        for part in (self, self.line, self.found):
            part.setToolTip(_ABOUT_FILL)
        self.line.textChanged.connect(self._on_typed)
        self.type = self.line.setText

    def typed(self) -> str:
        """Return what stands in the field; an empty one is as good as ``auto``."""
        return self.line.text().strip() or AUTO

    def show_found(self, segmentation: Segmentation | None) -> None:
        """Say what a run on the chosen image has found by itself; None where there was none."""
        typed = self.typed().lower()
        said = _MEANINGS.get(typed, _LEFT_OUT)
        if segmentation is not None and typed == AUTO:
            value = segmentation.model.fill
            is_found = value is not None
            said = (
                f"found: {fill_in_words(value)}, left out" if is_found else "No empty border found."
            )
        self.found.setText("" if self._is_wrong() else said)

    def _is_wrong(self) -> bool:
        try:
            read_fill(self.typed())
        except InputError:
            return True
        return False

    def _on_typed(self) -> None:
        restyle(self.line, WRONG if self._is_wrong() else "")
        self.changed.emit()


class LevelChooser(QWidget):
    """Choose a level of a pyramid; of use only where there are several.

    `changed` when a person has chosen, or other levels are on offer.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.wanted: Level | None = None
        self._offered: tuple[tuple[Level, ...], tuple[int, ...]] = (), ()
        self.combo = Chooser(tooltip=_ABOUT_LEVEL)
        titled_row("Resolution", self.combo, owner=self)
        self.combo.changed.connect(self._on_chosen)
        self.setVisible(False)

    def offer(self, levels: Sequence[Level], spatial: Sequence[int]) -> None:
        """Offer levels, from fine to coarse, of an image of which a run goes along these axes.

        What a person chose counts wherever it is on offer.
        """
        offered = tuple(levels), tuple(spatial)
        if offered == self._offered:
            return
        self._offered = offered
        with QSignalBlocker(self.combo):
            self.combo.offer([(level_title(level, spatial), level) for level in levels])
            self.combo.choose(self.chosen())
        self.setVisible(len(levels) > 1)
        self.changed.emit()

    def chosen(self) -> Level | None:
        """Return the level to segment; None where there is no image."""
        levels, spatial = self._offered
        return choose_level(levels, spatial, self.wanted) if levels else None

    def has_coarser(self) -> bool:
        """Whether a run could be made smaller by choosing another level."""
        levels, _ = self._offered
        return bool(levels) and self.chosen() != levels[-1]

    def _on_chosen(self) -> None:
        self.wanted = self.combo.chosen()
        self.changed.emit()
