"""The region of an image: what is segmented of it, at every door.

Labels are wanted inside, and nothing outside is learned from; but what lies around is seen, and a
stroke counts wherever it lies: it belongs to the region.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_diffseg.errors import InputError
from napari_diffseg.image.arrays import Mask
from napari_diffseg.image.windows import Window


def region_with_strokes(
    region: ArrayLike | None, scribbles: ArrayLike | None, shape: tuple[int, ...]
) -> Mask | None:
    """Check a region ``(z) y x`` of an image of this shape; what is painted belongs to it."""
    if region is None:
        return None
    mask = np.asarray(region)
    if mask.dtype.kind not in "buif":
        raise InputError(
            f"The region is a {type(region).__name__} of {mask.dtype}, but a mask was expected, 0 "
            f"outside; of ranges make one: mask = np.zeros({shape}), then mask[ranges] = 1."
        )
    inside: Mask = mask if mask.dtype.kind == "b" else mask != 0
    if inside.shape != shape:
        raise InputError(
            f"The region has the shape {inside.shape}, but the image has {shape}; give a mask "
            "of the image's shape."
        )
    if scribbles is None or np.shape(scribbles) != shape:
        return inside  # of scribbles that cannot be, something is said where they are read
    painted = np.asarray(scribbles)
    return inside | (painted > 0) if painted.dtype.kind in "buif" else inside


def box_of(covered: NDArray[Any]) -> Window | None:
    """Return the smallest window that holds what is not 0; None where everything is."""
    sides = []
    for axis in range(covered.ndim):
        others = tuple(one for one in range(covered.ndim) if one != axis)
        met = np.flatnonzero(covered.any(axis=others))
        if not met.size:
            return None
        sides.append(slice(int(met[0]), int(met[-1]) + 1))
    return tuple(sides)
