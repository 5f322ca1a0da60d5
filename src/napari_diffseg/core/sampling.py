"""What training sees: windows that stand for the image, and random patches of them."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from torch import Tensor

from napari_diffseg.core.published.losses import IGNORED
from napari_diffseg.image.intensity import Pixels
from napari_diffseg.image.pieces import patch_shape, sample_shape, window_shape
from napari_diffseg.image.space import PLANE, Space
from napari_diffseg.image.windows import Shape, Window, whole
from napari_diffseg.image.windows import size as _size
from napari_diffseg.numeric.hierarchy import ClusterHierarchy
from napari_diffseg.params import SegmentationParams

_MOST_PIXELS = {2: 512 * 512, 3: 1 << 20}
_SMALLEST_WINDOW = {2: 96, 3: 64}
_WINDOW_DEPTH = 0.25  # of a window of a volume, beside its width
_PARTS_ALONG = 4  # y and x, of one image
_MOST_WHOLE = 4  # images that are learned from whole, where they are one window each
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

    def crop(self, corners: Sequence[Sequence[int]], size: tuple[int, ...]) -> Sample:
        """Stack the patches of `size` (y, x) at these corners (b, y, x); of volumes with z."""

        def cut(source: Tensor) -> Tensor:
            pieces = []
            for b, *corner in corners:
                piece = source[b]
                for axis, (start, length) in enumerate(zip(corner, size, strict=True)):
                    piece = piece.narrow(axis - len(size), start, length)
                pieces.append(piece)
            return torch.stack(pieces)

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
    space: Space = PLANE,
    n_images: int = 1,
    largest: Shape | None = None,
) -> list[Window]:
    """Choose the windows of an image that training sees, all of one size.

    Parameters
    ----------
    pixels : ndarray of float32, (c, y, x) or (c, z, y, x), or ScaledPixels
    valid : ndarray of bool, or None
    patch_size : int
    strokes : ndarray of bool, optional
        Painted pixels: they count more than all variation.
    space : Space
    n_images : int
        Of how many images this is one; they share the pixels that training sees.
    largest : tuple of int, optional
        Length along each axis that no window may exceed, for images of several sizes: none
        is taken whole then.

    Returns
    -------
    list of tuple of slice
        One window, the whole image, where it is small or is to be trained on whole
        (patch size 0). Else the image is divided by an even grid, and of each field the
        window in which the intensities vary most is taken: the cost of a run does not
        grow with the image, and no field with something in it is missed.
    """
    shape = pixels.shape[1:]
    most_pixels = _MOST_PIXELS[space.n_axes] // n_images
    if patch_size == 0 or (largest is None and math.prod(shape) <= most_pixels):
        return [whole(shape)]
    side = max(patch_size, _SMALLEST_WINDOW[space.n_axes])
    wanted = (max(round(side * _WINDOW_DEPTH / space.z_step), 3), side, side)[-space.n_axes :]
    size = tuple(min(one, limit) for one, limit in zip(wanted, largest or shape, strict=True))
    step = max(round((math.prod(shape) / _MOST_LOOKED_AT) ** (1 / len(shape))), 1)
    every = (slice(None, None, step),) * len(shape)
    variation = _variation(pixels[:, *every], size, step)
    if strokes is not None:
        variation += _painted_share(strokes, size, step) * (variation.max() + 1) * strokes.size
    if valid is not None:
        variation[~valid[every]] = -1.0
    n_fields = _n_fields(variation.shape, size, most_pixels)
    windows = []
    for field in _fields(variation.shape, n_fields):
        place = np.unravel_index(variation[field].argmax(), _size(field))
        middle = [(side.start + int(at)) * step for side, at in zip(field, place, strict=True)]
        windows.append(window_around(middle, size, shape))
    return windows


def sample_places(
    pixels: Pixels, valid: NDArray[np.bool_] | None, n_images: int = 1
) -> list[Window]:
    """Choose the parts of an image that the default learns from.

    Parameters
    ----------
    pixels : ndarray of float32, (c, y, x) or (c, z, y, x), or ScaledPixels
    valid : ndarray of bool, or None
    n_images : int
        Of how many images this is one; they share the pixels that are learned from.

    Returns
    -------
    list of tuple of slice
        The whole image where it is one window to label. Else some parts, spread over the
        image, in each of which the intensities vary most; the more images, the fewer.
    """
    shape = pixels.shape[1:]
    if all(map(operator.le, shape, window_shape(len(shape)))) and n_images <= _MOST_WHOLE:
        return [whole(shape)]
    size = tuple(map(min, shape, sample_shape(len(shape))))
    step = max(round((math.prod(shape) / _MOST_LOOKED_AT) ** (1 / len(shape))), 1)
    every = (slice(None, None, step),) * len(shape)
    variation = _variation(pixels[:, *every], size, step)
    if valid is not None:
        variation[~valid[every]] = -1.0
    n_along = max(round(_PARTS_ALONG / n_images**0.5), 1)
    n_fields = (1, n_along, n_along)[-len(shape) :]
    windows: list[Window] = []
    for field in _fields(variation.shape, n_fields):
        place = np.unravel_index(variation[field].argmax(), _size(field))
        middle = [(side.start + int(at)) * step for side, at in zip(field, place, strict=True)]
        window = window_around(middle, size, shape)
        if window not in windows and (valid is None or valid[window].any()):
            windows.append(window)
    if not windows and valid is not None and valid.any():
        # Too few pixels count for one of those that were looked at to be among them.
        first = np.unravel_index(int(valid.argmax()), shape)
        windows.append(window_around([int(at) for at in first], size, shape))
    return windows


def _n_fields(shape: Shape, size: Shape, most_pixels: int) -> tuple[int, ...]:
    """Return into how many fields each axis is divided, one window in each."""
    if len(shape) == 2:
        return (max(int(most_pixels**0.5) // max(size), 1),) * 2
    n_windows = max(most_pixels // math.prod(size), 1)
    # More where the volume is longer, in windows.
    lengths = [length / one for length, one in zip(shape, size, strict=True)]
    unit = (n_windows / math.prod(lengths)) ** (1 / len(shape))
    return tuple(max(int(length * unit + 0.5), 1) for length in lengths)


def _fields(shape: Shape, n_fields: tuple[int, ...]) -> Iterator[Window]:
    """Divide a shape by an even grid."""
    sides = [
        [
            slice(int(part[0]), int(part[-1]) + 1)
            for part in np.array_split(np.arange(n), k)
            if part.size
        ]
        for n, k in zip(shape, n_fields, strict=True)
    ]
    yield from product(*sides)


def _painted_share(strokes: NDArray[np.bool_], size: Shape, step: int) -> Floats:
    """Painted pixels around every so manieth, also those that the steps jump over."""
    painted: Floats = strokes.astype(float)
    for axis, length in enumerate(strokes.shape):
        painted = np.add.reduceat(painted, np.arange(0, length, step), axis=axis)
    share: Floats = uniform_filter(painted, _box(size, step))
    return share


def _box(size: Shape, step: int) -> Shape:
    return tuple(max(one // step, 1) for one in size)


def _variation(pixels: NDArray[np.float32], size: Shape, step: int) -> Floats:
    """Variance of the intensities within a window around each pixel."""
    box = _box(size, step)
    variance = np.zeros(pixels.shape[1:])
    for channel in pixels.astype(np.float64):
        mean = uniform_filter(channel, box)
        variance += uniform_filter(channel**2, box) - mean**2
    return variance


def window_around(middle: Sequence[int], size: Sequence[int], shape: Sequence[int]) -> Window:
    """Return the window of a size around a pixel, moved so that it lies within the shape."""
    return tuple(
        slice(start, start + piece)
        for start, piece in (
            (min(max(at - piece // 2, 0), length - piece), piece)
            for at, piece, length in zip(middle, size, shape, strict=True)
        )
    )


def sample_patches(
    sample: Sample,
    params: SegmentationParams,
    generator: torch.Generator,
    space: Space = PLANE,
) -> Sample:
    """Draw the batch of one training step.

    Returns the sample itself where the patch size is 0 or it is one window that is no
    larger than a patch; else ``n_patches`` square patches around random valid pixels, every
    other one around a painted pixel where there are any.
    """
    n_windows, _, *shape = sample.inputs.shape
    wanted = patch_shape(params.patch_size, space)
    size = tuple(min(one, length) for one, length in zip(wanted, shape, strict=True))
    if params.patch_size == 0 or (n_windows == 1 and size == tuple(shape)):
        return sample
    room = [length - one for length, one in zip(shape, size, strict=True)]
    if sample.valid is None and sample.painted is None:
        ranges = (n_windows, *(more + 1 for more in room))
        columns = [torch.randint(n, (params.n_patches,), generator=generator) for n in ranges]
        corners = torch.stack(columns, dim=1)
    else:
        middles = _random_pixels(sample, params.n_patches, generator)
        corners = middles - torch.tensor([0, *(one // 2 for one in size)])
        for column, more in zip(corners.T[1:], room, strict=True):
            column.clamp_(0, more)
    return sample.crop(corners.tolist(), size)


def _random_pixels(sample: Sample, n_patches: int, generator: torch.Generator) -> Tensor:
    """Choose pixels ``(n, 3)``, as window, y, x; of volumes ``(n, 4)``."""
    everywhere = torch.ones_like(sample.inputs[:, 0], dtype=torch.bool)
    places = (everywhere if sample.valid is None else sample.valid).nonzero().cpu()
    pixels = places[torch.randint(len(places), (n_patches,), generator=generator)]
    if sample.painted is not None and (painted := sample.painted != IGNORED).any():
        strokes = painted.nonzero().cpu()
        pixels[::2] = strokes[
            torch.randint(len(strokes), pixels[::2].shape[:1], generator=generator)
        ]
    return pixels
