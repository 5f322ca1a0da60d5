"""What is chosen in the dock, and what a run would be told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_diffseg.errors import InputError
from napari_diffseg.widgets import words
from napari_diffseg.widgets.frames import FrameSet, describe_frames
from napari_diffseg.widgets.order import Order
from napari_diffseg.widgets.other_planes import LearnFrom, choose_others, most_others
from napari_diffseg.widgets.planes import ImageSource, describe_source, guess_axes

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image

    from napari_diffseg.widgets.face import SegmentFace
    from napari_diffseg.widgets.scribbles import StrokeSource
    from napari_diffseg.widgets.scribbles_section import ScribblesSection


class Choice:
    """Reads the controls and the viewer's sliders.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Whose sliders say which plane is meant.
    face : SegmentFace
        The controls.
    section : ScribblesSection
        Has the layer that is painted on.
    """

    def __init__(
        self, viewer: napari.viewer.Viewer, face: SegmentFace, section: ScribblesSection
    ) -> None:
        self._viewer, self._face, self._section = viewer, face, section
        self._guessed_for: Image | None = None

    def source(self) -> ImageSource:
        """Return what Segment would segment now.

        Raises
        ------
        InputError
            Nothing that could be segmented.
        """
        return describe_source(self._face.images.chosen(), self._viewer.dims, self._axes())

    def frames(self) -> FrameSet:
        """Return all frames of that image; raises `InputError` as `source` does."""
        return describe_frames(self._face.images.chosen(), self._viewer.dims, self._axes())

    def order(self) -> Order:
        """Return what a run would be told now.

        Raises
        ------
        DiffSegError
            Nothing can be run.
        """
        source = self.source()
        strokes = self._section.strokes(source)
        others = choose_others(source, strokes, self._face.learn_from.chosen())
        return Order(
            source,
            self._face.params(),
            self._face.options(),
            self._section.layer,
            strokes,
            others,
            others.lesson(self._section.survey.planes or {}),
        )

    def stroke_notes(self, source: ImageSource, strokes: StrokeSource | None) -> tuple[str, ...]:
        """Return what a person should know of strokes before the run."""
        if strokes is None or not strokes.stack:
            return ()
        if self._face.learn_from.chosen() is LearnFrom.HERE:
            return (words.ONLY_HERE,)
        planes, here = self._section.survey.planes, strokes.position
        is_painted = planes is not None and here in planes
        n_elsewhere = None if planes is None else len(planes) - is_painted
        most = most_others(source)
        return (words.planes_in_words(n_elsewhere, most, is_painted=is_painted),)

    def guess_axes(self) -> None:
        """Write the letters of the axes, where another image was chosen."""
        face = self._face
        layers = face.images.chosen()
        image = layers[0] if layers else None
        # What a person typed stays for as long as the image is the same one; layers are
        # compared by ==, because napari hands out proxies of them.
        if image is None or self._guessed_for is None or image != self._guessed_for:
            self._guessed_for = image
            try:
                face.axes_edit.setText(guess_axes(image) if image is not None else "")
            except InputError:
                face.axes_edit.setText("")
        # With two axes there is nothing to choose.
        face.axes_row.setVisible(image is not None and image.ndim > 2)

    def _axes(self) -> str | None:
        face = self._face
        return face.axes_edit.text() if face.axes_row.isVisibleTo(face) else None
