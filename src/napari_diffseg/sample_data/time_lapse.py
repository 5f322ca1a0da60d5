"""A simulated movie of nuclei that wander and divide, with the track of each.

Stage by stage (axes ``t y x``, lengths in pixels, light in photons)::

    cells         who is where, how long, how bright (`moving_cells`)
    outlines      ellipses with wavy borders; where two overlap, the nearer one → tracks
    stain         brightness of each nucleus × a texture that moves along with it
    light         stain that bleaches from frame to frame, background that rises to one side
    optics        blur by the point spread function, with tails
    camera        Poisson noise, gain, offset, read noise → uint16
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.image.arrays import Floats
from napari_diffseg.sample_data.microscope import Camera, blur, grain, slope
from napari_diffseg.sample_data.moving_cells import RADIUS, STRETCH, Cell, wandering_cells
from napari_diffseg.sample_data.outlines import check_size, turned, wavy

PIXEL_SIZE = 0.65
"""Side of a pixel in µm, as with a 10× objective and 6.5 µm camera pixels."""
FRAME_MINUTES = 30.0
"""Time from one frame to the next."""

_PHOTONS = 55.0  # photons that a pixel of a typical nucleus gives in the first frame
_BACKGROUND = 14.0
_BLEACHING = 40.0  # frames until the stain is 1/e times as bright as in the first one
_PSF_SIGMA = 1.0


@dataclass(frozen=True, eq=False, slots=True)
class TimeLapse:
    """A movie ``(t, y, x)``, and what is in it; parents are the mothers' tracks of the daughters.

    A nucleus keeps its track, from 1, until it divides; 0 is background.
    """

    image: NDArray[np.uint16]
    tracks: NDArray[np.uint16]
    parents: dict[int, int]


def simulated_time_lapse(
    shape: tuple[int, int, int] = (24, 192, 192), n_cells: int = 18, seed: int = 0
) -> TimeLapse:
    """Simulate a movie ``(t, y, x)`` of nuclei, with its ground truth; the same from the same seed.

    Frames are `FRAME_MINUTES` apart, pixels `PIXEL_SIZE` µm wide; `n_cells` are in the first frame,
    some divide later. Raises InputError where they do not fit, or a number is out of bounds.
    """
    check_size(shape, "tyx", n_cells, "n_cells", 1000)
    random = np.random.default_rng(seed)
    field = (shape[1], shape[2])
    frames = wandering_cells(shape[0], field, n_cells, random)
    background = _background(field, random)
    image, tracks = np.empty(shape, np.uint16), np.empty(shape, np.uint16)
    for t, cells in enumerate(frames):
        tracks[t], stain = _drawn(cells, field, seed)
        light = _PHOTONS * np.exp(-t / _BLEACHING) * stain + background
        image[t] = Camera().expose(blur(light, (_PSF_SIGMA, _PSF_SIGMA)), random)
    parents = {cell.track: cell.parent for cells in frames for cell in cells if cell.parent}
    return TimeLapse(image, tracks, parents)


def _background(field: tuple[int, int], random: np.random.Generator) -> Floats:
    """Return the light ``(y, x)`` that is there without any cell."""
    return _BACKGROUND * (1 + slope(field, random) + 0.2 * grain(field, (20, 20), random))


def _drawn(
    cells: list[Cell], field: tuple[int, int], seed: int
) -> tuple[NDArray[np.uint16], Floats]:
    """Draw the nuclei of a frame: their tracks and their stain, both ``(y, x)``."""
    tracks, stain = np.zeros(field, np.uint16), np.zeros(field)
    nearest = np.ones(field)
    reach = int(np.ceil(STRETCH * RADIUS / 2))
    for cell in cells:
        y, x = (int(place) for place in cell.place)
        rows = slice(max(y - reach, 0), y + reach + 1)
        columns = slice(max(x - reach, 0), x + reach + 1)
        at = np.mgrid[
            rows.start : min(rows.stop, field[0]), columns.start : min(columns.stop, field[1])
        ]
        level, dye = _nucleus(cell, at[0] - cell.place[0], at[1] - cell.place[1], seed)
        inside = level < nearest[rows, columns]
        nearest[rows, columns][inside] = level[inside]
        tracks[rows, columns][inside] = cell.track
        stain[rows, columns][inside] = dye[inside]
    return tracks, stain


def _nucleus(cell: Cell, y: Floats, x: Floats, seed: int) -> tuple[Floats, Floats]:
    """Return how far out in the nucleus each place is (1 at its border), and its dye there."""
    # Each nucleus keeps its own border and texture for as long as it lives.
    random = np.random.default_rng([seed, cell.track])
    waves, phases = random.normal(0, 0.03, 3), random.uniform(0, 2 * np.pi, 3)
    grains, shifts = random.normal(0, 0.45, (6, 2)), random.uniform(0, 2 * np.pi, 6)
    length, width, brightness = cell.shape()
    along, across = turned(cell.angle, y, x)
    border = wavy(np.arctan2(across / width, along / length), waves, phases)
    level = np.hypot(along / length, across / width) / border
    texture = np.zeros_like(level)
    for (kx, ky), shift in zip(grains, shifts, strict=True):
        texture += np.cos(kx * along + ky * across + shift)
    dye = brightness * (1 + 0.11 * texture).clip(min=0.3) * (1.15 - 0.4 * level**2)
    return level, dye
