"""What a run is told, taken down at the moment when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_diffseg.params import RunOptions, SegmentationParams
    from napari_diffseg.widgets.image.image_source import ImageSource
    from napari_diffseg.widgets.scribbles.other_planes import Lesson, OtherPlanes
    from napari_diffseg.widgets.scribbles.strokes import StrokeSource, View


@dataclass(frozen=True, slots=True)
class Order:
    """What a run is told."""

    source: ImageSource  # The pixels
    params: SegmentationParams  # What changes the result
    options: RunOptions  # What changes the machine
    scribbles: Labels | None  # The layer that is painted on, for its colours and names
    strokes: StrokeSource | None  # What of it belongs to the plane
    others: OtherPlanes  # What a run from the start learns from besides the plane
    lesson: Lesson  # What is known of those
    view: View | None = None  # What the window shows of the pixels; None for all
