"""What a run learns from besides the plane shown: which planes, and what is painted on them.

No Qt. As in `sources`, nothing is read before it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_diffseg.widgets.image.image_source import ImageSource
    from napari_diffseg.widgets.scribbles.strokes import PaintedPlane, StrokeSource

Position = tuple[int, ...]
"""Where a plane stands along the axes of the stack, in pixels of the image."""

MOST_OTHERS = 12
"""So many other planes are learned from at most …"""
MOST_PIXELS = 1 << 22
"""… and of large planes fewer: those that have no more pixels together …"""
FEWEST_OTHERS = 3
"""… but always so many: start, middle and end."""


class LearnFrom(Enum):
    """Which planes of a stack a run learns from."""

    PAINTED = "painted"
    SPREAD = "spread"
    HERE = "here"


@dataclass(frozen=True, slots=True)
class TrainingContext:
    """What is known of the other planes when a run starts; two that are equal teach the same."""

    learn_from: LearnFrom  # Which planes were wanted
    # The other painted planes, and a checksum of the strokes on each
    elsewhere: tuple[tuple[Position, int], ...] = ()


@dataclass(frozen=True, slots=True)
class OtherPlanes:
    """The planes of a stack but for the one shown; nothing is read before `read`."""

    source: ImageSource  # The plane shown
    # What is painted on it, in a layer that may reach over further planes
    strokes: StrokeSource | None
    learn_from: LearnFrom  # Which of them are wanted

    def context(self, painted: Mapping[Position, PaintedPlane]) -> TrainingContext:
        """Return what a run would learn from them."""
        if self.learn_from is LearnFrom.HERE:
            return TrainingContext(LearnFrom.HERE)
        here = None if self.strokes is None else self.strokes.position
        elsewhere = [(at, plane.checksum) for at, plane in painted.items() if at != here]
        return TrainingContext(self.learn_from, tuple(sorted(elsewhere)))

    def read(self) -> list[tuple[NDArray[Any], NDArray[Any] | None]]:
        """Load them: pixels, and strokes ``(y, x)``, None where nothing is painted; slow."""
        if self.learn_from is LearnFrom.HERE or not self.source.stack:
            return []
        painted = self._find_painted()
        return [
            (self.source.at(where).read(), painted[where].read() if where in painted else None)
            for where in self._choose(set(painted))
        ]

    def _find_painted(self) -> dict[Position, StrokeSource]:
        if self.strokes is None:
            return {}
        here = dict(zip(self.source.stack, self.source.position, strict=True))
        found = {}
        for at in self.strokes.find_painted():
            axes = zip(self.strokes.stack, at, strict=True)
            there = here | {axis + self.strokes.missing: place for axis, place in axes}
            found[tuple(there[axis] for axis in self.source.stack)] = self.strokes.at(at)
        return found

    def _choose(self, painted: set[Position]) -> list[Position]:
        """Return which planes to read: those that are spread first, then the nearest."""
        here = self.source.position
        nearest = sorted(painted, key=lambda at: (math.dist(at, here), at))
        wanted = dict.fromkeys([*self._spread(), *nearest])
        wanted.pop(here, None)
        return list(wanted)[: most_others(self.source)]

    def _spread(self) -> list[Position]:
        """Return start, middle and end along the first axis that is longer than one plane."""
        lengths = [self.source.canvas.shape[axis] for axis in self.source.stack]
        along = next((number for number, length in enumerate(lengths) if length > 1), None)
        if self.learn_from is not LearnFrom.SPREAD or along is None:
            return []
        here, last = self.source.position, lengths[along] - 1
        return [(*here[:along], place, *here[along + 1 :]) for place in (0, last // 2, last)]


def most_others(source: ImageSource) -> int:
    """Return how many other planes are learned from at most; what is known of each is kept."""
    return min(max(MOST_PIXELS // math.prod(source.spatial_shape), FEWEST_OTHERS), MOST_OTHERS)


def choose_others(
    source: ImageSource, strokes: StrokeSource | None, learn_from: LearnFrom
) -> OtherPlanes:
    """Return what a run learns from besides the plane shown.

    Nothing of a single plane; and nothing of volumes, each of which has many planes itself.
    """
    is_stack = source.n_frames > 1 and not source.is_volume
    return OtherPlanes(source, strokes, learn_from if is_stack else LearnFrom.HERE)
