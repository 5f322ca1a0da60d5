"""Which planes of the scribbles are painted: found out in a thread, so that nobody waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_diffseg.widgets.tasks.worker import LatestAnswer

if TYPE_CHECKING:
    from napari_diffseg.widgets.scribbles.strokes import PaintedPlane, StrokeSource

MOST_BYTES = 2**30
"""A larger layer, or one that is not in memory, is not looked through after each stroke."""


class PaintedPlanes:
    """Knows the painted planes of one stack of scribbles at a time.

    What a run learns from is found out by the run itself. This is for the window: what it
    says of the planes, and whether a result was learned from other strokes than there are.
    """

    changed = Signal()
    """Emitted when the painted planes, or what is painted on them, are others."""

    def __init__(self, fail: Callable[[Exception], None]) -> None:
        self._strokes: StrokeSource | None = None
        self._found: dict[tuple[int, ...], PaintedPlane] | None = None
        self._answers = LatestAnswer(_find, self._on_found, fail)

    @property
    def planes(self) -> Mapping[tuple[int, ...], PaintedPlane] | None:
        """The painted planes by their position; None while they are not known."""
        return self._found

    @property
    def classes(self) -> tuple[int, ...]:
        """The classes that are painted on any of them, ascending."""
        return tuple(
            sorted({one for plane in (self._found or {}).values() for one in plane.classes})
        )

    def watch(self, strokes: StrokeSource | None) -> None:
        """Be about this stack from now on; one that is known already is not looked through."""
        wanted = strokes if strokes is not None and _is_quick(strokes) else None
        before = self._strokes
        if wanted is None and before is None:
            return
        if wanted is not None and before is not None and wanted.spans_the_same(before):
            return
        self._strokes, self._found = wanted, None
        self._answers.hold(wanted)
        self._answers.ask(None)

    def look(self, strokes: StrokeSource | None) -> None:
        """Look through a stack that may have been painted on."""
        self.watch(strokes)
        self._answers.ask(None)

    def close(self) -> None:
        """Hear of nothing any more."""
        self._answers.hold(None)
        self.changed.disconnect()

    def _on_found(self, planes: dict[tuple[int, ...], PaintedPlane]) -> None:
        if planes != self._found:
            self._found = planes
            self.changed.emit()


def _is_quick(strokes: StrokeSource) -> bool:
    return bool(strokes.stack) and strokes.is_in_memory and strokes.array.nbytes <= MOST_BYTES


def _find(strokes: StrokeSource, question: None) -> dict[tuple[int, ...], PaintedPlane]:
    return strokes.find_painted()
