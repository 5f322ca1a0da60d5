"""What a training step sees: random patches of the image, or all of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from napari_diffseg.params import SegmentationParams


@dataclass(frozen=True, slots=True)
class TrainingImage:
    """An image on the device, with what training knows of each of its pixels.

    Attributes
    ----------
    pixels : Tensor, 1 c y x, float32
    valid : Tensor or None, 1 y x, bool
        None where every pixel is valid.
    superpixels : Tensor or None, 1 y x, int64
        None where the superpixel refinement is off.
    """

    pixels: Tensor
    valid: Tensor | None = None
    superpixels: Tensor | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels (y, x)."""
        return self.pixels.shape[2], self.pixels.shape[3]

    def crop(self, corners: list[tuple[int, int]], size: tuple[int, int]) -> TrainingImage:
        """Stack the windows of `size` (y, x) at these upper left corners along b."""

        def cut(source: Tensor) -> Tensor:
            height, width = size
            return torch.cat([source[..., y : y + height, x : x + width] for y, x in corners])

        return TrainingImage(
            cut(self.pixels),
            None if self.valid is None else cut(self.valid),
            None if self.superpixels is None else cut(self.superpixels),
        )


def sample_patches(
    image: TrainingImage, params: SegmentationParams, generator: torch.Generator
) -> TrainingImage:
    """Draw the batch of one training step.

    Returns the whole image where the patch size is 0 or the image is no larger;
    else ``n_patches`` square patches at uniformly random places.
    """
    height, width = image.shape
    size = (min(params.patch_size, height), min(params.patch_size, width))
    if params.patch_size == 0 or size == (height, width):
        return image
    rows = torch.randint(height - size[0] + 1, (params.n_patches,), generator=generator)
    columns = torch.randint(width - size[1] + 1, (params.n_patches,), generator=generator)
    return image.crop(list(zip(rows.tolist(), columns.tolist(), strict=True)), size)


def spread_patches(image: TrainingImage, side: int = 128, per_axis: int = 4) -> TrainingImage:
    """Cut a regular grid of patches that stands for the whole image.

    An image of at most ``(side · per_axis)²`` pixels is returned whole, so the cost
    does not grow with the image beyond that.
    """
    height, width = image.shape
    if height * width <= (side * per_axis) ** 2:
        return image
    size = (min(side, height), min(side, width))

    def starts(length: int, piece: int) -> list[int]:
        return sorted({round(i * (length - piece) / (per_axis - 1)) for i in range(per_axis)})

    corners = [(y, x) for y in starts(height, size[0]) for x in starts(width, size[1])]
    return image.crop(corners, size)
