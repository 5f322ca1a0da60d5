"""What scribbles are learned from beside the local statistics: wide means, ridges and blobs.

The unsupervised network does without them: what is best for telling *some* regions apart
is few statistics of even weight. A person who paints says which of many count.

=========================  ==========================================================
wide means                 Gaussian means of each perceptual channel: large structures
wide deviation             standard deviation of the brightness: texture
eigenvalues of the         of the brightness, at four scales: the largest one is high in
Hessian                    dark lines and pits, the smallest one low on bright lines and
                           blobs (membranes, fibres, nuclei)
=========================  ==========================================================

In volumes the widest scale is left out: what is wide costs a volume most.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, combinations_with_replacement

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_diffseg.images.local_statistics import gaussian_radius
from napari_diffseg.images.space import PLANE, Space

Floats = NDArray[np.float32]

# What to compute, of which channel, at which scale.
_Wanted = tuple[Callable[[Floats, float, Space], list[Floats]], Floats, float]

_WIDE_SCALES = (8.0, 16.0)
_HESSIAN_SCALES = (1.0, 2.0, 4.0, 8.0)

_TRUNCATE = 3.0  # a Gaussian ends at 3 σ
_FLAT = np.float32(1e-10)  # a Hessian with no direction


def wide_scales(space: Space) -> tuple[float, ...]:
    """Return the Gaussian σ of the wide means, in pixels; the deviation has the last."""
    return _WIDE_SCALES[:-1] if space.is_dense else _WIDE_SCALES


def hessian_scales(space: Space) -> tuple[float, ...]:
    """Return the Gaussian σ of the Hessian, in pixels."""
    return _HESSIAN_SCALES[:-1] if space.is_dense else _HESSIAN_SCALES


def structure_radius(space: Space) -> tuple[int, ...]:
    """Return how far along each axis, in pixels, a statistic depends on its surroundings."""
    return gaussian_radius(space, max(wide_scales(space) + hessian_scales(space)))


def n_structure_statistics(n_channels: int, space: Space) -> int:
    """Return how many statistics there are of an image with so many channels (e)."""
    return len(wide_scales(space)) * n_channels + 1 + _n_seen(space) * len(hessian_scales(space))


def structure_statistics(
    channels: Floats, *, rgb: bool, threads: int = 1, space: Space = PLANE
) -> Floats:
    """Compute the statistics of a window.

    Parameters
    ----------
    channels : ndarray of float32, (c, y, x) or (c, z, y, x)
        Perceptual channels; of RGB images, the first is the lightness.
    rgb : bool
        Whether the image is red, green, blue. Of other images the mean of the channels is
        the brightness.
    threads : int
        How many threads compute.
    space : Space

    Returns
    -------
    ndarray of float32, (e, y, x) or (e, z, y, x)
        With e = 2 c + 9 for planes, c + 10 for volumes. Right where the window goes
        `structure_radius` pixels on, or the image ends.
    """
    brightness = channels[0] if rgb else channels.mean(axis=0)
    wide = wide_scales(space)
    wanted: list[_Wanted] = [(_mean, channel, scale) for scale in wide for channel in channels]
    wanted.append((_mean, brightness**2, wide[-1]))
    wanted += [(_hessian_eigenvalues, brightness, scale) for scale in hessian_scales(space)]
    with ThreadPoolExecutor(threads) as pool:  # scipy's filters leave Python free
        groups = list(pool.map(lambda one: one[0](*one[1:], space), wanted))
    n_means = len(wide) * len(channels)
    means, (square,), *eigenvalues = [one for (one,) in groups[:n_means]], *groups[n_means:]
    # The mean of the channels' means is the mean of the brightness.
    widest = means[-len(channels) :]
    mean = widest[0] if rgb else np.mean(widest, axis=0)
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    return np.stack([*means, deviation, *chain.from_iterable(eigenvalues)])


def _mean(channel: Floats, scale: float, space: Space) -> list[Floats]:
    return [gaussian_filter(channel, space.along(scale), truncate=_TRUNCATE)]


def _hessian_eigenvalues(channel: Floats, scale: float, space: Space) -> list[Floats]:
    """Return the eigenvalues, the largest first, × σ² so that scales can be compared."""
    seen = range(space.n_axes - _n_seen(space), space.n_axes)
    derivatives = combinations_with_replacement(seen, 2)
    hessian = [_second_derivative(channel, scale, space, both) for both in derivatives]
    return _volume_eigenvalues(*hessian) if space.is_dense else _plane_eigenvalues(*hessian)


def _n_seen(space: Space) -> int:
    """Return along how many axes an image bends."""
    return 3 if space.is_dense else 2


def _second_derivative(
    channel: Floats, scale: float, space: Space, axes: tuple[int, int]
) -> Floats:
    """Return the derivative along two axes (or twice along one), per pixel of a plane."""
    order = [axes.count(axis) for axis in range(space.n_axes)]
    per_step = math.prod(space.steps[axis] for axis in axes)
    smooth: Floats = gaussian_filter(channel, space.along(scale), order=order, truncate=_TRUNCATE)
    return smooth * np.float32(scale**2 / per_step)


def _plane_eigenvalues(yy: Floats, yx: Floats, xx: Floats) -> list[Floats]:
    middle: Floats = (yy + xx) / np.float32(2)
    radius: Floats = np.hypot((yy - xx) / np.float32(2), yx)
    return [middle + radius, middle - radius]


def _volume_eigenvalues(
    zz: Floats, zy: Floats, zx: Floats, yy: Floats, yx: Floats, xx: Floats
) -> list[Floats]:
    """Return the roots of the characteristic polynomial, by the cosines of a third of an angle."""
    middle = (zz + yy + xx) / 3
    dz, dy, dx = zz - middle, yy - middle, xx - middle
    off = zy**2 + zx**2 + yx**2
    radius = np.sqrt((dz**2 + dy**2 + dx**2 + 2 * off) / 6)
    determinant = dz * (dy * dx - yx**2) - zy * (zy * dx - yx * zx) + zx * (zy * yx - dy * zx)
    flat = radius < _FLAT
    cosine = determinant / np.where(flat, 1, 2 * radius**3)
    angle = np.arccos(np.clip(cosine, -1, 1)) / 3
    largest = middle + 2 * radius * np.cos(angle)
    smallest = middle + 2 * radius * np.cos(angle + 2 * np.pi / 3)
    return [largest, 3 * middle - largest - smallest, smallest]
