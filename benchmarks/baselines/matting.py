"""Closed-form matting (Levin, Lischinski, Weiss; pymatting) from scribbles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize

from benchmarks.baselines.scribbles import Labels, keep_painted


def matting(pixels: NDArray[np.uint8], scribbles: Labels, shrink: int = 3) -> Labels:
    """Cut the alpha matte of an RGB image at one half; unpainted pixels are unknown.

    Solved on the image shrunk ``shrink`` times, then enlarged: with so few known pixels the
    full size takes far longer, and is no better. Tried on every third photograph, both sets:
    shrunk 2 (set 1 only), 3 and 4 times, with epsilon 1e-7 (chosen), 1e-5 and 1e-4.
    """
    from pymatting import estimate_alpha_cf

    small = tuple(n // shrink for n in scribbles.shape)
    image = resize(pixels / 255.0, small, anti_aliasing=True)
    known = [resize((scribbles == k).astype(float), small, order=0) for k in (1, 2)]
    trimap = np.select([side > 0 for side in known], [0.0, 1.0], default=0.5)
    matte = estimate_alpha_cf(image, trimap)
    alpha = resize(matte, scribbles.shape, order=1)
    return keep_painted(np.where(alpha > 0.5, 2, 1), scribbles)
