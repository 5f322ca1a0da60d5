"""What the feature network sees of an image at full, half and quarter size.

A place is looked at with as much around as its features depend on, on one grid for the whole
image: so a window gives what the whole image gives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_diffseg.core.features.network import STRIDE
from napari_diffseg.core.features.weights import feature_basis, shipped_network
from napari_diffseg.image.arrays import Mask
from napari_diffseg.image.windows import Shape, Window, inside

Floats = NDArray[np.float32]

SCALES = (1, 2, 4)
GRID = STRIDE * max(SCALES)
"""Places are looked at from multiples of this many pixels, so that pooling lies alike in all."""

HALO = 112 * max(SCALES)
"""Pixels around a place that its features depend on; at each scale as many as it sees."""

_BAND_ROWS = 32


@dataclass(frozen=True, eq=False, slots=True)
class ScaleMap:
    """The features of a place at one scale, each of unit length."""

    rows: Tensor  # z y x r in pixels of this scale, and one more on each side where there is one
    scale: int
    place: Window  # where the place lies in them along y and x, in pixels of the image

    @torch.inference_mode()
    def enlarged(self, window: Window) -> Floats:
        """Return the features ``(z) y x r`` of a window of the place, in pixels of the image."""
        *planes, rows, columns = window
        start = self.place[0].start + rows.start
        stop = start + rows.stop - rows.start
        first = max(start // self.scale - 1, 0)
        found = self.rows[planes[0] if planes else slice(None), first : stop // self.scale + 2]
        found = found.float()
        if self.scale > 1:
            maps = found.movedim(-1, 1)
            found = functional.interpolate(maps, scale_factor=self.scale, mode="bilinear")
            found = found.movedim(1, -1)
        left = self.place[1].start + columns.start
        across = slice(left, left + columns.stop - columns.start)
        cut = found[:, start - first * self.scale : stop - first * self.scale, across]
        enlarged: Floats = (cut if planes else cut[0]).cpu().numpy()
        return enlarged

    def within(self, place: Window) -> ScaleMap:
        """Return what a place within this one, along y and x, needs of it."""
        kept, within = _needed(place, self.scale, self.rows.shape[1:3])
        return ScaleMap(self.rows[:, *kept], self.scale, within)

    def some(self, step: int) -> Tensor:
        """Return the features of every n-th pixel along y and x, ``z y x r``."""
        y, x = (
            (side.start + torch.arange(step // 2, side.stop - side.start, step)) // self.scale
            for side in self.place
        )
        return self.rows[:, y[:, None], x[None]].float()


@dataclass(frozen=True, eq=False, slots=True)
class Seen:
    """What the network sees of a place, at each of `SCALES`."""

    maps: list[ScaleMap]
    edges: Floats  # (z) y x, how sure the network is that something ends there

    def within(self, place: Window) -> Seen:
        """Return what it sees of a place ``y x`` of a plane that was looked at whole."""
        return Seen([one.within(place) for one in self.maps], self.edges[place])

    @torch.inference_mode()
    def some(self, step: int, valid: Mask | None) -> Floats:
        """Return the features of every n-th counted pixel along y and x, ``(n, 96)``."""
        basis = feature_basis().T
        found = np.concatenate([one.some(step).cpu().numpy() @ basis for one in self.maps], -1)
        if valid is None:
            return found.reshape(-1, found.shape[-1])
        counted = valid[..., step // 2 :: step, step // 2 :: step]
        chosen: Floats = found[counted.reshape(found.shape[:-1])]
        return chosen


class KeptPlanes:
    """What the network sees of whole planes of a volume, kept for the windows that follow.

    Windows of a volume are so small that each would look at five times as many pixels as it has.
    """

    _MOST_PIXELS = 300_000
    """Of a plane; of 60 such, nine tenths of a gigabyte are kept (49 bytes a pixel)."""

    _MOST_PLANES = 60

    def __init__(self, shared: dict[int, Seen] | None = None, first: int = 0) -> None:
        self._planes = {} if shared is None else shared
        self._first = first

    @classmethod
    def of(cls, shape: Shape) -> KeptPlanes | None:
        """Return where planes of an image of this shape are kept; None where they are too large."""
        is_kept = len(shape) == 3 and math.prod(shape[1:]) <= cls._MOST_PIXELS
        return cls() if is_kept else None

    def starting_at(self, first: int) -> KeptPlanes:
        """Return the same for a part of the image, whose planes are counted from 0."""
        return KeptPlanes(self._planes, first)

    def look(self, z: int, look_at: Callable[[int], Seen]) -> Seen:
        """Return what is seen of a plane, which is looked at where that is not known."""
        key = self._first + z
        found = self._planes.pop(key, None) or look_at(z)
        self._planes[key] = found
        if len(self._planes) > self._MOST_PLANES:
            del self._planes[next(iter(self._planes))]
        return found


@torch.inference_mode()
def see(shown: Floats, place: Window, device: torch.device, *, in_short: bool = False) -> Seen:
    """Look at a place ``y x`` in components ``3 y x``, at all scales.

    In short, as planes of volumes are kept, it takes half of the memory.
    """
    maps, edges = [], np.zeros(0, np.float32)
    for scale in SCALES:
        around = surroundings(place, shown.shape[1:], scale)
        here = inside(place, around)
        part = _shrunk(shown[:, *around], scale, device)
        kept, within = _needed(here, scale, part.shape[-2:])
        features, logits = shipped_network(device)(part, kept)
        rows = features.movedim(1, -1).contiguous()
        maps.append(ScaleMap(rows.half() if in_short else rows, scale, within))
        if scale == 1:
            edges = logits[0, 0, *within].sigmoid().cpu().numpy()
    return Seen(maps, edges)


@torch.inference_mode()
def together(planes: Sequence[Seen], weights: Floats) -> Seen:
    """Put planes of one place together: sums of them with weights, ``(new z, z)``."""
    turned = torch.from_numpy(weights).to(planes[0].maps[0].rows.device)
    maps = []
    for number, first in enumerate(planes[0].maps):
        _, height, width, depth = first.rows.shape
        rows = first.rows.new_empty((len(weights), height, width, depth))
        for start in range(0, height, _BAND_ROWS):  # for little memory
            band = slice(start, start + _BAND_ROWS)
            every = torch.cat([one.maps[number].rows[:, band] for one in planes]).float()
            rows[:, band] = torch.tensordot(turned, every, 1)
        maps.append(ScaleMap(rows, first.scale, first.place))
    return Seen(maps, np.tensordot(weights, np.stack([one.edges for one in planes]), 1))


def _shrunk(part: Floats, scale: int, device: torch.device) -> Tensor:
    """Return components ``3 y x`` as the network sees them at a scale, ``1 3 y x``."""
    shown = torch.from_numpy(np.ascontiguousarray(part))[None].to(device)
    missing = [-length % (STRIDE * scale) for length in part.shape[1:]]
    shown = functional.pad(shown, (0, missing[1], 0, missing[0]), mode="replicate")
    if scale > 1:
        shown = functional.avg_pool2d(shown, scale)
    return shown.contiguous(memory_format=torch.channels_last)


def _needed(place: Window, scale: int, shape: Sequence[int]) -> tuple[Window, Window]:
    """Return which part of a map a place in it, in pixels of the image, needs; and it therein."""
    kept, within = [], []
    for side, length in zip(place, shape, strict=True):
        start = max(side.start // scale - 1, 0)
        kept.append(slice(start, min(-(-side.stop // scale) + 1, length)))
        within.append(slice(side.start - start * scale, side.stop - start * scale))
    return tuple(kept), tuple(within)


def surroundings(window: Window, shape: Sequence[int], scale: int) -> Window:
    """Return a window with what its features at a scale depend on, on the grid; z as it is."""
    grid, reach = STRIDE * scale, HALO // max(SCALES) * scale
    plane = tuple(
        slice(
            max(side.start - reach, 0) // grid * grid,
            min(-(-(side.stop + reach) // grid) * grid, length),
        )
        for side, length in zip(window[-2:], shape[-2:], strict=True)
    )
    return (*window[:-2], *plane)
