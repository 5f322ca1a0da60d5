"""Objects of frames that follow each other: what overlaps keeps its number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

Numbers = NDArray[np.int32]


class Follower:
    """Gives the objects of one frame after the other numbers that stay.

    An object keeps the number of the one before with which it shares most pixels, if that one
    too shares more with it than with any other. So of two daughters the one that covers more of
    the mother keeps her number; of two that merge, the one that covers more of the whole. Every
    other object is new: it gets a number that no object had before. There is no more to it: an
    object that is missing from one frame is a new one in the next (no gaps are closed), what
    does not overlap from frame to frame is not followed, and no ancestry is kept.
    """

    def __init__(self) -> None:
        self._before: Numbers | None = None
        self._n_given = 0

    def follow(self, objects: Numbers) -> Numbers:
        """Number the objects of the next frame, ``(y, x)`` or ``(z, y, x)``; 0 is none."""
        n = int(objects.max(initial=0))
        numbers = np.zeros(n + 1, np.int32)
        if self._before is not None and n:
            old, new = _partners(self._before, objects)
            numbers[new] = old
        is_new = numbers == 0
        is_new[0] = False
        newcomers = np.flatnonzero(is_new & (np.bincount(objects.ravel(), minlength=n + 1) > 0))
        numbers[newcomers] = np.arange(1, newcomers.size + 1) + self._n_given
        self._n_given += newcomers.size
        self._before = numbers[objects]
        return self._before

    def restart(self) -> None:
        """Let the next frame follow none; numbers that were given are not given again."""
        self._before = None


def _partners(before: Numbers, objects: Numbers) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Return pairs of an old number and an object that overlap each other most."""
    both = (before > 0) & (objects > 0)
    shape = int(before.max()) + 1, int(objects.max()) + 1
    ones = np.ones(int(both.sum()), np.int64)
    overlaps = coo_array((ones, (before[both], objects[both])), shape=shape)
    overlaps.sum_duplicates()
    old, new = overlaps.coords
    # Of equal overlaps the one with the smaller number.
    by_old = np.lexsort((new, -overlaps.data, old))
    by_new = np.lexsort((old, -overlaps.data, new))
    best_of_old = by_old[np.unique(old[by_old], return_index=True)[1]]
    best_of_new = by_new[np.unique(new[by_new], return_index=True)[1]]
    mutual = np.intersect1d(best_of_old, best_of_new)
    return old[mutual], new[mutual]
