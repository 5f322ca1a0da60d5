"""How large the pieces are that images are cut into: blocks, windows, samples and patches.

Of volumes, pieces have fewer planes where these are far apart.
"""

from __future__ import annotations

from napari_diffseg.image.space import Space
from napari_diffseg.image.windows import Shape

_BLOCK = {2: (512, 512), 3: (64, 128, 128)}
_WINDOW = {2: (1024, 1024), 3: (32, 256, 256)}
_SAMPLE = {2: (256, 256), 3: (16, 64, 64)}
_SPREAD = {2: (128, 128), 3: (8, 32, 32)}
_LEAST_PLANES = 16  # of a block
_PATCH_DEPTH = 0.125  # of a patch: training on more voxels costs much and adds little
_LEAST_DEPTH = 3


def block_shape(space: Space) -> Shape:
    """Return the sides of a block, in pixels: so much the published network sees at a time."""
    sides = _BLOCK[space.n_axes]
    if not space.is_volume:
        return sides
    return (max(round(sides[0] / max(space.z_step, 1)), _LEAST_PLANES), *sides[1:])


def window_shape(n_axes: int) -> Shape:
    """Return the sides of a window, in pixels: so much is labelled at a time."""
    return _WINDOW[n_axes]


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
