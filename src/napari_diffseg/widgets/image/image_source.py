"""What a run would segment: which pixels of which arrays, and where its result would stand."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.image.axes import ImageAxes, is_in_memory, resolve_axes
from napari_diffseg.image.fill import AUTO, Fill
from napari_diffseg.image.lazy import common_dtype, join_channels, part_of
from napari_diffseg.widgets.region.placement import Placement

if TYPE_CHECKING:
    from napari_diffseg.image.channels import Channel
    from napari_diffseg.image.info import ImageInfo
    from napari_diffseg.image.pixel_size import PixelSize
    from napari_diffseg.widgets.image.first_look import FirstLook
    from napari_diffseg.widgets.region.region import Region


_TAKEN_FOR = ("index", "spatial", "axes", "rgb", "spacing", "channels", "region", "fill")


@dataclass(frozen=True, slots=True)
class ImageSource:
    """The pixels to segment, a plane or a volume; nothing is read before `read`.

    Of `arrays` (data of the layers) the part at `index`, which lies along the layers' `spatial`
    axes and is read in the order `axes`; `channel` is the layers' channel axis or -1. The result
    stands at `placement`; on `canvas` every plane could be painted. `info` describes the layers at
    this level, `spacing` the voxels of a volume. `look_at` is the plane of a volume on view.
    """

    layer_names: tuple[str, ...]
    arrays: tuple[Any, ...]
    index: tuple[int | slice, ...]
    spatial: tuple[int, ...]
    axes: str
    rgb: bool
    channel: int
    placement: Placement
    canvas: Placement
    info: ImageInfo
    spacing: tuple[float, ...] | None = None
    look_at: int | None = field(default=None, compare=False)
    channels: tuple[Channel, ...] | None = None
    region: Region | None = None
    fill: Fill = AUTO
    first_look: FirstLook | None = field(default=None, compare=False)
    notes: tuple[str, ...] = ()

    @property
    def letters(self) -> str:
        """One letter for each axis of the layers."""
        return str(self.info.axes)

    @property
    def pixel_size(self) -> PixelSize | None:
        """Of a pixel of the plane, or a voxel; None where it is not known."""
        return self.info.size_along("".join(self.letters[axis] for axis in self.spatial))

    @property
    def is_volume(self) -> bool:
        """Whether it is a volume."""
        return len(self.spatial) == 3

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """Length of each spatial axis: ``(y, x)`` or ``(z, y, x)``."""
        return tuple(self.canvas.shape[axis] for axis in self.spatial)

    @property
    def image_axes(self) -> ImageAxes:
        """What each axis of the pixels means."""
        first = self.arrays[0]
        kept = [
            int(length)
            for length, where in zip(first.shape, self.full_index, strict=True)
            if isinstance(where, slice)
        ]
        shape = kept if len(self.arrays) == 1 else [len(self.arrays), *kept]
        return resolve_axes(shape, self.axes, rgb=self.rgb)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The data type of the pixels."""
        return common_dtype([array.dtype for array in self.arrays])

    @property
    def is_in_memory(self) -> bool:
        """Whether nothing has to be read from disk, or computed."""
        return all(is_in_memory(array) for array in self.arrays)

    @property
    def stack(self) -> tuple[int, ...]:
        """The axes of the layers along which there are further frames, planes or volumes."""
        return tuple(a for a, where in enumerate(self.index) if not isinstance(where, slice))

    @property
    def position(self) -> tuple[int, ...]:
        """Where this one stands along these axes."""
        return tuple(where for where in self.index if not isinstance(where, slice))

    @property
    def n_frames(self) -> int:
        """How many there are; 1 for a single one."""
        return math.prod(self.canvas.shape[axis] for axis in self.stack)

    @property
    def is_movie(self) -> bool:
        """Whether further ones follow in time alone: frames, not planes."""
        shape = self.canvas.shape
        return {self.letters[axis] for axis in self.stack if shape[axis] > 1} == {"T"}

    def at(self, position: tuple[int, ...]) -> ImageSource:
        """Return another frame to read; what else is told stays that of this one."""
        where = dict(zip(self.stack, position, strict=True))
        return replace(self, index=tuple(where.get(a, old) for a, old in enumerate(self.index)))

    def shows_the_same(self, other: ImageSource) -> bool:
        """Whether both are the same pixels of the same arrays, taken for the same."""
        return (
            len(self.arrays) == len(other.arrays)
            and all(one is two for one, two in zip(self.arrays, other.arrays, strict=True))
            and all(getattr(self, name) == getattr(other, name) for name in _TAKEN_FOR)
        )

    def lies_as(self, other: ImageSource) -> bool:
        """Whether a layer made for one of them can show what is made from the other."""
        mine, theirs = self.placement.transform, other.placement.transform
        return self.shows_the_same(other) and all(
            np.array_equal(mine[name], theirs[name]) for name in mine
        )

    def pixels(self) -> Any:
        """Return the pixels as one array, of which nothing is read before it is asked for."""
        index = self.full_index
        if len(self.arrays) > 1:
            index = (slice(None), *index)
        return part_of(join_channels(self.arrays), index)

    def told(self) -> dict[str, Any]:
        """Return what a run is told of the pixels, by the names of its arguments."""
        names = "axes", "rgb", "spacing", "channels", "look_at"
        return {name: getattr(self, name) for name in names}

    @property
    def full_index(self) -> tuple[int | slice, ...]:
        """The index with the colours, which are no axis of their layer."""
        return (*self.index, *[slice(None)] * (len(self.arrays[0].shape) - len(self.index)))

    def read(self) -> NDArray[Any]:
        """Load the pixels; slow for data on disk, so not for the thread of the window."""
        return np.asarray(self.pixels())

    def in_place(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Bring labels ``(y, x)`` or ``(z, y, x)`` into the shape of the placement."""
        return self.turned(labels).reshape(self.placement.shape)

    def turned(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Bring labels ``(y, x)`` or ``(z, y, x)`` into the order of the layers' axes."""
        return labels.transpose(np.argsort(self.spatial))

    def from_place(self, data: NDArray[Any]) -> NDArray[Any]:
        """Bring data of the shape of the placement into the order ``(y, x)`` or ``(z, y, x)``."""
        other = [axis for axis in range(data.ndim) if axis not in self.spatial]
        plane: NDArray[Any] = data.transpose(*other, *self.spatial)[(0,) * len(other)]
        return plane

    def point(self, *place: float) -> NDArray[np.float64]:
        """Return a point ``(y, x)`` or ``(z, y, x)`` as one of the placement's data."""
        point = np.zeros(len(self.placement.shape))
        point[list(self.spatial)] = place
        return point
