"""Where cells lie that are not too close to each other."""

from __future__ import annotations

import numpy as np

from napari_diffseg.errors import InputError
from napari_diffseg.sample_data.microscope import Floats

_TRIES = 400
"""Places tried for each cell before giving up."""


def scattered_places(
    shape: tuple[int, int], n_cells: int, distance: float, random: np.random.Generator
) -> Floats:
    """Scatter cells over an image.

    Parameters
    ----------
    shape : tuple of int, (y, x)
        Size of the image in pixels.
    n_cells : int
        How many.
    distance : float
        What lies between two of them at least, in pixels.
    random : Generator
        Where the places come from.

    Returns
    -------
    ndarray, (cell, yx)
        The centres.

    Raises
    ------
    InputError
        There is no room for so many cells.
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
        raise InputError(
            f"Only {n_placed} of {n_cells} cells fit into an image of {shape[0]} × {shape[1]} "
            "pixels; ask for fewer, or for a larger image."
        )
    return places
