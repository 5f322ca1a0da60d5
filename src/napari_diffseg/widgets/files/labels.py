"""A Labels layer as what files of labels are written from; nothing is read before it is asked for.

Size, place and axes come from the layer; where it does not know them, from what the dock has
noted in its metadata.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from napari.utils.transforms import Affine
from numpy.typing import NDArray

from napari_diffseg.errors import DiffSegError, InputError
from napari_diffseg.image.info import ImageInfo, Placed
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.image.units import seconds
from napari_diffseg.io.label_files.frames import LabelFrames, classes_in
from napari_diffseg.io.label_files.label_store import Described
from napari_diffseg.widgets.image.axes_reading import LayerFacts, read_axes
from napari_diffseg.widgets.image.sizes import settle_size
from napari_diffseg.widgets.scribbles.class_names import names_in

NOTED, LAYER = "napari_diffseg", "layer"
"""Where the metadata of a layer have how it came about, and what the dock knows of its pixels."""

_MOST_COLORS = 256
"""Colours of more labels tell nobody which is which."""

_CHANNEL = ("c", "channel", "channels", "ch")


def labels_of(data: Any, attributes: Mapping[str, Any]) -> tuple[LabelFrames, tuple[str, ...]]:
    """Describe a Labels layer, given as napari gives layers to writers.

    Returned are its labels, of which nothing is read before it is asked for, and what a person
    should know before they are saved. Raises `InputError` of an axis of channels.
    """
    array = data[0] if attributes.get("multiscale") else data
    provenance = dict(attributes.get("metadata", {}).get(NOTED, {}))
    noted = provenance.pop(LAYER, {})
    name = str(attributes.get("name", "labels"))
    n_axes = len(array.shape)
    units = [str(one) for one in attributes.get("units") or ("pixel",) * n_axes]
    letters, notes = _letters(name, array, attributes, units, noted)
    scale, translate, is_straight = _transform(attributes, n_axes)
    if not is_straight:
        notes = (
            *notes,
            f"{name!r} is rotated or sheared, which files of labels cannot say: they have the size "
            "of its pixels, not its place.",
        )
    size, placement = _place(array, letters, scale, translate, units, noted)
    names = names_in(attributes["features"]) if "features" in attributes else {}
    names = names or classes_in(provenance)[0]
    said: Described = {
        "pixel_size": size,
        "t_step": _t_step(letters, scale, units) or seconds(*noted.get("t_step", (None, None))),
        "placement": placement,
        "names": names,
        "colors": _colors(array, attributes.get("colormap"), names),
        "provenance": provenance,
    }
    axes = "".join(letter for letter in "TZYX" if letter in letters)
    shape = tuple(int(array.shape[letters.index(one)]) for one in axes)
    planes = partial(_planes, array, letters, axes[:-2], shape[:-2])
    return LabelFrames(axes, shape, array.dtype, planes, said), notes


def labels_of_layer(layer: Any, said: Mapping[str, Any]) -> LabelFrames:
    """Describe a Labels layer on an image of which this is known, as metadata have it."""
    data, attributes, _ = layer.as_layer_data_tuple()
    noted = {**attributes["metadata"].get(NOTED, {}), LAYER: dict(said)}
    labels, _ = labels_of(data, {**attributes, "metadata": {NOTED: noted}})
    return labels


def _planes(
    array: Any, letters: str, leading: str, lengths: tuple[int, ...]
) -> Iterator[NDArray[Any]]:
    """Read labels plane by plane, each ``(y, x)``."""
    is_turned = letters.index("X") < letters.index("Y")
    for place in np.ndindex(lengths):
        where: dict[str, int | slice] = dict(zip(leading, place, strict=True))
        index = tuple(where.get(one, slice(None) if one in "YX" else 0) for one in letters)
        plane = np.asarray(array[index])
        yield plane.T if is_turned else plane


def _letters(
    name: str, array: Any, attributes: Mapping[str, Any], units: Sequence[str], noted: Any
) -> tuple[str, tuple[str, ...]]:
    shape = tuple(int(length) for length in array.shape)
    said = noted.get("axes")
    notes: tuple[str, ...] = ()
    if isinstance(said, str) and len(said) == len(shape):
        letters = said
    else:
        labels = [str(one) for one in attributes.get("axis_labels") or [""] * len(shape)]
        # An axis that the channels of an image had, where the labels have one entry for all.
        kept = [
            axis
            for axis, label in enumerate(labels)
            if label.lower() not in _CHANNEL or shape[axis] > 1
        ]
        facts = LayerFacts(
            name=name,
            shape=tuple(shape[axis] for axis in kept),
            dtype=array.dtype,
            labels=tuple(labels[axis] for axis in kept),
            units=tuple(units[axis] for axis in kept),
            scale=(1.0,) * len(kept),
        )
        reading = read_axes(facts)
        if not reading.is_certain:
            words = reading.lengths_as(reading.letters)
            notes = (f"The axes of {name!r} have no names and were saved as {words}.",)
        found = iter(reading.letters)
        letters = "".join(next(found) if axis in kept else "C" for axis in range(len(shape)))
    if "C" in letters and shape[letters.index("C")] > 1:
        raise InputError(
            f"{name!r} has {shape[letters.index('C')]} channels, but labels are one number for "
            "each pixel; split it along that axis first (right-click ▸ Split Stack)."
        )
    return letters, notes


def _transform(
    attributes: Mapping[str, Any], n_axes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], bool]:
    """Return step and place along each axis, and whether they say it all."""
    scale = np.asarray(attributes.get("scale", np.ones(n_axes)), np.float64)
    inner = Affine(
        scale=scale,
        translate=attributes.get("translate", np.zeros(n_axes)),
        rotate=attributes.get("rotate"),
        shear=attributes.get("shear"),
        ndim=n_axes,
    )
    matrix = np.asarray(attributes.get("affine", np.eye(n_axes + 1)), np.float64)
    whole = np.asarray(Affine(affine_matrix=matrix).affine_matrix) @ np.asarray(inner.affine_matrix)
    linear = whole[:-1, :-1]
    steps_along = np.diag(linear)
    if np.allclose(linear, np.diag(steps_along), atol=1e-9 * np.abs(linear).max()):
        return steps_along.copy(), whole[:-1, -1].copy(), True
    return scale, np.zeros(n_axes), False


def _place(
    array: Any,
    letters: str,
    scale: NDArray[np.float64],
    translate: NDArray[np.float64],
    units: Sequence[str],
    noted: Mapping[str, Any],
) -> tuple[PixelSize | None, dict[str, Placed]]:
    """Return how large a pixel is, and where pixels lie along each axis."""
    axes = [(letter, letters.index(letter)) for letter in "TZYX" if letter in letters]
    placement = {
        letter: Placed(
            float(scale[axis]),
            float(translate[axis]),
            None if units[axis] == "pixel" else units[axis],
        )
        for letter, axis in axes
        if scale[axis] != 0
    }
    info = ImageInfo(letters, array.shape, array.dtype, placement=placement)
    size = settle_size(info)[0].pixel_size
    if size is None and noted.get("pixel_size"):
        # The layer counts in pixels: what the dock knows of their size is in the metadata.
        size = size_from(noted["pixel_size"])
        lengths = {} if size is None else {"Z": size.z, "Y": size.y, "X": size.x}
        return size, {
            letter: Placed(length, float(translate[axis] / scale[axis]) * length, size.unit)
            for letter, axis in axes
            if size is not None and (length := lengths.get(letter)) is not None
        }
    return size, placement


def _t_step(letters: str, scale: NDArray[np.float64], units: Sequence[str]) -> float | None:
    if "T" not in letters:
        return None
    axis = letters.index("T")
    return seconds(abs(float(scale[axis])), units[axis])


def size_from(said: object) -> PixelSize | None:
    """Return the size of a pixel that metadata have; None where they have none."""
    if not isinstance(said, Mapping):
        return None
    try:
        z = said.get("z")
        return PixelSize(
            float(said["y"]), float(said["x"]), str(said["unit"]), None if z is None else float(z)
        )
    except (KeyError, TypeError, ValueError, DiffSegError):
        return None  # written by another program, or by hand


def size_as_metadata(size: PixelSize) -> dict[str, Any]:
    """Return the size of a pixel in values that JSON can hold."""
    z = {} if size.z is None else {"z": size.z}
    return {**z, "y": size.y, "x": size.x, "unit": size.unit}


def _colors(array: Any, colormap: Any, names: Mapping[int, str]) -> dict[int, tuple[float, ...]]:
    """Return the colours of the labels that can be told from each other by them."""
    if colormap is None or not hasattr(colormap, "map"):
        return {}
    known = set(names)
    direct = getattr(colormap, "color_dict", None)
    if direct is not None:
        known |= {int(label) for label in direct if label is not None}
    elif isinstance(array, np.ndarray):
        last = int(array.max(initial=0))
        known |= set(range(1, last + 1)) if last < _MOST_COLORS else set()
    labels = sorted(label for label in known if label > 0)
    if not labels or math.inf in labels:
        return {}
    # In the type of the array: napari's maps tell whole numbers by it.
    found = np.asarray(colormap.map(np.asarray(labels, np.int64)))
    return {
        label: tuple(float(np.clip(part, 0, 1)) for part in color)
        for label, color in zip(labels, found, strict=True)
    }
