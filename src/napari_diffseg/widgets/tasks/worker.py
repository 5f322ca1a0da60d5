"""Work in threads of its own, as napari workers: a run, or a question at a time.

Five things are done here and nowhere else. Errors are shielded: a RuntimeError that
leaves the generator of a napari worker is swallowed, neither ``errored`` nor
``finished`` fires, and the window would wait for ever. Signals are thinned by time at
the source, because they queue without bound. What computes waits for its turn, so
that a run that was cancelled has let go before the next computes. torch is imported in the
thread of the run, so that the window never waits for it. And a worker that is done lets go of
what it did: napari lists every worker for as long as its window lives.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from napari.qt.threading import create_worker
from psygnal import Signal

from napari_diffseg.batch.engine import waits_for
from napari_diffseg.errors import Cancelled, OutOfMemoryError, TrainingError, first_line
from napari_diffseg.widgets.tasks.session import RunListener, StepsMaker

if TYPE_CHECKING:
    from napari_diffseg.core.published.training import Command, Iteration
    from napari_diffseg.core.result import Segmentation
    from napari_diffseg.params import RunOptions

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


def spare_one_core() -> int:
    """Leave a core to the window: threads that wait for each other stall when it draws."""
    return max((os.cpu_count() or 2) - 1, 1)


def for_window(options: RunOptions) -> RunOptions:
    """Return the options of a run beside a window that is to stay alive."""
    return replace(options, threads=options.threads or spare_one_core())


@contextmanager
def shielded_errors() -> Iterator[None]:
    """Turn what a napari worker would swallow into errors that reach the window."""
    try:
        yield
    except MemoryError as error:
        raise OutOfMemoryError(
            "There is not enough memory for this run; use a smaller image, or fewer "
            "feature channels or clusters (under Advanced)."
        ) from error
    except (RuntimeError, StopIteration) as error:
        raise TrainingError(f"The computation failed: {first_line(error)}") from error


def relay_steps(
    make_steps: StepsMaker, control: RunControl, turn: Lock | None = None
) -> Generator[Iteration, None, Segmentation | None]:
    """Run the steps to their end and pass on a few of them."""
    with take_turn(turn, lambda: control.cancelled) as is_taken:
        if not is_taken:
            return None
        return (yield from _thinned(make_steps, control))


def _thinned(
    make_steps: StepsMaker, control: RunControl
) -> Generator[Iteration, None, Segmentation | None]:
    last_sent = float("-inf")
    preview = None
    command: Command | None = None
    with suppress(Cancelled), shielded_errors(), closing(make_steps()) as steps:
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
def take_turn(turn: Lock | None, is_off: Callable[[], bool] = lambda: False) -> Iterator[bool]:
    """Wait for the turn and hold it; False where it was called off before the turn came."""
    if turn is None:
        yield True
        return
    for _ in waits_for(turn):
        if is_off():
            yield False
            return
    try:
        yield True
    finally:
        turn.release()


def hear_alone(errored: Any, listener: Callable[[Exception], None]) -> None:
    """Be the only listener of a worker's errors.

    That of napari's window takes no argument, which PySide6, unlike PyQt6, answers with a
    TypeError in the place of the error.
    """
    errored.connect(listener)  # without any listener there is nothing to disconnect
    errored.disconnect()
    errored.connect(listener)


def _relayed(relay: list[Generator[Any, Any, Any]]) -> Generator[Any, Any, Any]:
    return (yield from relay.pop())


def _cut_off(worker: Any) -> None:
    """Let a worker that has finished call nobody, so that it keeps nothing alive."""
    for signal in (worker.returned, worker.errored, worker.finished):
        signal.disconnect()


def _finish_command() -> Command:
    from napari_diffseg.core.published.training import Command

    return Command.FINISH


class ThreadedRun:
    """A run in a napari worker; its listener is called in the thread of the window."""

    def __init__(
        self, make_steps: StepsMaker, listener: RunListener, turn: Lock | None = None
    ) -> None:
        self._listener = listener
        self._control = RunControl()
        self._answered = False
        self._relay = relay_steps(make_steps, self._control, turn)
        self._worker = create_worker(
            _relayed, [self._relay], _start_thread=False, _ignore_errors=True
        )
        self._worker.yielded.connect(self._on_yielded)
        self._worker.returned.connect(self._on_returned)
        hear_alone(self._worker.errored, self._on_errored)
        # A method would not be held on to, and one that was cancelled has to end its steps.
        self._worker.finished.connect(lambda: self._on_finished())
        self._worker.start()

    def finish(self) -> None:
        """Stop within one iteration and keep what there is."""
        self._control.finishing = True

    def cancel(self) -> None:
        """Stop within one iteration and keep nothing."""
        self._control.cancelled = True
        self._worker.quit()

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
        self._relay.close()
        _cut_off(self._worker)
        if not self._answered:
            self._listener.aborted()


def _answer_steps(
    work: Callable[[Any, Any], Any], subject: Any, question: Any
) -> Generator[float, None, Any]:
    answer = work(subject, question)
    return (yield from answer) if isinstance(answer, Generator) else answer


class LatestAnswer:
    """Answers questions about one subject in a thread; of those that wait only the latest counts.

    `work` is called with subject and question in the thread, while it holds the turn. What takes
    long is a generator, which yields how much is done, 0 to 1, and ends there when it is stopped.
    `show` is called with what it returned, or `fail` with its exception, in the window's thread.
    """

    changed = Signal(object)
    """Emitted with how much is done, 0 to 1; with None when nobody waits for an answer any more."""

    def __init__(
        self,
        work: Callable[[Any, Any], Any],
        show: Callable[[Any], None],
        fail: Callable[[Exception], None],
        turn: Lock | None = None,
    ) -> None:
        self._work, self._show, self._fail, self._turn = work, show, fail, turn
        self._subject: Any = None
        self._waiting: list[Any] = []
        # The newest run, also one that was stopped and is not over yet, whose answer none wants.
        self._run: ThreadedRun | None = None
        self._is_wanted = False

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits for an answer."""
        return self._is_wanted or bool(self._waiting)

    def hold(self, subject: Any) -> None:
        """Take another subject; None for none. Of the one before nothing more is heard."""
        self.stop()
        self._subject = subject

    def ask(self, question: Any) -> None:
        """Answer this question, soon; without a subject do nothing."""
        if self._subject is None:
            return
        self._waiting[:] = [question]
        self.changed.emit(0.0)
        self._start()

    def stop(self) -> None:
        """Answer nothing that was asked; what is under way goes on to its next step, unheard."""
        was_busy = self.is_busy
        self._waiting.clear()
        self._is_wanted = False
        if self._run is not None:
            self._run.cancel()
        if was_busy:
            self.changed.emit(None)

    def _start(self) -> None:
        if self._run is not None or not self._waiting:
            return
        steps = partial(_answer_steps, self._work, self._subject, self._waiting.pop())
        shown, failed = (partial(self._on_end, say) for say in (self._show, self._fail))
        self._is_wanted = True
        listener = RunListener(self._on_step, shown, failed, self._on_end)
        self._run = ThreadedRun(steps, listener, self._turn)

    def _on_step(self, share: Any) -> None:
        if self._is_wanted:
            self.changed.emit(share)

    def _on_end(self, say: Callable[..., None] | None = None, *what: Any) -> None:
        was_wanted, self._run, self._is_wanted = self._is_wanted, None, False
        try:
            if was_wanted and say is not None:
                say(*what)
        finally:
            self._start()
            if was_wanted and not self.is_busy:
                self.changed.emit(None)
