"""Pixels in the convex hull of every object of a plane, of all objects at once."""

from __future__ import annotations

import numpy as np

from napari_diffseg.image.arrays import Integers


def hull_areas(rows: Integers, y: Integers, x: Integers) -> Integers:
    """Return how many pixels are in the hull of each object, as `regionprops` counts them.

    `rows`, ``(m,)``: to which object, from 0 on, the pixel at `y` and `x` belongs, line by line. A
    pixel is the diamond of its middle and half a pixel around it; one whose middle is on the edge
    of the hull is in it. All is in whole numbers and so exact; some twenty times as fast as object
    by object.
    """
    if not rows.size:
        return np.zeros(0, np.int64)
    # The first and the last pixel of each object in each line; of the hull nothing else counts.
    order = np.argsort(rows, kind="stable")
    rows, y, x = rows[order], y[order], x[order]
    starts = np.flatnonzero(np.diff(rows, prepend=-1) | np.diff(y, prepend=-1))
    ends = np.append(starts[1:], rows.size) - 1
    own, y, left, right = rows[starts], y[starts], x[starts], x[ends]
    # An object in pieces has no pixel in some of the lines that its hull has.
    top, bottom = (np.flatnonzero(np.diff(own, **end)) for end in ({"prepend": -1}, {"append": -1}))
    heights = y[bottom] - y[top] + 1
    line_of = np.repeat(np.arange(heights.size), heights)
    line = np.arange(line_of.size) - np.repeat(np.cumsum(heights) - heights - y[top], heights)
    widths = 1 - _reach(own, y, left, line_of, line) - _reach(own, y, -right, line_of, line)
    return np.bincount(line_of, widths).astype(np.int64)


def _reach(own: Integers, y: Integers, x: Integers, line_of: Integers, line: Integers) -> Integers:
    """Return the leftmost pixel in the hull in each line of each object.

    `own`, `y`, `x`: the object, line and leftmost pixel in it, sorted by the first two;
    `line_of`, `line`: what is asked for.
    """
    # Above, left of and below a pixel, in half pixels; of two at one height the one further left.
    owner = np.repeat(own, 3)
    height, place = (np.add.outer(2 * y, [-1, 0, 1]), np.add.outer(2 * x, [0, -1, 0]))
    order = np.lexsort((place.ravel(), height.ravel(), owner))
    owner, height, place = owner[order], height.ravel()[order], place.ravel()[order]
    once = np.diff(owner, prepend=-1) | np.diff(height, prepend=-3)
    owner, height, place = (column[once != 0] for column in (owner, height, place))
    while True:
        # No corner is one that is not left of the line between its neighbours.
        turn = (place[1:-1] - place[:-2]) * (height[2:] - height[:-2])
        is_inner = turn >= (place[2:] - place[:-2]) * (height[1:-1] - height[:-2])
        is_inner &= owner[:-2] == owner[2:]
        if not is_inner.any():
            break
        kept = np.concatenate([[True], ~is_inner, [True]])
        owner, height, place = owner[kept], height[kept], place[kept]
    # Between which two corners each line is: the heights of one object lie apart from others'.
    far = int(height.max()) + 4
    after = np.searchsorted(owner * far + height, line_of * far + 2 * line)
    first, last = height[after - 1], height[after]
    reach = place[after - 1] * (last - 2 * line) + place[after] * (2 * line - first)
    leftmost: Integers = -(-reach // (2 * (last - first)))
    return leftmost
