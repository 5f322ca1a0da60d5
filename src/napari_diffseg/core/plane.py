"""One image, a plane or a volume, ready for the network: scaled pixels, mask, first stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from napari_diffseg.core.features.extraction import Features
from napari_diffseg.core.features.pyramid import KeptPlanes
from napari_diffseg.core.features.region_map import RegionMap
from napari_diffseg.image.arrays import Mask
from napari_diffseg.image.axes import ImageAxes, channels_first
from napari_diffseg.image.intensity import (
    IntensityRange,
    Pixels,
    ScaledPixels,
    finite_mask,
)
from napari_diffseg.image.space import PLANE, Space
from napari_diffseg.image.windows import Shape, Window


@dataclass(frozen=True, eq=False, slots=True)
class Plane:
    """One plane or volume for the network: ``c (z) y x``, 0 … 1 between the measured intensities.

    `valid`, ``(z) y x``: finite in every channel, no fill, labels wanted (None: all). `stage` is
    the first of the default; None where the network sees the intensities. `kept` are the
    planes of a volume that were looked at.
    """

    pixels: Pixels
    valid: Mask | None
    stage: Features | None
    space: Space = PLANE
    kept: KeptPlanes | None = None

    @classmethod
    def read(
        cls,
        image: ArrayLike,
        axes: ImageAxes,
        ranges: IntensityRange,
        stage: Features | None,
        space: Space,
        channels: Sequence[int],
        window: Window | None = None,
        fill: float | None = None,
    ) -> Self:
        """Read an image, or a window of it, with the intensities and first stage of another."""
        raw = channels_first(image, axes, window, channels)
        valid = finite_mask(raw, fill)
        return cls(ScaledPixels.measure(raw, valid, ranges), valid, stage, space=space)

    def within(self, region: Mask | None, window: Window) -> Self:
        """Return this window of an image with labels wanted inside its region only."""
        if region is None:
            return self
        wanted = region[window]
        return replace(self, valid=wanted if self.valid is None else self.valid & wanted)

    @property
    def shape(self) -> Shape:
        """Length of each spatial axis, in pixels."""
        return tuple(self.pixels.shape[1:])

    def is_blank(self, window: Window) -> bool:
        """Whether no pixel of a window counts, so that nothing need be computed there."""
        return self.valid is not None and not self.valid[window].any()

    def inputs(self, window: Window) -> NDArray[np.float32]:
        """Return what the published network sees of a window, ``c (z) y x``."""
        return self.pixels[:, *window]

    def regions(self, window: Window, device: torch.device) -> RegionMap:
        """Cut a window into leaves, with what is known of each; for the default."""
        if self.stage is None:
            raise ValueError("a plane with the features of the default was asked for")
        valid = None if self.valid is None else self.valid[window]
        inputs = self.stage.window(self.pixels, window, device, self.kept)
        return RegionMap.of(self.stage, inputs, valid)

    def every(self, step: int, planes: slice = slice(None)) -> Plane:
        """Keep every n-th pixel along y and x: noise and contrast stay, unlike in a mean.

        Of a volume, some planes only.
        """
        if step == 1 and planes == slice(None):
            return self
        few = (planes, *(slice(None, None, step),) * 2)[-self.space.n_axes :]
        valid = None if self.valid is None else self.valid[few]
        pixels = np.ascontiguousarray(self.pixels[:, *few])
        return replace(self, pixels=pixels, valid=valid, kept=None)
