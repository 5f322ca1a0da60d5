"""Fewer or more labels, at once: merges those of a finished run in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari.qt.threading import create_worker

from napari_diffseg.widgets.worker import shielded_errors

if TYPE_CHECKING:
    from napari_diffseg.core.segmentation import Segmentation


class LabelMerger:
    """Answers the knob; while it is moved on, only its latest position counts.

    Parameters
    ----------
    show : callable
        Called with the new `Segmentation`, in the thread of the window.
    fail : callable
        Called with the exception where it failed.
    """

    def __init__(
        self, show: Callable[[Segmentation], None], fail: Callable[[Exception], None]
    ) -> None:
        self._show, self._fail = show, fail
        self._segmentation: Segmentation | None = None
        self._wanted: int | None = None
        self._is_busy = False

    def hold(self, segmentation: Segmentation | None) -> None:
        """Take a finished run as the one whose labels are merged; None for none."""
        self._segmentation = segmentation
        self._wanted = None

    def ask(self, n_labels: int) -> None:
        """Merge to at most so many labels, soon; without a finished run do nothing."""
        if self._segmentation is None:
            return
        self._wanted = n_labels
        if not self._is_busy:
            self._start()

    def _start(self) -> None:
        segmentation, n_labels, self._wanted = self._segmentation, self._wanted, None
        if segmentation is None or n_labels is None:
            return
        self._is_busy = True
        worker = create_worker(
            _merge, segmentation, n_labels, _start_thread=False, _ignore_errors=True
        )
        worker.returned.connect(lambda merged: self._answer(segmentation, self._show, merged))
        worker.errored.connect(lambda error: self._answer(segmentation, self._fail, error))
        worker.finished.connect(self._on_finished)
        worker.start()

    def _answer(self, segmentation: Segmentation, say: Callable[[Any], None], what: Any) -> None:
        # Of a run that has been replaced in the meantime nothing is heard any more.
        if segmentation is self._segmentation:
            say(what)

    def _on_finished(self) -> None:
        self._is_busy = False
        self._start()


def _merge(segmentation: Segmentation, n_labels: int) -> Segmentation:
    with shielded_errors():
        return segmentation.with_n_labels(n_labels)
