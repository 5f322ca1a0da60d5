"""What Segment and Stop do: a run begins when all that it needs is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_diffseg.errors import DiffSegError
from napari_diffseg.widgets.tasks.early import is_loading
from napari_diffseg.widgets.ui import words
from napari_diffseg.widgets.ui.timers import LongWait, one_shot

if TYPE_CHECKING:
    from napari_diffseg.widgets.segment.dock import SegmentDock

_LOOK = 50
"""So many milliseconds apart it is asked whether what a run needs is loaded."""


class Press:
    """Starts and stops the runs of a dock."""

    def __init__(self, dock: SegmentDock) -> None:
        self._dock = dock
        self._look = one_shot(lambda: self._go_on(), _LOOK, dock)
        self._wait = LongWait(lambda: self._is_awaited(), lambda: self._show_wait(), dock)
        # What is asked of the result on show: it has the bar and Stop of a run.
        self._answers = dock.runs.merger, dock.doubts.answers
        self.is_asked = False
        for one in (dock.runs, *self._answers):
            one.changed.connect(self._on_wait)

    def close(self) -> None:
        """Begin nothing any more, and hear of nothing."""
        self._look.stop()
        self._wait.stop()
        for one in (self._dock.runs, *self._answers):
            one.changed.disconnect(self._on_wait)

    @property
    def is_waiting(self) -> bool:
        """Whether a run was asked for that begins when all that it needs is loaded."""
        return bool(self._look.isActive())

    @property
    def is_busy(self) -> bool:
        """Whether a run is under way, or waits until it can begin."""
        return self._dock.session.is_busy or self.is_waiting

    def start(self) -> None:
        """Start a run on what is chosen now; where one is under way, only say so."""
        # However it ends: the buttons may still be those of a run that waits.
        with self._dock.refreshing.once():
            self._start()

    def _start(self) -> None:
        dock, say = self._dock, self._dock.view.run_view.say
        if dock.session.is_busy:
            say(words.BUSY, wrong=True)
            return
        try:
            request = dock.choice.request()
        except DiffSegError as error:
            say(str(error), wrong=True)
            return
        # Two threads that compete would hold the window up, and the run has to wait for it anyhow.
        if is_loading():
            say(words.STARTING_FIRST)
            self._look.start()
        else:
            dock.runs.start(request)

    def _go_on(self) -> None:
        """Begin what was asked for, if all is loaded; until then do next to nothing."""
        if is_loading():
            self._look.start()
        else:
            self.start()

    def stop(self) -> None:
        """End the run and keep what there is; asked again, keep nothing and end at once.

        What there is has still to be labelled, which takes a while on a large image.
        """
        dock, session = self._dock, self._dock.session
        if self.is_waiting:
            self._look.stop()
            dock.view.run_view.say(words.HINT)
            dock.refreshing()
        elif session.can_finish:
            session.finish()
        elif session.is_busy:
            dock.runs.give_up()
        elif self.is_asked:
            self._stop_asking()

    def _stop_asking(self) -> None:
        """Leave the result as it is shown, and the controls with it."""
        dock, result = self._dock, self._dock.results.segmentation
        was_merging = dock.runs.merger.is_busy
        for one in self._answers:
            one.stop()
        if not dock.doubts.give_up():
            dock.view.run_view.uncertainty_box.setChecked(False)
        if result is not None and was_merging:
            dock.state.typed_params = dock.view.knobs.take_n_labels(result.params)
        dock.view.run_view.say(words.STAYS)
        dock.refreshing()

    # --- what is waited for ---------------------------------------------------------------

    def _on_wait(self, _share: float | None = None) -> None:
        """Let what takes long be seen, when it does; what is over, no more."""
        self._wait.look()

    def _is_awaited(self) -> bool:
        return self._dock.session.is_busy or any(one.is_busy for one in self._answers)

    def _show_wait(self) -> None:
        was_asked, view = self.is_asked, self._dock.view.run_view
        self.is_asked = any(one.is_busy for one in self._answers)
        if self._is_awaited() and view.progress_bar.isHidden():
            view.show_progress(0, 0)
        elif was_asked and not self._is_awaited():
            view.show_progress(0, None)
        if was_asked is not self.is_asked:
            self._dock.refreshing()
