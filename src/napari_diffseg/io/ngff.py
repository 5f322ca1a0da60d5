"""The metadata of OME-Zarr (NGFF), read and written as plain values; knows no zarr.

Versions 0.1 to 0.5 are read, 0.5 is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from napari_diffseg.errors import InputError
from napari_diffseg.images.pixel_size import PixelSize
from napari_diffseg.io import channel_names, steps
from napari_diffseg.io.facts import Spacing, check_level
from napari_diffseg.io.pixel_size import in_one_unit, parse_unit

VERSION = "0.5"
"""Version of the metadata that is written."""

_UNIT_NAMES = {
    "m": "meter",
    "cm": "centimeter",
    "mm": "millimeter",
    "µm": "micrometer",
    "nm": "nanometer",
    "Å": "angstrom",
    "pm": "picometer",
    "in": "inch",
}
"""Unit of `PixelSize` → the name that NGFF wants."""

_GRAY = (0.5, 0.5, 0.5, 1.0)

_TYPES = {"T": "time", "C": "channel", "Z": "space", "Y": "space", "X": "space"}


class Multiscale(NamedTuple):
    """What the metadata say of an image at one of its resolutions.

    Attributes
    ----------
    array : str
        Path of the array within the group.
    axes : str
        One letter of T C Z Y X for each axis.
    pixel_size : PixelSize or None
        None where the axes have no unit.
    spacing : tuple of 3 floats, or None
        Distances of voxels along z, y and x, also where they have no unit.
    t_step : float or None
        Seconds from frame to frame.
    channel_names : tuple of str
        Empty where there are none.
    n_levels : int
        How many resolutions there are.
    """

    array: str
    axes: str
    pixel_size: PixelSize | None
    spacing: Spacing | None = None
    t_step: float | None = None
    channel_names: tuple[str, ...] = ()
    n_levels: int = 1


def ome_attributes(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part of a group's attributes that NGFF is about: 0.5 gave it a key."""
    ome = attributes.get("ome")
    return ome if isinstance(ome, Mapping) else attributes


def read_multiscale(attributes: Mapping[str, Any], name: str, level: int = 0) -> Multiscale:
    """Read what the metadata of a group say of its image.

    Parameters
    ----------
    attributes : mapping
        From `ome_attributes`, with the key ``"multiscales"``.
    name : str
        Name of the file, for errors.
    level : int
        Which resolution; 0 is the full one.

    Raises
    ------
    InputError
        The metadata make no sense, or there is no such level.
    """
    multiscales = attributes.get("multiscales")
    first = multiscales[0] if _is_list(multiscales) and multiscales else None
    if not isinstance(first, Mapping):
        raise _nonsense(name, "'multiscales' lists no image")
    datasets = first.get("datasets")
    found = datasets if _is_list(datasets) and datasets else [None]
    check_level(level, len(found), name)
    dataset = found[level]
    if not isinstance(dataset, Mapping) or not isinstance(dataset.get("path"), str):
        raise _nonsense(name, "'datasets' does not say where the pixels are")
    axes, units = _read_axes(first.get("axes"), name)
    scale = _read_scale(dataset, len(axes), name)
    whole = _read_scale(first, len(axes), name)
    if scale is None or whole is None:
        scale = scale or whole
    else:
        scale = [one * other for one, other in zip(scale, whole, strict=True)]
    names = channel_names.from_omero(attributes)
    return Multiscale(dataset["path"], axes, *_sizes(axes, units, scale), names, len(found))


class Dataset(NamedTuple):
    """One of the arrays of a pyramid: its path, and how much coarser it is along each axis."""

    path: str
    factors: tuple[int, ...]


def read_datasets(attributes: Mapping[str, Any]) -> list[Dataset]:
    """Read the arrays of a pyramid that `multiscales` has described.

    Raises
    ------
    LookupError, TypeError
        It was described otherwise.
    """
    datasets = attributes["multiscales"][0]["datasets"]
    scales = [one["coordinateTransformations"][0]["scale"] for one in datasets]
    return [
        Dataset(
            one["path"],
            tuple(round(own / full) for own, full in zip(scale, scales[0], strict=True)),
        )
        for one, scale in zip(datasets, scales, strict=True)
    ]


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _nonsense(name: str, what: str) -> InputError:
    return InputError(
        f"The OME-Zarr metadata of {name} make no sense: {what}; write the image again, or name "
        "the array in it and its axes."
    )


def _read_axes(axes: object, name: str) -> tuple[str, list[object]]:
    """Return the letters and the units of the axes."""
    if axes is None:  # before 0.3
        return "TCZYX", [None] * 5
    if not isinstance(axes, Sequence) or isinstance(axes, str) or not axes:
        raise _nonsense(name, "'axes' is no list of axes")
    letters, units = "", []
    for axis in axes:
        word = axis.get("name") if isinstance(axis, Mapping) else axis
        letter = word.upper() if isinstance(word, str) else ""
        if letter not in _TYPES or letter in letters:
            raise _nonsense(name, f"{word!r} is no axis of T, C, Z, Y and X, or stands there twice")
        letters += letter
        units.append(axis.get("unit") if isinstance(axis, Mapping) else None)
    for letter in "YX":
        if letter not in letters:
            raise _nonsense(name, f"the axes {letters} have no {letter}")
    return letters, units


