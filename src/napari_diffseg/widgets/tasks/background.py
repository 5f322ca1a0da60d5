"""A question at a time in a thread of its own; while it is answered, only the latest counts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from napari.qt.threading import create_worker

from napari_diffseg.widgets.tasks.worker import shielded_errors


class LatestAnswer:
    """Answers questions about one subject, such as a finished run."""

    def __init__(
        self,
        work: Callable[[Any, Any], Any],
        show: Callable[[Any], None],
        fail: Callable[[Exception], None],
        turn: AbstractContextManager[Any] | None = None,
    ) -> None:
        self._work, self._show, self._fail = work, show, fail
        self._turn = turn or nullcontext()
        self._subject: Any = None
        self._n_held = 0
        self._waiting: list[Any] = []
        self._is_busy = False

    def hold(self, subject: Any) -> None:
        """Take another subject; None for none. Of the one before nothing more is heard."""
        self._subject = subject
        self._n_held += 1
        self._waiting.clear()

    def ask(self, question: Any) -> None:
        """Answer this question, soon; without a subject do nothing."""
        if self._subject is None:
            return
        self._waiting[:] = [question]
        if not self._is_busy:
            self._start()

    def _start(self) -> None:
        if not self._waiting:
            return
        # A finished worker is kept by napari for a while, its subject must not be.
        task = [(self._subject, self._waiting.pop())]
        number = self._n_held
        self._is_busy = True
        worker = create_worker(self._answered, task, _start_thread=False, _ignore_errors=True)
        worker.returned.connect(lambda answer: self._say(number, self._show, answer))
        worker.errored.connect(lambda error: self._say(number, self._fail, error))
        worker.finished.connect(self._on_finished)
        worker.start()

    def _answered(self, task: list[tuple[Any, Any]]) -> Any:
        subject, question = task.pop()
        with self._turn, shielded_errors():
            return self._work(subject, question)

    def _say(self, number: int, say: Callable[[Any], None], what: Any) -> None:
        # A subject that has been replaced in the meantime has nothing to say any more.
        if number == self._n_held:
            say(what)

    def _on_finished(self) -> None:
        self._is_busy = False
        self._start()
