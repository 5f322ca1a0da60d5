"""The image of a run, made ready once at the door: scaled pixels, mask, small copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional

from napari_diffseg.core.inference import Clusters
from napari_diffseg.core.sampling import TrainingImage
from napari_diffseg.images.axes import ImageAxes, channels_first
from napari_diffseg.images.intensity import IntensityRange, finite_mask, measure_range, normalize
from napari_diffseg.images.labels import LabelNumbers, merge_small_regions
from napari_diffseg.images.superpixels import slic_superpixels
from napari_diffseg.params import SegmentationParams

PREVIEW_SIDE = 768
"""A preview is computed on no more than about this many pixels along each axis."""


@dataclass(frozen=True, eq=False, slots=True)
class Plane:
    """One plane, ready for the network.

    Attributes
    ----------
    pixels : ndarray of float32, (c, y, x)
        0 … 1 between the measured intensities.
    valid : ndarray of bool, (y, x), or None
        Where every channel is finite; None where that is everywhere.
    ranges : IntensityRange
        The intensities that became 0 and 1.
    """

    pixels: NDArray[np.float32]
    valid: NDArray[np.bool_] | None
    ranges: IntensityRange

    @classmethod
    def read(cls, image: ArrayLike, axes: ImageAxes, how: str) -> Self:
        """Read the image along its axes and scale its intensities; see `measure_range` for `how`.

        Raises
        ------
        InputError
            No pixel is finite, or every channel is constant.
        """
        raw = channels_first(image, axes)
        valid = finite_mask(raw)
        ranges = measure_range(raw, valid, how)
        return cls(normalize(raw, valid, ranges), valid, ranges)

    def training_image(self, params: SegmentationParams, device: torch.device) -> TrainingImage:
        """Move the plane to the device, with its superpixels where they are asked for."""
        superpixels = None
        if params.n_superpixels > 0:
            superpixels = slic_superpixels(self.pixels, params.n_superpixels, params.compactness)
        return TrainingImage(
            torch.from_numpy(self.pixels)[None].to(device),
            None if self.valid is None else torch.from_numpy(self.valid)[None].to(device),
            None if superpixels is None else torch.from_numpy(superpixels)[None].to(device),
        )

    @property
    def preview_step(self) -> int:
        """By how much a preview shrinks the plane; 1 for a plane that is small enough."""
        height, width = map(int, self.pixels.shape[1:])
        return -(-max(height, width) // PREVIEW_SIDE)

    def shrunk(self, pixels: Tensor) -> Tensor:
        """Average squares of `preview_step` pixels, ``1 c y x``."""
        if self.preview_step == 1:
            return pixels
        return functional.avg_pool2d(pixels, self.preview_step, ceil_mode=True)

    def preview_labels(
        self, clusters: Clusters, numbers: LabelNumbers, min_region_size: int
    ) -> NDArray[np.unsignedinteger]:
        """Turn the clusters of the shrunk plane into labels ``(y, x)`` of the whole one."""
        step = self.preview_step
        valid = None if self.valid is None else self.valid[::step, ::step]
        tidy = merge_small_regions(clusters, min_region_size // step**2, valid)
        labels = numbers.number(tidy, valid)
        if step == 1:
            return labels
        height, width = self.pixels.shape[1:]
        return labels.repeat(step, axis=0)[:height].repeat(step, axis=1)[:, :width]
