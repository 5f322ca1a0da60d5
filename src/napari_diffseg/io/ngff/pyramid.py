"""The arrays of a store of labels: their shapes, and chunks that belong to one window each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from napari_diffseg.image.pieces import WINDOW

_CHUNK_PLANES = 16  # fewer than in a window, for viewers show one at a time

CHUNKS = {"YX": WINDOW[2], "ZYX": (_CHUNK_PLANES, *WINDOW[3][1:])}
"""Sides of a chunk of planes and of volumes; windows begin at multiples of these."""

# Pixels are left out until no spatial axis is longer than this.
_SMALLEST = 512
# An axis along which pixels lie so many times wider apart than along another waits for it.
_WIDER = 1.5


@dataclass(frozen=True, slots=True)
class Level:
    """One of the arrays: its shape, the stride along each axis of the labels, and its chunks."""

    shape: tuple[int, ...]
    steps: tuple[int, ...]
    chunks: tuple[int, ...]


def levels_of(shape: Sequence[int], spatial: str, z_step: float = 1.0) -> list[Level]:
    """Return the arrays for labels whose spatial axes are the last, the largest first.

    Each leaves out every second entry along y and x, and along z once pixels lie about as wide
    apart (`z_step`: planes' distance in pixels). A chunk shrinks as much, so it has one writer.
    """
    sides = CHUNKS[spatial]
    n = len(sides)
    leading, lengths = tuple(shape[:-n]), tuple(shape[-n:])
    distances = (z_step, 1.0, 1.0)[-n:]
    steps = (1,) * n
    levels = []
    while True:
        own = tuple(-(-length // step) for length, step in zip(lengths, steps, strict=True))
        chunks = tuple(
            min(side // step, length) for side, step, length in zip(sides, steps, own, strict=True)
        )
        ones = (1,) * len(leading)
        levels.append(Level((*leading, *own), (*ones, *steps), (*ones, *chunks)))
        wider = _wider(steps, sides, distances)
        if max(own) <= _SMALLEST or wider == steps:
            return levels
        steps = wider


def _wider(
    steps: tuple[int, ...], sides: tuple[int, ...], distances: tuple[float, ...]
) -> tuple[int, ...]:
    """Double the steps along the axes on which pixels lie closest, as long as chunks allow it."""
    apart = [step * distance for step, distance in zip(steps, distances, strict=True)]
    closest = min(apart)
    return tuple(
        step * 2 if own <= _WIDER * closest and step < side else step
        for step, side, own in zip(steps, sides, apart, strict=True)
    )
