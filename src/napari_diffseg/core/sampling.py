"""What training sees: windows that stand for the image, and random patches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from torch import Tensor

from napari_diffseg.core.losses import IGNORED
from napari_diffseg.images.hierarchy import ClusterHierarchy
from napari_diffseg.images.intensity import Pixels
from napari_diffseg.images.windows import Window
from napari_diffseg.params import SegmentationParams

MOST_PIXELS = 512 * 512
"""An image with no more pixels is trained on whole; of a larger one windows are taken."""

_SMALLEST_WINDOW = 96
_MOST_LOOKED_AT = 1_000_000  # pixels of which the variation is computed

Floats = NDArray[np.float64]


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
        −1 where a pixel has no vote; None where the superpixel refinement is off.
    n_superpixels : int
        Superpixels of the whole image.
    painted : Tensor or None, b y x, int64
        Index of the class that is painted, `core.losses.IGNORED` elsewhere; None where
        nothing is.
    """

    inputs: Tensor
    valid: Tensor | None = None
    superpixels: Tensor | None = None
    n_superpixels: int = 0
    painted: Tensor | None = None

    @property
    def unpainted(self) -> Tensor | None:
        """Pixels that are valid and not painted, b y x; None where all are."""
        if self.painted is None:
            return self.valid
        free = self.painted == IGNORED
        return free if self.valid is None else free & self.valid

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
            self.n_superpixels,
            None if self.painted is None else cut(self.painted),
        )


def training_windows(
    pixels: Pixels,
    valid: NDArray[np.bool_] | None,
    patch_size: int,
    strokes: NDArray[np.bool_] | None = None,
    *,
    most_pixels: int = MOST_PIXELS,
    largest: tuple[int, int] | None = None,
) -> list[Window]:
    """Choose the windows of an image that training sees, all of one size.

    Parameters
    ----------
    pixels : ndarray of float32, (c, y, x), or ScaledPixels
    valid : ndarray of bool, (y, x), or None
    patch_size : int
    strokes : ndarray of bool, (y, x), optional
        Painted pixels: they count more than all variation.
    most_pixels : int
        Pixels of all windows together, about; an image with no more is taken whole.
    largest : tuple of int, optional
        Height and width that no window may exceed, for images of several sizes: none is
        taken whole then.

    Returns
    -------
    list of (slice, slice)
        One window, the whole image, where it is small or is to be trained on whole
        (patch size 0). Else the image is divided by an even grid, and of each field the
        window in which the intensities vary most is taken: the cost of a run does not
        grow with the image, and no field with something in it is missed.
    """
    _, height, width = pixels.shape
    if patch_size == 0 or (largest is None and height * width <= most_pixels):
        return [(slice(0, height), slice(0, width))]
    side = max(patch_size, _SMALLEST_WINDOW)
    limits = largest or (height, width)
    size = (min(side, limits[0]), min(side, limits[1]))
    n_fields = max(int(most_pixels**0.5) // side, 1)
    step = max(round((height * width / _MOST_LOOKED_AT) ** 0.5), 1)
    variation = _variation(pixels[:, ::step, ::step], size, step)
    if strokes is not None:
        # The blocks that the steps jump over count too: a stroke is thin.
        painted = np.add.reduceat(strokes, np.arange(0, height, step), axis=0, dtype=float)
        painted = np.add.reduceat(painted, np.arange(0, width, step), axis=1)
        share = uniform_filter(painted, (max(size[0] // step, 1), max(size[1] // step, 1)))
        variation += share * (variation.max() + 1) * painted.size
    if valid is not None:
        variation[~valid[::step, ::step]] = -1.0
    windows = []
    for rows in np.array_split(np.arange(variation.shape[0]), n_fields):
        for columns in np.array_split(np.arange(variation.shape[1]), n_fields):
            if rows.size and columns.size:
                field = variation[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
                y, x = np.unravel_index(field.argmax(), field.shape)
                middle = ((rows[0] + int(y)) * step, (columns[0] + int(x)) * step)
                windows.append(window_around(middle, size, (height, width)))
    return windows


def _variation(pixels: NDArray[np.float32], size: tuple[int, int], step: int) -> Floats:
    """Variance of the intensities within a window around each pixel ``(y, x)``."""
    box = (max(size[0] // step, 1), max(size[1] // step, 1))
    variance = np.zeros(pixels.shape[1:])
    for channel in pixels.astype(np.float64):
        mean = uniform_filter(channel, box)
        variance += uniform_filter(channel**2, box) - mean**2
    return variance


def window_around(middle: tuple[int, int], size: tuple[int, int], shape: tuple[int, int]) -> Window:
    """Return the window of a size around a pixel, moved so that it lies within the shape."""
    rows, columns = (
        slice(start, start + piece)
        for start, piece in (
            (min(max(at - piece // 2, 0), length - piece), piece)
            for at, piece, length in zip(middle, size, shape, strict=True)
        )
    )
    return rows, columns


def sample_patches(
    sample: Sample, params: SegmentationParams, generator: torch.Generator
) -> Sample:
    """Draw the batch of one training step.

    Returns the sample itself where the patch size is 0 or it is one window that is no
    larger than a patch; else ``n_patches`` square patches around random valid pixels, every
    other one around a painted pixel where there are any.
    """
    n_windows, _, height, width = sample.inputs.shape
    size = (min(params.patch_size, height), min(params.patch_size, width))
    if params.patch_size == 0 or (n_windows == 1 and size == (height, width)):
        return sample
    if sample.valid is None and sample.painted is None:
        ranges = (n_windows, height - size[0] + 1, width - size[1] + 1)
        columns = [torch.randint(n, (params.n_patches,), generator=generator) for n in ranges]
        corners = torch.stack(columns, dim=1)
    else:
        middles = _random_pixels(sample, params.n_patches, generator)
        corners = middles - torch.tensor([0, size[0] // 2, size[1] // 2])
        corners[:, 1].clamp_(0, height - size[0])
        corners[:, 2].clamp_(0, width - size[1])
    return sample.crop([(b, y, x) for b, y, x in corners.tolist()], size)


def _random_pixels(sample: Sample, n_patches: int, generator: torch.Generator) -> Tensor:
    """Choose pixels ``(n, 3)``, as window, y, x."""
    everywhere = torch.ones_like(sample.inputs[:, 0], dtype=torch.bool)
    places = (everywhere if sample.valid is None else sample.valid).nonzero().cpu()
    pixels = places[torch.randint(len(places), (n_patches,), generator=generator)]
    if sample.painted is not None and (painted := sample.painted != IGNORED).any():
        strokes = painted.nonzero().cpu()
        pixels[::2] = strokes[
            torch.randint(len(strokes), pixels[::2].shape[:1], generator=generator)
        ]
    return pixels
