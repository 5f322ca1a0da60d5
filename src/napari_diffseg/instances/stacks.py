"""Objects and measurements of whole arrays: a plane, a volume, or frames of either."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_diffseg.errors import InputError
from napari_diffseg.image.arrays import whole_numbers
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.instances.finding import count_in_all, find_objects, with_classes
from napari_diffseg.instances.following import Follower
from napari_diffseg.instances.measuring import Columns, measure_frame
from napari_diffseg.instances.params import ObjectParams
from napari_diffseg.instances.table import join
from napari_diffseg.parameters import Scalar

Numbers = NDArray[np.int32]
Classes = int | str | Iterable[int] | None
Size = PixelSize | float | Sequence[float] | None


class HasLabels(Protocol):
    """What `napari_diffseg.segment` returns has labels."""

    @property
    def labels(self) -> NDArray[Any]:
        """Class of each pixel."""


def objects(
    result: HasLabels | ArrayLike,
    classes: Classes = None,
    *,
    axes: str | None = None,
    spacing: Sequence[float] | None = None,
    params: ObjectParams | None = None,
    **changes: Scalar,
) -> Numbers:
    """Make objects of the classes of a result: one number for each nucleus, cell or gland.

    Parameters
    ----------
    result : Segmentation or array_like of int
        A result, or the class of each pixel: a plane, a volume, or frames of either.
    classes : int, iterable of int, or str such as "2,3", optional
        Of which classes objects are made. Where None, of all but the background: the class of
        that name, else 0 or, if there is no 0, the largest class.
    axes : str, optional
        ``"YX"``, ``"ZYX"``, ``"TYX"`` or ``"TZYX"``; where None, three axes are those of a
        volume, and four those of volumes over time.
    spacing : sequence of 3 floats, optional
        Distances of voxels along z, y and x in any one unit; where None those of the result,
        and of an array cubes.
    params : ObjectParams, optional
        How objects are made.
    **changes
        Fields of `ObjectParams` to set otherwise, e.g. ``split=6``.

    Returns
    -------
    ndarray of int32, of the shape of the labels
        0 is the background, objects are numbered from 1. Over time an object keeps its number
        as far as it overlaps itself from frame to frame; see
        `napari_diffseg.instances.following.Follower` for what is promised.

    Raises
    ------
    InputError
        The labels are no whole numbers, have other axes, or not the class that is named.
    ParameterError
        A parameter is out of its bounds.
    """
    letters = _letters_of(labels_of(result), axes)
    values = (params or ObjectParams()).to_dict() | changes
    if isinstance(classes, str):
        values["classes"] = classes
    elif classes is not None:
        chosen = [classes] if isinstance(classes, int | np.integer) else list(classes)
        values["classes"] = ",".join(str(int(one)) for one in chosen)
    facts = getattr(getattr(result, "model", None), "facts", None)
    names = getattr(facts, "class_names", {})
    told = with_classes(ObjectParams.from_dict(values), counts_of(result, letters), names)
    return objects_as(told, result, letters, spacing)


def objects_as(
    told: ObjectParams,
    result: HasLabels | ArrayLike,
    letters: str,
    spacing: Sequence[float] | None,
) -> Numbers:
    """Make objects of a result with these axes, of the classes that the parameters name."""
    labels, spacing = labels_of(result), spacing or _spacing_of(result)
    if "T" not in letters:
        return find_objects(labels, told, spacing)
    found = np.zeros(labels.shape, np.int32)
    for t, numbers in enumerate(objects_of_frames(labels, told, spacing)):
        found[t] = numbers
    return found


def counts_of(result: HasLabels | ArrayLike, letters: str) -> dict[int, int]:
    """Return how many pixels each class has, in all frames of a result with these axes."""
    labels = labels_of(result)
    return count_in_all(labels if "T" in letters else [labels])


def objects_of_frames(
    frames: Iterable[ArrayLike],
    params: ObjectParams,
    spacing: Sequence[float] | None = None,
    n_each: int = 0,
) -> Iterator[Numbers]:
    """Make objects of frames one after the other; one is in memory at a time, and the last.

    After `n_each` frames another series begins, whose objects follow none before; 0 for one alone.
    """
    follower = Follower()
    for number, frame in enumerate(frames):
        if n_each and number % n_each == 0:
            follower.restart()
        yield follower.follow(find_objects(frame, params, spacing))


def measure(
    objects: ArrayLike,
    image: ArrayLike | None = None,
    *,
    axes: str | None = None,
    channel_axis: int | None = None,
    channel_names: Sequence[str] = (),
    pixel_size: Size = None,
    unit: str = "µm",
    labels: HasLabels | ArrayLike | None = None,
    classes: Classes = None,
    class_names: Mapping[int, str] | None = None,
) -> Columns:
    """Measure objects: where they are, how large, of what shape, and how bright.

    Parameters
    ----------
    objects : array_like of int
        From `objects`; 0 is the background.
    image : array_like, optional
        Of the shape of the objects, and an axis more where it has channels.
    axes : str, optional
        Of the objects, as for `objects`.
    channel_axis : int, optional
        Which axis of the image has the channels; None where there is one channel.
    channel_names : sequence of str
        One a channel.
    pixel_size : float, sequence of float, or PixelSize, optional
        Of a pixel, or along y and x, or z, y and x. Lengths are in pixels where None.
    unit : str
        Of the `pixel_size`, e.g. ``"µm"`` or ``"nm"``.
    labels : Segmentation or array_like of int, optional
        What the objects were made from, for the columns ``class`` and ``class_name``.
    classes : int or iterable of int, optional
        Those they were made of; every label but 0 where None.
    class_names : mapping of int to str, optional

    Returns
    -------
    dict of str to ndarray, (n,)
        One row for each object of each frame. Columns: ``frame``, ``object``; where there are
        `labels`, ``class`` and ``class_name``; ``area_um2`` (``area_px`` where the size of a
        pixel is not known; of a volume ``volume_um3`` or ``volume_vx``); ``centroid_y_um`` and so
        on, counted from the middle of the first pixel; ``equivalent_diameter_um``, of the circle
        or the ball of that area or volume; in a plane ``eccentricity`` (0 … 1) and ``solidity``
        (share of the convex hull); of each channel ``mean_NAME``, ``min_NAME``, ``max_NAME``,
        ``sum_NAME``, where those without a name are ``ch1``, ``ch2`` …

    Raises
    ------
    InputError
        Shapes or axes do not fit.
    """
    numbers = labels_of(objects)
    letters = _letters_of(numbers, axes)
    kinds = None if labels is None else labels_of(labels)
    images = _channels(image, channel_axis)
    size = as_pixel_size(pixel_size, unit, len(letters.replace("T", "")))
    chosen = () if classes is None else tuple(np.atleast_1d(np.asarray(classes)).tolist())
    for other in (*images, *([] if kinds is None else [kinds])):
        if other.shape != numbers.shape:
            raise InputError(
                f"The objects have the shape {numbers.shape}, but the image, or its labels, "
                f"{other.shape}; give those of the same pixels, and the channel_axis, if any."
            )
    n_frames = len(numbers) if "T" in letters else 1
    frames = (slice(None) if "T" not in letters else t for t in range(n_frames))
    return join(
        measure_frame(
            numbers[where],
            [one[where] for one in images],
            frame=t,
            pixel_size=size,
            channel_names=channel_names,
            labels=None if kinds is None else kinds[where],
            classes=chosen,
            class_names=class_names,
        )
        for t, where in enumerate(frames)
    )


def frame_letters(n_axes: int, axes: str | None) -> str:
    """Return the axes of objects: those that are stated, or those of so many axes.

    Raises `InputError` where there are no such objects.
    """
    known = {2: ("YX",), 3: ("ZYX", "TYX"), 4: ("TZYX",)}.get(n_axes, ())
    letters = known[0] if axes is None and known else (axes or "").strip().upper()
    if letters not in known:
        said = f"the axes {letters!r}" if axes else f"{n_axes} axes"
        raise InputError(
            f"The labels have {n_axes} axes and were stated to have {said}, but must be YX, ZYX, "
            "TYX or TZYX; state their axes."
        )
    return letters


def _letters_of(labels: NDArray[Any], axes: str | None) -> str:
    """Return the axes of labels, which must be stated of what looks like a picture in colours."""
    *others, last = labels.shape
    if axes is None and len(others) == 2 and last in (3, 4) and min(others) > 4:
        raise InputError(
            f"The labels have the shape {labels.shape}, as a picture in colours has; give one "
            "whole number for each pixel, or state the axes, such as ZYX."
        )
    return frame_letters(labels.ndim, axes)


def labels_of(result: HasLabels | ArrayLike) -> NDArray[np.integer[Any]]:
    """Return the labels of a result, or labels, as whole numbers; `InputError` of others."""
    labels = np.asarray(getattr(result, "labels", result))
    numbers = whole_numbers(labels)
    if numbers is None or labels.size == 0:
        raise InputError(
            f"The labels have the shape {labels.shape} and the type {labels.dtype}, but whole "
            "numbers were expected, one for each pixel; give labels, or objects made of them."
        )
    return numbers


def _spacing_of(result: object) -> tuple[float, float, float] | None:
    """Return how far apart voxels are, as the model of a result knows it."""
    z_step = getattr(getattr(result, "model", None), "z_step", None)
    return None if z_step is None else (float(z_step), 1.0, 1.0)


def _channels(image: ArrayLike | None, axis: int | None) -> list[NDArray[Any]]:
    if image is None:
        return []
    pixels = np.asarray(image)
    return [pixels] if axis is None else list(np.moveaxis(pixels, axis, 0))


def as_pixel_size(size: Size, unit: str, n_axes: int) -> PixelSize | None:
    """Return the size of a pixel as people give it: a number, one for each axis, or whole."""
    if size is None or isinstance(size, PixelSize):
        return size
    try:
        lengths = [float(one) for one in np.atleast_1d(np.asarray(size, np.float64))]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"The pixel size is {size!r}, but numbers were expected; give it so: pixel_size=0.325, "
            "unit='µm'."
        ) from error
    if len(lengths) == 1:
        lengths *= n_axes
    if len(lengths) not in (2, 3):
        raise InputError(
            f"The pixel size has {len(lengths)} numbers, but one was expected, or one for each of "
            "y and x, or of z, y and x."
        )
    z = lengths[0] if len(lengths) == 3 else None
    # As people type it: the letter u, or the Greek one for the micro sign.
    return PixelSize(lengths[-2], lengths[-1], {"um": "µm", "μm": "µm"}.get(unit, unit), z)
