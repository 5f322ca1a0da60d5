"""Windows of an image: a slice for each spatial axis; with more around, or within another.

An image has the spatial axes ``y x`` or ``z y x``, and its windows as many slices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

Window = tuple[slice, ...]
"""One slice for each spatial axis; all with a start and a stop."""

Shape = tuple[int, ...]
"""Length of each spatial axis, in pixels."""


def whole(shape: Sequence[int]) -> Window:
    """Return the window of a whole image of this shape."""
    return tuple(slice(0, length) for length in shape)


def grow(window: Window, margin: int | Sequence[int], shape: Sequence[int]) -> Window:
    """Return a window with some pixels around it (along each axis), as far as the image goes."""
    return tuple(
        slice(max(side.start - more, 0), min(side.stop + more, length))
        for side, more, length in zip(window, _each(margin, window), shape, strict=True)
    )


def inside(window: Window, outer: Window) -> Window:
    """Return where a window lies in one that holds it."""
    return tuple(
        slice(side.start - around.start, side.stop - around.start)
        for side, around in zip(window, outer, strict=True)
    )


def size(window: Window) -> Shape:
    """Return the length of a window along each axis."""
    return tuple(side.stop - side.start for side in window)


def tiles(window: Window, side: int | Sequence[int]) -> Iterator[Window]:
    """Cut a window into boxes with a side (one for each axis); those at the end are smaller."""
    yield from product(
        *(
            [
                slice(start, min(start + length, along.stop))
                for start in range(along.start, along.stop, length)
            ]
            for along, length in zip(window, _each(side, window), strict=True)
        )
    )


def _each(value: int | Sequence[int], window: Window) -> Sequence[int]:
    return (value,) * len(window) if isinstance(value, int) else value
