"""What training sees of some images: their windows on the device, and random patches of them.

Axes are ``b d y x`` of inputs and ``b y x`` of all else; of volumes the same with ``z y x``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_diffseg.core.plane import Plane
from napari_diffseg.core.published.losses import IGNORED
from napari_diffseg.image.pieces import patch_shape
from napari_diffseg.image.scribbles import Scribbles, classes_of
from napari_diffseg.image.space import PLANE, Space
from napari_diffseg.image.windows import Window, whole
from napari_diffseg.numeric.hierarchy import ClusterHierarchy
from napari_diffseg.numeric.superpixels import slic_superpixels
from napari_diffseg.params import SegmentationParams


@dataclass(frozen=True, slots=True)
class Sample:
    """Windows of images on the device: `valid` (None: all), `superpixels` (−1: no vote; None: off).

    `painted` is the index of the class, `IGNORED` elsewhere; None where nothing is painted.
    """

    inputs: Tensor
    valid: Tensor | None = None
    superpixels: Tensor | None = None
    n_superpixels: int = 0
    painted: Tensor | None = None

    @classmethod
    def of(
        cls,
        planes: Sequence[Plane],
        windows: Sequence[Sequence[Window]],
        params: SegmentationParams,
        *,
        rgb: bool,
        device: torch.device,
        painted: Sequence[Scribbles] | None = None,
    ) -> Sample:
        """Put these windows of each image on the device."""
        pixels = [
            plane.pixels[:, *window]
            for plane, places in zip(planes, windows, strict=True)
            for window in places
        ]
        inputs = torch.from_numpy(np.stack(pixels)).to(device)
        valid = superpixels = classes = None
        n_superpixels = 0
        if any(plane.valid is not None for plane in planes):
            every = [
                np.ones(plane.shape, np.bool_) if plane.valid is None else plane.valid
                for plane in planes
            ]
            valid = _stacked(every, windows).to(device)
        if params.n_superpixels > 0:
            pieces, n_superpixels = _superpixels(planes, params, rgb=rgb)
            superpixels = _stacked(pieces, windows).to(device)
        if painted is not None:
            classes = _stacked(_class_indices(painted), windows).to(device)
        return cls(inputs, valid, superpixels, n_superpixels, classes)

    @property
    def unpainted(self) -> Tensor | None:
        """Pixels that are valid and not painted; None where all are."""
        if self.painted is None:
            return self.valid
        free = self.painted == IGNORED
        return free if self.valid is None else free & self.valid

    def hierarchy(self, clusters: Tensor, n_clusters: int) -> ClusterHierarchy:
        """Build the hierarchy of the sample's clusters ``(b, y, x)``; valid pixels count."""
        inputs = self.inputs.movedim(1, 0)
        counted = slice(None) if self.valid is None else self.valid.flatten()
        return ClusterHierarchy.of_pixels(
            inputs.flatten(1)[:, counted].cpu().numpy(),
            clusters.flatten()[counted].cpu().numpy(),
            n_clusters,
        )

    def crop(self, corners: Sequence[Sequence[int]], size: tuple[int, ...]) -> Sample:
        """Stack the patches of `size` (y, x) at these corners (b, y, x); of volumes with z."""

        def cut(source: Tensor) -> Tensor:
            pieces = []
            for b, *corner in corners:
                piece = source[b]
                for axis, (start, length) in enumerate(zip(corner, size, strict=True)):
                    piece = piece.narrow(axis - len(size), start, length)
                pieces.append(piece)
            return torch.stack(pieces)

        return Sample(
            cut(self.inputs),
            None if self.valid is None else cut(self.valid),
            None if self.superpixels is None else cut(self.superpixels),
            self.n_superpixels,
            None if self.painted is None else cut(self.painted),
        )


def _stacked(arrays: Sequence[NDArray[Any]], windows: Sequence[Sequence[Window]]) -> Tensor:
    """Stack the windows ``(b, y, x)`` of arrays ``(y, x)``, or with z."""
    pieces = [
        array[window] for array, places in zip(arrays, windows, strict=True) for window in places
    ]
    return torch.from_numpy(np.stack(pieces))


def _superpixels(
    planes: Sequence[Plane], params: SegmentationParams, *, rgb: bool
) -> tuple[list[NDArray[Any]], int]:
    """Return the superpixels of each whole image, numbered through, and how many there are."""
    found: list[NDArray[Any]] = []
    n_found = 0
    for plane in planes:
        pixels = plane.pixels[:, *whole(plane.shape)]
        pieces = slic_superpixels(
            pixels, params.n_superpixels, params.compactness, rgb=rgb, space=plane.space
        )
        pieces += n_found
        n_found = int(pieces.max()) + 1
        if plane.valid is not None:
            pieces[~plane.valid] = -1
        found.append(pieces)
    return found, n_found


def _class_indices(painted: Sequence[Scribbles]) -> list[NDArray[np.int64]]:
    """Return the index of the class that is painted on each pixel of each image."""
    classes, found = classes_of(painted), []
    for one in painted:
        index = np.searchsorted(classes, one.painted).astype(np.int64)
        index[one.painted == 0] = IGNORED
        found.append(index)
    return found


def sample_patches(
    sample: Sample,
    params: SegmentationParams,
    generator: torch.Generator,
    space: Space = PLANE,
) -> Sample:
    """Draw the batch of one training step: patches around random valid pixels.

    Every other one is around a painted pixel where there are any. The sample itself, where the
    patch size is 0 or it is one window that is no larger than a patch.
    """
    n_windows, _, *shape = sample.inputs.shape
    wanted = patch_shape(params.patch_size, space)
    size = tuple(min(one, length) for one, length in zip(wanted, shape, strict=True))
    if params.patch_size == 0 or (n_windows == 1 and size == tuple(shape)):
        return sample
    room = [length - one for length, one in zip(shape, size, strict=True)]
    if sample.valid is None and sample.painted is None:
        ranges = (n_windows, *(more + 1 for more in room))
        columns = [torch.randint(n, (params.n_patches,), generator=generator) for n in ranges]
        corners = torch.stack(columns, dim=1)
    else:
        middles = _random_pixels(sample, params.n_patches, generator)
        corners = middles - torch.tensor([0, *(one // 2 for one in size)])
        for column, more in zip(corners.T[1:], room, strict=True):
            column.clamp_(0, more)
    return sample.crop(corners.tolist(), size)


def _random_pixels(sample: Sample, n_patches: int, generator: torch.Generator) -> Tensor:
    """Choose pixels ``(n, 3)``, as window, y, x; of volumes ``(n, 4)``."""
    everywhere = torch.ones_like(sample.inputs[:, 0], dtype=torch.bool)
    places = (everywhere if sample.valid is None else sample.valid).nonzero().cpu()
    pixels = places[torch.randint(len(places), (n_patches,), generator=generator)]
    if sample.painted is not None and (painted := sample.painted != IGNORED).any():
        strokes = painted.nonzero().cpu()
        pixels[::2] = strokes[
            torch.randint(len(strokes), pixels[::2].shape[:1], generator=generator)
        ]
    return pixels
