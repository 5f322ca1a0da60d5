"""A model applied to frames: the labels go where a sink puts them, an array or a store.

`label_frame` is what every run does with a frame, wherever it is. `apply_frames` is a run in one
thread, whose order may change while it goes on; `run.apply_stack` is one on many workers, from
files to files.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.batch.facts import FrameFacts, Progress, Record
from napari_diffseg.batch.sinks import ArraySink
from napari_diffseg.errors import Cancelled, InputError
from napari_diffseg.params import ApplyParams, RunOptions

if TYPE_CHECKING:
    from napari_diffseg.core.model.model import Model
    from napari_diffseg.image.arrays import Mask
    from napari_diffseg.image.windows import Window

POLL_S = 0.02
"""Whoever waits for its turn looks so often whether it is to stop."""

YIELD_S = 0.002
"""After each frame a run lets others take the turn."""

MAX_FAILURES = 3
"""A run ends once so many frames have failed and none was done."""

Steps = Generator[Progress, object, Progress]


class Frames(Protocol):
    """Frames of one kind, counted from 0; `read` gives an array, or what can be read like one."""

    @property
    def frame_axes(self) -> str:
        """One letter for each axis of a frame."""

    @property
    def rgb(self) -> bool | None:
        """Whether its channels are colours, where that is known."""

    def name(self, number: int) -> str:
        """Return what a person calls a frame."""

    def region_of(self, number: int) -> Mask | None:
        """Return where labels are wanted; None where everywhere."""

    def read(self, number: int) -> Any:
        """Return its pixels; raises `InputError` where they cannot be read."""


class Sink(Protocol):
    """Where labels go, window by window; several threads write to it, each to frames of its own."""

    def write(self, i: int, window: Window, labels: NDArray[Any]) -> None:
        """Write the labels of a window of a frame."""


def label_frame(
    model: Model,
    pixels: Any,
    sink: Sink,
    i: int,
    *,
    axes: str,
    rgb: bool | None,
    params: ApplyParams,
    options: RunOptions,
    windows: Iterable[Window] | None = None,
    region: Mask | None = None,
) -> Generator[None, None, FrameFacts]:
    """Label a frame, or some windows of it, to frame i of a sink; yields after each window."""
    from napari_diffseg.core.model.application import Tally

    tally = Tally()
    parts = model.apply_windows(
        pixels,
        axes=axes,
        rgb=rgb,
        params=params,
        options=options,
        windows=windows,
        region=region,
    )
    with closing(parts):
        for part in parts:
            sink.write(i, part.window, part.labels)
            tally.add(part)
            yield
    return FrameFacts(tally.sorted_areas, tally.confidence, brightness=tally.brightness)


@dataclass(eq=False)
class Application:
    """One model, the frames of one stack, the array that gets their labels, and what is known.

    `in_view` is the frame that a person sees, written by the window; `fitted` the model that looks
    at its channels where the frames have them.
    """

    model: Model
    frames: Frames
    sink: ArraySink
    params: ApplyParams
    options: RunOptions
    record: Record
    in_view: int | None = None
    fitted: Model | None = None


class Agenda:
    """Which frame is next: the one in view first, then on from there; of `numbers` alone, if any.

    While `follows` only frames that are looked at: it ends where that one is done. The window may
    set it to False while the run goes on, which then goes on to all frames.
    """

    def __init__(
        self, job: Application, numbers: Sequence[int] | None = None, *, follows: bool = False
    ) -> None:
        self._job, self.follows = job, follows
        self._left = np.full(len(job.record.done), numbers is None)
        self._left[list(numbers or ())] = True
        self._writing, self._is_given_up = Lock(), False
        # The frame under way, and how often it had been written to before.
        self._begun: tuple[int, int] | None = None

    @property
    def n_wanted(self) -> int:
        """How many frames of the job are done when this is through."""
        return int(np.count_nonzero(self._left | self._job.record.done))

    def next(self) -> int | None:
        """Return the next frame, never the same one twice; None at the end."""
        numbers = np.flatnonzero(self._left & ~self._job.record.done)
        view = self._job.in_view
        if self.follows:
            numbers = numbers[numbers == (-1 if view is None else view)]
        if not len(numbers):
            return None
        number = int(numbers[np.searchsorted(numbers, view or 0) % len(numbers)])
        self._left[number] = False
        return number

    # --- the frame under way, which is written to by way of this ----------------------

    def begin(self, number: int) -> None:
        """Have a frame written from now on."""
        self._begun = number, int(self._job.sink.n_writes[number])

    def write(self, i: int, window: Window, labels: NDArray[Any]) -> None:
        """Write the labels of a window of it; raises `Cancelled` once the run was given up."""
        with self._writing:
            if self._is_given_up:
                raise Cancelled
            self._job.sink.write(i, window, labels)

    def end(self, *, is_whole: bool, is_given_up: bool = False) -> None:
        """Keep the frame under way, or wipe it out if it is not whole.

        By a run that is given up, and may go on for a while, nothing is written any more.
        """
        with self._writing:
            begun, self._begun = self._begun, None
            self._is_given_up |= is_given_up
            if begun is not None and not is_whole:
                number, n_before = begun
                if self._job.sink.n_writes[number] > n_before:
                    self._job.sink.clear(number)


def waits_for(turn: Lock) -> Iterator[None]:
    """Yield until the turn is taken, so that whoever waits can stop waiting."""
    while not turn.acquire(timeout=POLL_S):
        yield


def apply_frames(job: Application, agenda: Agenda, turn: Lock | None = None) -> Steps:
    """Label frame after frame; yields often, ends where something is sent, may raise `InputError`.

    The turn is held while a frame is computed, so that strokes are answered between two of them. A
    frame that is half done at the end is wiped out; one that holds labels already stays as it is.
    """
    record, start = job.record, time.perf_counter()
    earlier, n_failed = record.n_done, 0

    def progress(number: int | None = None, facts: FrameFacts | None = None) -> Progress:
        n_done, total = record.n_done, len(record.done)
        name = "" if number is None else job.frames.name(number)
        seconds = time.perf_counter() - start
        return Progress(n_done, total, n_done, total, earlier, seconds, name, number, facts)

    yield progress()
    while (number := agenda.next()) is not None:
        if job.sink.holds_something(number):
            # Somebody has painted here, and that stays.
            record.keep(number)
            continue
        try:
            facts = yield from _whole_frame(job, agenda, number, turn or Lock(), progress)
        except InputError as error:
            facts = FrameFacts.of_error(error)
            n_failed += 1
            if n_failed >= MAX_FAILURES and not record.done.any():
                raise
        if facts is None:
            break
        record.add(number, facts)
        if (yield progress(number, facts)) is not None:
            break
        time.sleep(YIELD_S)
    if n_failed and not record.done.any():
        raise InputError(next(iter(record.failed.values())))
    return progress()


def _whole_frame(
    job: Application, agenda: Agenda, number: int, turn: Lock, progress: Callable[[], Progress]
) -> Generator[Progress, object, FrameFacts | None]:
    """Label one frame, or leave it as it was; None where something is sent."""
    pixels = job.frames.read(number)
    for _ in waits_for(turn):
        if (yield progress()) is not None:
            return None
    facts: FrameFacts | None = None
    agenda.begin(number)
    parts = label_frame(
        job.fitted or job.model,
        pixels,
        agenda,
        number,
        axes=job.frames.frame_axes,
        rgb=job.frames.rgb,
        params=job.params,
        options=job.options,
        region=job.frames.region_of(number),
    )
    try:
        with closing(parts):
            while True:
                next(parts)
                if (yield progress()) is not None:
                    return None
    except StopIteration as end:
        facts = end.value
        return facts
    finally:
        agenda.end(is_whole=facts is not None)
        turn.release()
