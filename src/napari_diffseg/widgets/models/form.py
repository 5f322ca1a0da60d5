"""The section of the dock that saves, loads and describes a model: controls only."""

from __future__ import annotations

from qtpy.QtWidgets import QPushButton, QWidget

from napari_diffseg.widgets.ui.controls import MUTED, Sentence, Status, beside, stack


class ModelForm(QWidget):
    """Save, load and describe a model: controls only."""

    def __init__(self) -> None:
        super().__init__()
        self.about = Sentence(MUTED)
        self.save_button = QPushButton("Save model …")
        self.save_button.setToolTip(
            "Write the model to a file: it labels other images without training, here, from "
            "the command line, or from Python."
        )
        self.load_button = QPushButton("Load model …")
        self.load_button.setToolTip("Read a model from a file; or drop the file on the window.")
        self.card_button = QPushButton("Copy model card")
        self.card_button.setToolTip(
            "Copy a page about the model: what it takes and gives, and how it was trained."
        )
        self.status = Status("")
        self.say = self.status.answer
        buttons = beside(self.save_button, self.load_button)
        stack(self, self.about, buttons, self.card_button, self.status, spacing=6, edge=4)

    def show_model(self, text: str, *, is_there: bool) -> None:
        """Say which model there is, and switch on what can be done with it."""
        self.about.setText(text)
        self.save_button.setEnabled(is_there)
        self.card_button.setEnabled(is_there)
