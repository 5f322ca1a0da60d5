"""The images of a run, read once at the door: all of one scale, and what is learned from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from napari_diffseg.core.model.application import reading_window
from napari_diffseg.core.plane import Plane
from napari_diffseg.core.published.sample import Sample
from napari_diffseg.core.sampling import sample_places, training_windows
from napari_diffseg.errors import InputError
from napari_diffseg.image.arrays import Mask
from napari_diffseg.image.axes import (
    ImageAxes,
    as_array,
    channels_first,
    is_in_memory,
    resolve_axes,
)
from napari_diffseg.image.channels import Channel, pick_channels
from napari_diffseg.image.fill import AUTO, Fill, decided_fill, fill_mask, fill_notes
from napari_diffseg.image.intensity import (
    IntensityRange,
    ScaledPixels,
    finite_mask,
    measure_range,
    stated_range,
)
from napari_diffseg.image.pieces import PROGRAM, estimate_memory
from napari_diffseg.image.region import box_of, region_with_strokes
from napari_diffseg.image.scribbles import Scribbles, classes_of, read_scribbles
from napari_diffseg.image.space import TAKEN_FOR_CUBES, Space, space_of
from napari_diffseg.image.windows import Window, whole
from napari_diffseg.memory import check_memory
from napari_diffseg.params import SegmentationParams

_MOST_POOLED = 1 << 21  # pixels of each of several images that its intensities are told by

Raw = NDArray[Any]


@dataclass(frozen=True, eq=False, slots=True)
class Reference:
    """One more image to learn from (Kim et al. 2020, Sec. III-D).

    Attributes
    ----------
    image : array_like
        One plane or volume with the axes and the channels of the first image.
    scribbles : array_like of int, (y, x) or (z, y, x), or None
        What is painted on it, with the same numbers for the same classes.
    region : array_like of bool, (y, x) or (z, y, x), or None
        What counts of it, beside what is painted; all where None.
    """

    image: ArrayLike
    scribbles: ArrayLike | None = None
    region: ArrayLike | None = None

    def __post_init__(self) -> None:
        # Once: a list, or what lies on a GPU, takes a while.
        object.__setattr__(self, "image", as_array(self.image))


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ImageOptions:
    """How images are to be read: what `napari_diffseg.segment` is told of them."""

    axes: str | None = None
    rgb: bool | None = None
    spacing: Sequence[float] | None = None
    channels: Sequence[Channel] | None = None
    fill: Fill = AUTO


@dataclass(frozen=True, eq=False, slots=True)
class TrainingImages:
    """What was read of a run's images, the first to be labelled; axes and data type are that one's.

    Intensities, channels and fill are common to all. `sample` is what the published design trains
    on, `places` are the parts of each image that the default learns from.
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


def read_for_training(
    references: Sequence[Reference],
    how: ImageOptions,
    params: SegmentationParams,
    device: torch.device,
) -> TrainingImages:
    """Read images, measure their intensities, and cut out what training sees of them.

    Raises InputError where the images or scribbles cannot be used, or not together.
    """
    axes = _common_axes(references, how)
    first = axes[0]
    space = space_of(first.spatial, how.spacing)
    channels = pick_channels(how.channels, first.n_channels, rgb=first.rgb)
    images = [_Image.of(*both, space, params) for both in zip(references, axes, strict=True)]
    _check_memory(images[0], params, len(channels), device.type)
    images = [one.read([channel.index for channel in channels]) for one in images]
    fill = decided_fill(how.fill, [one.seen for one in images])
    images = _with_content(images, fill)
    raws = [one.raw for one in images]
    masks = [one.mask(fill) for one in images]
    valids = [one.valid(mask) for one, mask in zip(images, masks, strict=True)]
    measured = measure_range(*_pooled(raws, valids), params.intensity, rgb=first.rgb)
    ranges = stated_range(measured, channels)
    pixels = [one.scaled(mask, ranges) for one, mask in zip(images, masks, strict=True)]
    planes = [Plane(*both, None, space=space) for both in zip(pixels, valids, strict=True)]
    painted = tuple(
        _read_strokes(one.scribbles, plane) for one, plane in zip(images, planes, strict=True)
    )
    sample = None
    places: tuple[tuple[Window, ...], ...] = ()
    if params.design == "published":
        sample = _sample(planes, painted, params, rgb=first.rgb, device=device)
    else:
        places = tuple(tuple(sample_places(one.pixels, one.valid, len(planes))) for one in planes)
        _check_enough(planes, places)
    notes = (*_notes(first, how), *_left_out(images[0].seen, how.fill, fill))
    dtype = str(raws[0].dtype)
    return TrainingImages(
        first, dtype, tuple(planes), ranges, painted, sample, places, channels, fill, notes
    )


