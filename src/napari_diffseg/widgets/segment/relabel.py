"""Fewer or more labels, at once: merges those of a finished run in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from napari_diffseg.widgets.tasks.background import LatestAnswer

if TYPE_CHECKING:
    from napari_diffseg.core.result import Segmentation


class LabelMerger(LatestAnswer):
    """Answers the knob; while it is moved on, only its latest position counts."""

    def __init__(
        self,
        show: Callable[[Segmentation], None],
        fail: Callable[[Exception], None],
        turn: AbstractContextManager[Any] | None = None,
    ) -> None:
        super().__init__(_merge, show, fail, turn)


def _merge(segmentation: Segmentation, n_labels: int) -> Segmentation:
    return segmentation.with_n_labels(n_labels)
