"""What training sees: windows that stand for the image, and random patches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_diffseg.core.inference import Window
from napari_diffseg.images.hierarchy import ClusterHierarchy
from napari_diffseg.params import SegmentationParams

MOST_PIXELS = 512 * 512
"""An image with no more pixels is trained on whole; of a larger one windows are taken."""

_WINDOWS_PER_AXIS = 6
_SMALLEST_WINDOW = 96


@dataclass(frozen=True, slots=True)
class Sample:
    """Windows of an image on the device, with what training knows of each of their pixels.

    Attributes
    ----------
    inputs : Tensor, b d y x, float32
        What the network sees.
    valid : Tensor or None, b y x, bool
        None where every pixel is valid.
    superpixels : Tensor or None, b y x, int64
        None where the superpixel refinement is off.
    """

    inputs: Tensor
    valid: Tensor | None = None
    superpixels: Tensor | None = None

    def hierarchy(self, clusters: Tensor, n_clusters: int) -> ClusterHierarchy:
        """Build the hierarchy of the sample's clusters ``(b, y, x)``; valid pixels count."""
        inputs = self.inputs.movedim(1, 0)
        counted = slice(None) if self.valid is None else self.valid.flatten()
        return ClusterHierarchy.of_pixels(
            inputs.flatten(1)[:, counted].cpu().numpy(),
            clusters.flatten()[counted].cpu().numpy(),
            n_clusters,
        )

    def crop(self, corners: Sequence[tuple[int, int, int]], size: tuple[int, int]) -> Sample:
        """Stack the patches of `size` (y, x) at these corners (b, y, x)."""

        def cut(source: Tensor) -> Tensor:
            height, width = size
            return torch.stack(
                [source[b, ..., y : y + height, x : x + width] for b, y, x in corners]
            )

        return Sample(
            cut(self.inputs),
            None if self.valid is None else cut(self.valid),
            None if self.superpixels is None else cut(self.superpixels),
        )


def training_windows(height: int, width: int, patch_size: int) -> list[Window]:
    """Choose the windows of an image that training sees, all of one size.

    Returns
    -------
    list of (slice, slice)
        One window, the whole image, where it is small or is to be trained on whole
        (patch size 0); else an even grid of windows, so that the cost of a run does not
        grow with the image.
    """
    if patch_size == 0 or height * width <= MOST_PIXELS:
        return [(slice(0, height), slice(0, width))]
    side = max(patch_size, _SMALLEST_WINDOW)

    def pieces(length: int) -> list[slice]:
        piece = min(side, length)
        last = _WINDOWS_PER_AXIS - 1
        starts = {round(i * (length - piece) / last) for i in range(_WINDOWS_PER_AXIS)}
        return [slice(start, start + piece) for start in sorted(starts)]

    return [(rows, columns) for rows in pieces(height) for columns in pieces(width)]


def sample_patches(
    sample: Sample, params: SegmentationParams, generator: torch.Generator
) -> Sample:
    """Draw the batch of one training step.

    Returns the sample itself where the patch size is 0 or it is one window that is no
    larger than a patch; else ``n_patches`` square patches at uniformly random places.
    """
    n_windows, _, height, width = sample.inputs.shape
    size = (min(params.patch_size, height), min(params.patch_size, width))
    if params.patch_size == 0 or (n_windows == 1 and size == (height, width)):
        return sample
    ranges = (n_windows, height - size[0] + 1, width - size[1] + 1)
    corners = [torch.randint(n, (params.n_patches,), generator=generator) for n in ranges]
    return sample.crop([(b, y, x) for b, y, x in torch.stack(corners, dim=1).tolist()], size)
