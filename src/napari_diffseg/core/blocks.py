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
from napari_diffseg.errors import InputError
from napari_diffseg.images.axes import ImageAxes
from napari_diffseg.images.windows import Shape, Window, grow

LARGE = 1 << 28
"""Bytes from which on an image that is not in memory is read in blocks."""

_BLOCK = {2: (512, 512), 3: (64, 128, 128)}
_LOOKED_AT = 16
_KEPT = 8

Integers = NDArray[np.integer[Any]]


def is_read_in_blocks(image: ArrayLike) -> bool:
    """Whether an image is large and not in memory."""
    if isinstance(image, np.ndarray) and not isinstance(image, np.memmap):
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
        The scribbles have another shape, or nothing is painted.
    """
    painted = None if scribbles is None else _painted(scribbles, axes)
    places = _grid(axes.spatial_shape) if painted is None else _around_strokes(painted)
    blocks = []
    for window in places:
        pixels = _cut(image, axes, window)
        strokes = None if painted is None else painted[window]
        weight = _variance(pixels) if strokes is None else float(np.count_nonzero(strokes))
        blocks.append((weight, Reference(pixels, strokes)))
    blocks.sort(key=lambda block: -block[0])
    return [reference for _, reference in blocks[:_KEPT]]


def _painted(scribbles: ArrayLike, axes: ImageAxes) -> Integers:
    painted: Integers = np.asarray(scribbles)
    if painted.shape != axes.spatial_shape:
        raise InputError(
            f"The scribbles have the shape {painted.shape}, but the image has "
            f"{axes.spatial_shape}; paint on a layer of the image's size."
        )
    if not painted.any():
        raise InputError("Nothing is painted on the scribbles; paint a stroke or two first.")
    return painted


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
    """Return the blocks of a fixed grid that most is painted in, each with some more around."""
    block = _block(painted.shape)
    places = np.argwhere(painted > 0)
    cells, counts = np.unique(places // np.array(block), axis=0, return_counts=True)
    most = np.argsort(-counts, kind="stable")[:_KEPT]
    corners = [tuple(int(at) for at in cell * block) for cell in cells[most]]
    cells_at = [grow(_at(corner, block), 0, painted.shape) for corner in corners]
    return [grow(cell, [one // 4 for one in block], painted.shape) for cell in cells_at]


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


def _variance(pixels: NDArray[Any]) -> float:
    finite = np.ma.masked_invalid(pixels.astype(np.float32))
    return 0.0 if finite.count() == 0 else float(finite.var())
