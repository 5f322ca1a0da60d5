"""Live: the run that follows strokes.

A stroke's way: the layer's event → `StrokeWatch`, which waits for the end of the stroke →
`StrokeFollower`, which reads the strokes once and asks `LiveLoop` → `Runs.follow` → the steps
of the run, in its thread → the layer of the result.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from napari_diffseg.errors import DiffSegError
from napari_diffseg.widgets.segment.live import Answer
from napari_diffseg.widgets.segment.request import RunRequest
from napari_diffseg.widgets.ui import words

if TYPE_CHECKING:
    from napari_diffseg.widgets.scribbles.section import ScribblesSection
    from napari_diffseg.widgets.segment.choice import SegmentState
    from napari_diffseg.widgets.segment.runs import Runs


class StrokeFollower:
    """Looks at the strokes when they change, and has a run started where they ask for one.

    `ask` returns what a run would be told; it raises a `DiffSegError` where there can be none.
    Within `once` the dock is brought up to date only at the end. A press that `is_waiting` takes in
    the strokes when it begins.
    """

    def __init__(
        self,
        state: SegmentState,
        section: ScribblesSection,
        runs: Runs,
        ask: Callable[[], RunRequest],
        once: Callable[[], AbstractContextManager[None]],
        is_waiting: Callable[[], bool],
    ) -> None:
        self._state, self._section, self._runs, self._ask = state, section, runs, ask
        self._once, self._is_waiting = once, is_waiting
        section.painted.connect(self._on_painted)
        runs.ended.connect(self._on_ended)
        state.events.is_live.connect(self._on_live)

    def _on_live(self, is_live: bool) -> None:
        if is_live:  # strokes that are there already are followed, too
            self._section.look()

    def _on_ended(self) -> None:
        """Look at strokes that had to wait for the run that is over now."""
        if self._runs.loop.is_late:
            self._section.look()

    def _on_painted(self) -> None:
        is_live = self._state.is_live
        # While a run starts, napari lets other events through.
        if self._runs.is_starting:
            self._section.look()
            return
        try:
            request = self._ask()
        except DiffSegError as error:
            if is_live:
                self._runs.said.emit(str(error), True)
            return
        if request.strokes is None or not (is_live or request.strokes.is_in_memory):
            return
        self._section.planes.look(request.strokes)
        request = request.with_strokes()
        self._section.note_classes(request.classes)
        if is_live and not self._is_waiting():
            self._answer(request)

    def _answer(self, request: RunRequest) -> None:
        runs = self._runs
        base = runs.base_for(request)
        before = None if base is None else runs.results.request
        can_follow = before is not None and (
            before.context == request.context or not request.is_painted
        )
        answer = runs.loop.answer(
            request,
            is_busy=runs.session.is_busy,
            can_follow=can_follow,
            is_painted=base is not None and base.scribbles is not None,
        )
        if answer is Answer.UNPAINTED:
            if base is not None and runs.session.is_busy:
                runs.cancel()  # a correction under way follows strokes that are gone
                runs.loop.forget(request)
            here = words.of_frames(words.UNPAINTED_HERE, request.source.is_movie)
            runs.say(here if request.context.elsewhere else words.UNPAINTED)
        elif answer is Answer.LATER:
            runs.say(words.LATER)
        elif answer is not Answer.NOTHING:
            with self._once():
                runs.session.cancel()
                runs.follow(request, answer)
