"""Colours of a scale on which equal steps look about equal, and what is measured of them.

Arrays lie ``c y x`` or ``c z y x``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab
from torch import Tensor

from napari_diffseg.core.gpu.arrays import Array, in_memory, joined, like, mean, percentiles
from napari_diffseg.core.gpu.pixels import lab_of, power_of
from napari_diffseg.image.arrays import Mask
from napari_diffseg.image.intensity import Pixels
from napari_diffseg.image.windows import whole

Floats = NDArray[np.float32]
Samples = Sequence[tuple[Pixels, Mask | None]]

_LAB_UNIT = 100.0
_CLIPPED = (-0.2, 1.5)  # of intensities, 0 … 1 between their percentiles
_DARK, _LEAST_GAMMA = 0.35, 0.5  # the median that intensities get by their power, if it is lower
_LEVELS = (0.5, 99.5)
_MOST_MEASURED = 60_000  # pixels that the powers are told by


def colors_of(pixels: Array, rgb: bool, gammas: Sequence[float]) -> Array:
    """Bring intensities to that scale: CIE Lab of RGB, else a power of each channel."""
    if isinstance(pixels, Tensor):
        return (
            lab_of(pixels.clip(0, 1)) / _LAB_UNIT
            if rgb
            else power_of(pixels.clip(*_CLIPPED), gammas)
        )
    if rgb:
        lab: Floats = rgb2lab(np.clip(pixels, 0, 1), channel_axis=0)
        return lab / np.float32(_LAB_UNIT)
    clipped: Floats = np.clip(pixels, *_CLIPPED)
    for channel, gamma in zip(clipped, gammas, strict=True):
        if gamma != 1:
            np.copyto(channel, np.sign(channel) * np.abs(channel) ** np.float32(gamma))
    return clipped


def find_gammas(samples: Samples, rgb: bool) -> tuple[float, ...]:
    """Choose a power for each channel: where most of the image is dark, steps there count more.

    As photons are counted: on the square root of their number noise is the same everywhere.
    """
    n_channels = samples[0][0].shape[0]
    if rgb:
        return (1.0,) * n_channels
    share = max(_MOST_MEASURED // len(samples), 1)
    some = [_some(pixels[:, *whole(pixels.shape[1:])], valid, share) for pixels, valid in samples]
    medians = np.median(np.concatenate(some, axis=1), axis=1).clip(1e-3, 1 - 1e-3)
    powers = np.log(_DARK) / np.log(medians)
    return tuple(powers.clip(_LEAST_GAMMA, 1.0).tolist())


def _some(channels: Floats, valid: Mask | None, n: int) -> Floats:
    """Return an even choice of the counted pixels, ``(c, n)``."""
    flat = channels.reshape(len(channels), -1)
    places = np.arange(flat.shape[1]) if valid is None else np.flatnonzero(valid)
    chosen = places[np.linspace(0, len(places) - 1, min(n, len(places))).astype(int)]
    return flat[:, chosen]


def measure_colors(
    images: Sequence[Array], valids: Sequence[Mask | None], weights: Sequence[float], n_axes: int
) -> dict[str, Any]:
    """Measure the colours of some images: mean, spread, components and range of the first.

    The keys are those attributes of `core.features.extraction.Features`.
    """
    counted = [
        one.reshape(len(one), -1) if valid is None else one[:, like(valid, one)]
        for one, valid in zip(images, valids, strict=True)
    ]
    colors = joined(counted, axis=1)
    means = mean(colors, axis=1)
    factors = like(np.array(weights, np.float32)[:, None], colors)
    scaled = (colors - like(means.astype(np.float32)[:, None], colors)) * factors
    covariance = in_memory(scaled @ scaled.T).astype(np.float64) / scaled.shape[1]
    spread = float(np.sqrt(np.trace(covariance))) or 1.0
    axes = components(covariance)[0][:, :n_axes]
    first = like(axes[:, 0].astype(np.float32), scaled) @ scaled
    low, high = percentiles(first, _LEVELS) / spread
    return {
        "means": tuple(means.tolist()),
        "axes": axes.astype(np.float32),
        "low": float(low),
        "high": float(max(high, low + 1e-3)),
        "spread": spread,
    }


def components(covariance: NDArray[np.floating]) -> tuple[NDArray[np.floating], float]:
    """Return the principal components, one a column, the largest first; and the total variance."""
    values, vectors = np.linalg.eigh(covariance)
    axes = vectors[:, np.argsort(-values, kind="stable")]
    # Of the two directions of each the one in which its largest part rises.
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return axes * signs, float(values.sum())
