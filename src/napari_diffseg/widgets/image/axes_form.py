"""The part of the dock that says how the axes of an image are read: controls only."""

from __future__ import annotations

import re

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QLineEdit, QPushButton, QToolButton, QWidget

from napari_diffseg.widgets.image.axes_reading import AxesReading, AxesSaid, Extent
from napari_diffseg.widgets.image.size_field import SizeField
from napari_diffseg.widgets.ui.controls import (
    AMBER,
    MUTED,
    RED,
    TITLE_WIDTH,
    WRONG,
    Chooser,
    Sentence,
    beside,
    restyle,
    stack,
    titled_row,
)
from napari_diffseg.widgets.ui.words import NO_BREAK

_SHORT = {"Z": "Z planes", "T": "T time", "C": "C channels"}
_LENGTH = re.compile(r"\b([TCZYX]) (\d)")
_FIELD_WIDTH = 64
_ABOUT_EXTENT = (
    "As a volume: the network sees the planes around each plane too, so that objects go on\n"
    "from plane to plane; all planes get labels.\n"
    "Plane by plane: only the plane in view gets labels; quicker, and right for planes that\n"
    "have nothing to do with each other. Apply labels the others."
)


class AxesForm(QWidget):
    """One line on the axes, a question where they are a guess, and fields to correct them."""

    letters_typed = Signal(str)
    """Emitted with what stands in the field, while a person types, or picks an answer."""
    extent_picked = Signal(object)
    """Emitted with the `Extent`."""
    reset = Signal()
    """Emitted when what a person said is to be forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.line, self.question = Sentence(MUTED), Sentence(AMBER)
        self.edit_button, self.reset_button = QToolButton(), QPushButton("As guessed")
        self.letters, self.size_field = QLineEdit(), SizeField()
        self._answers_row, self._answers = QWidget(), beside()
        self._answers_row.setLayout(self._answers)
        self.answers: dict[str, QPushButton] = {}
        self.panel = self._make_panel()
        extents = [(one.value, one) for one in (Extent.VOLUME, Extent.PLANE)]
        self.extent = Chooser(extents, tooltip=_ABOUT_EXTENT)
        self._extent_row = titled_row("Z-stack", self.extent)
        self._lay_out()
        self.edit_button.toggled.connect(self.panel.setVisible)
        self.letters.textEdited.connect(self.letters_typed.emit)
        self.reset_button.clicked.connect(lambda: self.reset.emit())
        self.extent.activated.connect(lambda row: self.extent_picked.emit(self.extent.items()[row]))
        self.show_nothing()

    # --- showing things ---------------------------------------------------------------

    def show_nothing(self) -> None:
        """Show that there is no image."""
        for widget in (self.line, self.edit_button, self.panel, self.question, self.size_field):
            widget.setVisible(False)
        self._answers_row.setVisible(False)
        self._extent_row.setVisible(False)

    def show_reading(self, reading: AxesReading, said: AxesSaid, *, has_choice: bool) -> None:
        """Say how the axes are read, and ask where that is a guess."""
        # A size is not torn apart where the line ends.
        parts = reading.describe().split(", ")
        self.line.setText(
            ", ".join(one.replace(" ", NO_BREAK) if "×" in one else one for one in parts)
        )
        self.edit_button.setVisible(has_choice)
        self.panel.setVisible(has_choice and self.edit_button.isChecked())
        self.question.say(_LENGTH.sub(rf"\1{NO_BREAK}\2", reading.question()), AMBER)
        self._offer_answers(reading)
        has_planes = reading.n_planes > 1
        self.size_field.show_size(
            reading.info, reading.size_origin, said.size, has_planes=has_planes
        )
        self.size_field.setVisible(True)
        self._extent_row.setVisible(has_planes)
        with QSignalBlocker(self.extent):
            self.extent.choose(said.extent_of(reading))
        self._write(reading.letters if said.letters is None else said.letters, said, "")

    def show_wrong(self, reason: str, said: AxesSaid) -> None:
        """Say what is wrong with the fields, or that nothing could be guessed."""
        self.show_nothing()
        self.line.setText("How are the axes to be read?")
        self.question.say(reason, RED)
        self.edit_button.setVisible(True)
        self.edit_button.setChecked(True)
        self.panel.setVisible(True)
        self._write(said.letters or "", said, WRONG)

    def _write(self, letters: str, said: AxesSaid, style: str) -> None:
        """Write into the field, unless a person is typing there what means the same."""
        restyle(self.letters, style)
        if self.letters.text() != letters:
            with QSignalBlocker(self.letters):
                self.letters.setText(letters)
        self.reset_button.setEnabled(said != AxesSaid())

    def _offer_answers(self, reading: AxesReading) -> None:
        meanings = [reading.lengths_as(letters) for letters in reading.choices]
        self._answers_row.setVisible(bool(meanings))
        if [button.toolTip() for button in self.answers.values()] == meanings:
            return
        for button in self.answers.values():
            self._answers.removeWidget(button)
            button.hide()
            button.deleteLater()
        self.answers, unsure = {}, reading.unsure
        for letters, meaning in zip(reading.choices, meanings, strict=True):
            text = _SHORT.get(letters[unsure[0]], letters) if len(unsure) == 1 else letters
            button = QPushButton(text)
            button.setStyleSheet("QPushButton { padding: 2px 4px; }")
            button.setToolTip(meaning)
            button.clicked.connect(lambda _=False, said=letters: self.letters_typed.emit(said))
            self._answers.addWidget(button)
            self.answers[letters] = button

    # --- making things ----------------------------------------------------------------

    def _make_panel(self) -> QWidget:
        panel = QWidget()
        grid = QGridLayout(panel)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(3)
        self.letters.setMaxLength(10)
        self.letters.setFixedWidth(_FIELD_WIDTH)
        self.letters.setToolTip(
            "One letter for each axis of the image, in the order of the sliders, then what is "
            "shown:\nT time, C channels, Z planes, Y rows, X columns."
        )
        self.reset_button.setToolTip("Forget what was typed or picked here.")
        grid.addWidget(QLabel("Axes"), 0, 0)
        grid.addWidget(self.letters, 0, 1)
        grid.addWidget(Sentence(MUTED, "letters: T C Z Y X"), 0, 2)
        grid.addWidget(self.reset_button, 1, 1, 1, 2, Qt.AlignmentFlag.AlignLeft)
        grid.setColumnMinimumWidth(0, TITLE_WIDTH)
        grid.setColumnStretch(2, 1)
        return panel

    def _lay_out(self) -> None:
        self.edit_button.setText("Edit")
        self.edit_button.setCheckable(True)
        self.edit_button.setAutoRaise(True)
        self.edit_button.setToolTip("Say what each axis is, where it is read wrongly.")
        top = beside(self.line, self.edit_button)
        top.setAlignment(self.edit_button, Qt.AlignmentFlag.AlignTop)
        rows = self.panel, self.size_field, self.question, self._answers_row, self._extent_row
        stack(self, top, *rows)
