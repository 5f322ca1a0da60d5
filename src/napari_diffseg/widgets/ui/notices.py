"""What napari itself shows of a run: errors, as notifications.

There is no bar in napari's list of activities: the wheel that turns beside it has the whole
window drawn anew at each of its pictures, canvas included. Where there is no GPU, that takes
more of the processor than the run itself.
"""

from __future__ import annotations

from collections.abc import Callable

from napari.utils.notifications import notification_manager, show_error
from qtpy.QtWidgets import QApplication

from napari_diffseg.errors import DiffSegError
from napari_diffseg.widgets.ui.words import error_in_words


def to_clipboard(text: str) -> None:
    """Put a text where a person can paste it from."""
    clipboard = QApplication.clipboard()
    if clipboard is not None:
        clipboard.setText(text)


def tell(say: Callable[..., None], error: Exception) -> None:
    """Say what went wrong where a person looks, and notify them."""
    say(error_in_words(error), wrong=True)
    notify_of(error)


def notify_of(error: Exception) -> None:
    """Notify the person of an error: with its traceback, for a report, if it is not ours."""
    if isinstance(error, DiffSegError):
        show_error(str(error))
    else:
        notification_manager.receive_error(type(error), error, error.__traceback__)
