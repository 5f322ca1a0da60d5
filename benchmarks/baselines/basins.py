"""Watershed of the colour gradient (scikit-image)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab
from skimage.filters import gaussian, sobel
from skimage.measure import label
from skimage.morphology import reconstruction
from skimage.segmentation import watershed

_ROUNDING = 1e-6


def watershed_basins(
    pixels: NDArray[np.uint8], depth: float, sigma: float = 1.0
) -> NDArray[np.integer]:
    """Flood an RGB image ``y x c`` from the minima of its gradient.

    Parameters
    ----------
    pixels : ndarray, (y, x, c)
    depth : float
        Minima less deep than this, in units of CIE Lab a pixel, have no basin of their own.
    sigma : float
        Gaussian blur before the gradient is taken, in pixels.
    """
    smooth = gaussian(rgb2lab(pixels), sigma, channel_axis=-1)
    # Channel by channel: along a third axis the filter would mix the colours.
    gradient = np.sqrt(sum(sobel(smooth[..., c]) ** 2 for c in range(smooth.shape[-1])))
    # scikit-image's h_minima misses minima of float images now and then.
    flooded = reconstruction(gradient + depth, gradient, method="erosion")
    minima = flooded - gradient > (1 - _ROUNDING) * depth
    return watershed(gradient, label(minima))
