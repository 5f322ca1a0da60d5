"""Timers that ring once, and what is shown of what takes long."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer

SHORT = 400
"""What takes no more milliseconds is waited for without a bar."""


def one_shot(called: Callable[[], None], pause: int = 0, owner: QObject | None = None) -> QTimer:
    """Return a timer that calls once, so many milliseconds after each start."""
    timer = QTimer(owner)
    timer.setSingleShot(True)
    timer.setInterval(pause)
    timer.timeout.connect(called)
    return timer


class LongWait:
    """Has it shown that something is waited for when that takes long, and at once that it is over.

    `show` is called then; `is_awaited` says which of the two it is.
    """

    def __init__(
        self, is_awaited: Callable[[], bool], show: Callable[[], None], owner: QObject
    ) -> None:
        self._is_awaited, self._show = is_awaited, show
        self._late = one_shot(lambda: self._show(), SHORT, owner)

    def look(self) -> None:
        """Look whether something is waited for, after a change."""
        if not self._is_awaited():
            self._late.stop()
            self._show()
        elif not self._late.isActive():
            self._late.start()

    def stop(self) -> None:
        """Show nothing any more."""
        self._late.stop()
