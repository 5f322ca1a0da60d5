"""What the dock says before a run: what would be segmented, and why nothing can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker

from napari_diffseg.errors import DiffSegError, InputError
from napari_diffseg.image.pieces import estimate_memory
from napari_diffseg.widgets.region.region import BoxRegion, RegionKind
from napari_diffseg.widgets.segment.view import ABOUT_RUNS
from napari_diffseg.widgets.ui import words
from napari_diffseg.widgets.ui.memory_line import remedies

if TYPE_CHECKING:
    from napari_diffseg.widgets.image.image_source import ImageSource
    from napari_diffseg.widgets.segment.dock import SegmentDock
    from napari_diffseg.widgets.segment.results import Results


class Overview:
    """Brings the controls up to date with what is chosen, which it describes once."""

    def __init__(self, dock: SegmentDock) -> None:
        self._dock = dock

    def show(self) -> None:
        """Read the axes out, mark what is wrong, and say why Segment is off."""
        dock = self._dock
        busy = dock.press.is_busy
        knobs, run = dock.knobs, dock.run_view
        reason = self._show_image() or knobs.problem()
        knobs.show_parameters(dock.state.typed_params)
        run.give_reason(reason, wrong=dock.state.image is not None, busy=busy)
        run.segment_button.setEnabled(not reason and not busy)
        run.segment_button.setToolTip(reason or f"{words.HINT} ({words.KEY_SEGMENT})")
        self._show_what_can_be_done()

    def _show_what_can_be_done(self) -> None:
        """Switch on what makes sense with the result and the scribbles that there are."""
        run, results, session = self._dock.run_view, self._dock.results, self._dock.session
        shown = results.segmentation if results.finished is not None else None
        run.stop_button.setEnabled(self._dock.press.is_busy or self._dock.press.is_asked)
        run.live_box.setEnabled(self._dock.state.scribbles is not None)
        why_not = _why_no_previous(results, is_busy=session.is_busy)
        run.previous_button.setEnabled(not why_not)
        run.previous_button.setToolTip(why_not or ABOUT_RUNS["previous_button"])
        run.keep_button.setEnabled(shown is not None and not session.is_busy)
        run.uncertain_button.setEnabled(shown is not None)
        run.uncertainty_box.setEnabled(shown is not None or run.uncertainty_box.isChecked())
        painted = shown.n_labels if shown is not None and shown.only_painted else 0
        self._dock.knobs.show_merging(painted)

    def _show_image(self) -> str:
        """Show what would be segmented; return why nothing can be, or an empty text."""
        dock, state, source = self._dock, self._dock.state, None
        dock.view.show_channels()
        reason = dock.axes.show(state.channels.n_layers)
        if not reason:
            try:
                source = dock.choice.source()
                with QSignalBlocker(dock.level):
                    dock.level.offer(dock.choice.levels(), source.spatial)
            except InputError as error:
                reason = str(error)
        dock.notes.setText("" if source is None else " ".join(source.notes))
        dock.fill.show_found(None if source is None else dock.results.result_of(source))
        is_stack = source is not None and source.n_frames > 1 and not source.is_volume
        dock.learn_from.setVisible(is_stack)
        dock.learn_from.show_stack(is_movie=source is not None and source.is_movie)
        self._show_memory(source)
        if source is not None:
            return self._show_strokes(source)
        dock.scribble_notes.setText("")
        return reason

    def _show_strokes(self, source: ImageSource) -> str:
        dock = self._dock
        try:
            strokes = dock.choice.strokes(source)
        except InputError as error:
            dock.scribble_notes.setText("")
            return str(error)
        dock.section.planes.watch(strokes)
        dock.scribble_notes.setText(" ".join(dock.choice.stroke_notes(source, strokes)))
        return ""

    def _show_memory(self, source: ImageSource | None) -> None:
        """Say how much memory a run would need."""
        dock, memory = self._dock, self._dock.run_view.memory
        try:
            params = dock.state.params()
        except DiffSegError:
            source = None
        if source is None:
            memory.show_need(None)
            return
        needed = estimate_memory(
            source.image_axes,
            source.dtype,
            params,
            n_channels=len(source.channels or ()),
            is_held=source.is_in_memory,
            around=source.region.box if isinstance(source.region, BoxRegion) else None,
            device=dock.knobs.kind_of_device(),
        )
        ways_out = remedies(
            has_levels=dock.level.has_coarser(),
            has_region=dock.state.region.kind is not RegionKind.WHOLE,
            is_volume=source.is_volume,
        )
        memory.show_need(needed, ways_out)


def _why_no_previous(results: Results, *, is_busy: bool) -> str:
    if is_busy:
        return words.WAIT
    if results.finished is None:
        return words.NO_RESULT
    return "" if results.history else words.NOTHING_BEFORE
