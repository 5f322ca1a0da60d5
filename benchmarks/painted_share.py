"""Scribbles on a share of the pixels, made from ground truth by a seeded procedure like a person's.

The strokes of the sample layers (`napari_diffseg.sample_data.strokes`) are of another kind: so
many a class, straight, and as long as fits, however large the image.

For each class: its connected pieces are eroded, for people keep off the edges, and thinned to
skeletons. A stroke starts at a random place on the skeleton of a piece chosen at random, weighted
by area; it follows the skeleton for at most `LONGEST` pixels and is `WIDTH` pixels wide. Strokes
are added until the class has its part of the pixels, the same for every class. Under one seed
the scribbles of a smaller share are part of those of a larger one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import skeletonize

WIDTH = 3
LONGEST = 30
MARGIN = 3.0
"""People keep about this far from an edge, in pixels, where there is room for it."""

AROUND = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]


def painted_share(truth: NDArray[np.integer], share: float, seed: int = 0) -> NDArray[np.uint8]:
    """Paint strokes on every class of the truth.

    Parameters
    ----------
    truth
        ``(y, x)``, the class of each pixel, 1 to 255; 0 where it is not known.
    share
        Fraction of all pixels to paint, over all classes together. A class that is too small
        for its part is painted but for its edges.
    seed
        Another seed paints elsewhere.

    Returns
    -------
    scribbles
        ``(y, x)``, 0 = unpainted. A painted pixel always has the truth's class.
    """
    scribbles = np.zeros(truth.shape, np.uint8)
    classes = [int(k) for k in np.unique(truth) if k > 0]
    for k in classes:
        wanted = share * truth.size / len(classes)
        random = np.random.default_rng([seed, k])
        scribbles[_painted(truth == k, wanted, random)] = k
    return scribbles


def _painted(
    region: NDArray[np.bool_], wanted: float, random: np.random.Generator
) -> NDArray[np.bool_]:
    """Paint strokes in a region until ``wanted`` pixels are painted."""
    pieces, _ = ndimage.label(region, np.ones((3, 3)))
    areas = np.bincount(pieces.ravel())
    eroded = _eroded(region, pieces)
    skeleton = skeletonize(eroded)
    painted = np.zeros_like(region)
    while wanted > 0:
        if not skeleton.any():
            skeleton = skeletonize(eroded & ~painted)  # next to the strokes that are there
        if not skeleton.any():
            break
        places = np.argwhere(skeleton)
        homes = pieces[skeleton]
        weights = areas[homes] / np.bincount(homes)[homes]
        start = places[random.choice(len(places), p=weights / weights.sum())]
        for y, x in _walk(skeleton, (int(start[0]), int(start[1])), random):
            brush = np.s_[max(y - WIDTH // 2, 0) : y + 2, max(x - WIDTH // 2, 0) : x + 2]
            added = region[brush] & ~painted[brush]
            painted[brush] |= added
            wanted -= added.sum()
            if wanted <= 0:
                break
        skeleton &= ~painted
    return painted


def _eroded(region: NDArray[np.bool_], pieces: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Erode each piece by `MARGIN`, a thin one by less, so that something of it remains."""
    depth = ndimage.distance_transform_edt(region)
    core = skeletonize(region)
    typical = ndimage.median(depth[core], pieces[core], np.arange(pieces.max() + 1))
    margin = np.fmin(MARGIN, np.nan_to_num(typical) / 2)
    return region & (depth > margin[pieces])


def _walk(
    skeleton: NDArray[np.bool_], start: tuple[int, int], random: np.random.Generator
) -> list[tuple[int, int]]:
    """Follow the skeleton from a place to where it ends, or for `LONGEST` pixels."""
    path = [start]
    while len(path) < LONGEST:
        y, x = path[-1]
        ahead = [(y + dy, x + dx) for dy, dx in AROUND]
        free = [place for place in ahead if _is_on(skeleton, place) and place not in path]
        if not free:
            break
        path.append(free[random.integers(len(free))])
    return path


def _is_on(skeleton: NDArray[np.bool_], place: tuple[int, int]) -> bool:
    inside = all(0 <= p < n for p, n in zip(place, skeleton.shape, strict=True))
    return inside and bool(skeleton[place])
