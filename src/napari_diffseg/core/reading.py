"""The images of a run, read once at the door: all of one scale, and the sample of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from napari_diffseg.core.model.application import reading_window
from napari_diffseg.core.plane import Plane
from napari_diffseg.core.published.losses import IGNORED
from napari_diffseg.core.sampling import Sample, sample_places, training_windows
from napari_diffseg.errors import InputError
from napari_diffseg.image.axes import ImageAxes, channels_first, is_in_memory, resolve_axes
from napari_diffseg.image.channels import Channel, pick_channels
from napari_diffseg.image.fill import AUTO, Fill, decided_fill, fill_mask, fill_notes
from napari_diffseg.image.intensity import (
    IntensityRange,
    ScaledPixels,
    finite_mask,
    measure_range,
    stated_range,
)
from napari_diffseg.image.scribbles import Scribbles, classes_of, read_scribbles
from napari_diffseg.image.space import Space, space_of
from napari_diffseg.image.windows import Window
from napari_diffseg.image.windows import whole as all_of
from napari_diffseg.numeric.superpixels import slic_superpixels
from napari_diffseg.params import SegmentationParams

Mask = NDArray[np.bool_]

_MOST_POOLED = 1 << 21  # pixels of each of several images that its intensities are told by


@dataclass(frozen=True, eq=False, slots=True)
class Reference:
    """One more image to learn from (Kim et al. 2020, Sec. III-D).

    Attributes
    ----------
    image : array_like
        One plane or volume with the axes and the channels of the first image.
    scribbles : array_like of int, (y, x) or (z, y, x), or None
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
    sample : Sample or None
        On the device; None for the default.
    places : tuple of tuple of Window
        For the default, the parts of each image that are learned from.
    channels : tuple of Channel
        Those that are looked at.
    fill : float or None
        The value that is no image, in all of them; None where there is none.
    notes : tuple of str
        Sentences that the person should read.
    """

    axes: ImageAxes
    dtype: str
    planes: tuple[Plane, ...]
    ranges: IntensityRange
    painted: tuple[Scribbles, ...]
    sample: Sample | None
    places: tuple[tuple[Window, ...], ...]
    channels: tuple[Channel, ...]
    fill: float | None
    notes: tuple[str, ...]

    @property
    def classes(self) -> tuple[int, ...]:
        """The classes that are painted on any of the images, ascending."""
        return classes_of(self.painted)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Door:
    """How images are to be read: what `napari_diffseg.segment` is told of them.

    Attributes
    ----------
    axes, rgb, spacing, channels, region, fill
        See `napari_diffseg.segment`.
    """

    axes: str | None = None
    rgb: bool | None = None
    spacing: Sequence[float] | None = None
    channels: Sequence[Channel] | None = None
    region: ArrayLike | None = None
    fill: Fill = AUTO


def read_for_training(
    references: Sequence[Reference],
    door: Door,
    params: SegmentationParams,
    device: torch.device,
) -> Reading:
    """Read images, measure their intensities, and cut out what training sees of them.

    Parameters
    ----------
    references : sequence of Reference
        All images; the first is the one to label.
    door : Door
        How they are to be read.
    params : SegmentationParams
        How intensities are scaled, the patches, the design.
    device : torch.device
        Where the sample goes.

    Raises
    ------
    InputError
        The images or scribbles cannot be used, or not together.
    """
    image_axes = [resolve_axes(np.shape(one.image), door.axes, rgb=door.rgb) for one in references]
    _check_alike(image_axes)
    first, rgb = image_axes[0], image_axes[0].rgb
    space = space_of(first.spatial, door.spacing)
    channels = pick_channels(door.channels, first.n_channels, rgb=rgb)
    picked = [one.index for one in channels]
    region = None
    if door.region is not None:
        region = _checked(door.region, first.spatial_shape)
        region = _with_strokes(region, references[0].scribbles)
    around = _surroundings(region, first.spatial_shape, space)
    raws = [
        _read_within(references[0].image, first, picked, around),
        *(
            channels_first(one.image, a, channels=picked)
            for one, a in zip(references[1:], image_axes[1:], strict=True)
        ),
    ]
    seen = raws[0][:, *around]
    fill = decided_fill(door.fill, [seen, *raws[1:]])
    references, raws = _with_content(references, raws, fill)
    masks = [finite_mask(raw, fill) for raw in raws]
    valids = [_within(region, masks[0]), *masks[1:]]
    measured = measure_range(*_pooled(raws, valids), params.intensity, rgb=rgb)
    ranges = stated_range(measured, channels)
    pixels = [ScaledPixels.measure(*both, ranges) for both in zip(raws, masks, strict=True)]
    painted = tuple(
        _read_strokes(one.scribbles, image.shape[1:], valid)
        for one, image, valid in zip(references, pixels, valids, strict=True)
    )
    planes = [Plane(*both, None, space=space) for both in zip(pixels, valids, strict=True)]
    sample = None
    places: tuple[tuple[Window, ...], ...] = ()
    if params.design == "published":
        told = painted if classes_of(painted) else None
        windows = _windows(planes, told, params)
        sample = sample_windows(planes, windows, params, rgb=rgb, device=device)
        if told is not None:
            sample = replace(sample, painted=_painted_windows(told, windows).to(device))
    else:
        places = _places(planes)
    return Reading(
        first,
        str(raws[0].dtype),
        tuple(planes),
        ranges,
        painted,
        sample,
        places,
        channels,
        fill,
        (*_notes(first, door), *_left_out(seen, door.fill, fill)),
    )


def _places(planes: Sequence[Plane]) -> tuple[tuple[Window, ...], ...]:
    """Choose the parts of all images that the default learns from."""
    places = tuple(tuple(sample_places(one.pixels, one.valid, len(planes))) for one in planes)
    for index, both in enumerate(zip(planes, places, strict=True)):
        _check_enough(*both, index, len(planes))
    return places


def _check_enough(plane: Plane, windows: Sequence[Window], index: int, n_images: int) -> None:
    if plane.valid is not None and not any(plane.valid[one].any() for one in windows):
        which = "the image" if n_images == 1 else f"image {index + 1}"
        raise InputError(
            f"Only {int(plane.valid.sum())} pixels of {which} are finite, no fill and wanted, "
            "too few to learn from; crop the image to where they lie, or choose another."
        )


def _with_content(
    references: Sequence[Reference], raws: Sequence[NDArray[Any]], fill: float | None
) -> tuple[list[Reference], list[NDArray[Any]]]:
    """Leave out further images that are nothing but fill, such as the blank ends of a stack."""

    def is_blank(raw: NDArray[Any]) -> bool:
        filled = fill_mask(raw, fill)
        return filled is not None and bool(filled.all())

    kept = [
        (one, raw)
        for number, (one, raw) in enumerate(zip(references, raws, strict=True))
        if number == 0 or one.scribbles is not None or not is_blank(raw)
    ]
    return [one for one, _ in kept], [raw for _, raw in kept]


def _checked(region: ArrayLike, shape: tuple[int, ...]) -> Mask:
    mask = np.asarray(region)
    if mask.dtype.kind not in "buif":
        raise InputError(
            f"The region holds {mask.dtype}, but numbers were expected: 0 outside, others inside."
        )
    inside: Mask = mask != 0
    if inside.shape != shape:
        raise InputError(
            f"The region has the shape {inside.shape}, but the image has {shape}; give a mask "
            "of the image's shape."
        )
    return inside


def _with_strokes(region: Mask, scribbles: ArrayLike | None) -> Mask:
    """Return the region and what is painted outside of it: a stroke counts wherever it lies."""
    if scribbles is None or np.shape(scribbles) != region.shape:
        return region  # of scribbles that cannot be, something is said later
    painted = np.asarray(scribbles)
    return region | (painted > 0) if painted.dtype.kind in "buif" else region


def _surroundings(region: Mask | None, shape: tuple[int, ...], space: Space) -> Window:
    """Return the window that holds the region and all that its labels depend on."""
    if region is None or not region.any():
        return all_of(shape)
    return reading_window(_box(region), shape, space)


def _read_within(
    image: ArrayLike, axes: ImageAxes, channels: list[int], around: Window
) -> NDArray[Any]:
    """Read an image; of one that is not in memory no more than the region's surroundings.

    The rest is 0 and takes no memory until somebody looks at it, which nobody does.
    """
    if is_in_memory(image) or around == all_of(axes.spatial_shape):
        return channels_first(image, axes, channels=channels)
    part = channels_first(image, axes, around, channels)
    pixels = np.zeros((len(part), *axes.spatial_shape), part.dtype)
    pixels[:, *around] = part
    return pixels


def _box(region: Mask) -> Window:
    """Return the smallest window that holds the region."""
    sides = []
    for axis in range(region.ndim):
        others = tuple(one for one in range(region.ndim) if one != axis)
        (met,) = np.nonzero(region.any(axis=others))
        sides.append(slice(int(met[0]), int(met[-1]) + 1))
    return tuple(sides)


def _within(region: Mask | None, finite: Mask | None) -> Mask | None:
    """Return the pixels that are finite, no fill and within the region; None where all are."""
    if region is None:
        return finite
    wanted = region if finite is None else region & finite
    if not wanted.any():
        raise InputError(
            "No pixel of the image lies within the region; draw it over the image, or segment "
            "the whole image."
        )
    return None if wanted.all() else wanted


def _notes(axes: ImageAxes, door: Door) -> tuple[str, ...]:
    """Return what a person should know of how the image to label was read."""
    notes = []
    if axes.guessed:
        notes.append(f"The axes were guessed as {axes.axes}: {axes.describe()}.")
    if axes.spatial == "ZYX" and door.spacing is None:
        notes.append("How far the planes are apart is not known; voxels were taken for cubes.")
    if axes.has_alpha:
        notes.append("The alpha channel was dropped.")
        notes.append("If the fourth channel is no alpha, state the axes, such as CYX.")
    return tuple(notes)


def _left_out(seen: NDArray[Any], said: Fill, fill: float | None) -> tuple[str, ...]:
    """Return what a person should know of pixels that are no image."""
    notes = []
    finite = finite_mask(seen)
    if finite is not None:
        n_left_out = int(np.count_nonzero(~finite))
        notes.append(f"{n_left_out} pixels are NaN or infinite and have label 0.")
    filled = fill_mask(seen, fill)
    n_filled = 0 if filled is None else int(np.count_nonzero(filled))
    return (*notes, *fill_notes(fill, said, n_filled))


def sample_windows(
    planes: Sequence[Plane],
    windows: Sequence[Sequence[Window]],
    params: SegmentationParams,
    *,
    rgb: bool,
    device: torch.device,
) -> Sample:
    """Put the inputs of some windows on the device, with what is known of them.

    Parameters
    ----------
    planes : sequence of Plane
    windows : sequence of sequence of tuple of slice
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
                plane.pixels[:, *all_of(plane.shape)],
                params.n_superpixels,
                params.compactness,
                rgb=rgb,
                space=plane.space,
            )
            pieces += n_superpixels
            n_superpixels = int(pieces.max()) + 1
            if plane.valid is not None:
                pieces[~plane.valid] = -1
            whole.append(pieces)
        superpixels = _stacked(whole, windows).to(device)
    inputs = [
        plane.pixels[:, *window]
        for plane, places in zip(planes, windows, strict=True)
        for window in places
    ]
    together = torch.from_numpy(np.stack(inputs)).to(device)
    return Sample(together, masks, superpixels, n_superpixels)


