"""A run in its own thread, as a napari worker.

Three things are done here and nowhere else. Errors are shielded: a RuntimeError that
leaves the generator of a napari worker is swallowed, neither ``errored`` nor
``finished`` fires, and the window would wait for ever. Signals are thinned by time at
the source, because they queue without bound. And torch is imported in the thread of
the run, so that the window never waits for it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari.qt.threading import create_worker

from napari_diffseg.errors import OutOfMemoryError, TrainingError
from napari_diffseg.params import RunOptions, SegmentationParams
from napari_diffseg.widgets.session import RunListener, StepsMaker

if TYPE_CHECKING:
    from napari_diffseg.core.segmentation import Segmentation
    from napari_diffseg.core.training import Iteration
    from napari_diffseg.widgets.planes import ImageSource
    from napari_diffseg.widgets.session import Steps

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
    source: ImageSource, params: SegmentationParams, options: RunOptions
) -> Steps:
    """Read the image and make the generator of its run; slow, and loads torch.

    Parameters
    ----------
    source : ImageSource
        Which pixels of which layers.
    params, options
        What the run is told; previews are always made.
    """
    from napari_diffseg.core.segmentation import segment_steps

    return segment_steps(
        source.read(),
        axes=source.axes,
        rgb=source.rgb,
        params=params,
        options=replace(options, previews=True, threads=options.threads or _spare_one_core()),
    )


def _spare_one_core() -> int:
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
    make_steps: StepsMaker, control: RunControl
) -> Generator[Iteration, None, Segmentation | None]:
    """Run the steps to their end and pass on a few of them.

    Parameters
    ----------
    make_steps : callable
        Makes the generator of the run.
    control : RunControl
        Read after every iteration.

    Yields
    ------
    Iteration
        The facts, `STATUS_INTERVAL` apart at least. A preview comes along only once
        the window has shown the one before.

    Returns
    -------
    Segmentation or None
        None where the run was cancelled.
    """
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
            preview = facts.labels if facts.labels is not None else preview
            now = time.perf_counter()
            if now - last_sent >= STATUS_INTERVAL:
                last_sent = now
                if preview is not None and control.previews_shown == control.previews_sent:
                    control.previews_sent += 1
                    facts, preview = replace(facts, labels=preview), None
                else:
                    facts = replace(facts, labels=None)
                yield facts
            command = _finish_command() if control.finishing else None
    return None


def _finish_command() -> object:
    from napari_diffseg.core.training import Command

    return Command.FINISH


class ThreadedRun:
    """A run in a napari worker; its listener is called in the thread of the window.

    Parameters
    ----------
    make_steps : callable
        Makes the generator of the run, in the worker's thread.
    listener : RunListener
        Told what happens.
    """

    def __init__(self, make_steps: StepsMaker, listener: RunListener) -> None:
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
        self._relay = relay_steps(make_steps, self._control)
        return (yield from self._relay)

    def _on_yielded(self, facts: Iteration) -> None:
        try:
            self._listener.stepped(facts)
        finally:
            if facts.labels is not None:
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


start_worker = ThreadedRun
"""Starts a run in its own thread: the launcher of a real session."""
