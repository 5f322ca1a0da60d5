"""Names of the kinds of arrays; shapes and units stand where they are used."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]
Labels = NDArray[np.unsignedinteger[Any]]
Mask = NDArray[np.bool_]


def checksum(numbers: NDArray[Any]) -> int:
    """Return a number that changes with the labels or the strokes."""
    return zlib.crc32(np.ascontiguousarray(numbers).data)


def whole_numbers(numbers: NDArray[Any]) -> Integers | None:
    """Return whole numbers as such, also where a program such as Fiji keeps them in floats.

    Truth values are 0 and 1. None where they are something else.
    """
    if numbers.dtype.kind in "ui":
        return numbers
    if numbers.dtype.kind == "b":
        return numbers.astype(np.uint8)
    if numbers.dtype.kind != "f" or not (np.abs(numbers) <= np.iinfo(np.int32).max).all():
        return None
    whole = numbers.astype(np.int32)
    return whole if np.array_equal(whole, numbers) else None