# --- pixels ---------------------------------------------------------------------------------


def _common_axes(references: Sequence[Reference], how: ImageOptions) -> list[ImageAxes]:
    axes = [resolve_axes(np.shape(one.image), how.axes, rgb=how.rgb) for one in references]
    first = axes[0]
    for number, other in enumerate(axes[1:], start=2):
        mine = (other.n_channels, other.rgb, other.spatial)
        if mine != (first.n_channels, first.rgb, first.spatial):
            raise InputError(
                f"Image {number} has {other.describe()}, but the first has {first.describe()}; "
                "reference images must have the same channels and axes."
            )
    return axes


@dataclass(frozen=True, eq=False, slots=True)
class _Image:
    """An image, and what is read of it: `around` its region, `raw` is ``c (z) y x``.

    Beyond that it is 0, in memory or not, so that both come to the same; this takes none until
    somebody looks at it, which nobody does; nor do masks there.
    """

    given: ArrayLike
    axes: ImageAxes
    scribbles: ArrayLike | None
    region: Mask | None
    around: Window
    raw: Raw = field(default_factory=lambda: np.zeros(0))

    @classmethod
    def of(
        cls, reference: Reference, axes: ImageAxes, space: Space, params: SegmentationParams
    ) -> Self:
        """Find out what is to be read: the region, and all that its labels depend on."""
        shape = axes.spatial_shape
        region = region_with_strokes(reference.region, reference.scribbles, shape)
        # The network of the published design is trained on, and runs over, the whole.
        is_all = params.design == "published"
        box = None if region is None or is_all else box_of(region)
        around = whole(shape) if box is None else reading_window(box, shape, space)
        return cls(reference.image, axes, reference.scribbles, region, around)

    def read(self, channels: list[int]) -> Self:
        """Return the same with its pixels."""
        part = channels_first(self.given, self.axes, self.around, channels)
        return replace(self, raw=self._placed(part))

    @property
    def is_whole(self) -> bool:
        """Whether all of it is read."""
        return self.around == whole(self.axes.spatial_shape)

    @property
    def seen(self) -> Raw:
        """The pixels around the region."""
        return self.raw[:, *self.around]

    def mask(self, fill: float | None) -> Mask | None:
        """Return where it is finite and no fill; None where it is so wherever it is looked at."""
        found = finite_mask(self.seen, fill)
        return None if found is None else self._placed(found)

    def valid(self, mask: Mask | None) -> Mask | None:
        """Return where it is so within the region; None where that is everywhere."""
        if self.region is None:
            return mask
        wanted = self.region
        if mask is not None:
            wanted = self._placed(wanted[self.around] & mask[self.around])
        if not wanted.any():
            raise InputError(
                "No pixel of the image lies within the region; draw it over the image, or segment "
                "the whole image."
            )
        return None if wanted.all() else wanted

    def scaled(self, mask: Mask | None, ranges: IntensityRange) -> ScaledPixels:
        """Return its pixels as they are looked at."""
        seen = ScaledPixels.measure(self.seen, None if mask is None else mask[self.around], ranges)
        return replace(seen, raw=self.raw, valid=mask)

    def _placed(self, part: NDArray[Any]) -> NDArray[Any]:
        """Return what lies around the region as a part of the whole."""
        if self.is_whole:
            return part
        placed = np.zeros((*part.shape[: -len(self.around)], *self.axes.spatial_shape), part.dtype)
        where: Any = (..., *self.around)
        placed[where] = part
        return placed


def _check_memory(image: _Image, params: SegmentationParams, n_channels: int, device: str) -> None:
    """Refuse an image that there is not enough memory for, before it is read."""
    needed = estimate_memory(
        image.axes,
        np.dtype(getattr(image.given, "dtype", np.float64)),
        params,
        n_channels=n_channels,
        is_held=is_in_memory(image.given),
        around=None if image.is_whole else image.around,
        device=device,
    )
    needed -= PROGRAM  # which runs already
    check_memory(needed, "This image", "take a smaller region of it, or a coarser resolution")


