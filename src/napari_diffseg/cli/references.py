"""What a model is to learn from: images or frames of stacks, and what was painted on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_diffseg.cli.spacing import Distances
from napari_diffseg.errors import InputError
from napari_diffseg.image.pixel_size import PixelSize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_diffseg.io.frames import FrameStack
    from napari_diffseg.io.lazy_frame import LazyFrame

NONE = "-"
"""Stands for a file of scribbles where there is none."""


_ALIKE = 0.01  # distances of planes that differ by a smaller share are the same


@dataclass(eq=False, slots=True)
class References:
    """Reference images of one kind: planes, which are read, or volumes, of which nothing is.

    One entry of `scribbles` ``(z) y x`` and of `names` for each. Sizes are the first image's;
    `apart` names files whose planes lie otherwise.
    """

    axes: str
    rgb: bool
    pixel_size: PixelSize | None
    spacing: Distances | None
    n_channels: int
    channel_names: tuple[str, ...]
    images: list[NDArray[Any] | LazyFrame] = field(default_factory=list)
    scribbles: list[NDArray[Any] | None] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    apart: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_references(
    paths: Sequence[Path],
    scribbles: Sequence[Path | None],
    frames: Sequence[int] | None,
    axes: str | None,
    *,
    volumes: bool = False,
    level: int = 0,
    series: int = 0,
) -> References:
    """Read reference images.

    Of a stack those `frames`; where None those that are painted, else the first, the middle and the
    last. `volumes`: whether the planes of a file are one image together.
    """
    from napari_diffseg.io.frames import open_frames
    from napari_diffseg.io.reading import read_class_numbers

    opened = partial(open_frames, axes=axes, volumes=volumes, level=level, series=series)
    found: References | None = None
    for path, strokes in zip(paths, scribbles, strict=True):
        painted = None if strokes is None else read_class_numbers(strokes).pixels
        stack = opened(path)
        if painted is not None and painted.ndim == 3 and painted.shape == stack.shape:
            # Strokes have the shape of the file: then no axis of it is channels.
            stack = opened(path, n_channels=1)
        first, found = found, _of_kind(stack, found, paths[0], axes)
        if first is not None and _is_apart(stack.spacing, first.spacing):
            found.apart.append(path.name)
        found.notes += stack.notes
        by_frame = None
        if strokes is not None and painted is not None:
            by_frame = _strokes_by_frame(painted, strokes, stack)
        _add(found, stack, by_frame, frames)
    if found is None:
        raise InputError("There is no image to learn from; name one.")
    return found


def _of_kind(
    stack: FrameStack, found: References | None, first: Path, axes: str | None
) -> References:
    """Return the references that a stack belongs to: new ones, where it is the first."""
    from napari_diffseg.image.axes import resolve_axes

    said = stack.rgb if axes is None else None
    kind = resolve_axes(stack.frame_shape, stack.frame_axes, rgb=said)
    size, is_volume = stack.pixel_size, stack.spatial == "ZYX"
    if found is None:
        return References(
            axes=stack.frame_axes,
            rgb=kind.rgb,
            pixel_size=size if is_volume else size and size.plane,
            spacing=stack.spacing if is_volume else None,
            n_channels=kind.n_channels,
            channel_names=stack.channel_names,
        )
    if (stack.frame_axes, kind.rgb) != (found.axes, found.rgb):
        raise InputError(
            f"{stack.path} has the axes {stack.frame_axes}, but {first} has {found.axes}, or only "
            "one of them is in colours; learn from images of one kind."
        )
    return found


def _is_apart(own: Distances | None, first: Distances | None) -> bool:
    """Whether two volumes differ in how far planes are apart, measured in pixels."""
    if own is None or first is None:
        return False
    steps = [z / (y + x) for z, y, x in (own, first)]
    return not math.isclose(*steps, rel_tol=_ALIKE)


def turned(painted: NDArray[Any], axes: str | None) -> NDArray[Any]:
    """Turn scribbles, which lie as the image's file does, to y before x, and z before these."""
    letters = (axes or "YX").upper()
    spatial = [letter for letter in letters if letter in "ZYX"]
    if painted.ndim == len(spatial) == 3:
        return painted.transpose([spatial.index(letter) for letter in "ZYX"])
    if "X" in letters and letters.find("X") < letters.find("Y"):
        return (painted if painted.ndim == 2 else painted.squeeze()).T
    return painted


def _add(
    found: References,
    stack: FrameStack,
    strokes: NDArray[Any] | None,
    frames: Sequence[int] | None,
) -> None:
    """Add frames of a stack."""
    import numpy as np

    for number in _chosen(stack, strokes, frames):
        painted = None if strokes is None else strokes[number]
        if painted is not None and (stack.n_frames > 1 and not painted.any()):
            painted = None  # a frame that was asked for, beside others that are painted
        frame = stack.frame(number)
        found.images.append(frame if stack.spatial == "ZYX" else np.asarray(frame))
        found.scribbles.append(painted)
        found.names.append(stack.name_of(number))


def _chosen(
    stack: FrameStack, strokes: NDArray[Any] | None, frames: Sequence[int] | None
) -> Sequence[int]:
    n = stack.n_frames
    if n == 1:
        return [0]
    if frames is not None:
        for number in frames:
            stack.frame(number)  # says what is wrong with a number that is too high
        return frames
    if strokes is not None:
        painted = [number for number in range(n) if strokes[number].any()]
        if not painted:
            raise InputError(f"Nothing is painted on {stack.path}; paint some pixels of a frame.")
        return painted
    return sorted({0, n // 2, n - 1})


def _strokes_by_frame(painted: NDArray[Any], path: Path, stack: FrameStack) -> NDArray[Any]:
    """Return what was painted on each frame of a stack, ``n y x`` or ``n z y x``."""
    if stack.n_frames == 1:
        # Of one image the shape is checked with the image itself.
        return turned(painted, stack.frame_axes)[None]
    spatial = [letter for letter in stack.frame_axes if letter in stack.spatial]
    sides = tuple(stack.frame_shape[stack.frame_axes.index(letter)] for letter in spatial)
    n_sides = len(sides)
    if painted.size != stack.n_frames * math.prod(sides) or painted.shape[-n_sides:] != sides:
        raise InputError(
            f"{path} has the shape {painted.shape}, but {stack.path} has {stack.n_frames} frames "
            f"of {' × '.join(map(str, sides))}; give scribbles of the same frames, height and "
            "width."
        )
    strokes = painted.reshape(stack.n_frames, *sides)
    return strokes.transpose(0, *(1 + spatial.index(letter) for letter in stack.spatial))
