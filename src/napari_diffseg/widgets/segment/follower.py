"""Live: looks at the strokes when they change, and has a run started where they ask for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_diffseg.errors import DiffSegError
from napari_diffseg.widgets.segment.live import Answer, LiveLoop
from napari_diffseg.widgets.segment.order import Order
from napari_diffseg.widgets.segment.results import Results, follows
from napari_diffseg.widgets.ui import words

if TYPE_CHECKING:
    from napari_diffseg.widgets.scribbles.section import ScribblesSection
    from napari_diffseg.widgets.tasks.session import SegmentationSession

StartRun = Callable[[Order, Answer, NDArray[Any]], None]


class StrokeFollower:
    """Joins the layer that is painted on to the session."""

    def __init__(
        self,
        section: ScribblesSection,
        session: SegmentationSession,
        results: Results,
        order: Callable[[], Order],
        run: StartRun,
        say: Callable[..., None],
    ) -> None:
        self._section, self._session, self._results = section, session, results
        self._order, self._run, self._say = order, run, say
        self._loop = LiveLoop()
        self.is_live = False
        self.is_starting = False
        section.painted.connect(self._on_painted)

    def set_live(self, is_live: bool) -> None:
        """Follow strokes from now on, also those that are there; or follow no more."""
        self.is_live = is_live
        if is_live:
            self._section.look()

    def started(self, order: Order, task: Answer, strokes: NDArray[Any] | None) -> None:
        """Remember what a run was told."""
        is_whole = task is Answer.SEGMENT
        self._loop.started(order.source, order.params, strokes, is_whole=is_whole)

    def ended(self) -> None:
        """Look at strokes that had to wait for the run that is over now."""
        if self._loop.is_late:
            self._section.look()

    def _on_painted(self) -> None:
        # While a run starts, napari lets other events through.
        if self.is_starting:
            self._section.look()
            return
        try:
            order = self._order()
        except DiffSegError as error:
            if self.is_live:
                self._say(str(error), wrong=True)
            return
        if order.strokes is None or not (self.is_live or order.strokes.is_in_memory):
            return
        self._section.survey.look(order.strokes)
        strokes = order.strokes.read()
        self._section.note_classes(strokes)
        if self.is_live:
            self._answer(order, strokes)

    def _answer(self, order: Order, strokes: NDArray[Any]) -> None:
        base = follows(self._results, order.source, order.params)
        # Strokes on other planes are part of a result; it does not follow other ones.
        is_same_lesson = order.lesson == self._results.lesson or not strokes.any()
        answer = self._loop.answer(
            order.source,
            order.params,
            strokes,
            is_busy=self._session.is_busy,
            can_follow=base is not None and is_same_lesson,
            is_painted=base is not None and base.scribbles is not None,
        )
        if answer is Answer.UNPAINTED:
            if base is not None:
                self._session.cancel()  # a correction under way follows strokes that are gone
            self._say(words.UNPAINTED_HERE if order.lesson.elsewhere else words.UNPAINTED)
        elif answer is Answer.LATER:
            self._say(words.LATER)
        elif answer is not Answer.NOTHING:
            self._session.cancel()
            self._run(order, answer, strokes)
