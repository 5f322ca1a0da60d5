"""The control that says which resolution of a multiscale image is segmented."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QWidget

from napari_diffseg.widgets.image.level import Level, level_title, suggest_level
from napari_diffseg.widgets.ui.controls import narrow_combo

TITLE_WIDTH = 80
"""Of the titles of controls that stand below each other."""

_ABOUT = (
    "The resolution that is segmented, of those that the image has. The labels lie on the image\n"
    "at its full size, whichever it is.\n\n"
    "The finest one that takes some seconds is suggested. A coarser one is quicker, needs less\n"
    "memory, and sees larger structures."
)


class LevelChooser(QWidget):
    """Choose a level of a pyramid; of use only where there are several."""

    changed = Signal()
    """Emitted after every change of the choice."""

    def __init__(self) -> None:
        super().__init__()
        self._levels: tuple[Level, ...] = ()
        self._spatial: tuple[int, ...] = ()
        self._wanted: int | None = None
        self.combo = narrow_combo()
        self.combo.setToolTip(_ABOUT)
        title = QLabel("Resolution")
        title.setMinimumWidth(TITLE_WIDTH)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(title)
        layout.addWidget(self.combo, stretch=1)
        self.combo.activated.connect(self._on_chosen)
        self.setVisible(False)

    def offer(self, levels: Sequence[Level], spatial: Sequence[int]) -> None:
        """Offer levels; what a person chose stays for as long as the levels are the same."""
        levels, spatial = tuple(levels), tuple(spatial)
        if (levels, spatial) == (self._levels, self._spatial):
            return
        if levels != self._levels:
            self._wanted = None
        self._levels, self._spatial = levels, spatial
        with QSignalBlocker(self.combo):
            self.combo.clear()
            for level in levels:
                self.combo.addItem(level_title(level, spatial))
            chosen = self.chosen()
            if chosen is not None:
                self.combo.setCurrentIndex(levels.index(chosen))
        self.setVisible(len(levels) > 1)
        self.changed.emit()

    def chosen(self) -> Level | None:
        """Return the level to segment; None where there is no image."""
        if not self._levels:
            return None
        if self._wanted is not None:
            return self._levels[self._wanted]
        return suggest_level(self._levels, self._spatial)

    def has_coarser(self) -> bool:
        """Whether a run could be made smaller by choosing another level."""
        return bool(self._levels) and self.chosen() != self._levels[-1]

    def choose(self, row: int) -> None:
        """Choose as a person does; 0 is the full resolution."""
        self.combo.setCurrentIndex(row)
        self._on_chosen(row)

    def note(self) -> str:
        """Return what a person should know of the level; an empty text where it is the finest."""
        level = self.chosen()
        if level is None or level == self._levels[0]:
            return ""
        title = level_title(level, self._spatial).replace(", ", " of its resolution, ")
        why = "" if self._wanted is not None else "The image is large, so it"
        return f"{why or 'The image'} is segmented at {title}."

    def _on_chosen(self, row: int) -> None:
        self._wanted = row
        self.changed.emit()
