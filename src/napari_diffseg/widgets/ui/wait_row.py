"""How far something is that a person waits for, and Stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLabel, QPushButton, QWidget

from napari_diffseg.widgets.ui.controls import MUTED, beside, show_progress, thin_bar
from napari_diffseg.widgets.ui.timers import LongWait

if TYPE_CHECKING:
    from napari_diffseg.widgets.tasks.worker import LatestAnswer


class WaitRow(QWidget):
    """A bar and Stop for questions that a thread answers; seen while one takes long."""

    stopped = Signal()
    """Emitted when a person has stopped all that was waited for."""

    def __init__(self, about: str) -> None:
        super().__init__()
        self.text, self.bar, self.stop_button = QLabel(), thin_bar(), QPushButton("Stop")
        self.text.setStyleSheet(MUTED)
        self.stop_button.setToolTip(about)
        self.setLayout(beside(self.text, self.bar, self.stop_button, widest=1))
        self.setVisible(False)
        self._texts: dict[LatestAnswer, str] = {}
        self._wait = LongWait(lambda: self.is_busy, lambda: self._show(), self)
        self.stop_button.clicked.connect(lambda: self.stop())

    @property
    def is_busy(self) -> bool:
        """Whether an answer is waited for."""
        return any(answers.is_busy for answers in self._texts)

    def follow(self, answers: LatestAnswer, text: str = "") -> None:
        """Show how far these are, and stop them; the text says what is done, where nobody else."""
        self._texts[answers] = text
        answers.changed.connect(self._on_changed)

    def stop(self) -> None:
        """Wait for nothing any more."""
        if self.is_busy:
            for answers in self._texts:
                answers.stop()
            self.stopped.emit()

    def release(self) -> None:
        """Hear of nothing any more."""
        for answers in self._texts:
            answers.changed.disconnect(self._on_changed)

    def _show(self) -> None:
        """Be seen, where something is waited for."""
        busy = [answers for answers in self._texts if answers.is_busy]
        self.text.setText(next((self._texts[answers] for answers in busy), ""))
        self.setVisible(bool(busy))

    def _on_changed(self, share: float | None) -> None:
        if share is not None:
            show_progress(self.bar, round(100 * share), 100)
        self._wait.look()
