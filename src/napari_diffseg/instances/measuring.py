"""Measurements of the objects of one frame, as columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from skimage.measure import regionprops_table

from napari_diffseg.errors import InputError
from napari_diffseg.image.pixel_size import PixelSize
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
    """Measure the objects of one plane or volume.

    Parameters
    ----------
    objects : ndarray of int, (y, x) or (z, y, x)
        0 is the background.
    channels : sequence of array_like
        Each of the shape of the objects.
    frame : int
        Stands in the column ``frame``.
    pixel_size : PixelSize, optional
        Lengths are in µm then, else in pixels; the names of columns say which.
    channel_names : sequence of str
        One a channel; else they are called ``ch1``, ``ch2`` …
    labels : ndarray of int, optional
        Class of each pixel, of which the objects were made.
    classes : sequence of int
        Those of which they were made; empty for all.
    class_names : mapping of int to str, optional

    Returns
    -------
    dict of str to ndarray, (n,)
        One row an object, by rising number. Columns: ``frame``, ``object``; where there are
        `labels`, ``class`` and ``class_name``; ``area_um2`` (or ``area_px``; of a volume
        ``volume_um3`` or ``volume_vx``); ``centroid_y_um`` and so on, counted from the middle of
        the first pixel; ``equivalent_diameter_um``, of the circle or the ball of that area or
        volume; in a plane ``eccentricity`` (0 … 1) and ``solidity`` (area of the convex hull that
        is the object's); of each channel ``mean_NAME``, ``min_NAME``, ``max_NAME``, ``sum_NAME``.

    Raises
    ------
    InputError
        Shapes differ.
    """
    scale = scale_of(objects.ndim, pixel_size)
    objects, known_as = _packed(objects)
    images = [_checked(channel, objects) for channel in channels]
    names = unique_names(channel_names, len(images))
    table = _shape_columns(objects, scale)
    numbers = table.pop("object")
    rows: Columns = {"frame": np.full(numbers.size, frame), "object": known_as[numbers]}
    if labels is not None:
        found = classes_of(objects, _checked(labels, objects), numbers, classes)
        known = class_names or {}
        rows["class"] = found
        rows["class_name"] = np.array([known.get(int(one), "") for one in found], dtype=object)
    rows |= table
    if images:
        groups = _Groups(objects, numbers)
        for name, image in zip(names, images, strict=True):
            rows |= groups.columns(image, name)
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
        return packed.reshape(objects.shape) + 1, np.concatenate([[0], numbers])
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

    Parameters
    ----------
    objects, labels : ndarray of int
    numbers : ndarray of int, (n,)
        Of the objects, ascending.
    classes : sequence of int
        Only these count, for a filled hole may be larger than what is around it; empty for all.
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


def _shape_columns(objects: NDArray[np.integer[Any]], scale: Scale) -> Columns:
    axes = "zyx"[-objects.ndim :]
    wanted = ["label", "area", "centroid", *(["solidity"] if objects.ndim == 2 else [])]
    found = regionprops_table(objects, properties=wanted, spacing=scale.steps)
    content = np.asarray(found["area"], np.float64)
    columns: Columns = {"object": np.asarray(found["label"]), scale.content: content}
    for axis, letter in enumerate(axes):
        columns[f"centroid_{letter}_{scale.length}"] = found[f"centroid-{axis}"]
    power = 1 / objects.ndim
    diameter = 2 * (content / (math.pi if objects.ndim == 2 else 4 / 3 * math.pi)) ** power
    columns[f"equivalent_diameter_{scale.length}"] = diameter
    if objects.ndim == 2:
        columns["eccentricity"] = _eccentricities(objects, columns["object"], scale.steps)
        columns["solidity"] = found["solidity"]
    return columns


def _eccentricities(
    objects: NDArray[np.integer[Any]],
    numbers: NDArray[np.integer[Any]],
    steps: tuple[float, ...],
) -> NDArray[np.float64]:
    """Return what `regionprops` calls eccentricity, of all objects at once: ten times as fast."""
    places = np.nonzero(objects)
    rows = np.searchsorted(numbers, objects[places])
    y, x = (place * step for place, step in zip(places, steps, strict=True))

    def mean(values: NDArray[Any]) -> NDArray[np.float64]:
        means: NDArray[np.float64] = np.bincount(rows, values, numbers.size) / areas
        return means

    areas = np.bincount(rows, minlength=numbers.size)
    y, x = y - mean(y)[rows], x - mean(x)[rows]
    yy, xx, xy = mean(y * y), mean(x * x), mean(x * y)
    apart = np.hypot((yy - xx) / 2, xy)
    large, small = (yy + xx) / 2 + apart, np.maximum((yy + xx) / 2 - apart, 0)
    ratio = np.divide(small, large, out=np.ones_like(large), where=large > 0)
    eccentricities: NDArray[np.float64] = np.sqrt(1 - ratio)
    return eccentricities


class _Groups:
    """The pixels of each object, so that a channel is gone through once for all of them."""

    def __init__(self, objects: NDArray[np.integer[Any]], numbers: NDArray[Any]) -> None:
        self._inside = objects > 0
        rows = np.searchsorted(numbers, objects[self._inside])
        self._order = np.argsort(rows, kind="stable")
        self._sizes = np.bincount(rows, minlength=numbers.size)
        self._starts = np.cumsum(self._sizes) - self._sizes

    def columns(self, image: NDArray[Any], name: str) -> Columns:
        """Return what `regionprops` calls intensity_mean, _min and _max, and the sum."""
        values = image[self._inside][self._order]
        if not values.size:
            return {f"{one}_{name}": np.zeros(0) for one in ("mean", "min", "max", "sum")}
        total = np.add.reduceat(values.astype(np.float64), self._starts)
        return {
            f"mean_{name}": total / self._sizes,
            f"min_{name}": np.minimum.reduceat(values, self._starts),
            f"max_{name}": np.maximum.reduceat(values, self._starts),
            f"sum_{name}": total,
        }


def _checked(array: ArrayLike, objects: NDArray[Any]) -> NDArray[Any]:
    image = np.asarray(array)
    if image.shape != objects.shape:
        raise InputError(
            f"The objects have the shape {objects.shape}, but the image, or its labels, "
            f"{image.shape}; give those of the same frame."
        )
    # Booleans have no mean, and half floats no sum.
    return image.astype(np.float32) if image.dtype.kind == "b" or image.dtype == "f2" else image
