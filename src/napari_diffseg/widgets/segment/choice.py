"""What is chosen in the dock, and what a run would be told of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker

from napari_diffseg.errors import InputError
from napari_diffseg.widgets.batch.frames import FrameSet
from napari_diffseg.widgets.image.axes_reading import AxesReading, Extent
from napari_diffseg.widgets.image.axes_section import AxesSection
from napari_diffseg.widgets.image.channel_sources import ChannelSelection
from napari_diffseg.widgets.image.first_look import FirstLook
from napari_diffseg.widgets.image.image_source import ImageSource
from napari_diffseg.widgets.image.level import Level, find_levels, preview_level
from napari_diffseg.widgets.image.sources import describe_source
from napari_diffseg.widgets.region.grid import Grid
from napari_diffseg.widgets.region.reading import describe_region, region_layers
from napari_diffseg.widgets.region.region import RegionKind
from napari_diffseg.widgets.scribbles.other_planes import LearnFrom, choose_others, most_others
from napari_diffseg.widgets.scribbles.strokes import visible_part
from napari_diffseg.widgets.segment.order import Order
from napari_diffseg.widgets.ui import words

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Labels, Shapes

    from napari_diffseg.widgets.region.region import Region
    from napari_diffseg.widgets.scribbles.section import ScribblesSection
    from napari_diffseg.widgets.scribbles.strokes import StrokeSource
    from napari_diffseg.widgets.segment.face import SegmentFace
    from napari_diffseg.widgets.segment.results import Results


class Choice:
    """Reads the controls and the viewer's sliders."""

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        face: SegmentFace,
        axes: AxesSection,
        section: ScribblesSection,
        results: Results,
    ) -> None:
        self._viewer, self._face, self._axes = viewer, face, axes
        self._section, self._results = section, results

    # --- what is on offer ---------------------------------------------------------------

    def take(self) -> None:
        """Let the controls be about the image that is chosen, and offer what goes with it."""
        face = self._face
        first = face.images.chosen()
        self._axes.take(first)
        try:
            letters = self._axes.letters()
        except InputError:
            first, letters = None, ""
        with QSignalBlocker(face.channels):
            face.channels.offer(first, face.images.others(), letters)
        with QSignalBlocker(face.region):
            face.region.offer([one for one in region_layers(self._viewer) if self._is_drawn(one)])

    # --- what a run would be told -------------------------------------------------------

    def n_layers(self) -> int:
        """Return how many layers are taken together, each of them a channel."""
        try:
            return len(self._selection().layers)
        except InputError:
            return 1

    def source(self) -> ImageSource:
        """Return what Segment would segment now, everywhere; where is told by `order`."""
        reading, layers = self._axes.reading(), self._selection().layers
        extent = self._axes.extent(reading)
        levels = find_levels(layers, reading.letters)
        with QSignalBlocker(self._face.level):
            spatial = describe_source(layers, self._viewer.dims, reading, extent).spatial
            self._face.level.offer(levels, spatial)
        return replace(self._describe(reading, extent), fill=self._face.fill.chosen())

    def frames(self, extent: Extent | None = None) -> FrameSet:
        """Return all frames of that image; raises `InputError` as `source` does."""
        reading, selection = self._axes.reading(), self._selection()
        shown = self._describe(reading, extent or self._axes.extent(reading))
        names = [""] * shown.image_axes.n_channels
        for channel in selection.channels or ():
            names[channel.index] = channel.name
        # A model knows itself which channels count, and how.
        shown = replace(shown, channels=None)
        return FrameSet(selection.layers, shown, reading.letters, tuple(names))

    def order(self, *, follows: bool = False) -> Order:
        """Return what a run would be told now."""
        source = self.source()
        source = replace(source, region=self._region(source, follows=follows))
        if source.region is not None:
            source = replace(source, notes=(*source.notes, *source.region.notes))
        layer, strokes = self._section.layer, self._section.strokes(source)
        others = choose_others(source, strokes, self._face.learn_from.chosen())
        return Order(
            source,
            self._face.params(),
            self._face.options(),
            layer,
            strokes,
            others,
            others.lesson(self._section.survey.planes or {}),
            None if layer is None else visible_part(layer, source, self._viewer.dims),
        )

    def stroke_notes(self, source: ImageSource, strokes: StrokeSource | None) -> tuple[str, ...]:
        """Return what a person should know of strokes before the run."""
        if strokes is None:
            return ()
        flat = (words.PAINT_IN_2D,) if self._viewer.dims.ndisplay > 2 else ()
        if not strokes.stack:
            return flat
        if source.is_volume:
            return (words.ONLY_THIS_VOLUME, *flat)
        if self._face.learn_from.chosen() is LearnFrom.HERE:
            return (words.ONLY_HERE, *flat)
        planes, here = self._section.survey.planes, strokes.position
        is_painted = planes is not None and here in planes
        n_elsewhere = None if planes is None else len(planes) - is_painted
        most = most_others(source)
        return (words.planes_in_words(n_elsewhere, most, is_painted=is_painted), *flat)

    # --- pieces of the above ------------------------------------------------------------

    def _selection(self) -> ChannelSelection:
        return self._face.channels.selection()

    def _describe(self, reading: AxesReading, extent: Extent) -> ImageSource:
        selection, chooser = self._selection(), self._face.level
        levels = find_levels(selection.layers, reading.letters)
        level = chooser.chosen()
        level = level if level in levels else levels[0]

        def describe(at: Level) -> ImageSource:
            source = describe_source(selection.layers, self._viewer.dims, reading, extent, at)
            rgb = source.rgb and selection.rgb
            return replace(source, rgb=rgb, channels=selection.channels)

        source, note = describe(level), chooser.note()
        coarse = preview_level(levels, source.spatial, level)
        look = None if coarse is None else FirstLook(describe(coarse), coarse, level)
        notes = (*source.notes, note) if note else source.notes
        return replace(source, first_look=look, notes=notes)

    def _is_drawn(self, layer: Labels | Shapes) -> bool:
        """Whether a layer is neither a result nor painted on to show what is what."""
        scribbles = self._section.layer
        return not self._results.owns(layer) and (scribbles is None or layer != scribbles)

    def _region(self, source: ImageSource, *, follows: bool) -> Region | None:
        wish, before = self._face.region.chosen(), self._results.source
        if follows and before is not None and wish.kind is RegionKind.VIEW:
            there = replace(source, region=before.region)
            if before.shows_the_same(there):
                return before.region
        canvas = source.canvas
        where = dict(zip(source.stack, source.position, strict=True))
        position = tuple(where.get(axis, 0) for axis in range(len(canvas.shape)))
        return describe_region(wish, Grid(canvas, source.spatial, position), self._viewer)
