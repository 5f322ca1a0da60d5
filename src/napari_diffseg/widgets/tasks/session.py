"""The state of a run, without Qt: idle → running → finishing → done, or back to idle.

The session owns the current run. What a run that is over, cancelled or replaced still
has to say is not passed on, so nothing can land in the wrong place.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from psygnal import Signal

from napari_diffseg.errors import DiffSegError
from napari_diffseg.widgets.ui import words

if TYPE_CHECKING:
    from napari_diffseg.core.published.training import Command, Iteration
    from napari_diffseg.core.result import Segmentation

    Steps = Generator[Iteration, Command | None, Segmentation]

# Steps, or what yields the `Progress` of a run over frames and returns the last of them.
StepsMaker = Callable[[], "Generator[Any, Any, Any]"]
"""Makes the generator of a run; called in the thread of the run."""


class SessionState(Enum):
    """What the session is doing."""

    IDLE = "idle"
    RUNNING = "running"
    FINISHING = "finishing"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class RunListener:
    """What a worker tells about its run, always in the thread of the session."""

    stepped: Callable[[Iteration], None]  # Called with an `Iteration`, now and then
    # Called once with the `Segmentation`; then nothing more comes
    succeeded: Callable[[Segmentation], None]
    failed: Callable[[Exception], None]  # Called once with the exception; then nothing more comes
    # Called once where the run was ended from outside; then nothing more comes
    aborted: Callable[[], None]


class RunningWorker(Protocol):
    """A run under way."""

    def finish(self) -> None:
        """Stop within one iteration and keep what there is."""

    def cancel(self) -> None:
        """Stop within one iteration and keep nothing."""


Launcher = Callable[[StepsMaker, RunListener], RunningWorker]
"""Starts a run and returns at once."""


class SegmentationSession:
    """One run at a time."""

    state_changed = Signal(object)
    """Emitted with the new `SessionState`."""
    stepped = Signal(object)
    """Emitted with an `Iteration`."""
    succeeded = Signal(object)
    """Emitted with the `Segmentation`; the state is still running or finishing."""
    failed = Signal(object)
    """Emitted with the exception; the state is already idle."""

    def __init__(self, launch: Launcher) -> None:
        self._launch = launch
        self._state = SessionState.IDLE
        self._run: object | None = None
        self._worker: RunningWorker | None = None

    @property
    def state(self) -> SessionState:
        """What the session is doing."""
        return self._state

    @property
    def is_busy(self) -> bool:
        """Whether a run is under way."""
        return self._run is not None

    @property
    def can_finish(self) -> bool:
        """Whether a run is under way that was not told yet to end."""
        return self._state is SessionState.RUNNING

    def start(self, make_steps: StepsMaker) -> None:
        """Start a run."""
        if self.is_busy:
            raise DiffSegError(words.BUSY)
        run = object()
        slots = self.stepped.emit, self._on_success, self._on_failure, self._on_abort
        listener = RunListener(*(partial(self._hear, run, slot) for slot in slots))
        worker = self._launch(make_steps, listener)
        # Not before: where launching breaks, there is no run.
        self._run, self._worker = run, worker
        self._enter(SessionState.RUNNING)

    def finish(self) -> None:
        """End the run within one iteration and keep what there is; no run, no effect."""
        if self._worker is not None and self._state is SessionState.RUNNING:
            self._worker.finish()
            self._enter(SessionState.FINISHING)

    def cancel(self) -> None:
        """End the run and keep nothing; the session is idle at once. No run, no effect."""
        if self._worker is not None:
            self._worker.cancel()
            self._leave(SessionState.IDLE)

    def _hear(self, run: object, slot: Callable[..., None], *what: Any) -> None:
        """Pass on what the run under way says; one that is over has nothing to say any more."""
        if run is self._run:
            slot(*what)

    def _on_success(self, segmentation: Segmentation) -> None:
        try:
            self.succeeded.emit(segmentation)
        finally:
            self._leave(SessionState.DONE)

    def _on_failure(self, error: Exception) -> None:
        self._leave(SessionState.IDLE)
        self.failed.emit(error)

    def _on_abort(self) -> None:
        self._leave(SessionState.IDLE)

    def _leave(self, state: SessionState) -> None:
        self._run = self._worker = None
        self._enter(state)

    def _enter(self, state: SessionState) -> None:
        self._state = state
        self.state_changed.emit(state)
