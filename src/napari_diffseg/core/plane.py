"""One plane, ready for the network: scaled pixels, mask, first stage."""

from __future__ import annotations

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
from napari_diffseg.images.windows import Window, whole

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, slots=True)
class Plane:
    """One plane, ready for the network.

    Attributes
    ----------
    pixels : ndarray of float32, (c, y, x), or ScaledPixels
        0 … 1 between the measured intensities.
    valid : ndarray of bool, (y, x), or None
        Where every channel is finite; None where that is everywhere.
    stage : LocalStatistics or None
        First stage of the default; None where the network sees the intensities.
    known_inputs : ndarray of float32, (d, y, x), or None
        The inputs of the whole plane, where they have been computed already.
    """

    pixels: Pixels
    valid: Mask | None
    stage: LocalStatistics | None
    known_inputs: Floats | None = None

    @classmethod
    def read(
        cls,
        image: ArrayLike,
        axes: ImageAxes,
        ranges: IntensityRange,
        stage: LocalStatistics | None,
        window: Window | None = None,
    ) -> Self:
        """Read an image, or a window of it, with the intensities and first stage of another."""
        raw = channels_first(image, axes, window)
        valid = finite_mask(raw)
        return cls(ScaledPixels.measure(raw, valid, ranges), valid, stage)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        _, height, width = self.pixels.shape
        return height, width

    def inputs(self, rows: slice, columns: slice) -> Floats:
        """Return what the network sees of a window, ``d y x``."""
        if self.known_inputs is not None:
            return self.known_inputs[:, rows, columns]
        if self.stage is None:
            return self.pixels[:, rows, columns]
        threads = torch.get_num_threads()
        return self.stage.window(self.pixels, self.valid, rows, columns, threads)

    def colors(self, rows: slice, columns: slice) -> Floats:
        """Return the pixel's own channels among the inputs of a window, ``c y x``."""
        if self.stage is None or self.known_inputs is not None:
            return self.inputs(rows, columns)[: self.pixels.shape[0]]
        return self.stage.colors(self.pixels, rows, columns)

    def around(self, window: Window, halo: int) -> HeldInputs:
        """Compute the inputs of a window and its halo, once for all tiles of the window."""
        rows, columns = reach(window, halo, whole(self.shape))
        return HeldInputs(self.shape, (rows.start, columns.start), self.inputs(rows, columns))

    def hierarchy(self, clusters: NDArray[np.integer], n_clusters: int) -> ClusterHierarchy:
        """Build the hierarchy of the plane's clusters ``(y, x)``; for small planes."""
        inputs = self.inputs(*whole(self.shape))
        return ClusterHierarchy.of_pixels(
            inputs.reshape(len(inputs), -1), clusters.ravel(), n_clusters
        )

    def every(self, step: int) -> Plane:
        """Keep every so manieth pixel: noise and contrast stay what they are, unlike in a mean."""
        if step == 1:
            return self
        valid = None if self.valid is None else self.valid[::step, ::step]
        few = Plane(np.ascontiguousarray(self.pixels[:, ::step, ::step]), valid, self.stage)
        return replace(few, known_inputs=few.inputs(*whole(few.shape)))


@dataclass(frozen=True, eq=False, slots=True)
class HeldInputs:
    """The inputs of a part of a plane, where inference reads them tile by tile.

    Attributes
    ----------
    shape : tuple of int
        Height and width of the whole plane.
    corner : tuple of int
        First row and column of the part.
    values : ndarray of float32, (d, y, x)
        Inputs of the part.
    """

    shape: tuple[int, int]
    corner: tuple[int, int]
    values: Floats

    def inputs(self, rows: slice, columns: slice) -> Floats:
        """Return the inputs of a window of the plane, ``d y x``, that lies in the part."""
        top, left = self.corner
        return self.values[
            :, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]
