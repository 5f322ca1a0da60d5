"""Measurements of the objects of one frame, as columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array

from napari_diffseg.errors import InputError
from napari_diffseg.image.axes import check_real
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.instances.hulls import hull_areas
from napari_diffseg.instances.scale import Scale, scale_of

Columns = dict[str, NDArray[Any]]
"""Name of a column → its values, one for each row."""


def measure_frame(
    objects: NDArray[np.integer[Any]],
    channels: Sequence[ArrayLike] = (),
    *,
    frame: int = 0,
    pixel_size: PixelSize | None = None,
    channel_names: Sequence[str] = (),
    labels: NDArray[np.integer[Any]] | None = None,
    classes: Sequence[int] = (),
    class_names: Mapping[int, str] | None = None,
) -> Columns:
    """Measure the objects of one plane ``(y, x)`` or volume ``(z, y, x)``: one row an object.

    The columns are those of `napari_diffseg.measure`, by rising number of the objects; `channels`
    and `labels` have the shape of the objects, `classes` are those that these were made of, empty
    for all. Raises `InputError` where shapes differ.
    """
    objects, known_as = _packed(objects)
    images = [_checked(channel, objects) for channel in channels]
    names = unique_names(channel_names, len(images))
    groups = _Groups(objects)
    numbers = groups.numbers
    rows: Columns = {"frame": np.full(numbers.size, frame), "object": known_as[numbers]}
    if labels is not None:
        found = classes_of(objects, _checked(labels, objects), numbers, classes)
        known = class_names or {}
        rows["class"] = found
        rows["class_name"] = np.array([known.get(int(one), "") for one in found], dtype=object)
    rows |= groups.shapes(scale_of(objects.ndim, pixel_size))
    for name, image in zip(names, images, strict=True):
        rows |= groups.intensities(image, name)
    return rows


def _packed(
    objects: NDArray[np.integer[Any]],
) -> tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]:
    """Return objects numbered up to no more than there are pixels, and what each was called.

    What measures them takes memory for each number up to the largest, whatever is there.
    """
    largest = int(objects.max())
    if int(objects.min()) >= 0 and largest <= objects.size:
        return objects, np.arange(largest + 1)
    numbers, packed = np.unique(np.maximum(objects, 0), return_inverse=True)
    if numbers[0] > 0:
        return packed.reshape(objects.shape) + 1, np.insert(numbers, 0, 0)
    return packed.reshape(objects.shape), numbers


def unique_names(names: Sequence[str], n_channels: int) -> list[str]:
    """Return a name for each channel, no two alike: its own, or ``ch`` and its number."""
    given = list(names) if len(names) == n_channels else [""] * n_channels
    named = [name.strip() or f"ch{number}" for number, name in enumerate(given, start=1)]
    return [
        name if named.count(name) == 1 else f"{name}_{number}"
        for number, name in enumerate(named, start=1)
    ]


def classes_of(
    objects: NDArray[np.integer[Any]],
    labels: NDArray[Any],
    numbers: NDArray[np.integer[Any]],
    classes: Sequence[int] = (),
) -> NDArray[np.int64]:
    """Return the class that most pixels of each object have; 0 for one that has none of them.

    `numbers` (n) are those of the objects, ascending. Only `classes` count, for a filled hole may
    be larger than what is around it; empty for all.
    """
    counted = (objects > 0) & (np.isin(labels, classes) if len(classes) else labels > 0)
    rows = np.searchsorted(numbers, objects[counted])
    kinds, columns = np.unique(labels[counted], return_inverse=True)
    if not kinds.size:
        return np.zeros(numbers.size, np.int64)
    shape = (numbers.size, kinds.size)
    votes = coo_array((np.ones(rows.size, np.int64), (rows, columns.ravel())), shape=shape)
    table = votes.toarray()
    return np.where(table.any(axis=1), kinds[table.argmax(axis=1)], 0).astype(np.int64)


class _Groups:
    """The pixels of each object, so that an image is gone through once for all of them.

    All numbers are those of scikit-image's `regionprops`, which goes object by object.
    """

    def __init__(self, objects: NDArray[np.integer[Any]]) -> None:
        self._places = np.nonzero(objects)
        found = objects[self._places]
        is_there = np.bincount(found) > 0
        self.numbers = np.flatnonzero(is_there)
        self._rows = (np.cumsum(is_there) - 1)[found]
        self._sizes = np.bincount(self._rows, minlength=self.numbers.size)

    def shapes(self, scale: Scale) -> Columns:
        """Return how large each object is, where, and of what shape."""
        n_axes = len(scale.steps)
        content = self._sizes * math.prod(scale.steps)
        columns: Columns = {scale.content: content}
        offsets = []
        for axis, place, step in zip("zyx"[-n_axes:], self._places, scale.steps, strict=True):
            middle = self._mean(place)
            columns[f"centroid_{axis}_{scale.length}"] = middle * step
            offsets.append((place - middle[self._rows]) * step)
        ball = math.pi if n_axes == 2 else 4 / 3 * math.pi
        columns[f"equivalent_diameter_{scale.length}"] = 2 * (content / ball) ** (1 / n_axes)
        if n_axes == 2:
            columns["eccentricity"] = self._eccentricities(*offsets)
            columns["solidity"] = self._sizes / hull_areas(self._rows, *self._places)
        return columns

    def _mean(self, values: NDArray[Any]) -> NDArray[np.float64]:
        means: NDArray[np.float64] = np.bincount(self._rows, values, self._sizes.size) / self._sizes
        return means

    def _eccentricities(self, y: NDArray[Any], x: NDArray[Any]) -> NDArray[np.float64]:
        """Return those of the ellipses with the same moments; of offsets from the centroid."""
        yy, xx, xy = self._mean(y * y), self._mean(x * x), self._mean(x * y)
        apart = np.hypot((yy - xx) / 2, xy)
        large, small = (yy + xx) / 2 + apart, np.maximum((yy + xx) / 2 - apart, 0)
        ratio = np.divide(small, large, out=np.ones_like(large), where=large > 0)
        eccentricities: NDArray[np.float64] = np.sqrt(1 - ratio)
        return eccentricities

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        return np.argsort(self._rows, kind="stable")

    def intensities(self, image: NDArray[Any], name: str) -> Columns:
        """Return mean, extremes and sum of a channel in each object."""
        values = image[self._places][self._order]
        if not values.size:
            return {f"{one}_{name}": np.zeros(0) for one in ("mean", "min", "max", "sum")}
        starts = np.cumsum(self._sizes) - self._sizes
        total = np.add.reduceat(values.astype(np.float64), starts)
        return {
            f"mean_{name}": total / self._sizes,
            f"min_{name}": np.minimum.reduceat(values, starts),
            f"max_{name}": np.maximum.reduceat(values, starts),
            f"sum_{name}": total,
        }


def _checked(array: ArrayLike, objects: NDArray[Any]) -> NDArray[Any]:
    image = np.asarray(array)
    if image.shape != objects.shape:
        raise InputError(
            f"The objects have the shape {objects.shape}, but the image, or its labels, "
            f"{image.shape}; give those of the same frame."
        )
    check_real(image.dtype)
    # Booleans have no mean, and half floats no sum.
    return image.astype(np.float32) if image.dtype.kind == "b" or image.dtype == "f2" else image
