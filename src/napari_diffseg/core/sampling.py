"""Where training looks: windows that stand for an image."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from napari_diffseg.image.arrays import Mask
from napari_diffseg.image.intensity import Pixels
from napari_diffseg.image.pieces import sample_shape, window_shape
from napari_diffseg.image.space import PLANE, Space
from napari_diffseg.image.windows import Shape, Window, whole
from napari_diffseg.image.windows import size as size_of

_MOST_PIXELS = {2: 512 * 512, 3: 1 << 20}
_SMALLEST_WINDOW = {2: 96, 3: 64}
_WINDOW_DEPTH = 0.25  # of a window of a volume, beside its width
_PARTS_ALONG = 4  # y and x, of one image
_MOST_WHOLE = 4  # images that are learned from whole, where they are one window each
_MOST_LOOKED_AT = 1_000_000  # pixels of which the variation is computed


def training_windows(
    pixels: Pixels,
    valid: Mask | None,
    patch_size: int,
    strokes: Mask | None = None,
    *,
    space: Space = PLANE,
    n_images: int = 1,
    largest: Shape | None = None,
) -> list[Window]:
    """Choose the windows of an image that the published design trains on, all of one size.

    Painted pixels count more than all variation. `largest` is said where images have several sizes:
    no window exceeds it, and none is taken whole then.
    """
    shape = pixels.shape[1:]
    most_pixels = _MOST_PIXELS[space.n_axes] // n_images
    if patch_size == 0 or (largest is None and math.prod(shape) <= most_pixels):
        return [whole(shape)]
    side = max(patch_size, _SMALLEST_WINDOW[space.n_axes])
    wanted = (max(round(side * _WINDOW_DEPTH / space.z_step), 3), side, side)[-space.n_axes :]
    size = tuple(min(one, limit) for one, limit in zip(wanted, largest or shape, strict=True))
    step = _step(shape)
    variation = _variation(pixels, size, step)
    if strokes is not None:
        variation += _painted_share(strokes, size, step) * (variation.max() + 1) * strokes.size
    _leave_out(variation, valid, step)
    # Not windows everywhere: so the cost does not grow with the image, and no field is missed.
    fields = _fields(variation.shape, _n_fields(variation.shape, size, most_pixels))
    return [_best_window(variation, field, step, size, shape) for field in fields]


def sample_places(pixels: Pixels, valid: Mask | None, n_images: int = 1) -> list[Window]:
    """Choose the parts of an image that the default learns from: those that vary most, spread out.

    The whole image where it is one window to label. The more images, the fewer parts of each.
    """
    shape = pixels.shape[1:]
    if all(map(operator.le, shape, window_shape(shape))) and n_images <= _MOST_WHOLE:
        return [whole(shape)]
    size = tuple(map(min, shape, sample_shape(len(shape))))
    step = _step(shape)
    variation = _variation(pixels, size, step)
    _leave_out(variation, valid, step)
    n_along = max(round(_PARTS_ALONG / n_images**0.5), 1)
    fields = _fields(variation.shape, (1, n_along, n_along)[-len(shape) :])
    windows: list[Window] = []
    for field in fields:
        window = _best_window(variation, field, step, size, shape)
        if window not in windows and (valid is None or valid[window].any()):
            windows.append(window)
    if not windows and valid is not None and valid.any():
        # Too few pixels count for one of those that were looked at to be among them.
        first = np.unravel_index(int(valid.argmax()), shape)
        windows.append(window_around([int(at) for at in first], size, shape))
    return windows


def _step(shape: Shape) -> int:
    """Every how many pixels along each axis the variation is looked at."""
    share: float = (math.prod(shape) / _MOST_LOOKED_AT) ** (1 / len(shape))
    return max(round(share), 1)


def _best_window(
    variation: NDArray[np.float64], field: Window, step: int, size: Shape, shape: Shape
) -> Window:
    """Return the window of a field in which most varies."""
    place = np.unravel_index(variation[field].argmax(), size_of(field))
    middle = [(side.start + int(at)) * step for side, at in zip(field, place, strict=True)]
    return window_around(middle, size, shape)


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


def _painted_share(strokes: Mask, size: Shape, step: int) -> NDArray[np.float64]:
    """Painted pixels around every n-th, also those that the steps jump over."""
    painted: NDArray[np.float64] = strokes.astype(float)
    for axis, length in enumerate(strokes.shape):
        painted = np.add.reduceat(painted, np.arange(0, length, step), axis=axis)
    share: NDArray[np.float64] = uniform_filter(painted, _box(size, step))
    return share


def _box(size: Shape, step: int) -> Shape:
    return tuple(max(one // step, 1) for one in size)


def _variation(pixels: Pixels, size: Shape, step: int) -> NDArray[np.float64]:
    """Variance of the intensities within a window around every n-th pixel."""
    every, box = (slice(None, None, step),) * len(size), _box(size, step)
    looked_at = pixels[:, *every]
    variance = np.zeros(looked_at.shape[1:])
    for channel in looked_at.astype(np.float64):
        mean = uniform_filter(channel, box)
        variance += uniform_filter(channel**2, box) - mean**2
    return variance


def _leave_out(variation: NDArray[np.float64], valid: Mask | None, step: int) -> None:
    """Let no window lie around a pixel that does not count, in place."""
    if valid is not None:
        variation[~valid[(slice(None, None, step),) * valid.ndim]] = -1.0


def window_around(middle: Sequence[int], size: Sequence[int], shape: Sequence[int]) -> Window:
    """Return the window of a size around a pixel, moved so that it lies within the shape."""
    return tuple(
        slice(start, start + piece)
        for start, piece in (
            (min(max(at - piece // 2, 0), length - piece), piece)
            for at, piece, length in zip(middle, size, shape, strict=True)
        )
    )
