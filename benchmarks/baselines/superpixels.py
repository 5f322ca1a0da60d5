"""SLIC superpixels, merged by Ward's method over their adjacency (scikit-image, scikit-learn)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from skimage.color import rgb2lab
from skimage.segmentation import slic
from sklearn.cluster import AgglomerativeClustering


def merged_superpixels(
    pixels: NDArray[np.uint8], n_regions: int, n_superpixels: int = 1000
) -> NDArray[np.integer]:
    """Merge superpixels by their mean Lab colour down to a number of regions."""
    superpixels = slic(pixels, n_superpixels, compactness=10, start_label=0)
    n = superpixels.max() + 1
    lab = rgb2lab(pixels)
    means = np.stack([ndimage.mean(lab[..., c], superpixels, range(n)) for c in range(3)], axis=1)
    pairs = [
        (superpixels[:, :-1].ravel(), superpixels[:, 1:].ravel()),
        (superpixels[:-1].ravel(), superpixels[1:].ravel()),
    ]
    first, second = (np.concatenate(side) for side in zip(*pairs, strict=True))
    touching = coo_array((np.ones(first.size), (first, second)), shape=(n, n)).tocsr()
    ward = AgglomerativeClustering(min(n_regions, n), connectivity=touching + touching.T)
    return ward.fit_predict(means)[superpixels]
