"""The section of the dock that exports results: controls only."""

from __future__ import annotations

from qtpy.QtWidgets import QCheckBox, QFileDialog, QMessageBox, QPushButton, QWidget

from napari_diffseg.io.label_files.export import ENDINGS, PARTS
from napari_diffseg.widgets.ui.controls import MUTED, RED, Chooser, Sentence, stack, titled_row

_TITLES = {
    "labels": "Labels",
    "masks": "Mask of each class (0 and 1)",
    "objects": "Objects",
    "table": "Table of the objects and summary (CSV)",
}
_FORMATS = dict(zip(("OME-TIFF", "OME-Zarr"), ENDINGS, strict=True))
_NO_OBJECTS = "Make objects of these labels first, under Objects."


class ExportForm(QWidget):
    """What is exported, of which labels, in which format; it decides nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = Chooser(tooltip="The labels to export.")
        self.format = Chooser(list(_FORMATS.items()), tooltip="Of labels, masks and objects.")
        self.boxes = {part: QCheckBox(_TITLES[part]) for part in PARTS}
        self.boxes["labels"].setChecked(True)
        self.button = QPushButton("Export to a folder …")
        self.button.setToolTip(
            "Every file has the pixel size, the place, and the names of the classes; nothing is "
            "overwritten without asking."
        )
        self.status = Sentence()
        rows = titled_row("From", self.layers), *self.boxes.values()
        stack(self, *rows, titled_row("Format", self.format), self.button, self.status, edge=4)

    def allow(self, *, is_there: bool, has_objects: bool) -> None:
        """Switch on what can be exported: objects and tables where there are some of the labels."""
        self.button.setEnabled(is_there)
        for part in ("objects", "table"):
            box = self.boxes[part]
            if has_objects and not box.isEnabled():
                box.setChecked(True)
            box.setEnabled(has_objects)
            box.setToolTip("" if has_objects else _NO_OBJECTS)

    def parts(self) -> list[str]:
        """Return what is ticked and can be had."""
        return [part for part, box in self.boxes.items() if box.isEnabled() and box.isChecked()]

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Write the status line."""
        self.status.say(text, RED if wrong else MUTED)

    def ask_for_folder(self) -> str:
        """Ask for a folder; an empty text where a person cancels."""
        return QFileDialog.getExistingDirectory(self, "Folder for the exported files")

    def ask_to_replace(self, names: list[str]) -> bool:
        """Ask whether files that are there may be replaced."""
        listed = "\n".join(names[:8] + (["…"] if len(names) > 8 else []))
        question = f"These are in the folder already:\n\n{listed}\n\nReplace them?"
        answer = QMessageBox.question(self, "Replace files?", question)
        return answer == QMessageBox.StandardButton.Yes
