"""What training reads of a large image that is not in memory: some blocks, spread over it.

A block is then an image of its own, from which training takes its windows; all blocks have one
scale of intensities and one sample. So the cost of training, and its memory, do not grow with
the image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_diffseg.core.reading import Reference
from napari_diffseg.core.sampling import window_around
from napari_diffseg.images.axes import ImageAxes, channels_first, is_in_memory, resolve_axes
from napari_diffseg.images.intensity import finite_mask
from napari_diffseg.images.scribbles import read_scribbles
from napari_diffseg.images.windows import Shape, Window

LARGE = 1 << 25
"""Bytes above which an image that is not in memory is read in blocks: a plane of 4096 × 4096
pixels of 16 bits."""

_BLOCK = {2: (512, 512), 3: (64, 128, 128)}
_LOOKED_AT = 16
_KEPT = 8

Integers = NDArray[np.integer[Any]]


def is_read_in_blocks(image: ArrayLike) -> bool:
    """Whether an image is large and not in memory."""
    if is_in_memory(image):
        return False
    shape, dtype = getattr(image, "shape", None), getattr(image, "dtype", None)
    if shape is None or dtype is None:
        return False
    return bool(math.prod(shape) * np.dtype(dtype).itemsize > LARGE)


def blocks_of(image: Any, axes: ImageAxes, scribbles: ArrayLike | None = None) -> list[Reference]:
    """Return some blocks of an image to learn from.

    Parameters
    ----------
    image : array-like
        Whatever can be sliced.
    axes : ImageAxes
        Its axes; those of the blocks are the same.
    scribbles : array_like of int, optional
        What is painted on it; the blocks are taken around the strokes then.

    Returns
    -------
    list of Reference
        The block with most in it first: in which the intensities vary most, or where most is
        painted.

    Raises
    ------
    InputError
        The scribbles cannot be used.
    """
    painted = None
    if scribbles is not None:
        painted = read_scribbles(scribbles, axes.spatial_shape, None).painted
    places = _grid(axes.spatial_shape) if painted is None else _around_strokes(painted)
    blocks: list[tuple[float, Reference]] = []
    blank: list[tuple[float, Reference]] = []
    for window in places:
        pixels = _cut(image, axes, window)
        strokes = None if painted is None else painted[window]
        weight = _variance(pixels) if strokes is None else float(np.count_nonzero(strokes))
        found = blocks if _says_something(pixels, axes, strokes) else blank
        found.append((weight, Reference(pixels, strokes)))
    # Where nothing is finite there is nothing to learn; if that is so everywhere, it is said later.
    blocks = sorted(blocks or blank, key=lambda block: -block[0])
    return [reference for _, reference in (blocks[:_KEPT] if painted is None else blocks)]


def _grid(shape: Shape) -> list[Window]:
    """Spread blocks evenly over an image, more of them along its longer sides."""
    block = _block(shape)
    counts = [1] * len(shape)
    while np.prod(counts) * 2 <= _LOOKED_AT:
        room = [length / (n * one) for length, n, one in zip(shape, counts, block, strict=True)]
        counts[int(np.argmax(room))] *= 2
    starts = [
        # In the middle of as many equal parts.
        [int((2 * i + 1) * length / (2 * n) - one / 2) for i in range(n)]
        for length, n, one in zip(shape, counts, block, strict=True)
    ]
    corners = {
        tuple(
            min(max(at, 0), length - one)
            for at, length, one in zip(corner, shape, block, strict=True)
        )
        for corner in product(*starts)
    }
    return [_at(corner, block) for corner in sorted(corners)]


def _around_strokes(painted: Integers) -> list[Window]:
    """Return the blocks of a fixed grid that most is painted in, each with some more around.

    Of every class there is one at least. All are of one size.
    """
    shape, block = painted.shape, _block(painted.shape)
    counted = painted > 0
    cells, cell_of, counts = np.unique(
        np.argwhere(counted) // np.array(block), axis=0, return_inverse=True, return_counts=True
    )
    cell_of, classes = cell_of.reshape(-1), painted[counted]
    chosen: dict[int, None] = {}
    for number in np.unique(classes):
        met = np.bincount(cell_of[classes == number], minlength=len(cells))
        if not any(met[cell] for cell in chosen):
            chosen[int(met.argmax())] = None
    n_kept = max(_KEPT, len(chosen))
    chosen |= dict.fromkeys(np.argsort(-counts, kind="stable").tolist())
    size = [min(one + 2 * (one // 4), length) for one, length in zip(block, shape, strict=True)]
    return [
        window_around([int(at) for at in cells[cell] * block + np.array(block) // 2], size, shape)
        for cell in list(chosen)[:n_kept]
    ]


def _block(shape: Sequence[int]) -> Shape:
    return tuple(map(min, shape, _BLOCK[len(shape)]))


def _at(corner: Sequence[int], block: Shape) -> Window:
    return tuple(slice(at, at + one) for at, one in zip(corner, block, strict=True))


def _cut(source: Any, axes: ImageAxes, window: Window) -> NDArray[Any]:
    """Read a block; its axes stay in the order of the image."""
    wanted = dict(zip(axes.spatial, window, strict=True))
    block = source[tuple(wanted.get(letter, slice(None)) for letter in axes.axes)]
    # Masked pixels stay masked.
    pixels: NDArray[Any] = np.asanyarray(block)
    return pixels


def _says_something(pixels: NDArray[Any], axes: ImageAxes, strokes: Integers | None) -> bool:
    """Whether some pixel is finite; where there are strokes, one that is painted."""
    if pixels.dtype.kind != "f" and not isinstance(pixels, np.ma.MaskedArray):
        return True
    own = resolve_axes(pixels.shape, axes.axes, rgb=axes.rgb)
    finite = finite_mask(channels_first(pixels, own))
    if finite is None:
        return True
    return bool(finite.any() if strokes is None else (strokes[finite] > 0).any())


def _variance(pixels: NDArray[Any]) -> float:
    finite = np.ma.masked_invalid(pixels.astype(np.float32))
    return 0.0 if finite.count() == 0 else float(finite.var())
