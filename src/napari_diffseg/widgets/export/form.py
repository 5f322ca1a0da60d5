"""The section of the dock that exports results: controls only."""

from __future__ import annotations

from qtpy.QtWidgets import QCheckBox, QFileDialog, QPushButton, QWidget

from napari_diffseg.io.label_files.export import ENDINGS, PARTS
from napari_diffseg.widgets.ui.controls import (
    Chooser,
    Status,
    beside,
    stack,
    titled_row,
)
from napari_diffseg.widgets.ui.preferences import ask_for_file, ask_to_replace, start_in
from napari_diffseg.widgets.ui.wait_row import WaitRow

_ABOUT = {
    "labels": ("Labels", "One image, with the number of its class in each pixel."),
    "masks": ("Mask of each class (0 and 1)", "An image for each class: 1 where it is, else 0."),
    "objects": ("Objects", "One image, with the number of its object in each pixel."),
    "table": (
        "Table of the objects and summary (CSV)",
        "One row for each object, and count and areas of each class and frame; spreadsheets open "
        "both.",
    ),
}
_FORMATS = dict(zip(("OME-TIFF", "OME-Zarr"), ENDINGS, strict=True))
_TOLD = "What was painted, and where was segmented: a copied run reads these files."
_NOT_TOLD = "These labels were made without strokes and without a region."
_NO_OBJECTS = "Make objects of these labels first, under Objects."


class ExportForm(QWidget):
    """What is exported, of which labels, in which format; it decides nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = Chooser(tooltip="The labels to export.")
        self.format = Chooser(list(_FORMATS.items()), tooltip="Of labels, masks and objects.")
        self.boxes = {part: QCheckBox(_ABOUT[part][0]) for part in PARTS}
        for part, box in self.boxes.items():
            box.setToolTip(_ABOUT[part][1])
        self.boxes["labels"].setChecked(True)
        self.button = QPushButton("Export to a folder …")
        self.button.setToolTip(
            "Every file has the pixel size, the place, and the names of the classes; nothing is "
            "overwritten without asking."
        )
        self.told_box = QCheckBox("Strokes and region")
        self.python_button = QPushButton("Copy as Python")
        self.python_button.setToolTip(
            "Lines that do the same run again: the image's file, the parameters, the channels."
        )
        self.shell_button = QPushButton("Copy as shell command")
        self.shell_button.setToolTip("The same for a terminal.")
        self.report_button = QPushButton("Save report …")
        self.report_button.setToolTip(
            "One HTML file for any browser: pictures, areas, parameters, and the run as Python."
        )
        self.status = Status()
        self.say = self.status.answer
        self.wait = WaitRow("Stop now; what is written already stays.")
        rows = titled_row("From", self.layers), *self.boxes.values(), self.told_box
        copies = beside(self.python_button, self.shell_button)
        stack(
            self,
            *(*rows, titled_row("Format", self.format), self.button),
            *(copies, self.report_button, self.wait, self.status),
            edge=4,
        )

    def allow(self, *, is_there: bool, has_objects: bool, was_told: bool) -> None:
        """Switch on what can be had: objects and tables where there are some of the labels.

        `was_told`: whether the run of the labels had strokes or a region.
        """
        for button in (self.button, self.python_button, self.shell_button, self.report_button):
            button.setEnabled(is_there)
        if was_told and not self.told_box.isEnabled():
            self.told_box.setChecked(True)
        self.told_box.setEnabled(was_told)
        self.told_box.setToolTip(_TOLD if was_told else _NOT_TOLD)
        for part in ("objects", "table"):
            box = self.boxes[part]
            if has_objects and not box.isEnabled():
                box.setChecked(True)
            box.setEnabled(has_objects)
            box.setToolTip(_ABOUT[part][1] if has_objects else _NO_OBJECTS)

    def parts(self) -> list[str]:
        """Return what is ticked and can be had."""
        return [part for part, box in self.boxes.items() if box.isEnabled() and box.isChecked()]

    def ask_for_folder(self) -> str:
        """Ask for a folder; an empty text where a person cancels."""
        title = "Folder for the exported files"
        return QFileDialog.getExistingDirectory(self, title, start_in())

    def ask_for_report(self, name: str) -> str:
        """Ask for the file of a report; an empty text where a person cancels."""
        return ask_for_file(self, "Save the report", name, "Web pages (*.html)")

    def is_told(self) -> bool:
        """Whether strokes and region are to be exported."""
        return self.told_box.isEnabled() and self.told_box.isChecked()

    def ask_to_replace(self, names: list[str]) -> bool:
        """Ask whether files that are there may be replaced."""
        return ask_to_replace(self, names)
