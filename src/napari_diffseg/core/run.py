"""What is known of a run once its image is read; the same for both designs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_diffseg.core.model.application import Labels
from napari_diffseg.core.model.model import Model, ModelFacts
from napari_diffseg.core.plane import Plane
from napari_diffseg.core.reading import Reading
from napari_diffseg.image.windows import Window, grow, inside
from napari_diffseg.params import RunOptions, SegmentationParams

_PREVIEW_SIDE = 512


@dataclass(frozen=True, eq=False, slots=True)
class Run:
    """One run.

    Attributes
    ----------
    reading : Reading
        The images.
    params : SegmentationParams
    options : RunOptions
    device : torch.device
    start : float
        `time.perf_counter` at its start.
    look_at : int or None
        The plane of a volume that a person looks at.
    """

    reading: Reading
    params: SegmentationParams
    options: RunOptions
    device: torch.device
    start: float
    look_at: int | None

    @property
    def plane(self) -> Plane:
        """The image to label."""
        return self.reading.planes[0]

    @property
    def seconds(self) -> float:
        """Time since its start."""
        return time.perf_counter() - self.start

    def model(self, **learned: Any) -> Model:
        """Return a model of what was learned."""
        axes = self.reading.axes
        letters = "".join(letter for letter in axes.axes if letter in "C" + axes.spatial)
        return Model(
            params=self.params,
            ranges=self.reading.ranges,
            stage=self.plane.stage,
            facts=ModelFacts(letters, axes.rgb, self.reading.dtype),
            channels=self.reading.channels,
            n_source_channels=axes.n_channels,
            fill=self.reading.fill,
            space=self.plane.space,
            **learned,
        )


@dataclass(frozen=True, eq=False, slots=True)
class PreviewPlane:
    """What previews are made of: every n-th pixel; of a volume the plane that is looked at.

    Attributes
    ----------
    whole : Plane
        The image.
    small : Plane
        Its pixels that are looked at.
    step : int
        n.
    shown : tuple of slice
        Of a volume where the plane lies; else nothing.
    area : tuple of slice
        Of the small one, what is shown.
    """

    whole: Plane
    small: Plane
    step: int
    shown: Window
    area: Window

    @classmethod
    def of(cls, run: Run, side: int = _PREVIEW_SIDE) -> PreviewPlane:
        """Choose the pixels of a run's image; along its longer side no more than so many."""
        plane = run.plane
        step = -(-max(plane.shape[-2:]) // side)
        shown: Window = ()
        read: Window = ()
        if plane.space.is_volume:
            n_planes = plane.shape[0]
            at = n_planes // 2 if run.look_at is None else min(max(run.look_at, 0), n_planes - 1)
            shown = (slice(at, at + 1),)
            read = grow(shown, (2,), plane.shape[:1])
        small = plane.every(step, *read)
        area = (*inside(shown, read), *(slice(0, length) for length in small.shape[-2:]))
        return cls(plane, small, step, shown, area)

    def enlarged(self, labels: Labels) -> Labels:
        """Return labels of the area ``(y, x)`` as those of the image; 0 where none was made."""
        height, width = self.whole.shape[-2:]
        found = labels.repeat(self.step, axis=-2)[..., :height, :]
        found = found.repeat(self.step, axis=-1)[..., :width]
        if not self.shown:
            return found
        placed: NDArray[Any] = np.zeros(self.whole.shape, found.dtype)
        placed[self.shown] = found
        return placed

    def smallest_piece(self, min_region_size: int) -> int:
        """Return the size of the smallest piece in these pixels."""
        return min_region_size // self.step**2
