"""Windows of an image: rows and columns, with more around them, or within another window."""

from __future__ import annotations

from collections.abc import Iterator

Window = tuple[slice, slice]
"""Rows and columns; both with a start and a stop."""


def whole(shape: tuple[int, int]) -> Window:
    """Return the window of a whole image of this height and width."""
    height, width = shape
    return slice(0, height), slice(0, width)


def grow(window: Window, margin: int, shape: tuple[int, int]) -> Window:
    """Return a window with some pixels around it, as far as the image goes."""
    rows, columns = (
        slice(max(side.start - margin, 0), min(side.stop + margin, length))
        for side, length in zip(window, shape, strict=True)
    )
    return rows, columns


def inside(window: Window, outer: Window) -> Window:
    """Return where a window lies in one that holds it."""
    rows, columns = (
        slice(side.start - around.start, side.stop - around.start)
        for side, around in zip(window, outer, strict=True)
    )
    return rows, columns


def size(window: Window) -> tuple[int, int]:
    """Return the height and the width of a window."""
    rows, columns = window
    return rows.stop - rows.start, columns.stop - columns.start


def tiles(window: Window, side: int) -> Iterator[Window]:
    """Cut a window into squares of a side; those at the end are smaller."""
    rows, columns = window
    for top in range(rows.start, rows.stop, side):
        for left in range(columns.start, columns.stop, side):
            yield (
                slice(top, min(top + side, rows.stop)),
                slice(left, min(left + side, columns.stop)),
            )
