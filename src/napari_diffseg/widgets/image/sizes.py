"""How large a pixel of an image is: as its layer, its file or a person says; no napari, no Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from napari_diffseg.errors import InputError
from napari_diffseg.image.info import ImageInfo, Placed
from napari_diffseg.image.space import FARTHEST
from napari_diffseg.image.units import converted, is_size, number

PIXELS = "px"
"""What a person chooses as the unit where only the ratio of sizes is known."""

_CUBES = "so voxels are taken as cubes; type it beside the pixel size, in the field z"


class SizeOrigin(Enum):
    """Who says how large a pixel is, and what a person is told of that."""

    PERSON = "As you typed it. Edit ▸ As guessed forgets it."
    LAYER = ""
    FILE = "From the metadata of the file."
    NOBODY = "Not known: sizes will be in pixels. Type it, if you know it."


@dataclass(frozen=True, slots=True)
class TypedSize:
    """What a person typed: the side of a pixel, or height × width; distance of planes; unit."""

    side: str = ""
    depth: str = ""
    unit: str = "µm"

    @property
    def says_something(self) -> bool:
        """Whether anything was typed."""
        return bool(self.side.strip() or self.depth.strip())

    def sides(self) -> tuple[float, float] | None:
        """Return height and width; None where nothing was typed."""
        if not self.side.strip():
            return None
        sides = [_positive(part) for part in self.side.replace("×", "x").split("x")]
        if len(sides) > 2:
            raise InputError(
                f"The size of a pixel is {self.side!r}, but one number was expected, or height × "
                "width; correct it."
            )
        return sides[0], sides[-1]

    def distance(self) -> float | None:
        """Return the distance of planes; None where nothing was typed."""
        return _positive(self.depth) if self.depth.strip() else None


def known_sizes(info: ImageInfo) -> tuple[tuple[float, ...], str]:
    """Return the size of a pixel along (z,) y and x, and its unit; empty where not known."""
    for axes in ("ZYX", "YX"):
        sizes, unit = info.distances(axes)
        if sizes is not None:
            return sizes, unit
    return (), ""


def size_in_words(info: ImageInfo) -> str:
    """Return e.g. ``"3.5 × 0.8 × 0.8 µm"``; an empty text where it is not known."""
    sizes, unit = known_sizes(info)
    words = " × ".join(f"{size:.4g}" for size in sizes)
    if sizes and not unit:
        return f"voxels of {words}"
    return f"{words} {unit}".strip()


def settle_size(info: ImageInfo, typed: TypedSize | None = None) -> tuple[ImageInfo, str]:
    """Settle how large a pixel is: as typed; else as it was said, if planes can lie so far apart.

    Returned is also what a person should know before they take a stack as a volume. Raises
    `InputError` for what was typed and cannot be.
    """
    known, doubt = _believed(info) if "Z" in str(info.axes) else (info, "")
    if typed is not None and typed.says_something:
        known, doubt = _typed(known, typed)
    return known, f"{doubt}, {_CUBES}." if doubt else ""


def _believed(info: ImageInfo) -> tuple[ImageInfo, str]:
    """Return the same without a distance of planes that cannot be, and why."""
    sizes, _ = info.distances("ZYX")
    placed = [info.placement.get(letter, Placed(1.0)) for letter in "ZYX"]
    units = [one.unit or "pixel" for one in placed]
    if sizes is not None:
        if _is_possible(sizes):
            return info, ""
        doubt = f"The planes are said to lie {_ratio(sizes):.4g} pixels apart, which cannot be"
    elif not all(is_size(abs(one.step)) for one in placed):
        doubt = "The layer's scale has a step that is no positive number"
    elif len(set(units)) > 1:
        doubt = f"Z is in the unit {units[0]}, but Y and X in {units[-1]}"
    else:
        doubt = "The size of the voxels is not known"
    placement = {letter: one for letter, one in info.placement.items() if letter != "Z"}
    return replace(info, placement=placement), doubt


def _typed(info: ImageInfo, typed: TypedSize) -> tuple[ImageInfo, str]:
    """Return the same with what was typed; for the rest what is known counts."""
    unit = "" if typed.unit == PIXELS else typed.unit
    sizes, own = known_sizes(info)
    if bool(own) != bool(unit):
        sizes = ()
    before = [converted(size, own, unit) if unit else size for size in sizes]
    sides = typed.sides() or before[-2:] or ((1.0, 1.0) if not unit else None)
    if sides is None:
        raise InputError(
            f"The distance of planes is {typed.depth} {unit}, but how large a pixel is, is not "
            "known; type that too."
        )
    has_planes, depth = "Z" in str(info.axes), None
    if has_planes:
        depth = typed.distance() or (before[0] if len(before) == 3 else None)
    steps = [*sides] if depth is None else [depth, *sides]
    if len(steps) == 3 and not _is_possible(steps):
        raise InputError(
            f"The planes are said to lie {_ratio(steps):.4g} pixels apart, but that must be from "
            f"{1 / FARTHEST:g} to {FARTHEST:g}; type their distance in the unit of the pixels."
        )
    others = {one: placed for one, placed in info.placement.items() if one not in "ZYX"}
    typed_here = zip("ZYX"[-len(steps) :], steps, strict=True)
    placement = others | {one: Placed(step, unit=unit or None) for one, step in typed_here}
    is_unknown = has_planes and depth is None
    doubt = "The distance of the planes is not known" if is_unknown else ""
    return replace(info, placement=placement), doubt


def _ratio(sizes: tuple[float, ...] | list[float]) -> float:
    z, y, x = sizes
    return z / ((y + x) / 2)


def _is_possible(sizes: tuple[float, ...] | list[float]) -> bool:
    return 1 / FARTHEST <= _ratio(sizes) <= FARTHEST


def _positive(text: str) -> float:
    found = number(text.strip().replace(",", "."))
    if found is None or not is_size(found):
        raise InputError(
            f"The size of a pixel is {text.strip()!r}, but a positive number was expected, such as "
            "0.325; correct it."
        )
    return found
