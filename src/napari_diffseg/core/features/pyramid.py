"""What the feature network sees of an image at full, half and quarter size.

A place is looked at with as much around as its features depend on, on one grid for the whole
image: so a window gives what the whole image gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_diffseg.core.features.network import STRIDE
from napari_diffseg.core.features.weights import feature_basis, shipped_network
from napari_diffseg.image.arrays import Mask
from napari_diffseg.image.windows import Window, inside, size

Floats = NDArray[np.float32]

SCALES = (1, 2, 4)
GRID = STRIDE * max(SCALES)
"""Places are looked at from multiples of this many pixels, so that pooling lies alike in all."""

HALO = 112 * max(SCALES)
"""Pixels around a place that its features depend on; at each scale as many as it sees."""

_TINY = 1e-12
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
        if self.scale > 1:
            maps = found.movedim(-1, 1)
            found = functional.interpolate(maps, scale_factor=self.scale, mode="bilinear")
            found = found.movedim(1, -1)
        left = self.place[1].start + columns.start
        across = slice(left, left + columns.stop - columns.start)
        cut = found[:, start - first * self.scale : stop - first * self.scale, across]
        enlarged: Floats = (cut if planes else cut[0]).cpu().numpy()
        return enlarged

    def some(self, step: int) -> Tensor:
        """Return the features of every n-th pixel along y and x, ``z y x r``."""
        y, x = (
            (side.start + torch.arange(step // 2, side.stop - side.start, step)) // self.scale
            for side in self.place
        )
        return self.rows[:, y[:, None], x[None]]


@dataclass(frozen=True, eq=False, slots=True)
class Seen:
    """What the network sees of a place, at each of `SCALES`."""

    maps: list[ScaleMap]
    edges: Floats  # (z) y x, how sure the network is that something ends there

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

    @torch.inference_mode()
    def smoothed(self, weights: Floats) -> Seen:
        """Take weighted sums of the planes, ``(new z, z)``; what was there before is lost."""
        for one in self.maps:
            turned = torch.from_numpy(weights).to(one.rows.device)
            for first in range(0, one.rows.shape[1], _BAND_ROWS):  # for little memory
                band = one.rows[:, first : first + _BAND_ROWS]
                band[: len(turned)] = torch.tensordot(turned, band, 1)
        maps = [ScaleMap(one.rows[: len(weights)], one.scale, one.place) for one in self.maps]
        return Seen(maps, np.tensordot(weights, self.edges, 1))


@torch.inference_mode()
def see(shown: Floats, place: Window, device: torch.device) -> Seen:
    """Look at a place in components ``3 (z) y x``, plane by plane, at all scales."""
    planes = shown[:, place[0]] if len(place) == 3 else shown[:, None]
    maps: list[ScaleMap] = []
    edges = np.empty((planes.shape[1], *size(place[-2:])), np.float32)
    for scale in SCALES:
        around = surroundings(place[-2:], shown.shape[1:], scale)
        here = inside(place[-2:], around)
        rows: Any = None
        for z in range(planes.shape[1]):
            found, logits = _features(planes[:, z, *around], scale, device)
            kept, within = _needed(here, scale, found.shape[-2:])
            part = found[0].movedim(0, -1)[kept]
            if rows is None:
                rows = part.new_empty((planes.shape[1], *part.shape))
            norms = torch.linalg.vector_norm(part, dim=-1, keepdim=True).clamp_min_(_TINY)
            torch.div(part, norms, out=rows[z])
            if scale == 1:
                edges[z] = logits[0, 0, *here].sigmoid().cpu().numpy()
        maps.append(ScaleMap(rows, scale, within))
    return Seen(maps, edges if len(place) == 3 else edges[0])


def _features(part: Floats, scale: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return features ``1 r y x`` and logits of edges of components ``3 y x`` at a scale."""
    shown = torch.from_numpy(np.ascontiguousarray(part))[None].to(device)
    missing = [-length % (STRIDE * scale) for length in part.shape[1:]]
    shown = functional.pad(shown, (0, missing[1], 0, missing[0]), mode="replicate")
    if scale > 1:
        shown = functional.avg_pool2d(shown, scale)
    found: tuple[Tensor, Tensor] = shipped_network(device)(
        shown.contiguous(memory_format=torch.channels_last)
    )
    return found


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
