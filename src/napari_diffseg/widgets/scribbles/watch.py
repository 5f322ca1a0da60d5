"""Hears a Labels layer: strokes, its place, its looks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari_diffseg.widgets.ui.timers import one_shot

if TYPE_CHECKING:
    from napari.layers import Labels

PAUSE = 100
"""Changes are looked at when so many milliseconds have passed without a further one."""

# When the brush lifts; of many strokes that a script paints at once the last is the end.
_LIFTED = ("paint",)
# The brush on its way, undo, redo, changes from outside; so does every move of a slider.
_CHANGED = ("set_data", "data")
_PLACE = ("scale", "translate", "rotate", "shear", "affine", "name")
_LOOKS = ("selected_label", "colormap", "features")


def _nothing() -> None:
    """Whoever asks for no call gets none."""


class StrokeWatch:
    """Hears one Labels layer at a time.

    `painted` is called when the brush lifts, or a moment after strokes may have changed; `moved`
    when the layer may lie elsewhere, `dressed` when names, colours or the selected label may be
    others.
    """

    def __init__(
        self,
        painted: Callable[[], None],
        moved: Callable[[], None] = _nothing,
        dressed: Callable[[], None] = _nothing,
    ) -> None:
        self._layer: Labels | None = None
        self._soon = one_shot(lambda: painted())
        self._slots: list[tuple[tuple[str, ...], Callable[[Any], None]]] = [
            (_LIFTED, lambda event: self._soon.start(0)),
            (_CHANGED, lambda event: self.look()),
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
            self._soon.stop()
        self._layer = layer
        for emitter, slot in self._links():
            emitter.connect(slot)

    def look(self) -> None:
        """Look at the strokes soon, as if there were new ones."""
        if not (self._soon.isActive() and self._soon.interval() == 0):
            self._soon.start(PAUSE)

    def _links(self) -> list[tuple[Any, Callable[[Any], None]]]:
        if self._layer is None:
            return []
        events = self._layer.events
        return [(getattr(events, name), slot) for names, slot in self._slots for name in names]
