"""What a model is applied to: what is chosen, the newest job, and the layer and plot of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_diffseg.errors import DiffSegError, InputError
from napari_diffseg.widgets.batch.fit import Fit, extent_of, find_fit
from napari_diffseg.widgets.batch.form import ask_for_folders
from napari_diffseg.widgets.batch.job import FolderJob, LayerJob
from napari_diffseg.widgets.batch.layer import AppliedLayer, label_colors
from napari_diffseg.widgets.tasks.worker import for_window
from napari_diffseg.widgets.ui import words

if TYPE_CHECKING:
    import napari

    from napari_diffseg.params import RunOptions
    from napari_diffseg.widgets.batch.form import ApplyForm
    from napari_diffseg.widgets.batch.frames import FrameSet
    from napari_diffseg.widgets.image.axes_reading import Extent
    from napari_diffseg.widgets.models.section import ModelSection
    from napari_diffseg.widgets.segment.results import Results


class NewestJob:
    """The newest job, over the frames of layers or over a folder, and the layer of its labels.

    `frames` returns the `FrameSet` of the chosen images, of an `Extent`, and `options` the
    `RunOptions`; both may raise a `DiffSegError`. `results` is told of the layer, so that nobody is
    offered to paint scribbles on it.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        form: ApplyForm,
        models: ModelSection,
        results: Results,
        frames: Callable[[Extent | None], FrameSet],
        options: Callable[[], RunOptions],
    ) -> None:
        self._viewer, self._form, self._models, self._results = viewer, form, models, results
        self._frames, self._options = frames, options
        self.job: LayerJob | FolderJob | None = None
        self.layer: AppliedLayer | None = None

    @property
    def on_layers(self) -> LayerJob | None:
        """The job, where it is one over the frames of layers."""
        return self.job if isinstance(self.job, LayerJob) else None

    def take_up(self, job: LayerJob | None, layer: AppliedLayer | None) -> None:
        """Go on with the job of a dock that was closed, where its layer is still there."""
        if layer is not None and layer.is_there:
            self.job, self.layer = job, layer
            self.show_plot()

    # --- what is chosen -----------------------------------------------------------------

    def chosen_frames(self) -> FrameSet:
        """Return planes or volumes, as the chosen model asks for."""
        known = self._models.shelf.chosen
        return self._frames(None if known is None else extent_of(known.model))

    def fit(self, frames: FrameSet) -> Fit:
        """Return how the chosen model and frames go together."""
        known = self._models.shelf.chosen
        return Fit() if known is None else find_fit(known.model, frames)

    def outlook(self) -> tuple[FrameSet | None, Fit]:
        """Return the chosen frames, if any, and how they go with the model, or why nothing can."""
        try:
            frames = self.chosen_frames()
        except DiffSegError as error:
            return None, Fit(reason=str(error))
        return frames, self.fit(frames)

    def is_chosen(self, frames: FrameSet | None) -> bool:
        """Whether what is chosen now, with these frames, is what the job was told."""
        job, known = self.on_layers, self._models.shelf.chosen
        if job is None or frames is None or known is None:
            return False
        return job.continues(known.model, frames, self._form.params())

    # --- the job ------------------------------------------------------------------------

    def take(self) -> LayerJob:
        """Return the job for what is chosen: the newest one, where it is the same.

        Raises a `DiffSegError` where there is no model, no image, or they do not fit.
        """
        known, frames = self._models.shelf.chosen, self.chosen_frames()
        fit = self.fit(frames)
        if known is None or fit.reason:
            raise InputError(fit.reason or words.NO_MODEL)
        options, job = self._run_options(), self.on_layers
        if job is not None and self.is_chosen(frames):
            job.in_view, job.options = frames.in_view, options
            return job
        job = LayerJob(known.model, frames, self._form.params(), options, fit.model)
        layer = AppliedLayer(self._viewer, job, known.colors, known.names)
        self.job, self.layer = job, layer
        arrays = frames.shown.arrays
        older = [old for old, shown, *_ in self._results.labelled() if shown.arrays[0] is arrays[0]]
        self._results.adopt(layer)
        layer.add(self._models.scribbles(), older)
        self.show_plot()
        return job

    def take_folder(self) -> FolderJob | None:
        """Ask for two folders and return the job for them; None where a person cancels."""
        known = self._models.shelf.chosen
        if known is None:
            raise InputError(words.NO_MODEL)
        params, options = self._form.params(), self._run_options()
        folders = ask_for_folders(self._form)
        if folders is None:
            return None
        self.forget()
        self.job = FolderJob(known.model, *folders, params, options)
        return self.job

    def end(self) -> None:
        """Show all that was written, and let a person paint on it."""
        job, layer = self.on_layers, self.layer
        if job is not None and layer is not None and layer.is_there:
            layer.unlock(job.provenance())

    def discard_if_empty(self) -> None:
        """Take the layer out of the viewer, where no frame got its labels."""
        job, layer = self.on_layers, self.layer
        if job is not None and layer is not None and not job.record.done.any():
            self.forget()
            layer.discard()

    def forget(self) -> None:
        """Let go of the job; its layer stays as it is, if it is there."""
        self.job = self.layer = None
        self._form.lazy_box.setChecked(False)
        self._form.plot.clear()

    def go_to(self, number: int) -> None:
        """Move the sliders to a frame of the job."""
        job, layer = self.on_layers, self.layer
        if job is not None and layer is not None:
            job.stack.go_to(number, layer.layer, self._viewer)

    def show_plot(self) -> None:
        """Show the record of the job, as soon as there is one."""
        job, known, plot = self.job, self._models.shelf.chosen, self._form.plot
        if job is None or known is None or job.record is None or plot.shows(job.record):
            return
        colors = label_colors(job.model.labels, known.colors)
        plot.show_record(job.record, colors, known.names, job.name)
        plot.mark(job.in_view)
        plot.setVisible(len(job.record.done) > 1)

    def _run_options(self) -> RunOptions:
        return for_window(self._options())
