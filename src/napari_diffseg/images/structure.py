"""What scribbles are learned from beside the local statistics: wide means, ridges and blobs.

The unsupervised network does without them: what is best for telling *some* regions apart
is few statistics of even weight. A person who paints says which of many count.

=========================  ==========================================================
wide means                 Gaussian means of each perceptual channel: large structures
wide deviation             standard deviation of the brightness: texture
eigenvalues of the         of the brightness, at four scales: the larger one is high in
Hessian                    dark lines and pits, the smaller one low on bright lines and
                           blobs (membranes, fibres, nuclei)
=========================  ==========================================================
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Floats = NDArray[np.float32]

# What to compute, of which channel, at which scale.
_Wanted = tuple[Callable[[Floats, float], list[Floats]], Floats, float]

WIDE_SCALES = (8.0, 16.0)
"""Gaussian σ of the wide means, in pixels; the deviation has the last."""

HESSIAN_SCALES = (1.0, 2.0, 4.0, 8.0)
"""Gaussian σ of the Hessian, in pixels."""

_TRUNCATE = 3.0  # a Gaussian ends at 3 σ

STRUCTURE_RADIUS = round(_TRUNCATE * max(WIDE_SCALES + HESSIAN_SCALES))
"""How far, in pixels, a statistic depends on its surroundings."""


def structure_statistics(channels: Floats, *, rgb: bool, threads: int = 1) -> Floats:
    """Compute the statistics of a window.

    Parameters
    ----------
    channels : ndarray of float32, (c, y, x)
        Perceptual channels; of RGB images, the first is the lightness.
    rgb : bool
        Whether the image is red, green, blue. Of other images the mean of the channels is
        the brightness.
    threads : int
        How many threads compute.

    Returns
    -------
    ndarray of float32, (e, y, x)
        With e = 2 c + 9. Right where the window goes `STRUCTURE_RADIUS` pixels on, or the
        image ends.
    """
    brightness = channels[0] if rgb else channels.mean(axis=0)
    wanted: list[_Wanted] = [
        (_mean, channel, scale) for scale in WIDE_SCALES for channel in channels
    ]
    wanted.append((_mean, brightness**2, WIDE_SCALES[-1]))
    wanted += [(_hessian_eigenvalues, brightness, scale) for scale in HESSIAN_SCALES]
    with ThreadPoolExecutor(threads) as pool:  # scipy's filters leave Python free
        groups = list(pool.map(lambda one: one[0](*one[1:]), wanted))
    n_means = len(WIDE_SCALES) * len(channels)
    means, (square,), *eigenvalues = [one for (one,) in groups[:n_means]], *groups[n_means:]
    # The mean of the channels' means is the mean of the brightness.
    widest = means[-len(channels) :]
    mean = widest[0] if rgb else np.mean(widest, axis=0)
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    return np.stack([*means, deviation, *chain.from_iterable(eigenvalues)])


def _mean(channel: Floats, scale: float) -> list[Floats]:
    return [gaussian_filter(channel, scale, truncate=_TRUNCATE)]


def _hessian_eigenvalues(channel: Floats, scale: float) -> list[Floats]:
    """Return the larger and the smaller eigenvalue, × σ² so that scales can be compared."""
    yy, yx, xx = (
        gaussian_filter(channel, scale, order=order, truncate=_TRUNCATE) * np.float32(scale**2)
        for order in ((2, 0), (1, 1), (0, 2))
    )
    middle = (yy + xx) / 2
    radius = np.hypot((yy - xx) / 2, yx)
    return [middle + radius, middle - radius]
