"""A model applied to a folder of images: files in, files out, and nothing in the window."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_diffseg.errors import OutputError
from napari_diffseg.params import ApplyParams, RunOptions
from napari_diffseg.widgets.batch.job import ApplyProgress, Steps
from napari_diffseg.widgets.batch.record import ApplyRecord
from napari_diffseg.widgets.tasks.worker import spare_one_core

if TYPE_CHECKING:
    from napari_diffseg.batch.run import StackProgress, StackReport
    from napari_diffseg.core.model.model import Model


class FolderJob:
    """One model, a folder of images, and the folder that gets their labels.

    Parameters
    ----------
    model : Model
        What labels them.
    inputs, output : str
        The two folders.
    params : ApplyParams
        How it is applied.
    options : RunOptions
        Device and threads.

    Attributes
    ----------
    record : ApplyRecord or None
        What is known of each frame; None until it is known how many there are.
    report : StackReport or None
        What the run came to; None where it was stopped.
    """

    def __init__(
        self, model: Model, inputs: str, output: str, params: ApplyParams, options: RunOptions
    ) -> None:
        self.model, self.inputs, self.output = model, inputs, output
        self.params, self.options = params, options
        self.record: ApplyRecord | None = None
        self.report: StackReport | None = None
        self._names: dict[int, str] = {}

    def name(self, number: int) -> str:
        """Return what a person calls a frame."""
        return self._names.get(number, f"frame {number}")

    def enter(self, progress: StackProgress) -> None:
        """Take down what the run says."""
        if self.record is None:
            self.record = ApplyRecord(progress.total, self.model.labels)
        if progress.frame is None:
            return
        self._names[progress.frame] = progress.name
        if progress.failed is None:
            self.record.add(progress.frame, progress.areas, progress.confidence)
        else:
            self.record.fail(progress.frame, progress.failed)


def ask_for_folders(parent: QWidget) -> tuple[str, str] | None:
    """Ask for the folder of images, then for that of the labels; None where a person cancels."""
    inputs = QFileDialog.getExistingDirectory(parent, "Folder with the images to label")
    if not inputs:
        return None
    output = QFileDialog.getExistingDirectory(parent, "Folder for the labels")
    return (inputs, output) if output else None


def folder_steps(job: FolderJob) -> Steps:
    """Label all images of a folder.

    A run that was stopped here before goes on where it stopped.

    Parameters
    ----------
    job : FolderJob
        What is applied to what.

    Yields
    ------
    ApplyProgress
        After each frame; a command that is sent ends the run.

    Returns
    -------
    ApplyProgress

    Raises
    ------
    DiffSegError
        As for `napari_diffseg.batch.run.apply_stack`.
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
    )
    progress, n_before = ApplyProgress(0, 0, 0, 0.0), None
    with closing(run):
        while True:
            try:
                facts = next(run)
            except StopIteration as end:
                job.report = end.value
                return progress
            except OutputError as error:
                # What is written for the command line names its switches.
                raise OutputError(re.sub(r" \(--\w+\)", "", str(error))) from error
            job.enter(facts)
            n_before = facts.done if n_before is None else n_before
            progress = ApplyProgress(facts.done, facts.total, facts.done - n_before, facts.seconds)
            if (yield progress) is not None:
                return progress
