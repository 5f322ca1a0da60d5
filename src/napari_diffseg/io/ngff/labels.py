"""The metadata of OME-Zarr (NGFF 0.5) for labels, as plain values; knows no zarr."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from napari_diffseg.errors import InputError
from napari_diffseg.image.info import Placed
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.image.units import MICROMETRES, parse_unit, seconds

VERSION = "0.5"
"""Version of the metadata that is written."""

UNIT_NAMES = {
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


def multiscales(
    axes: str,
    paths: Sequence[str],
    *,
    name: str,
    pixel_size: PixelSize | None,
    t_step: float | None = None,
    placement: Mapping[str, Placed] | None = None,
    factors: Sequence[Mapping[str, int]] = (),
) -> list[dict[str, Any]]:
    """Return the metadata of a pyramid, largest array first, made by leaving pixels out.

    Kept pixels stay where they are, so all levels have one translation; distances count 1 without
    a unit where not given (`t_step`: seconds). Empty `factors`: every second pixel along y and x.
    """
    places = {
        letter: _place(letter, pixel_size, t_step, (placement or {}).get(letter)) for letter in axes
    }
    factors = factors or [{"Y": 2**level, "X": 2**level} for level in range(len(paths))]
    datasets = [
        {"path": path, "coordinateTransformations": _transformations(places, factor)}
        for path, factor in zip(paths, factors, strict=True)
    ]
    described = [
        {"name": letter.lower(), "type": _TYPES[letter]} | ({"unit": one.unit} if one.unit else {})
        for letter, one in places.items()
    ]
    return [{"name": name, "axes": described, "datasets": datasets}]


def _transformations(
    places: Mapping[str, Placed], factor: Mapping[str, int]
) -> list[dict[str, Any]]:
    scale = [one.step * factor.get(letter, 1) for letter, one in places.items()]
    found: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
    if any(one.start for one in places.values()):
        found.append({"type": "translation", "translation": [one.start for one in places.values()]})
    return found


def _place(
    letter: str, size: PixelSize | None, t_step: float | None, placed: Placed | None
) -> Placed:
    """Return where pixels lie along an axis: as far apart as stated, and where the image lies."""
    step, unit, known = None, None, placed and parse_unit(placed.unit)
    if size is not None and letter in "ZYX":
        step, unit = {"Z": size.z, "Y": size.y, "X": size.x}[letter], size.unit
    elif letter == "T":
        step, unit = t_step, "second"
    if step is None:
        return placed or Placed(1.0, 0.0, None)
    start = 0.0
    if placed is not None and letter == "T":
        start = placed.start * (seconds(1, placed.unit) or 0.0)
    elif placed is not None and known and unit:
        start = placed.start * (1.0 if known == unit else MICROMETRES[known] / MICROMETRES[unit])
    if placed is not None and placed.step < 0:
        step = -step
    return Placed(float(step), start, unit if letter == "T" else UNIT_NAMES[str(unit)])


def image_label(names: Mapping[int, str], colors: Mapping[int, Sequence[float]]) -> dict[str, Any]:
    """Return the metadata of labels that stand at ``labels/NAME`` of an image.

    Colours are red, green, blue, alpha, 0 … 1; where there are any, a label with none is gray.
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