def _check_alike(axes: Sequence[ImageAxes]) -> None:
    first = axes[0]
    for number, other in enumerate(axes[1:], start=2):
        mine = (other.n_channels, other.rgb, other.spatial)
        if mine != (first.n_channels, first.rgb, first.spatial):
            raise InputError(
                f"Image {number} has {other.describe()}, but the first has {first.describe()}; "
                "reference images must have the same channels and axes."
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
        values.append(raw.reshape(len(raw), 1, -1)[..., ::step])
        mask = np.ones(raw[0].size, np.bool_) if valid is None else valid.ravel()
        counted.append(mask[None, ::step])
    known = np.concatenate(counted, axis=1)
    return np.concatenate(values, axis=2), None if known.all() else known


def _read_strokes(
    scribbles: ArrayLike | None, shape: tuple[int, ...], valid: Mask | None
) -> Scribbles:
    return Scribbles.empty(shape) if scribbles is None else read_scribbles(scribbles, shape, valid)


def _windows(
    planes: Sequence[Plane], painted: Sequence[Scribbles] | None, params: SegmentationParams
) -> list[list[Window]]:
    """Choose what training sees of each image; all windows are of one size."""
    shapes = [plane.shape for plane in planes]
    if params.patch_size == 0 and len(set(shapes)) > 1:
        sizes = ", ".join(sorted({" × ".join(map(str, shape)) for shape in shapes}))
        raise InputError(
            f"The images are of several sizes ({sizes}), but where the patch size is 0 they are "
            "trained on whole and must have one; crop them, or set a patch size."
        )
    smallest = tuple(min(lengths) for lengths in zip(*shapes, strict=True))
    windows = []
    for index, plane in enumerate(planes):
        windows.append(
            training_windows(
                plane.pixels,
                plane.valid,
                params.patch_size,
                None if painted is None else painted[index].painted > 0,
                space=plane.space,
                n_images=len(planes),
                largest=smallest if len(set(shapes)) > 1 else None,
            )
        )
        _check_enough(plane, windows[-1], index, len(planes))
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
    """Stack the windows ``(b, y, x)`` of arrays ``(y, x)``, or with z."""
    pieces = [
        array[window] for array, places in zip(arrays, windows, strict=True) for window in places
    ]
    return torch.from_numpy(np.stack(pieces))