def _with_content(images: Sequence[_Image], fill: float | None) -> list[_Image]:
    """Leave out further images that are nothing but fill, such as the blank ends of a stack."""

    def is_blank(image: _Image) -> bool:
        filled = fill_mask(image.seen, fill)
        return filled is not None and bool(filled.all())

    first, *others = images
    return [first, *(one for one in others if one.scribbles is not None or not is_blank(one))]


def _pooled(raws: Sequence[Raw], masks: Sequence[Mask | None]) -> tuple[Raw, Mask | None]:
    """Return pixels of all images as one image; of several large ones every n-th."""
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


def _read_strokes(scribbles: ArrayLike | None, plane: Plane) -> Scribbles:
    if scribbles is None:
        return Scribbles.empty(plane.shape)
    return read_scribbles(scribbles, plane.shape, plane.valid)


# --- what is learned from -------------------------------------------------------------------


def _sample(
    planes: Sequence[Plane],
    painted: Sequence[Scribbles],
    params: SegmentationParams,
    *,
    rgb: bool,
    device: torch.device,
) -> Sample:
    """Choose what training sees of each image; all windows are of one size."""
    strokes = painted if classes_of(painted) else None
    shapes = [plane.shape for plane in planes]
    if params.patch_size == 0 and len(set(shapes)) > 1:
        sizes = ", ".join(sorted({" × ".join(map(str, shape)) for shape in shapes}))
        raise InputError(
            f"The images are of several sizes ({sizes}), but where the patch size is 0 they are "
            "trained on whole and must have one; crop them, or set a patch size."
        )
    smallest = tuple(min(lengths) for lengths in zip(*shapes, strict=True))
    windows = [
        training_windows(
            plane.pixels,
            plane.valid,
            params.patch_size,
            None if strokes is None else one.painted > 0,
            space=plane.space,
            n_images=len(planes),
            largest=smallest if len(set(shapes)) > 1 else None,
        )
        for plane, one in zip(planes, painted, strict=True)
    ]
    _check_enough(planes, windows)
    return Sample.of(planes, windows, params, rgb=rgb, device=device, painted=strokes)


def _check_enough(planes: Sequence[Plane], windows: Sequence[Sequence[Window]]) -> None:
    for number, (plane, places) in enumerate(zip(planes, windows, strict=True), start=1):
        if plane.valid is not None and not any(plane.valid[one].any() for one in places):
            which = "the image" if len(planes) == 1 else f"image {number}"
            raise InputError(
                f"Only {int(plane.valid.sum())} pixels of {which} are finite, no fill and wanted, "
                "too few to learn from; crop the image to where they lie, or choose another."
            )


# --- what a person should know --------------------------------------------------------------


_NO_CHANNELS = " If these are planes of a volume, state the axes ZYX; of a movie take one frame."


def _notes(axes: ImageAxes, how: ImageOptions) -> tuple[str, ...]:
    """Say how the image to label was read."""
    notes = []
    if axes.guessed:
        way_out = "" if axes.channel_axis is None or axes.rgb else _NO_CHANNELS
        notes.append(f"The axes were guessed as {axes.axes}: {axes.describe()}.{way_out}")
    if axes.spatial == "ZYX" and how.spacing is None:
        notes.append(TAKEN_FOR_CUBES)
    if axes.has_alpha:
        notes.append("The alpha channel was dropped.")
        notes.append("If the fourth channel is no alpha, state the axes, such as CYX.")
    return tuple(notes)


def _left_out(seen: Raw, said: Fill, fill: float | None) -> tuple[str, ...]:
    """Say which pixels are no image."""
    notes = []
    finite = finite_mask(seen)
    if finite is not None:
        n_left_out = int(np.count_nonzero(~finite))
        notes.append(f"{n_left_out} pixels are NaN or infinite and have label 0.")
    filled = fill_mask(seen, fill)
    n_filled = 0 if filled is None else int(np.count_nonzero(filled))
    return (*notes, *fill_notes(fill, said, n_filled))
