"""Superpixels: small patches of similar colour, by SLIC (scikit-image)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import slic

from napari_diffseg.image.space import PLANE, Space

# Lightness in Lab goes from 0 to 100, where a channel that is no colour goes from 0 to 1.
_LAB_SCALE = 100.0


def slic_superpixels(
    pixels: NDArray[np.float32],
    n_superpixels: int,
    compactness: float,
    *,
    rgb: bool,
    space: Space = PLANE,
) -> NDArray[np.int64]:
    """Divide an image ``c (z) y x``, 0 … 1, into superpixels, from 0 without gaps.

    The compactness is the weight of nearness in space against nearness in colour, on the scale of
    Lab; for images that are no RGB black to white is as far apart as in Lab.
    """
    image = np.clip(np.moveaxis(pixels, 0, -1), 0.0, 1.0)
    # SLIC stretches its input to 0 to 1, so a larger range has to be said by way of the
    # compactness, against which colours are weighed.
    superpixels = slic(
        image,
        n_segments=n_superpixels,
        compactness=compactness if rgb else compactness / _LAB_SCALE,
        convert2lab=rgb,
        start_label=0,
        channel_axis=-1,
        spacing=space.steps if space.is_volume else None,
    )
    indices = np.unique(superpixels, return_inverse=True)[1]
    return indices.reshape(superpixels.shape).astype(np.int64, copy=False)
