"""Pairs of neighbours, and sums over them: what several touches of the same two regions come to."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from napari_diffseg.image.arrays import Integers


def neighbours(image: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the pixels before and after every step along an axis; two views of one shape."""
    ahead = (slice(None),) * axis
    return image[*ahead, :-1], image[*ahead, 1:]


def sum_by_pair(
    first: Integers, second: Integers, values: NDArray[Any], n: int
) -> tuple[Integers, Integers, NDArray[Any]]:
    """Add up the values of each pair of indices below n, whichever of the two comes first.

    Returns each pair once, ascending, and its sum.
    """
    place = (np.minimum(first, second), np.maximum(first, second))
    # By way of compressed rows, which sums in linear time; coordinates alone would be sorted.
    pairs = coo_array((values, place), shape=(n, n)).tocsr().tocoo()
    return pairs.row, pairs.col, pairs.data
