"""The images of a run, read once at the door: planes, their one scale, the sample of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from napari_diffseg.core.losses import IGNORED
from napari_diffseg.core.plane import Plane
from napari_diffseg.core.sampling import MOST_PIXELS, Sample, training_windows
from napari_diffseg.errors import InputError
from napari_diffseg.images.axes import ImageAxes, channels_first, resolve_axes
from napari_diffseg.images.intensity import (
    IntensityRange,
    ScaledPixels,
    finite_mask,
    measure_range,
)
from napari_diffseg.images.local_statistics import LocalStatistics
from napari_diffseg.images.scribbles import Scribbles, classes_of, read_scribbles
from napari_diffseg.images.superpixels import slic_superpixels
from napari_diffseg.images.windows import Window, whole
from napari_diffseg.params import SegmentationParams

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

_MOST_POOLED = 1 << 21  # pixels of each of several images that its intensities are told by


@dataclass(frozen=True, eq=False, slots=True)
class Reference:
    """One more image to learn from (Kim et al. 2020, Sec. III-D).

    Attributes
    ----------
    image : array_like
        One plane with the axes and the channels of the first image.
    scribbles : array_like of int, (y, x), or None
        What is painted on it, with the same numbers for the same classes.
    """

    image: ArrayLike
    scribbles: ArrayLike | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Reading:
    """What was read of the images of a run.

    Attributes
    ----------
    axes : ImageAxes
        Those of the first image.
    dtype : str
        Its data type.
    planes : tuple of Plane
        One an image; the first is the one to label.
    ranges : IntensityRange
        The intensities that become 0 and 1, in all of them.
    painted : tuple of Scribbles
        One an image; of those that nothing is painted on, empty ones.
    sample : Sample
        On the device.
    """

    axes: ImageAxes
    dtype: str
    planes: tuple[Plane, ...]
    ranges: IntensityRange
    painted: tuple[Scribbles, ...]
    sample: Sample

    @property
    def classes(self) -> tuple[int, ...]:
        """The classes that are painted on any of the images, ascending."""
        return classes_of(self.painted)


def read_for_training(
    references: Sequence[Reference],
    axes: str | None,
    rgb: bool | None,
    params: SegmentationParams,
    device: torch.device,
) -> Reading:
    """Read images, measure their intensities, and cut out what training sees of them.

    Parameters
    ----------
    references : sequence of Reference
        All images; the first is the one to label.
    axes : str or None
        One letter per array axis; guessed where None.
    rgb : bool or None
        Whether the channels are red, green, blue (and alpha), where that is known.
    params : SegmentationParams
        How intensities are scaled, the patches, the design.
    device : torch.device
        Where the sample goes.

    Raises
    ------
    InputError
        The images or scribbles cannot be used, or not together.
    """
    image_axes = [resolve_axes(np.shape(one.image), axes, rgb=rgb) for one in references]
    _check_alike(image_axes)
    raws = [channels_first(one.image, a) for one, a in zip(references, image_axes, strict=True)]
    masks = [finite_mask(raw) for raw in raws]
    rgb = image_axes[0].rgb
    ranges = measure_range(*_pooled(raws, masks), params.intensity, rgb=rgb)
    pixels = [ScaledPixels.measure(*both, ranges) for both in zip(raws, masks, strict=True)]
    painted = tuple(
        _read_strokes(one.scribbles, image.shape[1:], valid)
        for one, image, valid in zip(references, pixels, masks, strict=True)
    )
    planes = [Plane(*both, None) for both in zip(pixels, masks, strict=True)]
    # The network itself is told of strokes in the published design only.
    told = painted if params.design == "published" and classes_of(painted) else None
    windows = _windows(planes, told, params)
    if params.design == "multiscale":
        stage, inputs = LocalStatistics.measure_all(
            [(p.pixels, p.valid, places) for p, places in zip(planes, windows, strict=True)],
            rgb=rgb,
            threads=torch.get_num_threads(),
        )
    else:
        stage = None
        inputs = [
            np.stack([plane.pixels[:, *window] for window in places])
            for plane, places in zip(planes, windows, strict=True)
        ]
    planes = [
        replace(plane, stage=stage, known_inputs=known[0] if is_whole(plane, places) else None)
        for plane, places, known in zip(planes, windows, inputs, strict=True)
    ]
    sample = sample_windows(planes, inputs, windows, params, rgb, device)
    if told is not None:
        sample = replace(sample, painted=_painted_windows(told, windows).to(device))
    return Reading(image_axes[0], str(raws[0].dtype), tuple(planes), ranges, painted, sample)


def sample_windows(
    planes: Sequence[Plane],
    inputs: Sequence[Floats],
    windows: Sequence[Sequence[Window]],
    params: SegmentationParams,
    rgb: bool,
    device: torch.device,
) -> Sample:
    """Put the inputs of some windows on the device, with what is known of them.

    Parameters
    ----------
    planes : sequence of Plane
    inputs : sequence of ndarray of float32, (b, d, y, x)
        For each plane those of its windows.
    windows : sequence of sequence of (slice, slice)
        For each plane where they lie.
    params : SegmentationParams
        How many superpixels.
    rgb : bool
        Whether the channels are red, green, blue.
    device : torch.device
    """
    masks = superpixels = None
    n_superpixels = 0
    if any(plane.valid is not None for plane in planes):
        masks = _stacked(
            [
                np.ones(plane.shape, np.bool_) if plane.valid is None else plane.valid
                for plane in planes
            ],
            windows,
        ).to(device)
    if params.n_superpixels > 0:
        whole = []
        for plane in planes:
            pieces = slic_superpixels(
                plane.pixels[:, :, :], params.n_superpixels, params.compactness, rgb=rgb
            )
            pieces += n_superpixels
            n_superpixels = int(pieces.max()) + 1
            if plane.valid is not None:
                pieces[~plane.valid] = -1
            whole.append(pieces)
        superpixels = _stacked(whole, windows).to(device)
    together = torch.from_numpy(np.concatenate(inputs)).to(device)
    return Sample(together, masks, superpixels, n_superpixels)


def is_whole(plane: Plane, windows: Sequence[Window]) -> bool:
    """Whether the windows are one, and that the whole plane."""
    return len(windows) == 1 and windows[0] == whole(plane.shape)


def _check_alike(axes: Sequence[ImageAxes]) -> None:
    first = axes[0]
    for number, other in enumerate(axes[1:], start=2):
        if (other.n_channels, other.rgb) != (first.n_channels, first.rgb):
            raise InputError(
                f"Image {number} has {other.describe()}, but the first has {first.describe()}; "
                "reference images must have the same channels."
            )


def _pooled(
    raws: Sequence[NDArray[Any]], masks: Sequence[Mask | None]
) -> tuple[NDArray[Any], Mask | None]:
    """Return pixels of all images as one image; of several large ones every so manieth."""
    if len(raws) == 1:
        return raws[0], masks[0]
    values, counted = [], []
    for raw, valid in zip(raws, masks, strict=True):
        # An odd step visits every column of an image whose width is a power of 2.
        step = max(-(-raw[0].size // _MOST_POOLED), 1) | 1 if raw[0].size > _MOST_POOLED else 1
        values.append(raw.reshape(len(raw), 1, -1)[:, :, ::step])
        mask = np.ones(raw[0].size, np.bool_) if valid is None else valid.ravel()
        counted.append(mask[None, ::step])
    known = np.concatenate(counted, axis=1)
    return np.concatenate(values, axis=2), None if known.all() else known


def _read_strokes(
    scribbles: ArrayLike | None, shape: tuple[int, ...], valid: Mask | None
) -> Scribbles:
    height, width = shape
    if scribbles is None:
        return Scribbles.empty((height, width))
    return read_scribbles(scribbles, (height, width), valid)


def _windows(
    planes: Sequence[Plane], painted: Sequence[Scribbles] | None, params: SegmentationParams
) -> list[list[Window]]:
    """Choose what training sees of each image; all windows are of one size."""
    shapes = [plane.shape for plane in planes]
    if params.patch_size == 0 and len(set(shapes)) > 1:
        sizes = ", ".join(sorted({f"{height} × {width}" for height, width in shapes}))
        raise InputError(
            f"The images are of several sizes ({sizes}), but where the patch size is 0 they are "
            "trained on whole and must have one; crop them, or set a patch size."
        )
    smallest = min(height for height, _ in shapes), min(width for _, width in shapes)
    windows = []
    for index, plane in enumerate(planes):
        windows.append(
            training_windows(
                plane.pixels,
                plane.valid,
                params.patch_size,
                None if painted is None else painted[index].painted > 0,
                most_pixels=MOST_PIXELS // len(planes),
                largest=smallest if len(set(shapes)) > 1 else None,
            )
        )
        if plane.valid is not None and not any(plane.valid[one].any() for one in windows[-1]):
            which = "the image" if len(planes) == 1 else f"image {index + 1}"
            raise InputError(
                f"Only {int(plane.valid.sum())} pixels of {which} are finite, too few to "
                "learn from; crop the image to where they lie, or choose another."
            )
    return windows


def _painted_windows(
    painted: Sequence[Scribbles], windows: Sequence[Sequence[Window]]
) -> torch.Tensor:
    """Return the index of the class that is painted in each pixel of some windows."""
    classes = classes_of(painted)
    indices = []
    for one in painted:
        index = np.searchsorted(classes, one.painted).astype(np.int64)
        index[one.painted == 0] = IGNORED
        indices.append(index)
    return _stacked(indices, windows)


def _stacked(arrays: Sequence[NDArray[Any]], windows: Sequence[Sequence[Window]]) -> torch.Tensor:
    """Stack the windows ``(b, y, x)`` of arrays ``(y, x)``."""
    pieces = [
        array[window] for array, places in zip(arrays, windows, strict=True) for window in places
    ]
    return torch.from_numpy(np.stack(pieces))
