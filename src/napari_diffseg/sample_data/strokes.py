"""So many straight strokes on a ground truth, where a person might paint them: inside, seeded."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_diffseg.image.arrays import Mask

_LONGEST = 26  # pixels that a stroke is long at most
_MARGINS = (2, 1)  # people keep so far from an edge, in pixels, where there is room for it
_ROOM = 0.1  # in this part of a region at least
_DIRECTIONS = 24


def strokes_on_plane(
    classes: NDArray[np.integer], n_strokes: int, random: np.random.Generator
) -> NDArray[np.uint8]:
    """Paint a few strokes on every class (from 1 to 255) of a plane ``(y, x)``.

    Returns 0 where nothing is painted; a painted pixel has the class of the ground truth.
    """
    painted = np.zeros(classes.shape, np.uint8)
    for number in np.unique(classes[classes > 0]):
        region = classes == number
        free = _off_the_edges(region)
        for _ in range(n_strokes):
            path = _path(free, random)
            line = np.zeros_like(region)
            line[tuple(path.T)] = True
            painted[ndimage.binary_dilation(line, np.ones((3, 3))) & region] = number
    return painted


def strokes_on_stack(
    classes: NDArray[np.integer], planes: Iterable[int], n_strokes: int, seed: int
) -> NDArray[np.uint8]:
    """Paint a few strokes on every class of some planes of a stack ``(n, y, x)``.

    The same seed gives the same strokes.
    """
    painted = np.zeros(classes.shape, np.uint8)
    for plane in planes:
        random = np.random.default_rng([seed, plane])
        painted[plane] = strokes_on_plane(classes[plane], n_strokes, random)
    return painted


def _off_the_edges(region: Mask) -> Mask:
    """Return a region without its edges, or with them where it is too thin."""
    for margin in _MARGINS:
        # Beyond the image there is no edge that one would have to keep away from.
        inner: Mask = ndimage.binary_erosion(region, iterations=margin, border_value=1)
        if inner.sum() >= _ROOM * region.sum():
            return inner
    return region


def _path(free: Mask, random: np.random.Generator) -> NDArray[np.intp]:
    """Return a straight path ``(pixel, yx)`` in the region: the longest of several."""
    places = np.argwhere(free)
    start = places[random.integers(len(places))]
    angles = random.uniform(0, 2 * np.pi) + np.linspace(0, 2 * np.pi, _DIRECTIONS, endpoint=False)
    ways = np.stack([np.sin(angles), np.cos(angles)], axis=-1)
    at = np.rint(start + np.arange(_LONGEST)[:, None, None] * ways).astype(np.intp)
    within = ((at >= 0) & (at < free.shape)).all(axis=-1)
    y, x = np.moveaxis(np.where(within[..., None], at, 0), -1, 0)
    lengths = np.logical_and.accumulate(within & free[y, x]).sum(axis=0)
    best = int(lengths.argmax())
    path: NDArray[np.intp] = at[: lengths[best], best]
    return path
