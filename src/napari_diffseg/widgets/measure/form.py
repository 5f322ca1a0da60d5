"""The section of the dock that measures objects: controls only."""

from __future__ import annotations

from qtpy.QtWidgets import QPushButton, QWidget

from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.widgets.measure.plot import ObjectPlot
from napari_diffseg.widgets.measure.table import MeasureTable
from napari_diffseg.widgets.ui.controls import AMBER, MUTED, Sentence, Status, beside, stack
from napari_diffseg.widgets.ui.wait_row import WaitRow

_ABOUT = {
    "table": "One row for each object: click it to go there; click an object to find its row.",
    "save_button": "Write the table to a file that spreadsheets open.",
    "summary_button": "Write count, mean and total area of each class and frame to a file.",
}
_IN_PIXELS = "Sizes are in pixels. Type the pixel size at the top, under Image, and they are in µm."
_NO_DEPTH = (
    "Volumes are in voxels, because the distance of the planes is not known: type it at the top, "
    "under Image, in the field z."
)


class MeasureForm(QWidget):
    """What stands in the section and how it shows things; it decides nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.plot = MeasureTable(), ObjectPlot()
        self.plot.setVisible(False)
        self.save_button = QPushButton("Save CSV …")
        self.summary_button = QPushButton("Save summary …")
        self.about, self.status = Sentence(), Status()
        self.say, self.answer = self.status.tell, self.status.answer
        self.wait = WaitRow("Stop now; the table stays as it is, and no file is written.")
        for widget, about in _ABOUT.items():
            getattr(self, widget).setToolTip(about)
        buttons = beside(self.save_button, self.summary_button)
        rows = self.about, self.table, self.plot, buttons, self.wait, self.status
        stack(self, *rows, spacing=6, edge=4)
        self.allow_saving(False)

    def show_size(self, size: PixelSize | None, *, is_volume: bool) -> None:
        """Say in which unit sizes are."""
        if size is None:
            self.about.say(_IN_PIXELS, AMBER)
        elif is_volume and size.z is None:
            self.about.say(_NO_DEPTH, AMBER)
        else:
            self.about.say(f"A {'voxel' if is_volume else 'pixel'} is {size}.", MUTED)

    def allow_saving(self, is_allowed: bool) -> None:
        """Switch the buttons on or off."""
        self.save_button.setEnabled(is_allowed)
        self.summary_button.setEnabled(is_allowed)
