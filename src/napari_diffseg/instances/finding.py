"""From the classes of a label image to objects: pieces of a class, cleaned, cut, and numbered."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage.measure import label as connected_pieces

from napari_diffseg.errors import InputError
from napari_diffseg.image.arrays import Mask, whole_numbers
from napari_diffseg.image.space import Space, space_of
from napari_diffseg.instances.params import ObjectParams
from napari_diffseg.instances.splitting import Basins, add_depths, cut, uncut

Numbers = NDArray[np.int32]
Labels = NDArray[Any]

# Of a typical object; of 0.3 to 0.7 and 0.02 to 0.1 the best on images of `benchmarks.objects`.
_OF_RADIUS, _OF_SIZE = 0.5, 0.05

BACKGROUND = "background"
"""No objects are made of a class that is called so, and it is seen through in the window."""

_CLEANED, _DEEP = 0.15, 0.5
"""Shares of the time after which the classes are cleaned, and the depths of all are known."""

_PART = 1 << 22
"""Pixels that are counted at a time."""


def find_objects(
    labels: ArrayLike, params: ObjectParams | None = None, spacing: Sequence[float] | None = None
) -> Numbers:
    """Make objects (int32) of the chosen classes of labels ``(y, x)`` or ``(z, y, x)``.

    Pieces of a class that share no side (of a volume: no face) are two objects. Their outlines
    are smoothed, holes filled, small ones dropped, those that touch cut apart, and those at the
    border dropped, as the parameters say. No pixel of another chosen class is taken, and there
    is no object without a pixel of its class. 0 is the background; objects are numbered from 1
    to their count: class by class, and within a class in the order of their first pixel.

    `spacing` is that of voxels along z, y and x in any one unit, cubes where None; of a plane it
    does not count. Raises `InputError` where the labels have other axes or are no whole numbers.
    """
    return ObjectFinder(labels, spacing).find(params or ObjectParams())


class ObjectFinder:
    """Finds objects in one plane or volume again and again, and keeps what does not change.

    Takes what `find_objects` does; the labels must not be written to meanwhile.
    """

    def __init__(self, labels: ArrayLike, spacing: Sequence[float] | None = None) -> None:
        self._labels = checked_labels(labels)
        self._space = space_of("ZYX"[-self._labels.ndim :], spacing)
        self._key: tuple[object, ...] | None = None
        self._classes: Labels = self._labels
        self._basins: Basins | None = None

    def prepare(self, params: ObjectParams) -> Iterator[float]:
        """Do what takes long and is kept; yields how much of it is done, from 0 to 1."""
        key = params.class_numbers, params.fill_holes, params.smooth
        if key != self._key:
            self._key = self._basins = None
            self._classes = clean_classes(self._labels, params, self._space)
            self._key = key
            yield _CLEANED
        is_cut = params.split != 0 or params.min_size < 0
        if self._basins is None or (is_cut and not self._basins.is_cut):
            depth = None
            if is_cut:
                depth = np.zeros(self._labels.shape, np.float32)
                found = [number for number in count_labels(self._classes) if number > 0]
                for n_done, number in enumerate(found, start=1):
                    add_depths(depth, self._classes == number, self._space.steps)
                    yield _CLEANED + (_DEEP - _CLEANED) * n_done / len(found)
            pieces = self._pieces()
            self._basins = uncut(pieces) if depth is None else cut(pieces, depth, self._space.steps)
            yield 1.0

    def find(self, params: ObjectParams) -> Numbers:
        """Make objects, as `find_objects` does."""
        for _ in self.prepare(params):
            pass
        basins = self._basins
        assert basins is not None
        parts = basins.homes
        apart, min_sizes = self._sizes(params, basins)
        if params.split:
            parts = basins.joined(apart, params.neck / 100, min_sizes)
        own = np.flatnonzero(basins.first >= 0)
        sizes, kept = np.bincount(parts, basins.sizes), np.zeros(parts.size, np.bool_)
        kept[parts[own]] = sizes[parts[own]] >= np.maximum(min_sizes[own], 1)
        if params.clear_border:
            for edge in _edges(basins.numbers):
                kept[parts[edge]] = False
        return _numbered(basins, self._classes, parts, kept)

    def _sizes(
        self, params: ObjectParams, basins: Basins
    ) -> tuple[NDArray[np.float64], NDArray[np.integer[Any]]]:
        """Return of each basin how far centres are apart at least, and the smallest object."""
        n = basins.sizes.size
        apart, min_sizes = np.full(n, params.split), np.full(n, params.min_size)
        if params.split >= 0 and params.min_size >= 0:
            return apart, min_sizes
        radii = basins.radii(self._classes)
        if params.split < 0:
            apart = _OF_RADIUS * radii
        if params.min_size < 0:
            is_volume = self._labels.ndim == 3
            ball = 4 / 3 * radii / math.prod(self._space.steps) if is_volume else 1
            min_sizes = np.round(_OF_SIZE * ball * math.pi * radii**2).astype(np.int64)
        return apart, min_sizes

    def _pieces(self) -> Numbers:
        """Return the connected pieces of each class that have a pixel of it from the start."""
        classes = self._classes
        pieces = connected_pieces(classes, connectivity=1, background=0).astype(np.int32)
        own = np.zeros(int(pieces.max(initial=0)) + 1, np.bool_)
        own[pieces[classes == self._labels]] = True
        own[0] = False
        return pieces if own[1:].all() else np.where(own[pieces], pieces, 0).astype(np.int32)


def checked_labels(labels: ArrayLike) -> Labels:
    """Return labels of a plane or a volume as whole numbers; raises `InputError` of others."""
    array = np.asarray(labels)
    numbers = whole_numbers(array)
    if array.ndim not in (2, 3) or array.size == 0 or numbers is None:
        raise InputError(
            f"The labels have the shape {array.shape} and the type {array.dtype}, but a plane or "
            "a volume of whole numbers was expected; give the labels of one frame."
        )
    return numbers


def count_labels(labels: Labels) -> dict[int, int]:
    """Return how many pixels each label has that is there; by rising label, 0 among them."""
    counted: Counter[int] = Counter()
    # By parts, for counting makes 64-bit copies.
    for part in np.array_split(labels.reshape(-1), labels.size // _PART + 1):
        if part.dtype.itemsize <= 2 and part.dtype.kind == "u":
            counts = np.bincount(part)
            found = np.flatnonzero(counts)
            counts = counts[found]
        else:
            found, counts = np.unique(part, return_counts=True)
        counted.update(dict(zip(found.tolist(), counts.tolist(), strict=True)))
    return {number: counted[number] for number in sorted(counted)}


def count_objects(numbers: Numbers) -> int:
    """Return how many objects there are in a plane, a volume or frames of either."""
    is_there = np.zeros(int(numbers.max(initial=0)) + 1, np.bool_)
    # By parts, for what is looked up by becomes 64 bits wide.
    for part in np.array_split(numbers.reshape(-1), numbers.size // _PART + 1):
        is_there[part] = True
    return int(np.count_nonzero(is_there[1:]))


def count_in_all(frames: Iterable[Labels]) -> dict[int, int]:
    """Return how many pixels each label has in all frames together, as `count_labels` does."""
    return joined_counts(map(count_labels, frames))


def joined_counts(counts: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """Return the counts of frames together, but for frames of 0 alone: they were not labelled."""
    counted: Counter[int] = Counter()
    for one in counts:
        if one.keys() - {0}:
            counted.update(one)
    return dict(sorted(counted.items()))


def is_background(name: str) -> bool:
    """Whether a class of this name is the ground on which things lie."""
    return name.strip().lower() == BACKGROUND


def background_of(
    counts: Mapping[int, int], names: Mapping[int, str] | None = None
) -> tuple[int, ...]:
    """Return which classes no objects are made of, at every door, unless they are chosen.

    Those that are called so; else 0 or, if there is no 0, the largest class; but never the only
    one.
    """
    named = tuple(number for number in counts if is_background((names or {}).get(number, "")))
    classes = [number for number in counts if number > 0]
    if named or counts.get(0) or len(classes) < 2:
        return named or (0,)
    return (max(classes, key=lambda number: counts[number]),)


def with_classes(
    params: ObjectParams, counts: Mapping[int, int], names: Mapping[int, str] | None = None
) -> ObjectParams:
    """Return parameters that name the classes which objects of these labels are made of.

    Raises `InputError` where a chosen class is not there.
    """
    classes = [number for number in counts if number > 0]
    missing = [number for number in params.class_numbers if number not in classes]
    if missing:
        raise InputError(
            f"There is no class {missing[0]} among the labels (they have "
            f"{', '.join(map(str, classes)) or 'none'}); name classes that there are."
        )
    background = background_of(counts, names)
    chosen = [str(number) for number in classes if number not in background]
    if params.class_numbers or background == (0,) or not chosen:
        return params
    return replace(params, classes=",".join(chosen))


def clean_classes(labels: Labels, params: ObjectParams, space: Space) -> Labels:
    """Return the chosen classes alone, smoothed and with their holes filled; 0 elsewhere."""
    chosen = params.class_numbers or tuple(number for number in count_labels(labels) if number > 0)
    taken = np.isin(labels, chosen)
    cleaned = np.zeros_like(labels)
    for number in chosen:
        mask = found = labels == number
        if not found.any():
            continue
        if params.smooth:
            sigma = space.along(params.smooth / 2)
            # Outside the image nothing is known: outlines go on straight.
            found = ndimage.gaussian_filter(found.astype(np.float32), sigma, mode="nearest") > 0.5
        if params.fill_holes:
            found = found | _holes(found)
        cleaned[found & (mask | ~taken) & (cleaned == 0)] = number
    return cleaned


def _holes(mask: Mask) -> Mask:
    """Return what is enclosed: pieces of the outside that do not reach the edge."""
    outside = connected_pieces(~mask, connectivity=1)
    encloses = np.ones(int(outside.max()) + 1, np.bool_)
    encloses[0] = False
    for edge in _edges(outside):
        encloses[edge] = False
    holes: Mask = encloses[outside]
    return holes


def _edges(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the first and the last entries along each axis."""
    for axis in range(array.ndim):
        for end in (0, -1):
            yield np.take(array, end, axis)


def _numbered(
    basins: Basins, classes: Labels, parts: NDArray[np.integer[Any]], kept: Mask
) -> Numbers:
    """Number the parts that are kept from 1 on: by class, then by their first pixel."""
    first = np.full(parts.size, classes.size, np.intp)
    own = np.flatnonzero(basins.first >= 0)
    np.minimum.at(first, parts[own], basins.first[own])
    kept[0] = False  # the background
    places = np.flatnonzero(kept)
    order = np.lexsort((first[places], classes.reshape(-1)[first[places]]))
    numbers = np.zeros(parts.size, np.int32)
    numbers[places[order]] = np.arange(1, places.size + 1)
    numbered: Numbers = numbers[parts][basins.numbers]
    return numbered
