"""The controls follow what is chosen: once for all that happens together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from qtpy.QtCore import QObject

from napari_diffseg.widgets.ui.timers import one_shot


class Refreshing:
    """Calls `refresh` when it is called itself: later, or once, where that is enough."""

    def __init__(self, owner: QObject, refresh: Callable[[], None]) -> None:
        self._refresh, self._n_held = refresh, 0
        self._timer = one_shot(lambda: self(), owner=owner)
        self.soon = lambda _event=None: self._timer.start()

    def __call__(self, _event: object = None) -> None:
        """Refresh now, or at the end of what is under way."""
        if not self._n_held:
            self._timer.stop()
            self._refresh()

    @contextmanager
    def once(self) -> Iterator[None]:
        """Refresh at the end of this, and only there."""
        self._n_held += 1
        try:
            yield
        finally:
            self._n_held -= 1
        self()
