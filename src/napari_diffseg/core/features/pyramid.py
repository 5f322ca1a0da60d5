"""What the feature network sees of an image at full, half and quarter size, tile by tile.

Each tile is looked at with as much around as its features depend on, on one grid for the whole
image: so a window gives what the whole image gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_diffseg.core.features.network import N_FEATURES, STRIDE, enlarged
from napari_diffseg.core.features.weights import shipped_network
from napari_diffseg.image.windows import Window, inside, size, tiles

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

SCALES = (1, 2, 4)
GRID = STRIDE * max(SCALES)
"""Tiles begin at multiples of this many pixels, so that pooling lies alike in all of them."""

HALO = 112 * max(SCALES)
"""Pixels around a tile that its features depend on; at each scale as many as it sees."""

_TILE = 1280
_TINY = 1e-12


@dataclass(frozen=True, eq=False, slots=True)
class ScaleMap:
    """The features of a tile at one scale."""

    rows: Tensor  # y x 32 in pixels of this scale, and one more on each side where there is one
    norms: Tensor  # y x 1, their lengths, by which they are divided
    scale: int
    place: Window  # where the tile lies in them, in pixels of the image

    @classmethod
    def of(cls, found: Tensor, scale: int, place: Window) -> ScaleMap:
        """Cut out of a map ``1 32 y x`` what a place in it, in pixels of the image, needs."""
        kept, within = [], []
        for side, length in zip(place, found.shape[-2:], strict=True):
            start = max(side.start // scale - 1, 0)
            kept.append(slice(start, min(-(-side.stop // scale) + 1, length)))
            within.append(slice(side.start - start * scale, side.stop - start * scale))
        rows = found[0].movedim(0, -1)[tuple(kept)]
        norms = torch.linalg.vector_norm(rows, dim=-1, keepdim=True).clamp_min_(_TINY)
        return cls(rows, norms, scale, tuple(within))

    def projected(self, projection: Tensor) -> Tensor:
        """Return components ``y x p`` of the features, in pixels of the image."""
        found = (self.rows @ projection.T).div_(self.norms)
        if self.scale > 1:
            found = enlarged(found, self.scale)
        return found[self.place]

    def some(self, step: int) -> Tensor:
        """Return the features of every n-th pixel of the tile along each axis, ``y x 32``."""
        at = tuple(
            (side.start + torch.arange(step // 2, side.stop - side.start, step)) // self.scale
            for side in self.place
        )
        chosen = (at[0][:, None], at[1][None])
        return self.rows[chosen] / self.norms[chosen]


@dataclass(frozen=True, eq=False, slots=True)
class SeenTile:
    """What the network sees of one tile, at each of `SCALES`."""

    place: tuple[Any, ...]  # where it lies in what is asked for; of volumes with its plane
    maps: list[ScaleMap]
    edges: Floats  # y x, how sure the network is that something ends there

    @torch.inference_mode()
    def project(self, projection: Floats, out: Floats) -> None:
        """Write the components ``y x p`` of the features; before they are enlarged, for speed."""
        written = torch.from_numpy(out)
        for number, one in enumerate(self.maps):
            own = projection[:, number * N_FEATURES : (number + 1) * N_FEATURES]
            weights = torch.from_numpy(np.ascontiguousarray(own)).to(one.rows.device)
            part = one.projected(weights).cpu()
            if number == 0:
                written.copy_(part)
            else:
                written += part

    @torch.inference_mode()
    def some(self, step: int, valid: Mask | None) -> Floats:
        """Return the features of every n-th counted pixel along each axis, ``(n, 96)``."""
        found = torch.cat([one.some(step).cpu() for one in self.maps], dim=-1).numpy()
        if valid is None:
            return found.reshape(-1, found.shape[-1])
        chosen: Floats = found[valid[self.place][step // 2 :: step, step // 2 :: step]]
        return chosen


def see(shown: Floats, place: Window, device: torch.device) -> Iterator[SeenTile]:
    """Yield what the network sees of a place in components ``3 (z) y x``, tile by tile."""
    for tile in tiles(place[-2:], _TILE):
        to = inside(tile, place[-2:])
        if len(place) == 2:
            yield _see_tile(shown, tile, to, device)
            continue
        for z in range(place[0].start, place[0].stop):
            yield _see_tile(shown[:, z], tile, (z - place[0].start, *to), device)


@torch.inference_mode()
def _see_tile(shown: Floats, tile: Window, to: tuple[Any, ...], device: torch.device) -> SeenTile:
    """Look at a tile of components ``3 y x``, at all scales."""
    network = shipped_network(device)
    maps: list[ScaleMap] = []
    edges = np.zeros(0, np.float32)
    for scale in SCALES:
        around = surroundings(tile, shown.shape[1:], scale)
        part = torch.from_numpy(np.ascontiguousarray(shown[:, *around]))[None].to(device)
        missing = [-length % (STRIDE * scale) for length in size(around)]
        part = functional.pad(part, (0, missing[1], 0, missing[0]), mode="replicate")
        seen = functional.avg_pool2d(part, scale) if scale > 1 else part
        found, logits = network(seen.contiguous(memory_format=torch.channels_last))
        place = inside(tile, around)
        maps.append(ScaleMap.of(found, scale, place))
        if scale == 1:
            edges = logits[0, 0, *place].sigmoid().cpu().numpy()
    return SeenTile(to, maps, edges)


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
