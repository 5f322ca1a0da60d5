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

from napari_diffseg.core.sampling import window_around
from napari_diffseg.core.training_images import Reference
from napari_diffseg.image.arrays import Integers, Mask
from napari_diffseg.image.axes import ImageAxes, channels_first, is_in_memory, resolve_axes
from napari_diffseg.image.fill import AUTO, Fill, decided_fill
from napari_diffseg.image.intensity import finite_mask
from napari_diffseg.image.pieces import block_shape
from napari_diffseg.image.scribbles import read_scribbles
from napari_diffseg.image.space import Space
from napari_diffseg.image.windows import Shape, Window

LARGE = 1 << 25
"""Bytes above which an image that is not in memory is read in blocks: a plane of 4096 × 4096
pixels of 16 bits."""

_LOOKED_AT = 16
_KEPT = 8


def is_read_in_blocks(image: ArrayLike) -> bool:
    """Whether an image is large and not in memory."""
    if is_in_memory(image):
        return False
    shape, dtype = getattr(image, "shape", None), getattr(image, "dtype", None)
    if shape is None or dtype is None:
        return False
    return bool(math.prod(shape) * np.dtype(dtype).itemsize > LARGE)


def blocks_of(
    image: Any, axes: ImageAxes, scribbles: ArrayLike | None = None, fill: Fill = AUTO
) -> tuple[list[Reference], Fill]:
    """Return some blocks of an image to learn from, with its axes, and the value of fill.

    Around strokes where there are any; first the one that varies most, or where most is painted.
    Fill is looked for in all blocks; where none is found it is what was said.
    """
    painted = None
    if scribbles is not None:
        painted = read_scribbles(scribbles, axes.spatial_shape, None).painted
    places = _grid(axes.spatial_shape) if painted is None else _around_strokes(painted)
    cut = [
        Reference(_cut(image, axes, one), None if painted is None else painted[one])
        for one in places
    ]
    seen = [channels_first(one.image, _axes_of(one, axes)) for one in cut]
    value = decided_fill(fill, seen)
    blocks: list[tuple[float, Reference]] = []
    blank: list[tuple[float, Reference]] = []
    for block, pixels in zip(cut, seen, strict=True):
        counted = finite_mask(pixels, value)
        weight = _weight(pixels, counted, block.scribbles)
        found = blocks if _says_something(counted, block.scribbles) else blank
        found.append((weight, block))
    # Where nothing counts there is nothing to learn; if that is so everywhere, it is said later.
    blocks = sorted(blocks or blank, key=lambda block: -block[0])
    kept = blocks[:_KEPT] if painted is None else blocks
    return [reference for _, reference in kept], fill if value is None else value


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
    return tuple(map(min, shape, block_shape(Space(len(shape)))))


def _at(corner: Sequence[int], block: Shape) -> Window:
    return tuple(slice(at, at + one) for at, one in zip(corner, block, strict=True))


def _cut(source: Any, axes: ImageAxes, window: Window) -> NDArray[Any]:
    """Read a block; its axes stay in the order of the image."""
    wanted = dict(zip(axes.spatial, window, strict=True))
    block = source[tuple(wanted.get(letter, slice(None)) for letter in axes.axes)]
    # Masked pixels stay masked.
    pixels: NDArray[Any] = np.asanyarray(block)
    return pixels


def _axes_of(block: Reference, axes: ImageAxes) -> ImageAxes:
    return resolve_axes(np.shape(block.image), axes.axes, rgb=axes.rgb)


def _says_something(counted: Mask | None, strokes: ArrayLike | None) -> bool:
    """Whether some pixel counts; where there are strokes, one that is painted."""
    if counted is None:
        return True
    return bool((counted if strokes is None else counted & (np.asarray(strokes) > 0)).any())


def _weight(pixels: NDArray[Any], counted: Mask | None, strokes: ArrayLike | None) -> float:
    """Return how many pixels are painted; where there are no strokes, how values vary."""
    if strokes is not None:
        return float(np.count_nonzero(strokes))
    values = pixels if counted is None else pixels[:, counted]
    return float(values.var(dtype=np.float64)) if values.size else 0.0
