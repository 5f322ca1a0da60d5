"""Where a new layer stands in the world, so that it lies on the pixels it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import Affine
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer


@dataclass(frozen=True, slots=True)
class Placement:
    """Shape of a layer, the image's axes with some of length 1, and its place.

    `transform` has the keywords: scale, translate, rotate, shear, affine, units, axis_labels.
    """

    shape: tuple[int, ...]
    transform: dict[str, Any]

    def to_world(self, point: ArrayLike) -> NDArray[np.float64]:
        """Return where a point of the data lies in the world."""
        names = ("scale", "translate", "rotate", "shear")
        inner = Affine(**{name: self.transform[name] for name in names})
        outer = Affine(affine_matrix=self.transform["affine"])
        return np.asarray(outer(inner(np.asarray(point, dtype=np.float64))))


def camera_of(viewer: napari.Viewer) -> Any:
    """Return the viewer's camera, which napari 0.9 has moved to its scene."""
    return getattr(viewer, "scene", viewer).camera


def place(
    layer: Layer,
    shape: tuple[int, ...],
    factors: NDArray[np.float64],
    channel: int,
    position: Mapping[int, int],
) -> tuple[Placement, Placement]:
    """Put data made from a layer where that layer's pixels are: at a position, and everywhere.

    `shape` is that of the array that was read, in which each axis of the layer is shrunk by
    `factors`; one voxel spans the axis `channel` (-1 for none); at the position the axes in it have
    length 1 and stand at that pixel of the layer.
    """
    # What napari makes of these takes a while, and this is asked at every turn.
    scale, rotate, shear = (np.asarray(a) for a in (layer.scale, layer.rotate, layer.shear))
    to_world = Affine(
        scale=scale, translate=np.asarray(layer.translate), rotate=rotate, shear=shear
    )
    common = {
        "rotate": rotate,
        "shear": shear,
        "affine": np.asarray(layer.affine.affine_matrix),
        "units": tuple(layer.units),
        "axis_labels": tuple(layer.axis_labels),
    }
    factors = factors.copy()
    if channel >= 0:
        factors[channel] = shape[channel]

    def placed(at: Mapping[int, int]) -> Placement:
        axes, short = range(layer.ndim), {*at, channel}
        steps = np.array([1 if axis in at else factors[axis] for axis in axes])
        # Else the middle of the first of the larger voxels.
        first = np.array([at.get(axis, (factors[axis] - 1) / 2) for axis in axes], np.float64)
        moved = {"scale": scale * steps, "translate": np.asarray(to_world(first))}
        return Placement(tuple(1 if a in short else int(shape[a]) for a in axes), moved | common)

    return placed(position), placed({})
