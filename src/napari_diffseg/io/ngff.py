"""The metadata of OME-Zarr (NGFF), read and written as plain values; knows no zarr.

Versions 0.1 to 0.5 are read, 0.5 is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from napari_diffseg.errors import InputError
from napari_diffseg.images.pixel_size import MICROMETRES, PixelSize
from napari_diffseg.io import steps
from napari_diffseg.io.pixel_size import parse_unit

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
    """What the metadata say of the image at full resolution.

    Attributes
    ----------
    array : str
        Path of the array within the group.
    axes : str
        One letter of T C Z Y X for each axis.
    pixel_size : PixelSize or None
        None where the axes have no unit.
    z_step, t_step : float or None
        Distance of planes in the unit of `pixel_size`, and of frames in seconds.
    """

    array: str
    axes: str
    pixel_size: PixelSize | None
    z_step: float | None
    t_step: float | None


def ome_attributes(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part of a group's attributes that NGFF is about: 0.5 gave it a key."""
    ome = attributes.get("ome")
    return ome if isinstance(ome, Mapping) else attributes


def read_multiscale(attributes: Mapping[str, Any], name: str) -> Multiscale:
    """Read what the metadata of a group say of its image at full resolution.

    Parameters
    ----------
    attributes : mapping
        From `ome_attributes`, with the key ``"multiscales"``.
    name : str
        Name of the file, for errors.

    Raises
    ------
    InputError
        The metadata make no sense.
    """
    multiscales = attributes.get("multiscales")
    first = multiscales[0] if _is_list(multiscales) and multiscales else None
    if not isinstance(first, Mapping):
        raise _nonsense(name, "'multiscales' lists no image")
    datasets = first.get("datasets")
    dataset = datasets[0] if _is_list(datasets) and datasets else None
    if not isinstance(dataset, Mapping) or not isinstance(dataset.get("path"), str):
        raise _nonsense(name, "'datasets' does not say where the pixels are")
    axes, units = _read_axes(first.get("axes"), name)
    scale = _read_scale(dataset, len(axes), name)
    whole = _read_scale(first, len(axes), name)
    if scale is None or whole is None:
        scale = scale or whole
    else:
        scale = [one * other for one, other in zip(scale, whole, strict=True)]
    size, z_step, t_step = _sizes(axes, units, scale)
    return Multiscale(dataset["path"], axes, size, z_step, t_step)


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
) -> tuple[PixelSize | None, float | None, float | None]:
    """Return pixel size, distance of planes and of frames."""
    if scale is None:
        return None, None, None
    size_of = dict(zip(axes, zip(scale, units, strict=True), strict=True))
    (y, unit_y), (x, unit_x) = size_of["Y"], size_of["X"]
    known_y, known_x = parse_unit(unit_y), parse_unit(unit_x)
    size = None
    if known_y is not None and known_x is not None:
        if known_y != known_x:
            y *= MICROMETRES[known_y] / MICROMETRES[known_x]
        size = PixelSize(y, x, known_x)
    z_step = steps.distance(*size_of["Z"], size) if "Z" in axes else None
    t_step = steps.seconds(*size_of["T"]) if "T" in axes else None
    return size, z_step, t_step


# --- writing -----------------------------------------------------------------------


def multiscales(
    axes: str,
    paths: Sequence[str],
    *,
    name: str,
    pixel_size: PixelSize | None,
    z_step: float | None = None,
    t_step: float | None = None,
) -> list[dict[str, Any]]:
    """Return the metadata of a pyramid made by taking every second pixel of a plane.

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
    z_step, t_step : float, optional
        Distance of planes in the unit of `pixel_size`, and of frames in seconds.
    """
    unit = None if pixel_size is None else _UNIT_NAMES[pixel_size.unit]
    units = {"Y": unit, "X": unit}
    scale = {"Y": 1.0, "X": 1.0}
    if pixel_size is not None:
        scale |= {"Y": pixel_size.y, "X": pixel_size.x}
        if z_step is not None:
            scale["Z"], units["Z"] = z_step, unit
    if t_step is not None:
        scale["T"], units["T"] = t_step, "second"
    datasets = [
        {
            "path": path,
            "coordinateTransformations": [
                {
                    "type": "scale",
                    "scale": [
                        float(scale.get(letter, 1.0)) * (2**level if letter in "YX" else 1)
                        for letter in axes
                    ],
                }
            ],
        }
        for level, path in enumerate(paths)
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
