"""The colours of labels: far apart, kept from result to result, and those of the scribbles.

Label k has the k-th colour of a palette, unless `Coloring` has given it another.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from napari.utils.colormaps import CyclicLabelColormap, label_colormap
from numpy.typing import NDArray
from skimage.color import rgb2lab

FEWEST = 32
"""A palette has so many colours at least; those of larger ones begin with the same."""

_MOST_COMPARED = 1 << 20
"""Colours are kept by comparing about so many pixels before and after."""

_SAME = 1 / 512
"""Two colours are one where no channel differs by more."""

Colors = NDArray[np.floating]


class Coloring:
    """Which colour each label of one layer has."""

    def __init__(self, number: int) -> None:
        self._palette = distinct_colors(number)
        # The palette's colour of each label; 0 is unlabelled.
        self._order = np.arange(len(self._palette.colors))
        self._painted: dict[int, Colors] = {}
        self._clear: set[int] = set()

    @property
    def colormap(self) -> CyclicLabelColormap:
        """The colours, for a layer."""
        colors = np.array(self._palette.colors)[self._order]
        for number, color in self._painted.items():
            colors[number] = color
        colors[[number for number in self._clear if number < len(colors)], 3] = 0
        return with_colors(self._palette, colors)

    def fix(self, painted: Mapping[int, Colors]) -> bool:
        """Give painted classes the colours of their strokes."""
        before = np.asarray(self.colormap.colors)
        last = len(self._order) - 1
        self._painted = {one: color for one, color in painted.items() if 0 < one <= last}
        for number, place in self._taken().items():
            # The label that had this colour takes the one that is given up.
            other = int(np.flatnonzero(self._order == place)[0])
            self._order[other], self._order[number] = self._order[number], place
        return not np.array_equal(before, np.asarray(self.colormap.colors))

    def clear(self, numbers: set[int]) -> bool:
        """Let labels be seen through; return whether others were before."""
        before, self._clear = self._clear, numbers
        return before != numbers

    def keep(self, shown: NDArray[np.integer], labels: NDArray[np.integer]) -> None:
        """Colour new labels so that as many pixels as can be keep the colour they have.

        Painted classes have the colours of their strokes, whatever was shown.
        """
        n = len(self._order)
        if labels.size and int(labels.max()) >= n:
            # Colours come round again, so that none could be kept for one label alone.
            self._order = np.arange(n)
            return
        step = -(-labels.size // _MOST_COMPARED)
        before = self._order[np.minimum(shown.reshape(-1)[::step].astype(np.int64), n - 1)]
        after = labels.reshape(-1)[::step].astype(np.int64)
        pairs = np.bincount(after * n + before, minlength=n * n).reshape(n, n)
        taken = self._taken()
        free_labels = np.setdiff1d(np.arange(1, n), list(taken))
        free_places = np.setdiff1d(np.arange(1, n), list(taken.values()))
        from scipy.optimize import linear_sum_assignment  # slow to load; the dock opens without

        rows, columns = linear_sum_assignment(
            pairs[np.ix_(free_labels, free_places)], maximize=True
        )
        self._order = np.arange(n)
        self._order[free_labels[rows]] = free_places[columns]
        for number, place in taken.items():
            self._order[number] = place

    def _taken(self) -> dict[int, int]:
        """Return the place in the palette of each painted class whose colour is there."""
        colors = np.asarray(self._palette.colors)
        places: dict[int, int] = {}
        for number, color in self._painted.items():
            found = np.flatnonzero(np.abs(colors - color).max(axis=1) < _SAME)
            if found.size and found[0] > 0 and int(found[0]) not in places.values():
                places[number] = int(found[0])
        return places


def scribble_colors(number: int) -> CyclicLabelColormap:
    """Return the same colours for strokes; the calm one that large regions have is the last."""
    colormap = distinct_colors(number)
    unlabelled, calmest, *others = np.asarray(colormap.colors)
    return with_colors(colormap, np.stack([unlabelled, *others, calmest]))


def distinct_colors(number: int) -> CyclicLabelColormap:
    """Return napari's colours for so many labels, the first ones as unlike as can be."""
    base = label_colormap(8 * (FEWEST + 1))
    colors = _spread(base, FEWEST, [])
    if number > FEWEST:
        colors = _spread(label_colormap(8 * (number + 1)), number, colors)
    return with_colors(base, np.stack([np.asarray(base.colors)[0], *colors]))


def _spread(surplus: CyclicLabelColormap, number: int, first: list[Colors]) -> list[Colors]:
    """Choose colours one by one, each as far as can be from those before."""
    candidates = np.unique(np.asarray(surplus.colors)[1:], axis=0)
    lab = rgb2lab(candidates[:, :3])
    # Nearly black and white ones are hard to see on an image, and glaring ones outshine it.
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    is_calm = (np.abs(lab[:, 0] - 60) < 28) & (chroma < 75)
    candidates, lab, chroma = candidates[is_calm], lab[is_calm], chroma[is_calm]
    # The calmest one is the first, because the first label is the largest.
    chosen = list(first) or [candidates[int(np.argmin(chroma))]]
    apart = np.full(len(lab), np.inf)
    for color in chosen:
        apart = np.minimum(apart, np.linalg.norm(lab - rgb2lab(color[:3]), axis=1))
    while len(chosen) < number:
        farthest = int(np.argmax(apart))
        chosen.append(candidates[farthest])
        apart = np.minimum(apart, np.linalg.norm(lab - lab[farthest], axis=1))
    return chosen


def with_colors(colormap: CyclicLabelColormap, colors: Colors) -> CyclicLabelColormap:
    """Return a colormap of the same kind with other colours, the unlabelled one first."""
    return CyclicLabelColormap(
        colors=colors,
        controls=np.linspace(0, 1, len(colors) + 1),
        interpolation=colormap.interpolation,
        background_value=colormap.background_value,
        name=colormap.name,
    )
