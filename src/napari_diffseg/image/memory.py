"""How much memory a run will take, said before it begins.

Counted from what is held at the same time: what grows with the image (its own pixels as they
are read, clusters, regions and pieces), what grows with a block, and what training holds. The
benchmarks `benchmarks.scale` and `benchmarks.volume_scale` measure the peaks beside it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from napari_diffseg.image.axes import ImageAxes
from napari_diffseg.image.pieces import (
    block_shape,
    patch_shape,
    spread_margin,
    window_shape,
)
from napari_diffseg.image.space import PLANE, Space
from napari_diffseg.params import SegmentationParams

_FLOAT = 4
_PROGRAM = 300_000_000  # torch and its buffers, once they are used
_PER_PIXEL = 2 + 8  # clusters, pieces while small ones are merged
_SEEN = 96 + 25  # numbers of a pixel of the default: what the network says, and what is kept
_GRADIENTS = 2  # every map of training is held with its gradient


def estimate_memory(
    axes: ImageAxes,
    dtype: np.dtype[Any],
    params: SegmentationParams,
    *,
    n_channels: int = 0,
    is_held: bool = True,
) -> int:
    """Estimate the most memory that a run takes beyond the image.

    In bytes. All channels count where `n_channels` is 0; an image that is not held is read for the
    run.
    """
    space = Space(3) if axes.spatial == "ZYX" else PLANE
    n_colors = n_channels or axes.n_channels
    n_pixels = math.prod(axes.spatial_shape)
    label = np.min_scalar_type(params.n_clusters).itemsize
    grows = _PER_PIXEL + label + (0 if is_held else n_colors * np.dtype(dtype).itemsize)
    if params.design == "published":
        block = min(math.prod(block_shape(space)), n_pixels)
        work = max(block * params.n_clusters * _FLOAT, _training(params, n_pixels, space))
    else:
        n = space.n_axes
        sides = zip(window_shape(n), spread_margin(n), axes.spatial_shape, strict=True)
        window = math.prod(min(side + 2 * more, length) for side, more, length in sides)
        work = window * (_SEEN + n_colors) * _FLOAT
    return _PROGRAM + n_pixels * grows + work


def _training(params: SegmentationParams, n_pixels: int, space: Space) -> int:
    """Return what a step of training holds: every map of the network, and its gradient."""
    n_seen = n_pixels
    if params.patch_size:
        n_seen = params.n_patches * math.prod(patch_shape(params.patch_size, space))
    maps = 2 * params.n_blocks * params.n_features + (3 + space.n_axes) * params.n_clusters
    return n_seen * maps * _FLOAT * _GRADIENTS
