"""Cells that wander, grow and divide: who is where in each frame, before any light is involved.

Places are ``(y, x)`` in pixels, time is in frames. A mother's track ends with the frame before
the division; each of the two daughters starts a track of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from napari_diffseg.image.arrays import Floats
from napari_diffseg.sample_data.outlines import scattered_places

RADIUS = 9.0
"""Of a grown nucleus, in pixels."""
STRETCH = 3.2
"""No nucleus is longer than this many radii."""

_CYCLE = 40  # frames from one division to the next, about
_PERSISTENCE = 0.8  # part of its velocity that a cell keeps from one frame to the next
_PUSH = 0.35
"""Part of the room missing between two cells by which they are pushed apart in one frame."""
_GROWTH = 12  # frames until a daughter is as large as its mother was


@dataclass(frozen=True, eq=False, slots=True)
class Cell:
    """A nucleus in one frame, on its track (from 1) until it divides; 0 for a mother not known.

    `angle` is of its long axis, `stretch` long over short axis (when not dividing), `brightness`
    against a typical one; `age` in frames, and at `divides_at` two daughters take its place.
    """

    track: int
    parent: int
    place: Floats
    velocity: Floats
    angle: float
    stretch: float
    brightness: float
    age: int
    divides_at: int

    def shape(self) -> tuple[float, float, float]:
        """Return the half axes along and across `angle`, and how bright the nucleus is."""
        left = self.divides_at - self.age
        if left == 1:  # the chromosomes stand in a plate
            return 0.95 * RADIUS, 0.42 * RADIUS, 2.4 * self.brightness
        if left == 2:  # condensed and round
            return 0.85 * RADIUS, 0.85 * RADIUS, 1.6 * self.brightness
        grown = min(1.0, 0.5 + 0.5 * self.age / _GROWTH)
        radius, root = RADIUS * np.sqrt(grown), np.sqrt(self.stretch)
        fresh = 1.1 * max(0.0, 1 - self.age / 3) if self.parent else 0.0
        return radius * root, radius / root, (1 + fresh) * self.brightness


def wandering_cells(
    n_frames: int, shape: tuple[int, int], n_cells: int, random: np.random.Generator
) -> list[list[Cell]]:
    """Let cells live for some frames, centres within ``(y, x)``; returns each frame's, by track.

    Raises InputError where there is no room for so many.
    """
    places = scattered_places(shape, n_cells, 2.6 * RADIUS, random)
    cells = []
    for track, place in enumerate(places, start=1):
        age, angle = int(random.integers(_GROWTH, _CYCLE - 2)), random.uniform(0, np.pi)
        cells.append(_cell(track, 0, place, angle, age, random))
    n_tracks = n_cells
    frames = [cells]
    for _ in range(n_frames - 1):
        older: list[Cell] = []
        for cell in cells:
            if cell.age + 1 < cell.divides_at:
                older.append(_moved(cell, random))
                continue
            older += [_daughter(cell, n_tracks + side, random) for side in (1, 2)]
            n_tracks += 2
        cells = _apart(older, shape)
        frames.append(cells)
    return frames


def _cell(
    track: int, parent: int, place: Floats, angle: float, age: int, random: np.random.Generator
) -> Cell:
    return Cell(
        track,
        parent,
        place,
        velocity=random.normal(0, 1.0, 2),
        angle=angle,
        stretch=random.uniform(1.1, 1.6),
        brightness=random.lognormal(0, 0.15),
        age=age,
        divides_at=int(_CYCLE + random.integers(-2, 15)),
    )


def _moved(cell: Cell, random: np.random.Generator) -> Cell:
    """Return a cell one frame later; one that is about to divide stays where it is."""
    rests = cell.divides_at - cell.age <= 3
    pace = 0.2 if rests else 1.0
    velocity = _PERSISTENCE * cell.velocity + random.normal(0, 0.6, 2)
    return replace(
        cell,
        place=cell.place + pace * velocity,
        velocity=velocity,
        angle=cell.angle + random.normal(0, 0.05),
        age=cell.age + 1,
    )


def _daughter(mother: Cell, track: int, random: np.random.Generator) -> Cell:
    """Return one of two cells that part across the plate; even and odd tracks part in two ways."""
    across = mother.angle + np.pi / 2
    way = (1 if track % 2 else -1) * np.array([np.sin(across), np.cos(across)])
    place = mother.place + 0.75 * RADIUS * way
    daughter = _cell(track, mother.track, place, mother.angle, 0, random)
    return replace(daughter, velocity=1.5 * way, brightness=mother.brightness)


def _apart(cells: list[Cell], shape: tuple[int, int]) -> list[Cell]:
    """Push cells that are too close away from each other, and back into the field."""
    places = np.array([cell.place for cell in cells]).reshape(-1, 2)
    # Sisters that have just parted need less room than grown cells.
    room = np.array([sum(cell.shape()[:2]) / 2 for cell in cells])
    for _ in range(4):
        away = places[:, None] - places[None]
        distance = np.hypot(away[..., 0], away[..., 1])
        np.fill_diagonal(distance, np.inf)
        missing = np.clip(1.1 * (room[:, None] + room[None]) - distance, 0, None)
        push = _PUSH * missing / np.maximum(distance, 1e-6)
        places = places + (push[..., None] * away).sum(axis=1)
        places = places.clip(0, np.array(shape) - 1.0)
    return [replace(cell, place=place) for cell, place in zip(cells, places, strict=True)]
