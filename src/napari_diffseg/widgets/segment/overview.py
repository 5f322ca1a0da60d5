"""What the dock says before a run: what would be segmented, and why nothing can be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_diffseg.errors import DiffSegError, InputError
from napari_diffseg.image.pieces import estimate_memory
from napari_diffseg.widgets.region.region import RegionKind
from napari_diffseg.widgets.segment.memory_line import remedies
from napari_diffseg.widgets.ui import words

if TYPE_CHECKING:
    from napari_diffseg.core.result import Segmentation
    from napari_diffseg.widgets.image.axes_section import AxesSection
    from napari_diffseg.widgets.image.image_source import ImageSource
    from napari_diffseg.widgets.scribbles.section import ScribblesSection
    from napari_diffseg.widgets.segment.choice import Choice
    from napari_diffseg.widgets.segment.face import SegmentFace
    from napari_diffseg.widgets.segment.results import Results
    from napari_diffseg.widgets.tasks.session import SegmentationSession


class Overview:
    """Brings the controls up to date with what is chosen.

    Parameters
    ----------
    face : SegmentFace
        The controls.
    choice : Choice
        What is chosen.
    axes : AxesSection
        How the axes are read.
    section : ScribblesSection
        What is painted on.
    results : Results
        The newest result.
    session : SegmentationSession
        Whether a run is under way.
    """

    def __init__(
        self,
        face: SegmentFace,
        choice: Choice,
        axes: AxesSection,
        section: ScribblesSection,
        results: Results,
        session: SegmentationSession,
    ) -> None:
        self._face, self._choice, self._axes = face, choice, axes
        self._section, self._results, self._session = section, results, session

    def show(self) -> None:
        """Read the axes out, mark what is wrong, and say why Segment is off."""
        face, busy = self._face, self._session.is_busy
        problems = {**face.params_form.problems(), **face.options_form.problems()}
        reason = self._show_image() or next(iter(problems.values()), "")
        face.show_parameters(face.params_form.values())
        face.give_reason(reason, wrong=face.images.chosen() is not None, busy=busy)
        face.segment_button.setEnabled(not reason and not busy)
        face.segment_button.setToolTip(reason or words.HINT)
        self._show_what_can_be_done()

    def _show_what_can_be_done(self) -> None:
        """Switch on what makes sense with the result and the scribbles that there are."""
        face, results, busy = self._face, self._results, self._session.is_busy
        shown = results.segmentation if results.finished is not None else None
        face.live_box.setEnabled(self._section.layer is not None)
        face.previous_button.setEnabled(bool(results.history) and not busy)
        face.uncertain_button.setEnabled(shown is not None)
        face.uncertainty_box.setEnabled(shown is not None or face.uncertainty_box.isChecked())
        face.show_merging(words.ALL_PAINTED if shown is not None and shown.only_painted else "")

    def _show_image(self) -> str:
        """Show what would be segmented; return why nothing can be, or an empty text."""
        face = self._face
        face.show_channels()
        reason = self._axes.show(self._choice.n_layers())
        source = None
        if not reason:
            try:
                source = self._choice.source()
            except InputError as error:
                reason = str(error)
        face.show_image_notes(() if source is None else source.notes)
        self._show_memory(source)
        if source is None:
            face.show_scribble_notes(())
        face.fill.show_found(self._result_of(source))
        face.learn_from.setVisible(
            source is not None and source.n_frames > 1 and not source.is_volume
        )
        return reason if source is None else self._show_strokes(source)

    def _result_of(self, source: ImageSource | None) -> Segmentation | None:
        """Return the newest result, where it is one of this image or a part of it."""
        before = self._results.source
        if source is None or before is None:
            return None
        is_same = before.shows_the_same(replace(source, region=before.region))
        return self._results.segmentation if is_same else None

    def _show_strokes(self, source: ImageSource) -> str:
        try:
            strokes = self._section.strokes(source)
        except InputError as error:
            self._face.show_scribble_notes(())
            return str(error)
        self._section.survey.watch(strokes)
        self._face.show_scribble_notes(self._choice.stroke_notes(source, strokes))
        return ""

    def _show_memory(self, source: ImageSource | None) -> None:
        """Say how much memory a run would need."""
        face = self._face
        try:
            params = face.params()
        except DiffSegError:
            source = None
        if source is None:
            face.memory.show_need(None)
            return
        needed = estimate_memory(
            source.image_axes,
            source.dtype,
            params,
            n_channels=len(source.channels or ()),
            is_held=source.is_in_memory,
        )
        ways_out = remedies(
            has_levels=face.level.has_coarser(),
            has_region=face.region.chosen().kind is not RegionKind.WHOLE,
            is_volume=source.is_volume,
        )
        face.memory.show_need(needed, ways_out)
