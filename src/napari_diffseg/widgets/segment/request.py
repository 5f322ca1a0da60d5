"""What a run is told, taken down at the moment when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_diffseg.image.arrays import checksum
from napari_diffseg.image.windows import Window
from napari_diffseg.params import RunOptions, SegmentationParams
from napari_diffseg.widgets.image.image_source import ImageSource
from napari_diffseg.widgets.scribbles.other_planes import OtherPlanes, TrainingContext
from napari_diffseg.widgets.scribbles.strokes import StrokeSource, painted_classes

if TYPE_CHECKING:
    from napari.layers import Labels


@dataclass(frozen=True, eq=False, slots=True)
class RunRequest:
    """What a run is told; two that are equal would give the same result of the same strokes."""

    source: ImageSource  # The pixels
    params: SegmentationParams  # What changes the result
    options: RunOptions  # What changes the machine
    others: OtherPlanes  # What a run from the start learns from besides the plane
    context: TrainingContext  # What is known of those
    scribbles: Labels | None = None  # The layer that is painted on, for its colours and names
    strokes: StrokeSource | None = None  # What of it belongs to the plane
    view: Window | None = None  # What the window shows of the pixels; None for all
    # The strokes (y, x) or (z, y, x); None where the run reads them itself
    painted: NDArray[Any] | None = None
    checksum: int | None = None  # Of the strokes, which need not be kept for it

    def with_strokes(self) -> RunRequest:
        """Return the request with its strokes, a copy as they are now."""
        if self.strokes is None:
            return self
        painted = self.strokes.read()
        return replace(self, painted=painted, checksum=checksum(painted))

    def without_strokes(self) -> RunRequest:
        """Return the request, which knows its strokes by their checksum only."""
        return replace(self, painted=None)

    @property
    def is_painted(self) -> bool:
        """Whether there are strokes, as far as they were read."""
        return self.painted is not None and bool(self.painted.any())

    @property
    def classes(self) -> tuple[int, ...]:
        """The classes that are painted, ascending, as far as they were read."""
        return () if self.painted is None else painted_classes(self.painted)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, RunRequest)
            and self.checksum is not None
            and self.checksum == other.checksum
            and self.params == other.params
            and self.source.shows_the_same(other.source)
        )

    __hash__ = None  # type: ignore[assignment]

    def corrects(self, before: RunRequest) -> bool:
        """Whether strokes would only correct the result of another request.

        The number of labels may be another one: it only says what is merged. Strokes on other
        planes are part of a result; it does not follow other ones.
        """
        is_same = replace(before.params, n_labels=self.params.n_labels) == self.params
        return is_same and before.source.shows_the_same(self.source)
