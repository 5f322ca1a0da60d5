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
    """Divide an image into superpixels, or a volume into supervoxels.

    Parameters
    ----------
    pixels : ndarray of float32, (c, y, x) or (c, z, y, x)
        Normalized intensities; what is beyond 0 and 1 is clipped.
    n_superpixels : int
        About so many come out.
    compactness : float
        Weight of nearness in space against nearness in colour, on the scale of Lab;
        for images that are no RGB black to white is as far apart as in Lab.
    rgb : bool
        Whether the channels are red, green, blue; they are compared in Lab.
    space : Space
        How far planes are apart.

    Returns
    -------
    ndarray of int64, (y, x) or (z, y, x)
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
        spacing=space.steps if space.is_volume else None,
    )
    indices = np.unique(superpixels, return_inverse=True)[1]
    return indices.reshape(superpixels.shape).astype(np.int64, copy=False)
