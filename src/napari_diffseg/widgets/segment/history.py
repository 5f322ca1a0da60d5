"""Results that a layer has shown, to step back through; no Qt, no layers."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_diffseg.core.result import Segmentation

MOST_RESULTS = 10
"""So many results are kept at most."""

MOST_PIXELS = 60_000_000
"""Of large images fewer are kept: those that have no more pixels together; one always is."""


class ResultHistory:
    """The results before the one on show, the newest last."""

    def __init__(self, most_results: int = MOST_RESULTS, most_pixels: int = MOST_PIXELS) -> None:
        self._most_results, self._most_pixels = most_results, most_pixels
        self._results: deque[Segmentation] = deque()

    def __len__(self) -> int:
        return len(self._results)

    def push(self, segmentation: Segmentation) -> None:
        """Keep a result that is being replaced; the oldest ones go where there are too many."""
        self._results.append(segmentation)
        while len(self._results) > 1 and self._is_too_much():
            self._results.popleft()

    def pop(self) -> Segmentation:
        """Take the newest one back."""
        return self._results.pop()

    def clear(self) -> None:
        """Forget them all."""
        self._results.clear()

    def _is_too_much(self) -> bool:
        n_pixels = sum(one.labels.size for one in self._results)
        return len(self._results) > self._most_results or n_pixels > self._most_pixels
