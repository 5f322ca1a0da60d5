"""One image, a plane or a volume, ready for the network: scaled pixels, mask, first stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from napari_diffseg.core.inference import reach
from napari_diffseg.images.axes import ImageAxes, channels_first
from napari_diffseg.images.hierarchy import ClusterHierarchy
from napari_diffseg.images.intensity import (
    IntensityRange,
    Pixels,
    ScaledPixels,
    finite_mask,
)
from napari_diffseg.images.local_statistics import LocalStatistics
from napari_diffseg.images.space import PLANE, Space
from napari_diffseg.images.windows import Shape, Window, inside, whole

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, slots=True)
class Plane:
    """One plane or volume, ready for the network.

    Attributes
    ----------
    pixels : ndarray of float32, (c, y, x) or (c, z, y, x), or ScaledPixels
        0 … 1 between the measured intensities.
    valid : ndarray of bool, (y, x) or (z, y, x), or None
        Where every channel is finite, there is no fill, and a person wants labels; None where
        that is everywhere.
    stage : LocalStatistics or None
        First stage of the default; None where the network sees the intensities.
    known_inputs : ndarray of float32, (d, y, x) or (d, z, y, x), or None
        The inputs of all of it, where they have been computed already.
    space : Space
    """

    pixels: Pixels
    valid: Mask | None
    stage: LocalStatistics | None
    known_inputs: Floats | None = None
    space: Space = PLANE

    @classmethod
    def read(
        cls,
        image: ArrayLike,
        axes: ImageAxes,
        ranges: IntensityRange,
        stage: LocalStatistics | None,
        space: Space,
        channels: Sequence[int],
        window: Window | None = None,
        fill: float | None = None,
    ) -> Self:
        """Read an image, or a window of it, with the intensities and first stage of another."""
        raw = channels_first(image, axes, window, channels)
        valid = finite_mask(raw, fill)
        return cls(ScaledPixels.measure(raw, valid, ranges), valid, stage, space=space)

    @property
    def shape(self) -> Shape:
        """Length of each spatial axis, in pixels."""
        return tuple(self.pixels.shape[1:])

    @property
    def finite(self) -> Mask | None:
        """Pixels that statistics are made of: also those that nobody wants a label of."""
        return self.pixels.valid if isinstance(self.pixels, ScaledPixels) else self.valid

    def is_blank(self, window: Window) -> bool:
        """Whether no pixel of a window counts, so that nothing need be computed there."""
        return self.valid is not None and not self.valid[window].any()

    @property
    def n_colors(self) -> int:
        """How many of the inputs are the pixel's own perceptual channels; they come first."""
        return int(self.pixels.shape[0])

    @property
    def n_contrasts(self) -> int:
        """How many of the inputs are local deviations; they come last."""
        return 0 if self.stage is None else self.stage.n_contrasts

    def inputs(self, window: Window, threads: int = 0) -> Floats:
        """Return what the network sees of a window, ``d (z) y x``; 0 threads: torch's number."""
        if self.known_inputs is not None:
            return self.known_inputs[:, *window]
        if self.stage is None:
            return self.pixels[:, *window]
        n_threads = threads or torch.get_num_threads()
        return self.stage.window(self.pixels, self.finite, window, n_threads)

    def colors(self, window: Window) -> Floats:
        """Return the pixel's own channels among the inputs of a window, ``c (z) y x``."""
        if self.stage is None or self.known_inputs is not None:
            return self.inputs(window)[: self.n_colors]
        return self.stage.colors(self.pixels, window)

    def around(self, window: Window, halo: Shape, threads: int = 0) -> HeldInputs:
        """Compute the inputs of a window and its halo, once for all tiles of the window."""
        near = reach(window, halo, whole(self.shape))
        return HeldInputs(self.shape, near, self.inputs(near, threads))

    def hierarchy(self, clusters: NDArray[np.integer], n_clusters: int) -> ClusterHierarchy:
        """Build the hierarchy of all clusters ``(z) y x``; for small images."""
        inputs = self.inputs(whole(self.shape))
        return ClusterHierarchy.of_pixels(
            inputs.reshape(len(inputs), -1), clusters.ravel(), n_clusters
        )

    def every(self, step: int, planes: slice = slice(None)) -> Plane:
        """Keep every so manieth pixel along y and x: noise and contrast stay, unlike in a mean.

        Of a volume, some planes only.
        """
        if step == 1 and planes == slice(None):
            return self
        few = (planes, *(slice(None, None, step),) * 2)[-self.space.n_axes :]
        valid = None if self.valid is None else self.valid[few]
        pixels = np.ascontiguousarray(self.pixels[:, *few])
        small = Plane(pixels, valid, self.stage, space=self.space)
        return replace(small, known_inputs=small.inputs(whole(small.shape)))


@dataclass(frozen=True, eq=False, slots=True)
class HeldInputs:
    """The inputs of a part of a plane, where inference reads them tile by tile.

    Attributes
    ----------
    shape : tuple of int
        Length of each spatial axis of the whole image.
    part : tuple of slice
        Where the part lies.
    values : ndarray of float32, (d, y, x) or (d, z, y, x)
        Inputs of the part.
    """

    shape: Shape
    part: Window
    values: Floats

    def inputs(self, window: Window) -> Floats:
        """Return the inputs of a window of the image that lies in the part."""
        return self.values[:, *inside(window, self.part)]
