"""Scribbles: what a person painted on an image, checked once at the door.

A scribble has the number of its class; 0 is unpainted. Numbers may have gaps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_diffseg.errors import InputError
from napari_diffseg.image.arrays import Mask

LARGEST_CLASS = np.iinfo(np.uint16).max
"""The largest number that a class can have."""


@dataclass(frozen=True, eq=False, slots=True)
class Scribbles:
    """Painted pixels of one image.

    `painted` ``(z) y x`` has the class of each, 0 where nothing is painted; `classes` ascend.
    """

    painted: NDArray[np.uint16]
    classes: tuple[int, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> Self:
        """Return those of an image of this shape that nothing is painted on."""
        return cls(np.zeros(shape, np.uint16), ())


def classes_of(painted: Iterable[Scribbles]) -> tuple[int, ...]:
    """Return the classes that are painted on any of some images, ascending."""
    return tuple(sorted({number for one in painted for number in one.classes}))


def read_scribbles(scribbles: ArrayLike, shape: tuple[int, ...], valid: Mask | None) -> Scribbles:
    """Check scribbles and bring them to one form.

    Axes of length 1 are dropped. Strokes outside of what is `valid` ``(z) y x`` do not count, which
    is noted.
    """
    try:
        given = np.asarray(scribbles)
    except ValueError as error:
        raise InputError(
            "The scribbles have rows of different lengths; give an array of the image's shape."
        ) from error
    _require_numbers(given)
    only_longer = [length for length in given.shape if length != 1]
    is_plane = given.ndim >= 2 and only_longer == [length for length in shape if length != 1]
    painted = given.reshape(shape) if is_plane else given
    if painted.shape != shape:
        raise InputError(
            f"The scribbles have the shape {_sizes(given.shape)}, but the image has "
            f"{_sizes(shape)}; paint on a layer of the image's size."
        )
    numbers = _class_numbers(painted)
    notes = []
    if valid is not None and (numbers[~valid] > 0).any():
        n_lost = int(np.count_nonzero(numbers[~valid]))
        numbers = np.where(valid, numbers, 0).astype(np.uint16)
        notes.append(
            f"{n_lost} painted pixels lie outside the region that is segmented, or where the image "
            "is fill or not finite; they are not learned from."
        )
    found, areas = np.unique(numbers[numbers > 0], return_counts=True)
    if found.size == 0:
        raise InputError(
            "Nothing is painted on the scribbles that can be used; paint a stroke or two first."
        )
    notes += [
        f"Class {number} has one painted pixel; a longer stroke says more."
        for number in found[areas == 1]
    ]
    if not (numbers == 0).any():
        notes.append("Every pixel is painted; the result is what was painted.")
    return Scribbles(numbers, tuple(found.tolist()), tuple(notes))


def _require_numbers(painted: NDArray[Any]) -> None:
    if painted.dtype.kind not in "buif":
        raise InputError(
            f"The scribbles have the data type {painted.dtype}, but whole numbers were "
            "expected; use a Labels layer or an image of class numbers."
        )


def _class_numbers(painted: NDArray[Any]) -> NDArray[np.uint16]:
    if painted.dtype.kind == "f" and not np.array_equal(painted, np.trunc(painted)):
        raise InputError(
            "The scribbles have values that are no whole numbers; 0 means unpainted, and a "
            "class is a number from 1."
        )
    if painted.size and painted.min() < 0:
        raise InputError(
            f"The scribbles have the value {painted.min()}, but a class is a number from 1, and "
            "0 means unpainted; paint with another number."
        )
    if painted.size and painted.max() > LARGEST_CLASS:
        raise InputError(
            f"The scribbles have the class {painted.max()}, but {LARGEST_CLASS} is the largest "
            "there can be; paint with a smaller number."
        )
    return painted.astype(np.uint16)


def _sizes(shape: tuple[int, ...]) -> str:
    return " × ".join(str(length) for length in shape) or "of a single number"
