"""Hears a Labels layer: strokes, its place, its looks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from superqt.utils import qdebounced

if TYPE_CHECKING:
    from napari.layers import Labels

PAUSE = 100
"""Strokes are looked at when so many milliseconds have passed without a further one."""

# Undo, redo and changes from outside give `set_data`; so does every move of a slider.
_STROKES = ("paint", "set_data", "data")
_PLACE = ("scale", "translate", "rotate", "shear", "affine", "name")
_LOOKS = ("selected_label", "colormap", "features")


def _nothing() -> None:
    """Whoever asks for no call gets none."""


class StrokeWatch:
    """Hears one Labels layer at a time.

    `painted` is called a moment after strokes may have changed, `moved` when the layer may lie
    elsewhere, `dressed` when names, colours or the selected label may be others.
    """

    def __init__(
        self,
        painted: Callable[[], None],
        moved: Callable[[], None] = _nothing,
        dressed: Callable[[], None] = _nothing,
    ) -> None:
        self._layer: Labels | None = None
        # superqt keeps a method weakly, and with it a signal that nobody else holds.
        self._soon = qdebounced(lambda: painted(), timeout=PAUSE)
        self._slots: list[tuple[tuple[str, ...], Callable[[Any], None]]] = [
            (_STROKES, lambda event: self.look()),
            (_PLACE, lambda event: moved()),
            (_LOOKS, lambda event: dressed()),
        ]

    def watch(self, layer: Labels | None) -> None:
        """Hear this layer from now on, and no other; None for none."""
        if self._layer is not None and layer is not None and self._layer == layer:
            return
        for emitter, slot in self._links():
            emitter.disconnect(slot)
        # At the end of the program Qt may have taken the timer away already.
        with suppress(RuntimeError):
            self._soon.cancel()
        self._layer = layer
        for emitter, slot in self._links():
            emitter.connect(slot)

    def look(self) -> None:
        """Look at the strokes soon, as if there were new ones."""
        self._soon()

    def _links(self) -> list[tuple[Any, Callable[[Any], None]]]:
        if self._layer is None:
            return []
        events = self._layer.events
        return [(getattr(events, name), slot) for names, slot in self._slots for name in names]
