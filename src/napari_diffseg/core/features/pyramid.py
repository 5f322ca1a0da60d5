"""What the feature network sees of an image at full, half and quarter size.

A place is looked at with as much around as its features depend on, on one grid for the whole
image: so a window gives what the whole image gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_diffseg.core.features.network import STRIDE
from napari_diffseg.core.features.weights import feature_basis, shipped_network
from napari_diffseg.core.gpu.arrays import Array, joined, left_on_gpu, like, stacked, turned
from napari_diffseg.image.arrays import Mask
from napari_diffseg.image.pieces import MOST_KEPT, planes_are_kept
from napari_diffseg.image.windows import Shape, Window, inside

Floats = NDArray[np.float32]

SCALES = (1, 2, 4)
GRID = STRIDE * max(SCALES)
"""Places are looked at from multiples of this many pixels, so that pooling lies alike in all."""

HALO = 112 * max(SCALES)
"""Pixels around a place that its features depend on; at each scale as many as it sees."""


@dataclass(frozen=True, eq=False, slots=True)
class ScaleMap:
    """The features of a place at one scale, each of unit length."""

    # For each plane y x r in pixels of this scale, and one more on each side where there is one.
    rows: Sequence[Tensor]
    scale: int
    place: Window  # where the place lies in them along y and x, in pixels of the image
    weights: Floats | None = None  # (z, planes), where its planes are sums of those

    @torch.inference_mode()
    def enlarged(self, window: Window) -> Array:
        """Return the features ``(z) y x r`` of a window of the place, in pixels of the image."""
        *planes, rows, columns = window
        start = self.place[0].start + rows.start
        stop = start + rows.stop - rows.start
        first = max(start // self.scale - 1, 0)
        found = self._summed(slice(first, stop // self.scale + 2), *planes)
        if self.scale > 1:
            maps = found.movedim(-1, 1)
            found = functional.interpolate(maps, scale_factor=self.scale, mode="bilinear")
            found = found.movedim(1, -1)
        left = self.place[1].start + columns.start
        across = slice(left, left + columns.stop - columns.start)
        cut = found[:, start - first * self.scale : stop - first * self.scale, across]
        return left_on_gpu(cut if planes else cut[0])

    def _summed(self, lines: slice, planes: slice = slice(None)) -> Tensor:
        """Return some lines of some planes, ``z y x r``."""
        if self.weights is None:
            return self.rows[0][None, lines].float()
        weights = self.weights[planes]
        met = np.flatnonzero(weights.any(axis=0))
        near = slice(met[0], met[-1] + 1)
        every = torch.stack([one[lines] for one in self.rows[near]]).float()
        turned = torch.from_numpy(np.ascontiguousarray(weights[:, near])).to(every.device)
        summed: Tensor = torch.tensordot(turned, every, 1)
        return summed

    def within(self, place: Window) -> ScaleMap:
        """Return what a place within this one, along y and x, needs of it."""
        kept, within = _needed(place, self.scale, self.rows[0].shape[:2])
        return ScaleMap([one[kept] for one in self.rows], self.scale, within, self.weights)

    def some(self, step: int) -> Tensor:
        """Return the features of every n-th pixel of a plane along y and x, ``y x r``."""
        y, x = (
            (side.start + torch.arange(step // 2, side.stop - side.start, step)) // self.scale
            for side in self.place
        )
        return self.rows[0][y[:, None], x[None]].float()


@dataclass(frozen=True, eq=False, slots=True)
class Seen:
    """What the network sees of a place, at each of `SCALES`."""

    maps: list[ScaleMap]
    edges: Array  # (z) y x, how sure the network is that something ends there

    def within(self, place: Window) -> Seen:
        """Return what it sees of a place ``y x`` of a plane that was looked at whole."""
        return Seen([one.within(place) for one in self.maps], self.edges[place])

    @torch.inference_mode()
    def some(self, step: int, valid: Mask | None) -> Array:
        """Return the features of every n-th counted pixel along y and x, ``(n, 96)``."""
        maps = [left_on_gpu(one.some(step)) for one in self.maps]
        basis = like(feature_basis().T, maps[0])
        found = joined([one @ basis for one in maps], -1)
        if valid is None:
            return found.reshape(-1, found.shape[-1])
        counted = valid[..., step // 2 :: step, step // 2 :: step]
        return found[like(counted.reshape(found.shape[:-1]), found)]


@dataclass(frozen=True, eq=False, slots=True)
class KeptPlanes:
    """What the network sees of whole planes of a volume, kept for the windows that follow.

    Windows of a volume are so small that each would look at five times as many pixels as it has.
    Several threads look at the planes of a window together, each at those that no other is at.
    """

    planes: dict[int, Future[Seen]] = field(default_factory=dict)
    lock: Any = field(default_factory=Lock)
    first: int = 0  # number of the plane that is 0 here

    @classmethod
    def of(cls, shape: Shape) -> KeptPlanes | None:
        """Return where planes of an image of this shape are kept; None where they are too large."""
        return cls() if planes_are_kept(shape) else None

    def starting_at(self, first: int) -> KeptPlanes:
        """Return the same for a part of the image, whose planes are counted from 0."""
        return replace(self, first=first)

    def look(self, wanted: Iterable[int], look_at: Callable[[int], Seen]) -> list[Seen]:
        """Return what is seen of some planes, which are looked at where that is not known."""
        found = []
        for z in wanted:
            with self.lock:
                known = self.planes.pop(self.first + z, None)
                seen = self.planes[self.first + z] = known or Future[Seen]()
                if len(self.planes) > MOST_KEPT:
                    del self.planes[next(iter(self.planes))]
            found.append(seen)
            if known is None:
                self._keep(seen, z, look_at)
        return [one.result() for one in found]

    def _keep(self, seen: Future[Seen], z: int, look_at: Callable[[int], Seen]) -> None:
        """Look at a plane; whoever waits for it hears of an error, too."""
        try:
            seen.set_result(look_at(z))
        except BaseException as error:
            with self.lock:
                self.planes.pop(self.first + z, None)
            seen.set_exception(error)
            raise


@torch.inference_mode()
def see(shown: Array, place: Window, device: torch.device, *, in_short: bool = False) -> list[Seen]:
    """Look at a place ``y x`` in components of some planes, ``3 z y x``, at all scales.

    In short, as planes of volumes are kept, it takes half of the memory.
    """
    maps: list[list[ScaleMap]] = []
    edges: Array = np.zeros(0, np.float32)
    for scale in SCALES:
        around = surroundings(place, shown.shape[2:], scale)
        here = inside(place, around)
        part = _shrunk(shown[:, :, *around], scale, device)
        kept, within = _needed(here, scale, part.shape[-2:])
        features, logits = shipped_network(device)(part, kept)
        rows = features.movedim(1, -1).contiguous()
        planes = rows.half() if in_short else rows
        maps.append([ScaleMap([one], scale, within) for one in planes])
        if scale == 1:
            edges = left_on_gpu(logits[:, 0, *within].sigmoid())
    return [Seen([one[z] for one in maps], edges[z]) for z in range(len(edges))]


def together(planes: Sequence[Seen], weights: Floats) -> Seen:
    """Put planes of one place together: sums of them with weights, ``(new z, z)``.

    Their features are added up where they are asked for, so that no window of them is held.
    """
    maps = [
        ScaleMap([one.rows[0] for one in same], same[0].scale, same[0].place, weights)
        for same in zip(*(one.maps for one in planes), strict=True)
    ]
    return Seen(maps, turned(weights, stacked([one.edges for one in planes])))


def _shrunk(part: Array, scale: int, device: torch.device) -> Tensor:
    """Return components ``3 z y x`` as the network sees them at a scale, ``z 3 y x``."""
    shown = part.swapaxes(0, 1)
    if not isinstance(shown, Tensor):
        shown = torch.from_numpy(np.ascontiguousarray(shown)).to(device)
    missing = [-length % (STRIDE * scale) for length in part.shape[2:]]
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
