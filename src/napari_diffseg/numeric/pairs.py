"""Pairs of neighbours, and sums over them: what several touches of the same two regions come to."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

Integers = NDArray[np.integer[Any]]


def neighbours(image: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the pixels before and after every step along an axis; two views of one shape."""
    ahead = (slice(None),) * axis
    return image[*ahead, :-1], image[*ahead, 1:]


def sum_by_pair(
    first: Integers, second: Integers, values: tuple[NDArray[Any], ...], n: int
) -> tuple[Integers, Integers, list[NDArray[Any]]]:
    """Add up one or two values of each pair of indices below n, whichever of these comes first.

    Returns each pair once, ascending, and a sum for each of the values.
    """
    place = (np.minimum(first, second), np.maximum(first, second))
    # Two values are one complex number, and so added up at once.
    value = values[0] if len(values) == 1 else values[0] + 1j * values[1]
    # By way of compressed rows, which sums in linear time; coordinates alone would be sorted.
    sums = coo_array((value, place), shape=(n, n)).tocsr().tocoo()
    both = [sums.data] if len(values) == 1 else [sums.data.real, sums.data.imag]
    return sums.row, sums.col, both
