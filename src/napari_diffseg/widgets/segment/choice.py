"""What is chosen, and what the viewer's sliders show → what a run is told. No Qt here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from psygnal import SignalGroupDescriptor

from napari_diffseg.image.fill import AUTO, read_fill
from napari_diffseg.parameters import Scalar
from napari_diffseg.params import RunOptions, SegmentationParams
from napari_diffseg.widgets.batch.frames import FrameSet
from napari_diffseg.widgets.image.axes_reading import AxesReading, AxesSaid, Extent
from napari_diffseg.widgets.image.channel_sources import ChannelWish
from napari_diffseg.widgets.image.first_look import FirstLook
from napari_diffseg.widgets.image.image_source import ImageSource
from napari_diffseg.widgets.image.layer_facts import read_layer
from napari_diffseg.widgets.image.level import (
    Level,
    choose_level,
    find_levels,
    level_note,
    preview_level,
)
from napari_diffseg.widgets.image.sources import describe_source
from napari_diffseg.widgets.region.drawn import describe_region
from napari_diffseg.widgets.region.grid import Grid
from napari_diffseg.widgets.region.region import RegionKind, RegionWish
from napari_diffseg.widgets.scribbles.other_planes import LearnFrom, choose_others, most_others
from napari_diffseg.widgets.scribbles.strokes import StrokeSource, describe_strokes, visible_part
from napari_diffseg.widgets.segment.request import RunRequest
from napari_diffseg.widgets.ui import words

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image, Labels

    from napari_diffseg.widgets.region.region import Region
    from napari_diffseg.widgets.scribbles.painted_planes import PaintedPlanes
    from napari_diffseg.widgets.segment.results import Results


@dataclass(eq=False)
class SegmentState:
    """What a person has chosen; every change of a field is an event of that name.

    Numbers stand here as they were typed, right or wrong: `params` and `options` check them.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor(warn_on_no_fields=False)

    image: Image | None = None
    axes: AxesSaid = field(default_factory=AxesSaid)  # What was said of the axes of the image
    channels: ChannelWish = field(default_factory=ChannelWish)
    level: Level | None = None  # None for what is suggested
    region: RegionWish = field(default_factory=RegionWish)
    fill: str = AUTO
    scribbles: Labels | None = None
    learn_from: LearnFrom = LearnFrom.PAINTED
    is_live: bool = False
    typed_params: Mapping[str, Scalar] = field(
        default_factory=lambda: SegmentationParams().to_dict()
    )
    typed_options: Mapping[str, Scalar] = field(default_factory=lambda: RunOptions().to_dict())

    def params(self) -> SegmentationParams:
        """Return the parameters; raises `ParameterError` where one cannot be used."""
        return SegmentationParams.from_dict(self.typed_params)

    def options(self) -> RunOptions:
        """Return the options; raises `ParameterError` where one cannot be used."""
        return RunOptions.from_dict(self.typed_options)


class Choice:
    """Reads the state and the sliders, and changes nothing.

    Every method raises a `DiffSegError` where what is chosen cannot be.
    """

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        state: SegmentState,
        results: Results,
        planes: PaintedPlanes,
    ) -> None:
        self._viewer, self._state, self._results, self._planes = viewer, state, results, planes

    def reading(self) -> AxesReading:
        """Return how the axes of the chosen image are read."""
        return read_layer(self._state.image, self._state.axes)

    def levels(self) -> tuple[Level, ...]:
        """Return the levels of the chosen image, from fine to coarse."""
        return find_levels(self._state.channels.selection().layers, self.reading().letters)

    def source(self) -> ImageSource:
        """Return what Segment would segment now, everywhere; where is told by `request`."""
        reading = self.reading()
        source = self._describe(reading, self._state.axes.extent_of(reading))
        return replace(source, fill=read_fill(self._state.fill))

    def frames(self, extent: Extent | None = None) -> FrameSet:
        """Return all frames of that image: planes or volumes, as chosen where that is None."""
        reading, selection = self.reading(), self._state.channels.selection()
        shown = self._describe(reading, extent or self._state.axes.extent_of(reading))
        names = [""] * shown.image_axes.n_channels
        for channel in selection.channels or ():
            # While the axes change, those of before may still be chosen.
            if channel.index < len(names):
                names[channel.index] = channel.name
        # A model knows itself which channels count, and how.
        info = replace(shown.info, channel_names=tuple(names))
        return FrameSet(selection.layers, replace(shown, channels=None, info=info))

    def strokes(self, source: ImageSource) -> StrokeSource | None:
        """Return the strokes on the plane of a run; None where no layer is chosen."""
        layer = self._state.scribbles
        return None if layer is None else describe_strokes(layer, source)

    def request(self, *, follows: bool = False) -> RunRequest:
        """Return what a run would be told now.

        One that follows strokes has the field of view of the result which they follow, wherever
        the view has gone since.
        """
        state, source = self._state, self.source()
        region = self._region(source, follows=follows)
        notes = () if region is None else region.notes
        source = replace(source, region=region, notes=(*source.notes, *notes))
        layer, strokes = state.scribbles, self.strokes(source)
        others = choose_others(source, strokes, state.learn_from)
        return RunRequest(
            source,
            state.params(),
            state.options(),
            others,
            others.context(self._planes.planes or {}),
            layer,
            strokes,
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
        if self._state.learn_from is LearnFrom.HERE:
            return (words.of_frames(words.ONLY_HERE, source.is_movie), *flat)
        planes, here = self._planes.planes, strokes.position
        is_painted = planes is not None and here in planes
        n_elsewhere = None if planes is None else len(planes) - is_painted
        most = most_others(source)
        said = words.planes_in_words(n_elsewhere, most, is_painted=is_painted)
        return (words.of_frames(said, source.is_movie), *flat)

    # --- pieces of the above ------------------------------------------------------------

    def _describe(self, reading: AxesReading, extent: Extent) -> ImageSource:
        selection, wanted = self._state.channels.selection(), self._state.level
        levels = find_levels(selection.layers, reading.letters)

        def describe(at: Level) -> ImageSource:
            source = describe_source(selection.layers, self._viewer.dims, reading, extent, at)
            rgb = source.rgb and selection.rgb
            return replace(source, rgb=rgb, channels=selection.channels)

        source = describe(levels[0])
        spatial = source.spatial
        level = choose_level(levels, spatial, wanted)
        if level != levels[0]:
            source = describe(level)
        coarse = preview_level(levels, spatial, level)
        look = None if coarse is None else FirstLook(describe(coarse), coarse, level)
        note = level_note(levels, spatial, wanted)
        return replace(
            source, first_look=look, notes=(*source.notes, note) if note else source.notes
        )

    def _region(self, source: ImageSource, *, follows: bool) -> Region | None:
        wish, request = self._state.region, self._results.request
        if follows and request is not None and wish.kind is RegionKind.VIEW:
            before = request.source
            if before.shows_the_same(replace(source, region=before.region)):
                return before.region
        canvas = source.canvas
        where = dict(zip(source.stack, source.position, strict=True))
        position = tuple(where.get(axis, 0) for axis in range(len(canvas.shape)))
        return describe_region(wish, Grid(canvas, source.spatial, position), self._viewer)
