"""A model applied to the frames of layers, or to a folder of images; no Qt.

The labels are written to an array that a layer shows at the same time, or to files; what the
window is told are counts. So signals can be dropped, and none carries pixels.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

import napari_diffseg
from napari_diffseg.batch.engine import Application, Steps
from napari_diffseg.batch.facts import Progress, Record
from napari_diffseg.batch.sinks import ArraySink, make_labels
from napari_diffseg.params import ApplyParams, RunOptions
from napari_diffseg.widgets.batch.frames import FrameSet
from napari_diffseg.widgets.tasks.worker import STATUS_INTERVAL, spare_one_core

if TYPE_CHECKING:
    from napari_diffseg.batch.run import StackReport
    from napari_diffseg.core.model.model import Model


class LayerJob(Application):
    """One model, the frames of one stack, and the array that gets their labels.

    `fitted` is the model that looks at its channels where these frames have them.
    """

    def __init__(
        self,
        model: Model,
        stack: FrameSet,
        params: ApplyParams,
        options: RunOptions,
        fitted: Model | None = None,
    ) -> None:
        shown, n = stack.shown, stack.n_frames
        array = make_labels(shown.canvas.shape, shown.spatial, np.dtype(model.label_dtype))
        sink = ArraySink(array, n, stack.window, stack.turned, len(shown.spatial))
        record = Record(n, model.labels)
        super().__init__(model, stack, sink, params, options, record, stack.in_view, fitted)
        self.stack = stack

    @property
    def is_complete(self) -> bool:
        """Whether all frames have their labels."""
        return bool(self.record.done.all())

    def name(self, number: int) -> str:
        """Return what a person calls a frame."""
        return self.stack.name(number)

    def continues(self, model: Model, stack: FrameSet, params: ApplyParams) -> bool:
        """Whether these would give the same labels of the same frames."""
        return self.model is model and self.params == params and self.stack.lies_as(stack)

    def provenance(self) -> dict[str, Any]:
        """Return what is needed to do the run again, as values that JSON can hold."""
        return {
            "program": "napari-diffseg",
            "version": napari_diffseg.__version__,
            "model": self.model.checksum,
            "apply": self.params.to_dict(),
            "image_layers": list(self.stack.shown.layer_names),
            "frames_done": self.record.n_done,
            "left_out": {self.stack.name(n): why for n, why in self.record.failed.items()},
        }


class FolderJob:
    """One model, a folder of images, and the folder that gets their labels.

    The record is None until it is known how many frames there are; the report where it was stopped.
    """

    in_view = None

    def __init__(
        self, model: Model, inputs: str, output: str, params: ApplyParams, options: RunOptions
    ) -> None:
        self.model, self.inputs, self.output = model, inputs, output
        self.params, self.options = params, options
        self.record: Record | None = None
        self.report: StackReport | None = None
        self._names: dict[int, str] = {}

    def name(self, number: int) -> str:
        """Return what a person calls a frame."""
        return self._names.get(number, f"frame {number}")

    def enter(self, progress: Progress) -> None:
        """Take down what the run says."""
        if self.record is None:
            self.record = Record(progress.total, self.model.labels)
        if progress.frame is not None and progress.facts is not None:
            self._names[progress.frame] = progress.name
            self.record.add(progress.frame, progress.facts)


def folder_steps(job: FolderJob) -> Steps:
    """Label all images of a folder; a run that was stopped here before goes on where it stopped.

    Yields after each frame; a command that is sent ends the run. Raises as `run.apply_stack`.
    """
    from napari_diffseg.batch.run import apply_stack
    from napari_diffseg.core.device import choose_device

    is_cpu = choose_device(job.options.device).type == "cpu"
    run = apply_stack(
        job.model,
        job.inputs,
        job.output,
        params=job.params,
        options=replace(job.options, threads=0),
        workers=spare_one_core() if is_cpu else 0,
        resume=True,
        pulse=STATUS_INTERVAL,
    )
    progress = Progress(0, 0, 0, 0)
    with closing(run):
        while True:
            try:
                progress = next(run)
            except StopIteration as end:
                job.report = end.value
                return progress
            job.enter(progress)
            if (yield progress) is not None:
                return progress
