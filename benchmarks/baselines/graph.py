"""Felzenszwalb & Huttenlocher's graph-based segmentation (scikit-image)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import felzenszwalb


def felzenszwalb_regions(
    pixels: NDArray[np.uint8], scale: float, sigma: float = 0.8, min_size: int = 50
) -> NDArray[np.integer]:
    """Cut an RGB image ``y x c`` into regions."""
    return felzenszwalb(pixels, scale=scale, sigma=sigma, min_size=min_size)
