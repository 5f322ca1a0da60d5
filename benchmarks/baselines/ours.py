"""The default of this package, called as the other methods are; threads as torch has them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_diffseg import segment

Labels = NDArray[np.integer]


def with_strokes(pixels: NDArray[np.generic], scribbles: Labels) -> Labels:
    """Spread scribbles."""
    return segment(pixels, axes=_axes(pixels), scribbles=scribbles).labels


def without_strokes(pixels: NDArray[np.generic], k: int) -> Labels:
    """Cut an image into K labels."""
    return segment(pixels, axes=_axes(pixels)).with_n_labels(k).labels


def _axes(pixels: NDArray[np.generic]) -> str:
    return "YXC" if pixels.ndim == 3 else "YX"
