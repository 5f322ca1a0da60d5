"""Superpixels: small patches of similar colour, by SLIC (scikit-image)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import slic

# Lightness in Lab goes from 0 to 100, where a channel that is no colour goes from 0 to 1.
_LAB_SCALE = 100.0


def slic_superpixels(
    pixels: NDArray[np.float32], n_superpixels: int, compactness: float, *, rgb: bool
) -> NDArray[np.int64]:
    """Divide an image into superpixels.

    Parameters
    ----------
    pixels : ndarray of float32, (c, y, x)
        Normalized intensities; what is beyond 0 and 1 is clipped.
    n_superpixels : int
        About so many come out.
    compactness : float
        Weight of nearness in space against nearness in colour, on the scale of Lab;
        for images that are no RGB black to white is as far apart as in Lab.
    rgb : bool
        Whether the channels are red, green, blue; they are compared in Lab.

    Returns
    -------
    ndarray of int64, (y, x)
        Superpixel indices from 0 on, without gaps.
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
    )
    indices = np.unique(superpixels, return_inverse=True)[1]
    return indices.reshape(superpixels.shape).astype(np.int64, copy=False)
