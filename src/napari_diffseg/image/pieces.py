"""How large the pieces are that images are cut into, and how much memory a run takes for them.

Blocks, windows, samples and patches: of volumes, they have fewer planes where these are far apart.
The memory is said before a run begins, and counted from what is held at the same time: what grows
with the image (its own pixels as they are read, clusters, regions and pieces), what grows with a
block, and what training holds. The benchmarks `benchmarks.scale` and `benchmarks.volume_scale`
measure the peaks beside it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from napari_diffseg.image.axes import ImageAxes
from napari_diffseg.image.space import PLANE, Space
from napari_diffseg.image.windows import Shape, Window, size
from napari_diffseg.params import SegmentationParams

_BLOCK = {2: (512, 512), 3: (64, 128, 128)}
WINDOW = {2: (1024, 1024), 3: (32, 256, 256)}
"""Sides of a window of a large image, in pixels, by its number of axes."""
_SAMPLE = {2: (256, 256), 3: (16, 64, 64)}
_SPREAD = {2: (128, 128), 3: (8, 32, 32)}
_AT_ONCE = math.prod(side + 2 * more for side, more in zip(WINDOW[2], _SPREAD[2], strict=True))
_LEAST_PLANES = 16  # of a block
_PATCH_DEPTH = 0.125  # of a patch: training on more voxels costs much and adds little
_LEAST_DEPTH = 3

_FLOAT = 4
PROGRAM = 300_000_000  # torch and its buffers, once they are used
# Clusters, and what is made of them: once they are joined, pieces while small ones are merged.
_PER_PIXEL = {"pretrained": 2 + 4, "published": 2 + 8}
_SEEN = {2: 96 + 25, 3: 24}  # numbers of a pixel of the default, while its window is labelled
MOST_KEPT = 60  # planes of a volume
_MOST_KEPT_PIXELS = 300_000  # of each
_KEPT = 49  # bytes of each of these pixels
_GRADIENTS = 2  # every map of training is held with its gradient


def block_shape(space: Space) -> Shape:
    """Return the sides of a block, in pixels: so much the published network sees at a time."""
    sides = _BLOCK[space.n_axes]
    if not space.is_volume:
        return sides
    return (max(round(sides[0] / max(space.z_step, 1)), _LEAST_PLANES), *sides[1:])


def window_shape(shape: Shape) -> Shape:
    """Return the sides of a window, in pixels: so much of an image is labelled at a time.

    All of a plane that has no more pixels than a window of a larger one with what is around it:
    this costs as much, and nothing is looked at twice. Windows of volumes go to several threads.
    """
    return shape if len(shape) == 2 and math.prod(shape) <= _AT_ONCE else WINDOW[len(shape)]


def sample_shape(n_axes: int) -> Shape:
    """Return the sides of a sample, in pixels: of what is large, so much is learned from."""
    return _SAMPLE[n_axes]


def spread_margin(n_axes: int) -> Shape:
    """Return how far around a window, in pixels, labels spread from: far beyond what is seen."""
    return _SPREAD[n_axes]


def patch_shape(patch_size: int, space: Space) -> Shape:
    """Return the shape of a patch of training: square, and of volumes flat."""
    depth = max(round(patch_size * _PATCH_DEPTH / space.z_step), _LEAST_DEPTH)
    return (depth, patch_size, patch_size)[-space.n_axes :]


def estimate_memory(
    axes: ImageAxes,
    dtype: np.dtype[Any],
    params: SegmentationParams,
    *,
    n_channels: int = 0,
    is_held: bool = True,
    around: Window | None = None,
    device: str = "cpu",
) -> int:
    """Estimate the most memory that a run takes beyond the image.

    In bytes. All channels count where `n_channels` is 0; what is around a region is read for the
    run, and all of an image that is not held. What training holds on a CUDA device is not counted.
    """
    space = Space(3) if axes.spatial == "ZYX" else PLANE
    n_colors = n_channels or axes.n_channels
    n_pixels = math.prod(axes.spatial_shape)
    label = np.min_scalar_type(params.n_clusters).itemsize
    shape, n_seen, n_read = axes.spatial_shape, n_pixels, 0 if is_held else n_pixels
    if around is not None and params.design != "published":  # which looks at the whole
        # Of the rest only the labels are made, but memory comes in pieces of whole rows.
        n_seen, n_read = math.prod(size(around)[:-1]) * shape[-1], math.prod(size(around))
    grows = n_pixels * label + n_seen * _PER_PIXEL[params.design]
    grows += n_read * n_colors * np.dtype(dtype).itemsize
    work = labelling_memory(shape, n_colors, params, space)
    if params.design == "published" and device != "cuda":
        work = max(work, _training(params, n_pixels, space))
    return PROGRAM + grows + work


def labelling_memory(shape: Shape, n_colors: int, params: SegmentationParams, space: Space) -> int:
    """Return how many bytes one that labels an image holds, beside the image and the labels."""
    if params.design == "published":
        return min(math.prod(block_shape(space)), math.prod(shape)) * params.n_clusters * _FLOAT
    return window_memory(shape, n_colors) + kept_memory(shape)


def planes_are_kept(shape: Shape) -> bool:
    """Whether planes of an image are looked at whole, and kept for the windows that follow."""
    return len(shape) == 3 and math.prod(shape[1:]) <= _MOST_KEPT_PIXELS


def kept_memory(shape: Shape) -> int:
    """Return how many bytes these planes take."""
    kept = min(shape[0], MOST_KEPT) if planes_are_kept(shape) else 0
    return kept * math.prod(shape[1:]) * _KEPT


def window_memory(shape: Shape, n_colors: int) -> int:
    """Return how many bytes it takes to label a window of an image of the default."""
    n = len(shape)
    sides = zip(window_shape(shape), spread_margin(n), shape, strict=True)
    window = math.prod(min(side + 2 * more, length) for side, more, length in sides)
    return window * (_SEEN[n] + n_colors) * _FLOAT


def _training(params: SegmentationParams, n_pixels: int, space: Space) -> int:
    """Return what a step of training holds: every map of the network, and its gradient."""
    n_seen = n_pixels
    if params.patch_size:
        n_seen = params.n_patches * math.prod(patch_shape(params.patch_size, space))
    maps = 2 * params.n_blocks * params.n_features + (3 + space.n_axes) * params.n_clusters
    return n_seen * maps * _FLOAT * _GRADIENTS
