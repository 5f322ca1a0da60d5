"""The volumes that `benchmarks.volumes` scores, with their truth and the size of their voxels.

None of the files states a voxel size; `VOXELS` says where each one comes from. Two truths hold
cells that touch: there the foreground is what is farther than half a wall from a neighbour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.io import imread

from benchmarks.datasets import data_folder
from benchmarks.painted_share import painted_share

Labels = NDArray[np.integer]
Spacing = tuple[float, float, float]

FOREGROUND = 2
EFFORT = 0.003
"""Part of the pixels of each painted plane that strokes are painted on."""


@dataclass(frozen=True)
class VoxelSize:
    """Distances of neighbouring voxels ``(z, y, x)``, and who states them."""

    spacing: Spacing
    unit: str
    source: str


VOXELS = {
    "vol_qcanet": VoxelSize(
        (1.75, 0.8, 0.8),
        "µm",
        "published with the set (BBBC050); its program's 1 : 1 : 2.18 is the same ratio",
    ),
    "vol_ovule": VoxelSize(
        (0.235, 0.075, 0.075),
        "µm",
        "published with the set (Wolny et al., eLife 2020); the blur of this file fits it "
        "(correlation at 2 planes is that at 6 to 8 pixels)",
    ),
    "vol_gala": VoxelSize(
        (10, 10, 10),
        "nm",
        "published with the set (FIB-SEM, isotropic); correlation is the same along all axes",
    ),
    "em_isbi2012": VoxelSize((50, 4, 4), "nm", "the manifest"),
}


@dataclass(frozen=True, eq=False)
class Volume:
    """A volume, its instances and its foreground, all ``(z, y, x)``.

    Instances are the classes themselves where nobody told the cells apart.
    """

    name: str
    pixels: NDArray[np.generic]
    instances: Labels
    foreground: NDArray[np.bool_]
    voxels: VoxelSize
    foreground_is: str

    @property
    def spacing(self) -> Spacing:
        """Distances of neighbouring voxels along z, y, x."""
        return self.voxels.spacing

    @property
    def z_step(self) -> float:
        """Distance of planes, in pixels of a plane."""
        return 2 * self.spacing[0] / (self.spacing[1] + self.spacing[2])

    @property
    def chosen_planes(self) -> tuple[int, int, int]:
        """The planes that a person would show: a quarter, half, three quarters of the way."""
        n_planes = len(self.pixels)
        return n_planes // 4, n_planes // 2, 3 * n_planes // 4

    @cached_property
    def truth(self) -> NDArray[np.uint8]:
        """1 background, 2 foreground."""
        return np.where(self.foreground, FOREGROUND, 1).astype(np.uint8)

    @cached_property
    def steady(self) -> NDArray[np.bool_]:
        """Where the truth is the same in the next plane, ``(z - 1, y, x)``."""
        same = self.instances[1:] == self.instances[:-1]
        return same & (self.foreground[1:] == self.foreground[:-1])

    def painted(self, seed: int) -> NDArray[np.uint8]:
        """Paint strokes on the chosen planes alone."""
        scribbles = np.zeros(self.pixels.shape, np.uint8)
        for z in self.chosen_planes:
            scribbles[z] = painted_share(self.truth[z], EFFORT, seed)
        return scribbles

    def facts(self) -> dict[str, Any]:
        """Return the row that tells of this volume."""
        size = " × ".join(map(str, self.spacing))
        return {
            "volume": self.name,
            "voxels z y x": " × ".join(map(str, self.pixels.shape)),
            "size of a voxel": f"{size} {self.voxels.unit}",
            "source of the size": self.voxels.source,
            "foreground": self.foreground_is,
            "share": f"{self.foreground.mean():.1%}",
        }


def inside_walls(instances: Labels, spacing: Spacing, half_width: float) -> NDArray[np.bool_]:
    """Return what is farther than half a wall from every other instance, and from 0.

    Parameters
    ----------
    instances
        ``(z, y, x)``; 0 is wall.
    spacing
        Distances of neighbouring voxels, in the unit of the width.
    half_width
        A voxel at this distance from the nearest one that touches another instance is wall.
    """
    wall = instances == 0
    for axis in range(instances.ndim):
        before = [slice(None)] * instances.ndim
        after = list(before)
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        low, high = instances[tuple(before)], instances[tuple(after)]
        step = (low != high) & (low > 0) & (high > 0)
        wall[tuple(before)] |= step
        wall[tuple(after)] |= step
    distance = ndimage.distance_transform_edt(~wall, sampling=spacing)
    return np.asarray(distance > half_width)


def _qcanet(path: str) -> Volume:
    return _from_files(
        path, "vol_qcanet", "16_cell", lambda truth: truth > 0, "nuclei, truth above 0"
    )


def _ovule(path: str) -> Volume:
    spacing = VOXELS["vol_ovule"].spacing
    return _from_files(
        path,
        "vol_ovule",
        "sample",
        lambda truth: inside_walls(truth, spacing, 0.3),
        "cells; what is within 0.3 µm of a neighbour is wall (there the walls are half as bright "
        "as in their middle)",
    )


def _gala(path: str) -> Volume:
    return _from_files(
        path, "vol_gala", "train", lambda truth: truth > 0, "neurites, truth above 0"
    )


def _gala_walls(path: str) -> Volume:
    spacing = VOXELS["vol_gala"].spacing
    return _from_files(
        path,
        "vol_gala",
        "train",
        lambda truth: inside_walls(truth, spacing, 15),
        "neurites; what is within 15 nm of the membranes in the truth, which are lines, is "
        "membrane (there the image is half as dark as in their middle)",
        name="vol_gala, thick membranes",
    )


def _em(path: str) -> Volume:
    return _from_files(
        path,
        "em_isbi2012",
        "stack",
        lambda truth: truth > 0,
        "cells, truth above 0; membranes are background",
    )


READERS: dict[str, Callable[[str], Volume]] = {
    "vol_qcanet": _qcanet,
    "vol_ovule": _ovule,
    "vol_gala": _gala,
    "vol_gala, thick membranes": _gala_walls,
    "em_isbi2012": _em,
}


def volumes(path: str, names: Sequence[str] = tuple(READERS)) -> Iterator[Volume]:
    """Yield the volumes of these names."""
    for name in names:
        yield READERS[name](path)


def _from_files(
    path: str,
    subset: str,
    stem: str,
    foreground: Callable[[Labels], NDArray[np.bool_]],
    foreground_is: str,
    name: str | None = None,
) -> Volume:
    folder = data_folder(path, subset)
    truth = imread(folder / f"{stem}_gt.tif")
    pixels = imread(folder / f"{stem}.tif")
    return Volume(name or subset, pixels, truth, foreground(truth), VOXELS[subset], foreground_is)
