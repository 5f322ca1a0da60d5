"""Applying a model in the dock: joins the form, a run over frames, its layer and the plot."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from napari_diffseg.errors import DiffSegError, InputError
from napari_diffseg.widgets.batch import apply_words
from napari_diffseg.widgets.batch.fit import Fit, extent_of, find_fit
from napari_diffseg.widgets.batch.folder import FolderJob, ask_for_folders, folder_steps
from napari_diffseg.widgets.batch.form import Scope
from napari_diffseg.widgets.batch.job import Agenda, ApplyJob, ApplyProgress, apply_steps
from napari_diffseg.widgets.batch.layer import AppliedLayer
from napari_diffseg.widgets.batch.plot import RunPlot
from napari_diffseg.widgets.tasks.session import SegmentationSession, SessionState
from napari_diffseg.widgets.tasks.worker import ThreadedRun, spare_one_core
from napari_diffseg.widgets.ui import words
from napari_diffseg.widgets.ui.notices import notify_of

if TYPE_CHECKING:
    import napari

    from napari_diffseg.params import RunOptions
    from napari_diffseg.widgets.batch.form import ApplyForm
    from napari_diffseg.widgets.batch.frames import FrameSet
    from napari_diffseg.widgets.image.axes_reading import Extent
    from napari_diffseg.widgets.models.section import ModelSection
    from napari_diffseg.widgets.segment.results import Results

_STANDS_STILL = 150
"""A slider that has not moved for so many milliseconds has stopped."""


class ApplySection:
    """The newest run over frames: it can be stopped, and goes on where it stopped.

    Parameters
    ----------
    viewer : napari.Viewer
        Gets a Labels layer for each stack and model.
    form : ApplyForm
        Shows things.
    models : ModelSection
        Has the model that is chosen.
    results : Results
        Told of the layer, so that nobody is offered to paint scribbles on it.
    frames : callable
        Returns the `FrameSet` of the chosen images, of the `Extent` that it is called with, or
        raises a `DiffSegError`.
    options : callable
        Returns the `RunOptions`, or raises a `DiffSegError`.
    turn : Lock
        Held by what computes.

    Attributes
    ----------
    session : SegmentationSession
        The state of the run.
    job : ApplyJob, FolderJob or None
        What the newest run was told, and what it has come to.
    layer : AppliedLayer or None
        Where its labels are shown.
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
        self._viewer, self._form, self._models, self._results = viewer, form, models, results
        self._frames, self._options, self._turn = frames, options, turn
        self.session = SegmentationSession(ThreadedRun)
        self.job: ApplyJob | FolderJob | None = None
        self.layer: AppliedLayer | None = None
        self._agenda: Agenda | None = None
        self._stopped_because = ""
        self._plot = RunPlot(form.plot)
        self._still = QTimer()
        self._still.setSingleShot(True)
        self._still.setInterval(_STANDS_STILL)
        self._still.timeout.connect(self._look)
        self.session.state_changed.connect(self._on_state)
        self.session.stepped.connect(self._on_step)
        self.session.succeeded.connect(self._on_success)
        self.session.failed.connect(self._on_failure)
        models.changed.connect(self.refresh)
        form.changed.connect(self.refresh)
        form.model.activated.connect(lambda row: models.choose(form.model.itemData(row)))
        form.apply_button.clicked.connect(lambda: self.apply())
        form.stop_button.clicked.connect(lambda: self.stop())
        form.lazy_box.toggled.connect(self._on_lazy)
        form.plot.clicked.connect(self.go_to)
        viewer.dims.events.connect(self._on_view)
        self._is_open = True

    # --- what a person does -------------------------------------------------------------

    def apply(self) -> None:
        """Apply the chosen model to what is chosen, or go on with that."""
        if self._is_looking():
            self._agenda.follows = False
            self.refresh()
            return
        if self.session.is_busy:
            self._form.say(apply_words.BUSY, wrong=True)
            return
        scope = self._form.chosen_scope()
        try:
            if scope is Scope.FOLDER:
                self._start_folder()
                return
            job = self._ready()
        except DiffSegError as error:
            self._form.say(str(error), wrong=True)
            return
        only = job.in_view if scope is Scope.FRAME else None
        if job.is_complete:
            self._form.say(apply_words.ALL_ARE_DONE)
        elif only is not None and job.record.done[only]:
            self._form.say(apply_words.FRAME_IS_DONE)
        else:
            self._start(job, Agenda(job, only))

    def stop(self) -> None:
        """End the run and keep the frames that are done."""
        self._form.lazy_box.setChecked(False)
        self.session.finish()

    def go_to(self, number: int) -> None:
        """Move the sliders to a frame of the newest run."""
        if isinstance(self.job, ApplyJob) and self.layer is not None:
            self.job.frames.go_to(number, self.layer.layer, self._viewer)

    # --- what the dock says -------------------------------------------------------------

    def on_layer_removed(self, layer: object) -> None:
        """Stop where the images or the labels of the run are gone."""
        if self.layer is not None and self.layer.is_layer(layer):
            was_busy = self.session.is_busy
            self._forget()
            self.session.cancel()
            self._form.say(apply_words.LAYER_GONE if was_busy else "")
        elif isinstance(self.job, ApplyJob) and layer in self.job.frames.layers:
            if self.session.is_busy:
                self._stopped_because = apply_words.IMAGE_GONE
            self.stop()

    def refresh(self) -> None:
        """Say what can be done now, and why nothing can."""
        form, shelf = self._form, self._models.shelf
        form.offer_models(shelf.titles, shelf.key)
        frames, fit = None, Fit()
        try:
            frames = self._chosen_frames()
        except DiffSegError as error:
            reason = str(error)
        else:
            form.offer_frames(frames.n_frames, are_volumes=frames.shown.is_volume)
            fit = self._fit(frames)
            reason = fit.reason
        is_folder = form.chosen_scope() is Scope.FOLDER
        if shelf.chosen is None:
            reason = apply_words.NO_MODEL
        elif is_folder:
            reason = ""
        can_start = not self.session.is_busy or self._is_looking()
        form.apply_button.setEnabled(can_start and not reason)
        continues = self._continues(frames)
        form.apply_button.setText("Resume" if continues and self._can_resume() else "Apply")
        form.lazy_box.setEnabled(form.lazy_box.isChecked() or not (reason or is_folder))
        is_wrong = bool(reason) and shelf.chosen is not None and frames is not None
        if not reason and form.lazy_box.isChecked() and not continues and not is_folder:
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
        was_busy = session.is_busy
        session.cancel()
        if was_busy:
            self._end_layer()

    # --- starting -----------------------------------------------------------------------

    def _ready(self) -> ApplyJob:
        """Return the job for what is chosen: the newest one, where it is the same.

        Raises
        ------
        DiffSegError
            There is no model, no image, or they do not fit.
        """
        known, params, frames = (
            self._models.shelf.chosen,
            self._form.params(),
            self._chosen_frames(),
        )
        fit = self._fit(frames)
        if known is None or fit.reason:
            raise InputError(fit.reason or apply_words.NO_MODEL)
        options = self._run_options()
        job = self.job
        if isinstance(job, ApplyJob) and job.continues(known.model, frames, params):
            job.in_view, job.options = frames.in_view, options
            return job
        job = ApplyJob(known.model, frames, params, options, fit.model)
        layer = AppliedLayer(self._viewer, job, known.colors, known.names)
        self.job, self.layer = job, layer
        self._results.adopt(layer)
        layer.add(self._models.scribbles())
        self._plot.show(job, known)
        return job

    def _start(self, job: ApplyJob, agenda: Agenda) -> None:
        # napari lets other events through while it adds a layer; it may be gone again.
        if self.layer is None or not self.layer.is_there:
            return
        self._agenda, self._stopped_because = agenda, ""
        self.layer.lock()
        self.session.start(partial(apply_steps, job, agenda, self._turn))

    def _start_folder(self) -> None:
        known = self._models.shelf.chosen
        if known is None:
            raise InputError(apply_words.NO_MODEL)
        params, options = self._form.params(), self._run_options()
        folders = ask_for_folders(self._form)
        if folders is None:
            return
        self._forget()
        self.job = FolderJob(known.model, *folders, params, options)
        self.session.start(partial(folder_steps, self.job))

    def _run_options(self) -> RunOptions:
        options = self._options()
        return replace(options, threads=options.threads or spare_one_core())

    def _chosen_frames(self) -> FrameSet:
        """Return planes or volumes, as the chosen model asks for."""
        known = self._models.shelf.chosen
        return self._frames(None if known is None else extent_of(known.model))

    def _fit(self, frames: FrameSet) -> Fit:
        known = self._models.shelf.chosen
        return Fit() if known is None else find_fit(known.model, frames)

    def _continues(self, frames: FrameSet | None) -> bool:
        """Whether what is chosen now is what the newest run was told."""
        job, known = self.job, self._models.shelf.chosen
        if not isinstance(job, ApplyJob) or frames is None or known is None:
            return False
        return job.continues(known.model, frames, self._form.params())

    def _can_resume(self) -> bool:
        """Whether a run over all frames would go on with the newest one."""
        job, is_all = self.job, self._form.chosen_scope() is Scope.ALL
        return isinstance(job, ApplyJob) and is_all and job.is_begun and not job.is_complete

    # --- looking ------------------------------------------------------------------------

    def _is_looking(self) -> bool:
        """Whether the run under way does only what is looked at."""
        return self.session.is_busy and self._agenda is not None and self._agenda.follows

    def _on_lazy(self, is_lazy: bool) -> None:
        if not is_lazy:
            self._still.stop()
            if self._is_looking():
                self.session.finish()
            return
        if self.session.is_busy:
            return
        try:
            self._ready()
        except DiffSegError as error:
            self._form.lazy_box.setChecked(False)
            self._form.say(str(error), wrong=True)
            return
        self._form.say(apply_words.LOOKING)
        self._look()

    def _look(self) -> None:
        """Compute the frame in view, where frames are computed when they are looked at."""
        job = self.job
        if self.session.is_busy or not self._form.lazy_box.isChecked():
            return
        if not isinstance(job, ApplyJob) or job.in_view is None:
            return
        # One that failed would fail again, and again.
        if not job.record.done[job.in_view] and job.in_view not in job.record.failed:
            self._start(job, Agenda(job, follows=True))

    def _on_view(self, event: Any = None) -> None:
        job, layer = self.job, self.layer
        if not isinstance(job, ApplyJob) or layer is None or not layer.is_there:
            return
        number = job.frames.seen_on(layer.layer, self._viewer.dims)
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
        elif not is_looking:
            form.say(apply_words.STARTING)
            form.show_progress(0, 0)
        self.refresh()
        if not running and form.lazy_box.isChecked():
            # The slider may have moved in the meantime.
            self._still.start()

    def _on_step(self, progress: ApplyProgress) -> None:
        if self.layer is not None and isinstance(self.job, ApplyJob):
            self.layer.show_news()
        elif isinstance(self.job, FolderJob):
            self._plot.show(self.job, self._models.shelf.chosen)
        self._plot.update()
        if self.session.state is SessionState.RUNNING and not self._is_looking():
            n_wanted = progress.n_frames
            if isinstance(self.job, ApplyJob) and self._agenda is not None:
                n_wanted = self._agenda.n_wanted
            self._form.say(apply_words.progress_in_words(progress, n_wanted))
            self._form.show_progress(progress.n_done, progress.n_frames)

    def _on_success(self, progress: ApplyProgress) -> None:
        self._end_layer()
        self._plot.update(at_once=True)
        job = self.job
        if isinstance(job, FolderJob):
            self._form.say(apply_words.folder_in_words(job, progress))
        elif isinstance(job, ApplyJob):
            said = [apply_words.applied_in_words(job, progress), self._stopped_because]
            if self.session.state is SessionState.FINISHING and not self._stopped_because:
                said.append(apply_words.GO_ON)
            if self._form.lazy_box.isChecked() and not job.is_complete:
                said.append(apply_words.LOOKING)
            self._form.say(" ".join(filter(None, said)))

    def _on_failure(self, error: Exception) -> None:
        self._form.lazy_box.setChecked(False)
        job, layer = self.job, self.layer
        if isinstance(job, ApplyJob) and layer is not None and not job.record.done.any():
            self._forget()
            layer.discard()
        self._end_layer()
        self.refresh()
        self._form.say(words.error_in_words(error), wrong=True)
        notify_of(error)

    # --- the layer ----------------------------------------------------------------------

    def _end_layer(self) -> None:
        """Show all that was written, and let a person paint on it."""
        job, layer = self.job, self.layer
        if not isinstance(job, ApplyJob) or layer is None or not layer.is_there:
            return
        layer.unlock(job.provenance())

    def _forget(self) -> None:
        """Let go of the newest run; its layer stays as it is, if it is there."""
        self.job = self.layer = self._agenda = None
        self._form.lazy_box.setChecked(False)
        self._plot.clear()
