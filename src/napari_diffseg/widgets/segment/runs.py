"""The runs of the dock: from a press of Segment, or a stroke, to the result on its layer."""

from __future__ import annotations

from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_diffseg.errors import DiffSegError
from napari_diffseg.widgets.segment.live import Answer, LiveLoop
from napari_diffseg.widgets.segment.steps import steps_maker
from napari_diffseg.widgets.tasks.session import SegmentationSession, SessionState
from napari_diffseg.widgets.tasks.worker import LatestAnswer, ThreadedRun
from napari_diffseg.widgets.ui import words
from napari_diffseg.widgets.ui.notices import notify_of

if TYPE_CHECKING:
    from napari_diffseg.core.published.training import Iteration
    from napari_diffseg.core.result import Segmentation
    from napari_diffseg.widgets.segment.choice import SegmentState
    from napari_diffseg.widgets.segment.request import RunRequest
    from napari_diffseg.widgets.segment.results import Results

_LONG = 1.0
"""After so many seconds of following strokes there is a bar."""


class Runs:
    """Starts runs, takes what they say to their layers, and merges the labels of the newest.

    One run computes at a time; whatever else computes in this dock waits for `turn`.
    """

    said = Signal(str, bool)
    """Emitted with a sentence for the status line, and whether something is wrong."""
    progressed = Signal(int, object)
    """Emitted with how much is done, and of how much; None where no run is under way."""
    begun = Signal()
    """Emitted when the layer of a run is there."""
    changed = Signal()
    """Emitted when a run is in another state, or another result is on show."""
    ended = Signal()
    """Emitted when a run is over, however it ended."""

    def __init__(self, state: SegmentState, results: Results, turn: Lock) -> None:
        self._state, self.results = state, results
        self._task = Answer.SEGMENT
        self.loop = LiveLoop()
        self.is_starting = False
        self.session = session = SegmentationSession(partial(ThreadedRun, turn=turn))
        session.state_changed.connect(self._on_state)
        session.stepped.connect(self._on_step)
        session.succeeded.connect(self._on_success)
        session.failed.connect(self._on_failure)
        self.merger = LatestAnswer(merge_labels, self._on_merged, self.fail, turn)
        self.merger.hold(results.segmentation)

    def say(self, sentence: str) -> None:
        """Say something that is as it should be."""
        self.said.emit(sentence, False)

    def fail(self, error: Exception) -> None:
        """Say what went wrong."""
        self.said.emit(words.error_in_words(error), True)
        notify_of(error)

    # --- what a person does ---------------------------------------------------------

    def start(self, request: RunRequest) -> None:
        """Start a run from the start; it shows what it finds on the newest layer of the plane."""
        self.results.let_go_of_edited()
        in_memory = request.strokes is not None and request.strokes.is_in_memory
        self._run(request.with_strokes() if in_memory else request, Answer.SEGMENT)

    def follow(self, request: RunRequest, task: Answer) -> None:
        """Start what strokes ask for, on the layer of the result that they are to change."""
        # A result that a person has edited is left as it is, and a new layer is made.
        self.may_change_result()
        self._run(request, task)

    def cancel(self) -> None:
        """Cancel the run under way; its layer is as it was before."""
        self.session.cancel()
        self._give_up()

    def give_up(self) -> None:
        """Cancel the run for a person; strokes that waited for its end begin no other by it."""
        self.loop.is_late = False
        self.cancel()
        self.say(words.GIVEN_UP)

    def step_back(self) -> None:
        """Show the result before this one."""
        if self.session.is_busy or not self.may_change_result():
            return
        if self.results.step_back():
            self.merger.hold(self.results.segmentation)
            self.changed.emit()
            self.say(words.BACK)

    def keep(self) -> None:
        """Keep a copy of the result on show, for the next run writes to its layer."""
        name = self.results.keep()
        if name:
            self.say(words.kept_in_words(name))

    def merge(self, n_labels: int) -> None:
        """Merge the labels of the result on show to so many."""
        if self.may_change_result():
            self.merger.ask(n_labels)

    def base_for(self, request: RunRequest) -> Segmentation | None:
        """Return the result which a request would correct; None where there is none."""
        segmentation, before = self.results.segmentation, self.results.request
        if segmentation is None or before is None or not segmentation.can_be_corrected:
            return None
        return segmentation if request.corrects(before) else None

    def may_change_result(self) -> bool:
        """Whether a finished result is as it came; one that a person edited is let go."""
        if self.results.let_go_of_edited():
            self.merger.hold(None)
            self.say(words.EDITED)
        return self.results.finished is not None

    def on_layer_removed(self, layer: Any) -> None:
        """Let go of a layer that was removed; a run that wrote to it is cancelled."""
        was_running, was_finished = self.results.on_removed(layer)
        if was_running:
            self.session.cancel()
            self.say(words.REMOVED)
        self.loop.keep_only(lambda request: self.results.is_open(request.source))
        if was_running or was_finished or self.results.segmentation is None:
            self._follow_knob()

    def close(self) -> None:
        """End the run and hear of nothing any more."""
        session = self.session
        for signal in (session.state_changed, session.stepped, session.succeeded, session.failed):
            signal.disconnect()
        session.cancel()
        for signal in (self.said, self.progressed, self.begun, self.changed, self.ended):
            signal.disconnect()
        self.merger.hold(None)

    # --- a run ----------------------------------------------------------------------

    def _run(self, request: RunRequest, task: Answer) -> None:
        results = self.results
        self._task, self.is_starting = task, True
        # What is merged from now on would be written over the previews.
        self.merger.hold(None)
        try:
            results.begin(request, corrects=task is Answer.FOLLOW)
            layer = results.running
            self.begun.emit()
            self.loop.started(request, is_whole=task is Answer.SEGMENT)
            base = results.segmentation if task is Answer.FOLLOW else None
            # napari lets other events through while it adds a layer; it may be gone again.
            if results.running is layer:
                self.session.start(steps_maker(request, base))
        finally:
            self.is_starting = False
            if not self.session.is_busy:
                self._give_up()

    def _on_state(self, state: SessionState) -> None:
        running = state in (SessionState.RUNNING, SessionState.FINISHING)
        is_whole = self._task is Answer.SEGMENT
        self.progressed.emit(0, 0 if running and is_whole else None)
        if state is SessionState.RUNNING:
            self.say(words.STARTING if is_whole else words.FOLLOWING)
        elif state is SessionState.FINISHING:
            self.say(words.FINISHING)
        else:
            self.ended.emit()
        self.changed.emit()

    def _on_step(self, facts: Iteration) -> None:
        if facts.labels is not None and self.results.running is not None:
            self.results.running.show_preview(facts.labels)
        if self._task is not Answer.SEGMENT:
            self._on_followed(facts)
            return
        if self.session.state is SessionState.RUNNING:
            self.say(words.progress_in_words(facts))
        self.progressed.emit(facts.index, facts.n_iterations)

    def _on_followed(self, facts: Iteration) -> None:
        """Show how far strokes are followed, where that takes long enough to be seen."""
        if facts.labels is not None and self.session.can_finish:
            self.say(words.FOLLOWING_REST)
        if facts.seconds > _LONG:
            self.progressed.emit(facts.index, facts.n_iterations + 1)

    def _on_success(self, segmentation: Segmentation) -> None:
        if self.results.running is None:
            return
        self.results.complete(segmentation)
        is_whole = self._task is Answer.SEGMENT
        said = (words.result_in_words if is_whole else words.followed_in_words)(segmentation)
        request = self.results.request
        self.say(words.of_frames(said, request is not None and request.source.is_movie))
        self._follow_knob()

    def _on_failure(self, error: Exception) -> None:
        self._give_up()
        self.fail(error)

    def _give_up(self) -> None:
        self.results.abandon()
        self._follow_knob()
        self.changed.emit()

    def _follow_knob(self) -> None:
        """Merge the labels on show as the knob says, which may have been moved in a run."""
        result = None if self.results.finished is None else self.results.segmentation
        self.merger.hold(result)
        try:
            wanted = self._state.params().n_labels
        except DiffSegError:
            return
        if self.results.params_of(self._state.image) is None:
            return  # the knob is about another image now
        if result is not None and wanted != result.params.n_labels and not result.only_painted:
            self.merger.ask(wanted)

    def _on_merged(self, segmentation: Segmentation) -> None:
        # Asked again: a person may have painted while the labels were merged.
        if self.may_change_result():
            self.results.replace(segmentation)
            self.say(words.merged_in_words(segmentation))


def merge_labels(segmentation: Segmentation, n_labels: int) -> Segmentation:
    """Merge the labels of a finished run to so many."""
    return segmentation.with_n_labels(n_labels)
