"""Where simulated things lie, and what outlines they have: places in pixels or µm, never light."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.errors import InputError
from napari_diffseg.image.arrays import Floats, Mask

_TRIES = 400  # places tried for each cell before giving up


def check_size(shape: Sequence[int], axes: str, n: int, name: str, most: int) -> None:
    """Refuse a shape that has other axes, and a number of things that is out of bounds."""
    if len(shape) != len(axes) or min(shape) < 1:
        many = {2: "two", 3: "three"}[len(axes)]
        raise InputError(
            f"The shape is {shape}, but must be {many} sizes ({', '.join(axes)}) of 1 or more."
        )
    if not 0 <= n <= most:
        raise InputError(f"{name} is {n}, but must be 0 to {most}.")


def scattered_places(
    shape: tuple[int, int], n_cells: int, distance: float, random: np.random.Generator
) -> Floats:
    """Return centres ``(cell, yx)`` no two of which are nearer than a distance, in pixels.

    Raises InputError where there is no room for so many cells.
    """
    places = np.empty((n_cells, 2))
    n_placed = 0
    for _ in range(_TRIES * n_cells):
        if n_placed == n_cells:
            break
        place = random.uniform(0, shape)
        if (np.linalg.norm(places[:n_placed] - place, axis=1) > distance).all():
            places[n_placed] = place
            n_placed += 1
    if n_placed < n_cells:
        raise _too_many(n_placed, n_cells, "cells", shape)
    return places


def packed_nuclei(
    shape: Sequence[int],
    n_nuclei: int,
    margins: Sequence[int],
    draw: Callable[[], tuple[Mask, Mask]],
    tries: int,
    random: np.random.Generator,
) -> NDArray[np.uint16]:
    """Put nuclei one after another where there is room, or raise InputError; returns their labels.

    Each is drawn as two masks with it in their middle: its pixels, and what it claims, which no
    other may have. Margins around the image spare those at the border a case of their own.
    """
    labels = np.zeros([n + 2 * m for n, m in zip(shape, margins, strict=True)], np.uint16)
    for label in range(1, n_nuclei + 1):
        mask, claim = draw()
        for _ in range(tries):
            middle = random.integers(shape) + margins
            window = labels[
                tuple(
                    slice(m - n // 2, m + n // 2 + 1)
                    for m, n in zip(middle, mask.shape, strict=True)
                )
            ]
            if not window[claim].any():
                window[mask] = label
                break
        else:
            raise _too_many(label - 1, n_nuclei, "nuclei", shape)
    inner = tuple(slice(m, m + n) for m, n in zip(margins, shape, strict=True))
    return labels[inner].copy()


def _too_many(n_placed: int, n: int, things: str, shape: Sequence[int]) -> InputError:
    what, of = ("image", "pixels") if len(shape) == 2 else ("volume", "voxels")
    article = "an" if what == "image" else "a"
    return InputError(
        f"Only {n_placed} of {n} {things} fit into {article} {what} of "
        f"{' × '.join(map(str, shape))} {of}; ask for fewer, or for a larger {what}."
    )


def turned(angle: float, y: Floats, x: Floats) -> tuple[Floats, Floats]:
    """Return places along and across a direction."""
    return np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x


def wavy(bearing: Floats, waves: Floats, phases: Floats) -> Floats:
    """Return how far out a border with waves of order 2, 3 … is in each direction, about 1."""
    border = np.ones_like(bearing)
    for order, (wave, phase) in enumerate(zip(waves, phases, strict=True), start=2):
        border += wave * np.cos(order * bearing + phase)
    return border
