"""Applying a model in the dock: joins the form, the newest job, and the run of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from napari_diffseg.batch.engine import Agenda, apply_frames
from napari_diffseg.batch.facts import Progress
from napari_diffseg.errors import DiffSegError
from napari_diffseg.widgets.batch import apply_words
from napari_diffseg.widgets.batch.form import Scope
from napari_diffseg.widgets.batch.job import FolderJob, LayerJob, folder_steps
from napari_diffseg.widgets.batch.newest import NewestJob
from napari_diffseg.widgets.tasks.session import SegmentationSession, SessionState
from napari_diffseg.widgets.tasks.worker import ThreadedRun
from napari_diffseg.widgets.ui import words
from napari_diffseg.widgets.ui.notices import tell
from napari_diffseg.widgets.ui.timers import one_shot

if TYPE_CHECKING:
    import napari

    from napari_diffseg.params import RunOptions
    from napari_diffseg.widgets.batch.form import ApplyForm
    from napari_diffseg.widgets.batch.frames import FrameSet
    from napari_diffseg.widgets.batch.layer import AppliedLayer
    from napari_diffseg.widgets.image.axes_reading import Extent
    from napari_diffseg.widgets.models.section import ModelSection
    from napari_diffseg.widgets.segment.results import Results

_PATIENCE = 500
"""A run that was stopped is over after so many milliseconds, whatever it is at: the window that is
being computed takes seconds on a slow machine, and goes on unheard."""

_STANDS_STILL = 150
"""A slider that has not moved for so many milliseconds has stopped."""


class ApplySection:
    """The newest run over frames: it can be stopped, and goes on where it stopped.

    Takes what `NewestJob` does, and the turn, which is held by what computes.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        form: ApplyForm,
        models: ModelSection,
        results: Results,
        frames: Callable[[Extent | None], FrameSet],
        options: Callable[[], RunOptions],
        turn: Lock,
    ) -> None:
        self._viewer, self._form, self._models, self._turn = viewer, form, models, turn
        self.newest = NewestJob(viewer, form, models, results, frames, options)
        # One that was given up has to end before the next begins.
        self.session = SegmentationSession(partial(ThreadedRun, turn=Lock()))
        self._agenda: Agenda | None = None
        self._stopped_because, self._is_open = "", True
        self._still = one_shot(self._look, _STANDS_STILL)
        self._late = one_shot(self._give_up, _PATIENCE)
        self.session.state_changed.connect(self._on_state)
        self.session.stepped.connect(self._on_step)
        self.session.succeeded.connect(self._on_success)
        self.session.failed.connect(self._on_failure)
        models.changed.connect(self.refresh)
        form.changed.connect(self.refresh)
        form.model.activated.connect(lambda row: models.choose(form.model.items()[row]))
        form.apply_button.clicked.connect(lambda: self.apply())
        form.stop_button.clicked.connect(lambda: self.stop())
        form.lazy_box.toggled.connect(self._on_lazy)
        form.plot.clicked.connect(self.newest.go_to)
        viewer.dims.events.connect(self._on_view)

    @property
    def layer(self) -> AppliedLayer | None:
        """Where the labels of the newest run are shown."""
        return self.newest.layer

    # --- what a person does -------------------------------------------------------------

    def apply(self) -> None:
        """Apply the chosen model to what is chosen, or go on with that."""
        if self._agenda is not None and self._is_looking():
            self._agenda.follows = False
            self.refresh()
            return
        if self.session.is_busy:
            self._form.say(apply_words.BUSY, wrong=True)
            return
        scope = self._form.chosen_scope()
        try:
            if scope is Scope.FOLDER:
                folder = self.newest.take_folder()
                if folder is not None:
                    self._agenda = None
                    self.session.start(partial(folder_steps, folder))
                return
            job = self.newest.take()
        except DiffSegError as error:
            self._form.say(str(error), wrong=True)
            return
        only = job.in_view if scope is Scope.FRAME else None
        if job.is_complete:
            self._form.say(apply_words.ALL_ARE_DONE)
        elif only is not None and job.record.done[only]:
            self._form.say(apply_words.FRAME_IS_DONE)
        else:
            self._start(job, Agenda(job, None if only is None else [only]))

    def stop(self) -> None:
        """End the run and keep the frames that are done."""
        self._form.lazy_box.setChecked(False)
        self.session.finish()

    # --- what the dock says -------------------------------------------------------------

    def on_layer_removed(self, layer: object) -> None:
        """Stop where the images or the labels of the run are gone."""
        job = self.newest.on_layers
        if self.layer is not None and self.layer.is_layer(layer):
            was_busy = self.session.is_busy
            self.newest.forget()
            self._cancel()
            self._form.say(apply_words.LAYER_GONE if was_busy else "")
        elif job is not None and layer in job.stack.layers:
            if self.session.is_busy:
                self._stopped_because = apply_words.IMAGE_GONE
            self.stop()

    def refresh(self) -> None:
        """Say what can be done now, and why nothing can."""
        form, shelf, newest = self._form, self._models.shelf, self.newest
        form.offer_models(shelf.titles, shelf.key)
        frames, fit = newest.outlook()
        if frames is not None:
            form.offer_frames(frames.n_frames, are_volumes=frames.shown.is_volume)
        scope = form.chosen_scope()
        is_folder = scope is Scope.FOLDER
        reason = "" if is_folder else fit.reason
        if shelf.chosen is None:
            reason = words.NO_MODEL
        can_start = not self.session.is_busy or self._is_looking()
        form.apply_button.setEnabled(can_start and not reason)
        job = newest.on_layers if newest.is_chosen(frames) else None
        goes_on = job is not None and 0 < job.record.n_done < len(job.record.done)
        form.apply_button.setText("Resume" if goes_on and scope is Scope.ALL else "Apply")
        form.lazy_box.setEnabled(form.lazy_box.isChecked() or not (reason or is_folder))
        is_wrong = bool(reason) and shelf.chosen is not None and frames is not None
        if not reason and form.lazy_box.isChecked() and job is None and not is_folder:
            reason = apply_words.CHOSEN_ANEW
        form.show_reason(reason or fit.note, wrong=is_wrong)

    def close(self) -> None:
        """End the run, keep the frames that are done, and hear of nothing any more."""
        session = self.session
        for signal in (session.state_changed, session.stepped, session.succeeded, session.failed):
            signal.disconnect()
        if self._is_open:
            self._viewer.dims.events.disconnect(self._on_view)
        self._is_open = False
        # At the end of the program Qt may have taken the timer away already.
        with suppress(RuntimeError):
            self._still.stop()
            self._late.stop()
        if session.is_busy:
            self._cancel()
            self.newest.end()

    def _start(self, job: LayerJob, agenda: Agenda) -> None:
        # napari lets other events through while it adds a layer; it may be gone again.
        if self.layer is None or not self.layer.is_there:
            return
        self._agenda, self._stopped_because = agenda, ""
        self.layer.lock()
        self.session.start(partial(apply_frames, job, agenda, self._turn))

    def _give_up(self) -> None:
        """Have a run that was stopped end now: all that it has done is there."""
        if self.session.state is SessionState.FINISHING:
            record = None if self.newest.job is None else self.newest.job.record
            n = (0, 0) if record is None else (record.n_done, len(record.done))
            self._on_success(Progress(*n, *n, n[0]))
            self._cancel()

    def _cancel(self) -> None:
        if self._agenda is not None:
            self._agenda.end(is_whole=False, is_given_up=True)
        self.session.cancel()

    # --- looking ------------------------------------------------------------------------

    def _is_looking(self) -> bool:
        """Whether the run under way does only what is looked at."""
        return self._agenda is not None and self.session.is_busy and self._agenda.follows

    def _on_lazy(self, is_lazy: bool) -> None:
        if not is_lazy:
            self._still.stop()
            if self._is_looking():
                self.session.finish()
        elif not self.session.is_busy:
            try:
                self.newest.take()
            except DiffSegError as error:
                self._form.lazy_box.setChecked(False)
                self._form.say(str(error), wrong=True)
            else:
                self._form.say(apply_words.LOOKING)
                self._look()

    def _look(self) -> None:
        """Compute the frame in view, where frames are computed when they are looked at."""
        job = self.newest.on_layers
        is_free = not self.session.is_busy and self._form.lazy_box.isChecked()
        if not is_free or job is None or job.in_view is None:
            return
        # One that failed would fail again, and again.
        if not job.record.done[job.in_view] and job.in_view not in job.record.failed:
            self._start(job, Agenda(job, follows=True))

    def _on_view(self, event: Any = None) -> None:
        job, layer = self.newest.on_layers, self.layer
        if job is None or layer is None or not layer.is_there:
            return
        number = job.stack.seen_on(layer.layer, self._viewer.dims)
        if number == job.in_view:
            return
        job.in_view = number
        layer.look_elsewhere()
        self._form.plot.mark(number)
        if self._form.lazy_box.isChecked():
            self._still.start()

    # --- what the run says --------------------------------------------------------------

    def _on_state(self, state: SessionState) -> None:
        form, is_looking = self._form, self._is_looking()
        running = state in (SessionState.RUNNING, SessionState.FINISHING)
        form.stop_button.setEnabled(state is SessionState.RUNNING)
        if not running:
            form.show_progress(0, None)
        elif state is SessionState.FINISHING:
            form.say(apply_words.STOPPING)
            self._late.start()
        elif not is_looking:
            form.say(words.STARTING)
            form.show_progress(0, 0)
        self.refresh()
        if not running and form.lazy_box.isChecked():
            # The slider may have moved in the meantime.
            self._still.start()

    def _on_step(self, progress: Progress) -> None:
        form = self._form
        if self.layer is not None:
            self.layer.show_news()
        self.newest.show_plot()
        form.plot.draw_news()
        if self.session.state is SessionState.RUNNING and not self._is_looking():
            n_wanted = progress.total if self._agenda is None else self._agenda.n_wanted
            form.say(apply_words.progress_in_words(progress, n_wanted))
            form.show_progress(progress.done, progress.total)

    def _on_success(self, progress: Progress) -> None:
        self.newest.end()
        self._form.plot.draw_news(at_once=True)
        job = self.newest.job
        if isinstance(job, FolderJob):
            self._form.say(apply_words.folder_in_words(job, progress))
        elif job is not None:
            why = self._stopped_because
            if self.session.state is SessionState.FINISHING:
                why = why or apply_words.way_on(progress)
                self.newest.discard_if_empty()
            elif self._form.lazy_box.isChecked() and not job.is_complete:
                why = apply_words.LOOKING
            self._form.say(apply_words.applied_in_words(job, progress, why))

    def _on_failure(self, error: Exception) -> None:
        self._form.lazy_box.setChecked(False)
        self.newest.discard_if_empty()
        self.newest.end()
        self.refresh()
        tell(self._form.say, error)
