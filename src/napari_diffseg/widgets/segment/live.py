"""What strokes ask for, decided without Qt and without layers."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from napari_diffseg.widgets.segment.request import RunRequest


class Answer(Enum):
    """What is to be done about strokes."""

    NOTHING = "they were answered already"
    UNPAINTED = "there are none"
    LATER = "when the run under way is over"
    FOLLOW = "correct the finished result"
    SEGMENT = "a run from the start"


class LiveLoop:
    """Decides what strokes ask for, and remembers which ones were answered."""

    def __init__(self) -> None:
        # By plane or volume: to come back to one asks for nothing new.
        self._asked: dict[str, RunRequest] = {}
        self._is_whole = False
        # Whether there are strokes to look at when the run under way is over.
        self.is_late = False

    def answer(
        self, request: RunRequest, *, is_busy: bool, can_follow: bool, is_painted: bool = False
    ) -> Answer:
        """Say what is to be done about the strokes of a request.

        There may be a finished result to follow from, which may have followed strokes itself;
        when the last one is erased it goes back to what it was without.

        A run from the start is not cut off by strokes: all that it has learned would be
        lost, and to follow from its end is quicker than to start it again.
        """
        self.is_late = False
        if request == self._asked.get(str(request.source.index)):
            return Answer.NOTHING
        if not request.is_painted and not (can_follow and is_painted):
            return Answer.UNPAINTED
        if is_busy and self._is_whole:
            self.is_late = True
            return Answer.LATER
        return Answer.FOLLOW if can_follow else Answer.SEGMENT

    def keep_only(self, is_open: Callable[[RunRequest], bool]) -> None:
        """Forget what was asked of images that are closed, whose pixels would stay in memory."""
        self._asked = {at: request for at, request in self._asked.items() if is_open(request)}

    def forget(self, request: RunRequest) -> None:
        """Let the same strokes ask again: what they had asked for was cancelled."""
        self._asked.pop(str(request.source.index), None)

    def started(self, request: RunRequest, *, is_whole: bool) -> None:
        """Remember what a run was told; what it reads itself is not known."""
        self._is_whole = is_whole
        self._asked[str(request.source.index)] = request.without_strokes()
