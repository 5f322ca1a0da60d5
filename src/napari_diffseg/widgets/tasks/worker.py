"""A run in its own thread, as a napari worker.

Four things are done here and nowhere else. Errors are shielded: a RuntimeError that
leaves the generator of a napari worker is swallowed, neither ``errored`` nor
``finished`` fires, and the window would wait for ever. Signals are thinned by time at
the source, because they queue without bound. Runs of one dock wait for each other, so
that one that was cancelled has let go before the next computes. And torch is imported in
the thread of the run, so that the window never waits for it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.qt.threading import create_worker

from napari_diffseg.batch.engine import waits_for
from napari_diffseg.errors import OutOfMemoryError, TrainingError
from napari_diffseg.params import RunOptions, SegmentationParams
from napari_diffseg.widgets.image.first_look import look_first
from napari_diffseg.widgets.tasks.session import Launcher, RunListener, StepsMaker

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_diffseg.core.published.training import Iteration
    from napari_diffseg.core.result import Segmentation
    from napari_diffseg.widgets.image.image_source import ImageSource
    from napari_diffseg.widgets.scribbles.strokes import View
    from napari_diffseg.widgets.segment.order import Order
    from napari_diffseg.widgets.tasks.session import Steps

STATUS_INTERVAL = 0.1
"""At least so many seconds lie between two signals to the window."""


@dataclass(slots=True)
class RunControl:
    """What the window says to a running generator, and hears of it.

    It lives outside of the generator: a napari worker that quits leaves its generator
    suspended, and `send` reaches a generator only where it yields, which ours does not
    do at every iteration. Each field is written by one thread only.
    """

    finishing: bool = False
    cancelled: bool = False
    previews_sent: int = 0
    previews_shown: int = 0


def segmentation_steps(
    source: ImageSource,
    params: SegmentationParams,
    options: RunOptions,
    read_strokes: Callable[[], NDArray[Any]] | None = None,
    read_others: Callable[[], list[tuple[NDArray[Any], NDArray[Any] | None]]] | None = None,
) -> Steps:
    """Read the images and make the generator of their run; slow, and loads torch.

    Parameters
    ----------
    source : ImageSource
        Which pixels of which layers.
    params, options
        What the run is told; previews are always made.
    read_strokes : callable, optional
        Returns the scribbles ``(y, x)`` or ``(z, y, x)``; where nothing is painted, the run is
        one without.
    read_others : callable, optional
        Returns other planes to learn from, and what is painted on each.
    """
    from napari_diffseg.core.segmentation import segment_steps
    from napari_diffseg.core.training_images import Reference

    others = read_others() if read_others is not None else []
    strokes = read_strokes() if read_strokes is not None else None
    is_painted = strokes is not None and strokes.any()
    mask = None if source.region is None else source.region.mask()
    options = _for_window(options)
    steps = segment_steps(
        source.pixels(),
        scribbles=strokes if is_painted else None,
        references=[Reference(*other) for other in others],
        axes=source.axes,
        rgb=source.rgb,
        spacing=source.spacing,
        channels=source.channels,
        region=mask,
        fill=source.fill,
        look_at=source.look_at,
        params=params,
        options=options,
    )
    if source.first_look is None or is_painted or others:
        return steps
    look = partial(look_first, source.first_look, params, options, mask, source.fill)
    return _after_a_look(look, steps)


def _after_a_look(look: Callable[[], Iteration | None], steps: Steps) -> Steps:
    """Let something be seen before the first of the steps, which may read for long."""
    with closing(steps):
        seen = look()
        if seen is not None:
            yield seen
        return (yield from steps)


def correction_steps(
    segmentation: Segmentation,
    strokes: NDArray[Any],
    view: View | None,
    params: SegmentationParams,
    options: RunOptions,
) -> Steps:
    """Make the generator that lets a finished result follow new strokes.

    Parameters
    ----------
    segmentation : Segmentation
        Where it starts from.
    strokes : ndarray of int, (y, x) or (z, y, x)
        All of the scribbles on its pixels; where there are none any more, and none on other
        planes that it was learned from, the result is that of the network by itself.
    view : tuple of slice, optional
        What of them the person sees; it is answered first.
    params : SegmentationParams
        Those of the result, or the same with another number of labels.
    options : RunOptions
        What the run is told.
    """
    base = segmentation
    if base.params != params:
        base = replace(segmentation, params=params)
    if not strokes.any() and not any(one.scribbles.classes for one in base.references):
        return _unpainted_steps(base)
    return base.correct_steps(strokes, view=view, options=_for_window(options))


def _unpainted_steps(segmentation: Segmentation) -> Steps:
    yield from ()
    return segmentation.without_scribbles()


def steps_maker(
    order: Order, base: Segmentation | None, strokes: NDArray[Any] | None
) -> StepsMaker:
    """Return what makes the generator of a run.

    Parameters
    ----------
    order : Order
        What the run is told.
    base : Segmentation or None
        A result to follow from; None for a run from the start.
    strokes : ndarray of int, (y, x) or (z, y, x), or None
        The scribbles; where None, a run from the start reads those of the order.
    """
    if base is not None and strokes is not None:
        return partial(correction_steps, base, strokes, order.view, order.params, order.options)
    read = order.strokes.read if order.strokes is not None else None
    if strokes is not None:
        read = partial(np.asarray, strokes)
    return partial(
        segmentation_steps, order.source, order.params, order.options, read, order.others.read
    )


def _for_window(options: RunOptions) -> RunOptions:
    return replace(options, previews=True, threads=options.threads or spare_one_core())


def spare_one_core() -> int:
    """Leave a core to the window: threads that wait for each other stall when it draws."""
    return max((os.cpu_count() or 2) - 1, 1)


@contextmanager
def shielded_errors() -> Iterator[None]:
    """Turn what a napari worker would swallow into errors that reach the window.

    Raises
    ------
    OutOfMemoryError
        For a MemoryError.
    TrainingError
        For a RuntimeError, and for a StopIteration, which would become one.
    """
    try:
        yield
    except MemoryError as error:
        raise OutOfMemoryError(
            "There is not enough memory for this run; use a smaller image, or fewer "
            "feature channels or clusters (under Advanced)."
        ) from error
    except (RuntimeError, StopIteration) as error:
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TrainingError(f"The computation failed: {first_line}") from error


def relay_steps(
    make_steps: StepsMaker, control: RunControl, turn: Lock | None = None
) -> Generator[Iteration, None, Segmentation | None]:
    """Run the steps to their end and pass on a few of them.

    Parameters
    ----------
    make_steps : callable
        Makes the generator of the run.
    control : RunControl
        Read after every iteration.
    turn : Lock, optional
        Held by the run that computes; others wait for it.

    Yields
    ------
    Iteration
        The facts, `STATUS_INTERVAL` apart at least, but a preview at once. It comes along
        only once the window has shown the one before.

    Returns
    -------
    Segmentation or None
        None where the run was cancelled.
    """
    with _taken(turn, control) as is_taken:
        if not is_taken:
            return None
        return (yield from _thinned(make_steps, control))


def _thinned(
    make_steps: StepsMaker, control: RunControl
) -> Generator[Iteration, None, Segmentation | None]:
    last_sent = float("-inf")
    preview = None
    command = None
    with shielded_errors(), closing(make_steps()) as steps:
        while not control.cancelled:
            try:
                facts = steps.send(command)
            except StopIteration as end:
                result: Segmentation = end.value
                return result
            # A run over frames sends counts alone.
            labels = getattr(facts, "labels", None)
            is_new = labels is not None
            preview = labels if is_new else preview
            is_awaited = preview is not None and control.previews_shown == control.previews_sent
            now = time.perf_counter()
            if now - last_sent >= STATUS_INTERVAL or (is_new and is_awaited):
                last_sent = now
                if is_awaited:
                    control.previews_sent += 1
                    facts, preview = replace(facts, labels=preview), None
                elif is_new:
                    facts = replace(facts, labels=None)
                yield facts
            command = _finish_command() if control.finishing else None
    return None


@contextmanager
def _taken(turn: Lock | None, control: RunControl) -> Iterator[bool]:
    """Wait for the turn; tell whether it came before the run was cancelled."""
    if turn is None:
        yield True
        return
    for _ in waits_for(turn):
        if control.cancelled:
            yield False
            return
    try:
        yield True
    finally:
        turn.release()


def _finish_command() -> object:
    from napari_diffseg.core.published.training import Command

    return Command.FINISH


class ThreadedRun:
    """A run in a napari worker; its listener is called in the thread of the window.

    Parameters
    ----------
    make_steps : callable
        Makes the generator of the run, in the worker's thread.
    listener : RunListener
        Told what happens.
    turn : Lock, optional
        Shared by the runs that must not compute beside each other.
    """

    def __init__(
        self, make_steps: StepsMaker, listener: RunListener, turn: Lock | None = None
    ) -> None:
        self._turn = turn
        self._listener = listener
        self._control = RunControl()
        self._answered = False
        self._relay: Generator[Iteration, None, Segmentation | None] | None = None
        self._worker = create_worker(
            self._relayed, make_steps, _start_thread=False, _ignore_errors=True
        )
        self._worker.yielded.connect(self._on_yielded)
        self._worker.returned.connect(self._on_returned)
        self._worker.errored.connect(self._on_errored)
        self._worker.finished.connect(self._on_finished)
        self._worker.start()

    def finish(self) -> None:
        """Stop within one iteration and keep what there is."""
        self._control.finishing = True

    def cancel(self) -> None:
        """Stop within one iteration and keep nothing."""
        self._control.cancelled = True
        self._worker.quit()

    def _relayed(self, make_steps: StepsMaker) -> Generator[Iteration, None, Segmentation | None]:
        self._relay = relay_steps(make_steps, self._control, self._turn)
        return (yield from self._relay)

    def _on_yielded(self, facts: Iteration) -> None:
        try:
            self._listener.stepped(facts)
        finally:
            if getattr(facts, "labels", None) is not None:
                self._control.previews_shown += 1

    def _on_returned(self, segmentation: Segmentation) -> None:
        self._answered = True
        self._listener.succeeded(segmentation)

    def _on_errored(self, error: Exception) -> None:
        self._answered = True
        self._listener.failed(error)

    def _on_finished(self) -> None:
        # A worker that was told to quit, as napari does when its window closes, has
        # neither a result nor an error, and leaves the steps suspended where they were.
        if self._relay is not None:
            self._relay.close()
        if not self._answered:
            self._listener.aborted()


def launcher(turn: Lock) -> Launcher:
    """Return what starts a run in its own thread, for a real session.

    Parameters
    ----------
    turn : Lock
        Held by the run that computes.
    """
    return partial(ThreadedRun, turn=turn)
