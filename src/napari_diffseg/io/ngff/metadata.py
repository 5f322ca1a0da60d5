"""The metadata of OME-Zarr (NGFF, versions 0.1 to 0.6), read as plain values.

Axes are known by their type; their names tell
only where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, prod
from typing import Any, NamedTuple, TypeGuard

from napari_diffseg.errors import InputError, Remedy
from napari_diffseg.image.info import Placed
from napari_diffseg.io.facts import check_level
from napari_diffseg.io.tiff.ome_xml import known_names

AXIS_WORDS = {"time": "T", "t": "T", "channel": "C", "c": "C", "z": "Z", "y": "Y", "x": "X"}
"""Type or name of an axis → letter."""


class Multiscale(NamedTuple):
    """What the metadata say of an image at one of its resolutions; `problem`: why not its axes.

    An image without axes of ours has `axes` None.
    """

    array: str
    axes: str | None
    channel_names: tuple[str, ...]
    n_levels: int
    placement: Mapping[str, Placed]
    problem: InputError | None


def ome_attributes(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part of a group's attributes that NGFF is about: 0.5 gave it a key."""
    ome = attributes.get("ome")
    return ome if isinstance(ome, Mapping) else attributes


def images_of(attributes: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return the images that a group lists under ``multiscales``; `name` is for the error."""
    found = attributes.get("multiscales")
    images: list[Any] = list(found or []) if _is_list(found) else []
    if not images or not all(isinstance(image, Mapping) for image in images):
        raise _nonsense(name, "'multiscales' lists no image")
    return images


def read_multiscale(
    attributes: Mapping[str, Any],
    name: str,
    level: int = 0,
    series: int = 0,
    axes: str | None = None,
) -> Multiscale:
    """Read a group's metadata of one image at one resolution; a person's `axes` go before its own.

    Raises `InputError` where they make no sense, or there is no such level.
    """
    image = images_of(attributes, name)[series]
    datasets = image.get("datasets")
    found: list[Any] = list(datasets) if _is_list(datasets) and datasets else [None]
    check_level(level, len(found), name)
    if not all(isinstance(one, Mapping) and isinstance(one.get("path"), str) for one in found):
        raise _nonsense(name, "'datasets' does not say where the pixels are")
    dataset = _largest_first(found)[level]
    letters, units, problem = _read_axes(_listed_axes(image))
    if axes is not None:
        letters, problem = axes.strip().upper(), ""
        units = units if len(units) == len(letters) else [None] * len(letters)
    n_axes = None if problem or axes is not None else len(letters)
    placed = _placed(dataset, image, n_axes, name) or []
    placement: dict[str, Placed] = {}
    if len(placed) == len(units) == len(set(letters)) == len(letters):
        placement = {
            letter: Placed(*one, unit if isinstance(unit, str) else None)
            for letter, one, unit in zip(letters, placed, units, strict=True)
        }
    return Multiscale(
        dataset["path"],
        None if problem else letters,
        _labels(attributes),
        len(found),
        placement,
        _nonsense(name, problem) if problem else None,
    )


class Dataset(NamedTuple):
    """One of the arrays of a pyramid: its path, and its stride along each axis."""

    path: str
    factors: tuple[int, ...]


def read_datasets(attributes: Mapping[str, Any]) -> list[Dataset]:
    """Read the arrays of a pyramid that `multiscales` has described; LookupError if another has."""
    datasets = attributes["multiscales"][0]["datasets"]
    scales = [one["coordinateTransformations"][0]["scale"] for one in datasets]
    return [
        Dataset(
            one["path"],
            tuple(round(own / full) for own, full in zip(scale, scales[0], strict=True)),
        )
        for one, scale in zip(datasets, scales, strict=True)
    ]


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _nonsense(name: str, what: str) -> InputError:
    return InputError(
        f"The OME-Zarr metadata of {name} make no sense: {what}; write the image again, or, "
        "where the axes are wrong, state them.",
        Remedy.STATE_AXES,
    )


def _largest_first(datasets: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return the levels in the order that NGFF wants, for which some writers have another.

    That is told by their scales; without those they stay as they are.
    """
    try:
        placed = [_placed(one, {}, None, "") for one in datasets]
    except InputError:  # said of the level that is read
        return datasets
    if None in placed:
        return datasets
    sizes = [prod(abs(step) for step, _ in one or ()) for one in placed]
    return [datasets[place] for place in sorted(range(len(sizes)), key=sizes.__getitem__)]


def _listed_axes(image: Mapping[str, Any]) -> object:
    """Return the axes of the pixels; later than 0.5 their coordinate system has them."""
    systems = image.get("coordinateSystems")
    if "axes" in image or not _is_list(systems):
        return image.get("axes")
    axes = {one.get("name"): one.get("axes", ()) for one in systems if isinstance(one, Mapping)}
    outputs = [
        one.get("output")
        for dataset in image["datasets"]
        for one in dataset.get("coordinateTransformations", ())
    ]
    own = [one.get("name") if isinstance(one, Mapping) else one for one in outputs]
    return next((axes[name] for name in (*own, *axes) if name in axes), ())


def _read_axes(axes: object) -> tuple[str, list[object], str]:
    """Return the letters and the units of the axes, and what is wrong with them."""
    if axes is None:  # before 0.3
        return "TCZYX", [None] * 5, ""
    if not isinstance(axes, Sequence) or isinstance(axes, str) or not axes:
        return "", [], "'axes' is no list of axes"
    known = [axis if isinstance(axis, Mapping) else {"name": axis} for axis in axes]
    words = [_word(axis.get("type"), axis.get("name")) for axis in known]
    units = [axis.get("unit") for axis in known]
    spaces = [place for place, word in enumerate(words) if word == "space"]
    names = [str(known[place].get("name")).upper() for place in spaces]
    if not set(names) <= set("ZYX"):
        # Spatial axes of other names are in the order z, y, x.
        names = list("ZYX"[-len(spaces) :]) if 2 <= len(spaces) <= 3 else names
    letters = [AXIS_WORDS.get(word, "") for word in words]
    for place, name in zip(spaces, names, strict=True):
        letters[place] = name if name in "ZYX" else ""
    for place, letter in enumerate(letters):
        if not letter or letter in letters[:place]:
            word = known[place].get("name")
            return "", units, f"{word!r} is no axis of T, C, Z, Y and X, or stands there twice"
    for letter in "YX":
        if letter not in letters:
            return "", units, f"the axes {''.join(letters)} have no {letter}"
    return "".join(letters), units, ""


def _word(kind: object, name: object) -> str:
    """Return what an axis is, in one word: its type, or else its name."""
    if kind in ("time", "channel", "space"):
        return str(kind)
    word = name.lower() if isinstance(name, str) else ""
    return "space" if word in ("z", "y", "x") else word


def _placed(
    dataset: Mapping[str, Any], image: Mapping[str, Any], n_axes: int | None, name: str
) -> list[tuple[float, float]] | None:
    """Return step and start along each axis, of a dataset and then of all of them.

    None where they are not said, or by more than scales and translations, or in another file.
    """
    # Where there are coordinate systems, those of the image lead on from the pixels' to others.
    parts = (dataset,) if "coordinateSystems" in image else (dataset, image)
    placed: list[tuple[float, float]] | None = None
    for one in (one for part in parts for one in _transformations(part, name)):
        kind = one.get("type")
        if kind == "identity":
            continue
        if kind not in ("scale", "translation") or kind not in one:
            return None
        numbers = _numbers(one[kind], n_axes, f"the {kind} {one[kind]!r}", name)
        if kind == "scale" and 0 in numbers:
            raise _nonsense(name, f"the scale {numbers!r} is not one number for each axis")
        placed = placed or [(1.0, 0.0)] * len(numbers)
        if len(placed) != len(numbers):
            return None
        placed = [
            (step * by, start * by) if kind == "scale" else (step, start + by)
            for (step, start), by in zip(placed, numbers, strict=True)
        ]
    return placed


def _transformations(part: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return the transformations of a dataset or an image in their order, sequences taken apart."""
    listed = part.get("coordinateTransformations", [])
    if not _is_list(listed):
        raise _nonsense(name, "'coordinateTransformations' is no list")
    if not all(isinstance(one, Mapping) for one in listed):
        raise _nonsense(name, "'coordinateTransformations' lists something else")
    found: list[Mapping[str, Any]] = []
    for one in listed:
        inner = one.get("transformations") if one.get("type") == "sequence" else None
        known = [of for of in inner if isinstance(of, Mapping)] if _is_list(inner) else []
        found += known or [one]
    return found


def _numbers(values: object, n_axes: int | None, what: str, name: str) -> list[float]:
    """Return one number for each axis."""
    numbers = [_number(value) for value in values] if _is_list(values) else []
    known = [number for number in numbers if number is not None]
    if not len(known) == len(numbers) == (len(known) if n_axes is None else n_axes):
        raise _nonsense(name, f"{what} is not one number for each axis")
    return known


def _number(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and isfinite(value) else None  # type: ignore[arg-type]


def _labels(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the labels of the channels; empty where there are none.

    What is wrong counts as missing: names are for people, and no pixel depends on them.
    """
    omero = attributes.get("omero")
    channels = omero.get("channels") if isinstance(omero, Mapping) else None
    if not isinstance(channels, Sequence) or isinstance(channels, str):
        return ()
    labels = [one.get("label", "") if isinstance(one, Mapping) else "" for one in channels]
    return known_names([label if isinstance(label, str) else "" for label in labels])