def _read_scale(part: Mapping[str, Any], n_axes: int, name: str) -> list[float] | None:
    """Return the scale of a dataset or of all of them; None where there is none."""
    transformations = part.get("coordinateTransformations", [])
    if not _is_list(transformations):
        raise _nonsense(name, "'coordinateTransformations' is no list")
    for transformation in transformations:
        if not isinstance(transformation, Mapping):
            raise _nonsense(name, "'coordinateTransformations' lists something else")
        if transformation.get("type") != "scale" or "scale" not in transformation:
            continue
        scale = transformation["scale"]
        numbers = [_number(value) for value in scale] if _is_list(scale) else []
        sizes = [number for number in numbers if number is not None]
        if len(sizes) != len(numbers) or len(sizes) != n_axes:
            raise _nonsense(name, f"the scale {scale!r} is not one positive number for each axis")
        return sizes
    return None


def _number(value: object) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return steps.positive(value) if number else None


def _sizes(
    axes: str, units: Sequence[object], scale: Sequence[float] | None
) -> tuple[PixelSize | None, Spacing | None, float | None]:
    """Return pixel size, distances of voxels whatever their unit, and seconds between frames."""
    if scale is None:
        return None, None, None
    length_of = dict(zip(axes, scale, strict=True))
    unit_of = dict(zip(axes, units, strict=True))
    z, y, x = ((length_of.get(letter), parse_unit(unit_of.get(letter))) for letter in "ZYX")
    size = in_one_unit(y, x, z)
    spacing = None if size is None else size.spacing
    if "Z" in axes and unit_of["Z"] == unit_of["Y"] == unit_of["X"]:
        lengths = length_of["Z"], length_of["Y"], length_of["X"]
        # Ones without a unit are what programs write that know nothing of it.
        spacing = None if size is None and lengths == (1, 1, 1) else lengths
    t_step = steps.seconds(length_of["T"], unit_of["T"]) if "T" in axes else None
    return size, spacing, t_step


# --- writing -----------------------------------------------------------------------


def multiscales(
    axes: str,
    paths: Sequence[str],
    *,
    name: str,
    pixel_size: PixelSize | None,
    t_step: float | None = None,
    factors: Sequence[Mapping[str, int]] = (),
) -> list[dict[str, Any]]:
    """Return the metadata of a pyramid made by leaving pixels out.

    A pixel that is kept stays where it is, so that the levels need no translation.

    Parameters
    ----------
    axes : str
        One letter of T C Z Y X for each axis, X and Y among them.
    paths : sequence of str
        Of the arrays, the largest first.
    name : str
        Of the image.
    pixel_size : PixelSize, optional
        Of the largest array; pixels count 1 and have no unit where None.
    t_step : float, optional
        Distance of frames in seconds.
    factors : sequence of mapping of str to int, optional
        For each array, every so manieth entry of an axis is in it; all, where it is not named.
        Every second pixel along y and x from array to array where empty.
    """
    unit = None if pixel_size is None else _UNIT_NAMES[pixel_size.unit]
    units = {"Y": unit, "X": unit}
    scale = {"Y": 1.0, "X": 1.0}
    if pixel_size is not None:
        scale |= {"Y": pixel_size.y, "X": pixel_size.x}
        if pixel_size.z is not None:
            scale["Z"], units["Z"] = pixel_size.z, unit
    if t_step is not None:
        scale["T"], units["T"] = t_step, "second"
    factors = factors or [{"Y": 2**level, "X": 2**level} for level in range(len(paths))]
    datasets = [
        {
            "path": path,
            "coordinateTransformations": [
                {
                    "type": "scale",
                    "scale": [
                        float(scale.get(letter, 1.0)) * factor.get(letter, 1) for letter in axes
                    ],
                }
            ],
        }
        for path, factor in zip(paths, factors, strict=True)
    ]
    described = []
    for letter in axes:
        axis = {"name": letter.lower(), "type": _TYPES[letter]}
        axis_unit = units.get(letter)
        described.append(axis | {"unit": axis_unit} if axis_unit else axis)
    return [{"name": name, "axes": described, "datasets": datasets}]


def image_label(names: Mapping[int, str], colors: Mapping[int, Sequence[float]]) -> dict[str, Any]:
    """Return the metadata of labels that stand at ``labels/NAME`` of an image.

    Parameters
    ----------
    names : mapping of int to str
        Name of each label.
    colors : mapping of int to 4 floats
        Red, green, blue and alpha of each label, from 0 to 1. Where there are any, a label
        that has but a name is gray.

    Raises
    ------
    InputError
        A colour is none.
    """
    described: dict[str, Any] = {"source": {"image": "../../"}}
    # Where there are both, NGFF wants them of the same labels.
    labels = sorted(set(names) | set(colors))
    if colors:
        described["colors"] = [
            {"label-value": int(label), "rgba": _rgba(label, colors.get(label, _GRAY))}
            for label in labels
        ]
    if names:
        described["properties"] = [
            {"label-value": int(label), **({"name": names[label]} if label in names else {})}
            for label in labels
        ]
    return described


def _rgba(label: int, color: Sequence[float]) -> list[int]:
    numbers = [float(part) for part in color]
    if len(numbers) != 4 or not all(0 <= number <= 1 for number in numbers):
        raise InputError(
            f"The colour {list(color)} of label {label} is not red, green, blue and alpha, each "
            "from 0 to 1."
        )
    return [round(255 * number) for number in numbers]
