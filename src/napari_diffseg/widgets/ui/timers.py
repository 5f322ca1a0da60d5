"""Timers that ring once."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer


def one_shot(called: Callable[[], None], pause: int = 0, owner: QObject | None = None) -> QTimer:
    """Return a timer that calls once, so many milliseconds after each start."""
    timer = QTimer(owner)
    timer.setSingleShot(True)
    timer.setInterval(pause)
    timer.timeout.connect(called)
    return timer
