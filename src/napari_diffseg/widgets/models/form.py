"""The section of the dock about the model itself: controls only."""

from __future__ import annotations

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_diffseg.widgets.batch.form import Sentence
from napari_diffseg.widgets.ui.controls import MUTED, RED


class ModelForm(QWidget):
    """Save, load and describe a model: controls only."""

    def __init__(self) -> None:
        super().__init__()
        self.about = Sentence()
        self.about.setStyleSheet(MUTED)
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
        self.status = Sentence()
        buttons = QHBoxLayout()
        buttons.addWidget(self.save_button)
        buttons.addWidget(self.load_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 4)
        layout.setSpacing(6)
        layout.addWidget(self.about)
        layout.addLayout(buttons)
        layout.addWidget(self.card_button)
        layout.addWidget(self.status)
        self.say("")

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Write the status line."""
        self.status.setText(text)
        self.status.setStyleSheet(RED if wrong else "")

    def show_model(self, text: str, *, is_there: bool) -> None:
        """Say which model there is, and switch on what can be done with it."""
        self.about.setText(text)
        self.save_button.setEnabled(is_there)
        self.card_button.setEnabled(is_there)
