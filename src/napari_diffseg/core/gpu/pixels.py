"""Colours and their slope on a GPU: as `core.features.colors` and `numeric.leaves` have them.

Tensors lie ``c y x`` or ``c z y x``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from skimage.color import xyz_tristimulus_values
from skimage.color.colorconv import xyz_from_rgb
from torch import Tensor
from torch.nn import functional

from napari_diffseg.image.space import Space
from napari_diffseg.numeric.leaves import BLUR

_TRUNCATE = 3.0


def lab_of(rgb: Tensor) -> Tensor:
    """Return CIE Lab (D65, 2°) of red, green and blue from 0 to 1."""
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    white = xyz_tristimulus_values(illuminant="D65", observer="2", dtype=np.float64)
    matrix = torch.from_numpy((xyz_from_rgb / white[:, None]).astype(np.float32)).to(rgb.device)
    xyz = torch.tensordot(matrix, linear, 1)
    root = xyz.clamp_min(0.0) ** (1 / 3)
    x, y, z = torch.where(xyz > 0.008856, root, 7.787 * xyz + 16 / 116)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def power_of(channels: Tensor, gammas: Sequence[float]) -> Tensor:
    """Return a power of each channel; what is below 0 stays there."""
    powers = torch.tensor(gammas, device=channels.device).reshape(-1, *(1,) * (channels.ndim - 1))
    return channels.sign() * channels.abs() ** powers


def slope_of(colors: Tensor, space: Space) -> Tensor:
    """Return the length of the gradient of smoothed colours, per pixel."""
    for axis, width in enumerate(space.along(BLUR), start=1):
        colors = _smoothed(colors, axis, width)
    squared = torch.zeros_like(colors[0])
    for axis, distance in enumerate(space.steps, start=1):
        if colors.shape[axis] < 2 or (axis == 1 and space.is_volume and not space.is_dense):
            continue
        (rise,) = torch.gradient(colors, dim=axis)
        squared += (rise**2).sum(0) / distance**2
    return squared.sqrt_()


def _smoothed(colors: Tensor, axis: int, sigma: float) -> Tensor:
    """Smooth along one axis; beyond the sides lies what lies before them, mirrored."""
    radius = int(_TRUNCATE * sigma + 0.5)
    if radius == 0:
        return colors
    steps = torch.arange(-radius, radius + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (steps / sigma) ** 2)
    kernel = (weights / weights.sum()).to(colors.device, torch.float32)[None, None]
    length = colors.shape[axis]
    # SciPy's "reflect": the pixel at a side comes twice, and so on from side to side.
    places = torch.arange(-radius, length + radius, device=colors.device) % (2 * length)
    mirrored = torch.minimum(places, 2 * length - 1 - places)
    rows = colors.index_select(axis, mirrored).movedim(axis, -1)
    smooth = functional.conv1d(rows.reshape(-1, 1, rows.shape[-1]), kernel)
    return smooth.reshape(*rows.shape[:-1], length).movedim(-1, axis)
