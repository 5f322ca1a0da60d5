"""A model applied to the frames of a stack, frame after frame; no Qt, and no layers.

The labels are written to an array that a layer shows at the same time; what the window is
told are counts. So signals can be dropped, and none carries pixels.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import napari_diffseg
from napari_diffseg.errors import InputError
from napari_diffseg.params import ApplyParams, RunOptions
from napari_diffseg.widgets.batch.frames import FrameSet
from napari_diffseg.widgets.batch.input import read_frame
from napari_diffseg.widgets.batch.output import make_output
from napari_diffseg.widgets.batch.record import ApplyRecord

if TYPE_CHECKING:
    from napari_diffseg.core.model.model import Model
    from napari_diffseg.core.published.training import Command

_LOOKS_UP = 0.02
"""A run that waits for its turn looks so often whether it is to stop, in seconds."""

_GIVES_WAY = 0.002
"""After each frame a run lets others take the turn for so many seconds."""

_GIVES_UP = 3
"""A run ends once so many frames have failed and none was done."""


@dataclass(frozen=True, slots=True)
class ApplyProgress:
    """How far a run over frames has come.

    Attributes
    ----------
    n_done : int
        Frames that have their labels, from earlier runs too.
    n_frames : int
        Frames that there are.
    n_new : int
        Frames done by this run.
    seconds : float
        Since this run began.
    labels : None
        No pixels are sent; a worker asks for this field.
    """

    n_done: int
    n_frames: int
    n_new: int
    seconds: float
    labels: None = None


Steps = Generator[ApplyProgress, "Command | None", ApplyProgress]


class ApplyJob:
    """One model, the frames of one stack, and the array that gets their labels.

    Parameters
    ----------
    model : Model
        What labels them.
    frames : FrameSet
        Which frames there are.
    params : ApplyParams
        How it is applied.
    options : RunOptions
        Device and threads.
    fitted : Model, optional
        The same one, which looks at its channels where these frames have them.

    Attributes
    ----------
    output : ndarray or zarr.Array
        Labels, of the canvas's shape; 0 where nothing was computed yet.
    record : ApplyRecord
        What is known of each frame.
    n_writes : ndarray of int, (n,)
        How often something of each frame was written; a layer looks here for news.
    in_view : int or None
        The frame that the person sees, written by the window.
    """

    def __init__(
        self,
        model: Model,
        frames: FrameSet,
        params: ApplyParams,
        options: RunOptions,
        fitted: Model | None = None,
    ) -> None:
        self.model, self.frames, self.fitted = model, frames, fitted or model
        self.params, self.options = params, options
        self.output: Any = make_output(
            frames.shown.canvas.shape, frames.shown.spatial, np.dtype(model.label_dtype)
        )
        self.record = ApplyRecord(frames.n_frames, model.labels)
        self.n_writes = np.zeros(frames.n_frames, np.int64)
        self.in_view: int | None = frames.in_view

    @property
    def is_begun(self) -> bool:
        """Whether a frame has its labels."""
        return bool(self.record.done.any())

    @property
    def is_complete(self) -> bool:
        """Whether all frames have their labels."""
        return bool(self.record.done.all())

    def continues(self, model: Model, frames: FrameSet, params: ApplyParams) -> bool:
        """Whether these would give the same labels of the same frames."""
        return self.model is model and self.params == params and self.frames.lies_as(frames)

    def provenance(self) -> dict[str, Any]:
        """Return what is needed to do the run again, as values that JSON can hold."""
        return {
            "program": "napari-diffseg",
            "version": napari_diffseg.__version__,
            "model": self.model.checksum,
            "apply": self.params.to_dict(),
            "image_layers": list(self.frames.shown.layer_names),
            "frames_done": self.record.n_done,
            "left_out": {self.frames.name(n): why for n, why in self.record.failed.items()},
        }

    def whole(self, number: int) -> tuple[int | slice, ...]:
        """Return where a frame stands in the output."""
        return self.frames.window(number, (slice(None),) * len(self.frames.shown.spatial))

    def write(
        self, number: int, where: tuple[int | slice, ...], labels: NDArray[Any] | int
    ) -> None:
        """Write labels to a part of a frame."""
        self.output[where] = labels
        self.n_writes[number] += 1


class Agenda:
    """Which frame is next: the one in view first, then on from there.

    Parameters
    ----------
    job : ApplyJob
        Whose frames are meant.
    only : int, optional
        Just this frame.
    follows : bool
        Only frames that are looked at; it ends where that one is done. The window may set
        it to False while the run goes on, which then goes on to all frames.
    """

    def __init__(self, job: ApplyJob, only: int | None = None, *, follows: bool = False) -> None:
        self._job, self._only, self.follows = job, only, follows
        self._tried = np.zeros(len(job.record.done), bool)

    @property
    def n_wanted(self) -> int:
        """How many frames of the job are done when this is through."""
        record = self._job.record
        if self.follows or self._only is None:
            return len(record.done)
        return record.n_done + int(not record.done[self._only])

    def next(self) -> int | None:
        """Return the next frame, never the same one twice; None at the end."""
        todo = ~(self._job.record.done | self._tried)
        number: int | None
        if self._only is not None or self.follows:
            number = self._job.in_view if self.follows else self._only
            number = number if number is not None and todo[number] else None
        else:
            left = np.flatnonzero(todo)
            start = int(np.searchsorted(left, self._job.in_view or 0))
            number = int(left[start % len(left)]) if len(left) else None
        if number is not None:
            self._tried[number] = True
        return number


def apply_steps(job: ApplyJob, agenda: Agenda, turn: Lock) -> Steps:
    """Label frame after frame.

    Parameters
    ----------
    job : ApplyJob
        What is applied to what.
    agenda : Agenda
        Which frame is next.
    turn : Lock
        Held while a frame is computed, so that strokes are answered between two of them.

    Yields
    ------
    ApplyProgress
        Often; a command that is sent ends the run, and a half-done frame is wiped out.

    Returns
    -------
    ApplyProgress

    Raises
    ------
    InputError
        Frames cannot be read or labelled, and none was done.
    """
    start, n_before = time.perf_counter(), job.record.n_done

    def progress() -> ApplyProgress:
        n_done = job.record.n_done
        seconds = time.perf_counter() - start
        return ApplyProgress(n_done, len(job.record.done), n_done - n_before, seconds)

    n_failed = 0
    yield progress()
    while (number := agenda.next()) is not None:
        try:
            goes_on = yield from _frame_steps(job, number, turn, progress)
        except InputError as error:
            job.record.fail(number, str(error))
            n_failed += 1
            if n_failed >= _GIVES_UP and not job.record.done.any():
                raise
            continue
        if not goes_on:
            break
        time.sleep(_GIVES_WAY)
    if n_failed and not job.record.done.any():
        raise InputError(next(iter(job.record.failed.values())))
    return progress()


def _frame_steps(
    job: ApplyJob, number: int, turn: Lock, progress: Callable[[], ApplyProgress]
) -> Generator[ApplyProgress, Command | None, bool]:
    """Label one frame; return whether to go on."""
    whole = job.whole(number)
    if np.any(job.output[whole]):
        # Somebody has painted here, and that stays.
        job.record.keep(number)
        return True
    pixels = read_frame(job.frames, number)
    while not turn.acquire(timeout=_LOOKS_UP):
        if (yield progress()) is not None:
            return False
    try:
        return (yield from _label(job, number, pixels, progress))
    finally:
        turn.release()
        if not job.record.done[number] and job.n_writes[number]:
            job.write(number, whole, 0)


def _label(
    job: ApplyJob, number: int, pixels: Any, progress: Callable[[], ApplyProgress]
) -> Generator[ApplyProgress, Command | None, bool]:
    from napari_diffseg.core.model.application import Tally

    tally = Tally()
    windows = job.fitted.apply_windows(
        pixels,
        axes=job.frames.shown.axes,
        rgb=job.frames.shown.rgb,
        params=job.params,
        options=job.options,
    )
    with closing(windows):
        for window in windows:
            where = job.frames.window(number, window.window)
            job.write(number, where, job.frames.turned(window.labels))
            tally.add(window)
            if (yield progress()) is not None:
                return False
    job.record.add(number, tally.areas, tally.confidence)
    return True
