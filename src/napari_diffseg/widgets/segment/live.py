"""Strokes → runs: when strokes are looked at, and what they ask for.

`StrokeWatch` hears the layer that is painted on. `LiveLoop` decides without Qt and without
layers what is to be done about strokes, and remembers which ones were answered.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from napari_diffseg.widgets.scribbles.strokes import strokes_checksum

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_diffseg.params import SegmentationParams
    from napari_diffseg.widgets.image.image_source import ImageSource

PAUSE = 100
"""Strokes are looked at when so many milliseconds have passed without a further one."""

# Undo, redo and changes from outside give `set_data`; so does every move of a slider.
_STROKES = ("paint", "set_data", "data")
_PLACE = ("scale", "translate", "rotate", "shear", "affine", "name")
_LOOKS = ("selected_label", "colormap", "features")


class StrokeWatch:
    """Hears one Labels layer at a time."""

    def __init__(
        self,
        painted: Callable[[], None],
        moved: Callable[[], None],
        dressed: Callable[[], None],
    ) -> None:
        self._moved, self._dressed = moved, dressed
        self._layer: Labels | None = None
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE)
        self._timer.timeout.connect(painted)

    def watch(self, layer: Labels | None) -> None:
        """Hear this layer from now on, and no other; None for none."""
        if self._layer is not None and layer is not None and self._layer == layer:
            return
        for emitter, slot in self._links():
            emitter.disconnect(slot)
        # At the end of the program Qt may have taken the timer away already.
        with suppress(RuntimeError):
            self._timer.stop()
        self._layer = layer
        for emitter, slot in self._links():
            emitter.connect(slot)

    def look(self) -> None:
        """Look at the strokes soon, as if there were new ones."""
        self._timer.start()

    def _links(self) -> list[tuple[Any, Callable[..., None]]]:
        if self._layer is None:
            return []
        events = self._layer.events
        kinds = ((_STROKES, self._on_strokes), (_PLACE, self._on_place), (_LOOKS, self._on_looks))
        return [(getattr(events, name), slot) for names, slot in kinds for name in names]

    def _on_strokes(self, event: Any = None) -> None:
        self._timer.start()

    def _on_place(self, event: Any = None) -> None:
        self._moved()

    def _on_looks(self, event: Any = None) -> None:
        self._dressed()


class Answer(Enum):
    """What is to be done about strokes."""

    NOTHING = "they were answered already"
    UNPAINTED = "there are none"
    LATER = "when the run under way is over"
    FOLLOW = "correct the finished result"
    SEGMENT = "a run from the start"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run was told."""

    source: ImageSource
    params: SegmentationParams
    checksum: int

    def is_same(self, other: Asked) -> bool:
        """Whether another run would be told nothing new."""
        return (
            self.checksum == other.checksum
            and self.params == other.params
            and self.source.shows_the_same(other.source)
        )


class LiveLoop:
    """Decides what strokes ask for."""

    def __init__(self) -> None:
        # By plane or volume: to come back to one asks for nothing new.
        self._asked: dict[str, Asked] = {}
        self._is_whole = False
        self.is_late = False

    def answer(
        self,
        source: ImageSource,
        params: SegmentationParams,
        strokes: NDArray[Any],
        *,
        is_busy: bool,
        can_follow: bool,
        is_painted: bool = False,
    ) -> Answer:
        """Say what is to be done about strokes.

        A run from the start is not cut off by strokes: all that it has learned would be
        lost, and to follow from its end is quicker than to start it again.
        """
        self.is_late = False
        asked = Asked(source, params, strokes_checksum(strokes))
        before = self._asked.get(str(source.index))
        if before is not None and before.is_same(asked):
            return Answer.NOTHING
        if not strokes.any() and not (can_follow and is_painted):
            return Answer.UNPAINTED
        if is_busy and self._is_whole:
            self.is_late = True
            return Answer.LATER
        return Answer.FOLLOW if can_follow else Answer.SEGMENT

    def started(
        self,
        source: ImageSource,
        params: SegmentationParams,
        strokes: NDArray[Any] | None,
        *,
        is_whole: bool,
    ) -> None:
        """Remember what a run was told; strokes are None where it reads them itself."""
        self._is_whole = is_whole
        if strokes is None:
            self._asked.pop(str(source.index), None)
        else:
            asked = Asked(source, params, strokes_checksum(strokes))
            self._asked[str(source.index)] = asked
