"""What a model is to learn from: images or frames of stacks, and what was painted on them."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_diffseg.errors import InputError
from napari_diffseg.image.space import ALIKE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_diffseg.image.axes import ImageAxes
    from napari_diffseg.image.info import ImageInfo
    from napari_diffseg.io.frames import FrameStack
    from napari_diffseg.io.lazy_frame import LazyFrame

NONE = "-"
"""Stands for a file of scribbles where there is none."""


@dataclass(eq=False, slots=True)
class References:
    """Reference images of one kind: planes, which are read, or volumes, of which nothing is.

    All are like the `first` file. One entry of `scribbles` ``(z) y x`` and of `names` for each;
    `apart` names files whose planes lie otherwise.
    """

    first: FrameStack
    kind: ImageAxes
    images: list[NDArray[Any] | LazyFrame] = field(default_factory=list)
    scribbles: list[NDArray[Any] | None] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    apart: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(
        self, stack: FrameStack, strokes: NDArray[Any] | None, frames: Sequence[int] | None
    ) -> None:
        """Add frames of a stack; those that are chosen of it where None are named."""
        import numpy as np

        for number in _chosen(stack, strokes, frames):
            painted = None if strokes is None else strokes[number]
            if painted is not None and (stack.n_frames > 1 and not painted.any()):
                painted = None  # a frame that was asked for, beside others that are painted
            frame = stack.frame(number)
            self.images.append(frame if stack.spatial == "ZYX" else np.asarray(frame))
            self.scribbles.append(painted)
            self.names.append(stack.name_of(number))


def read_references(args: argparse.Namespace, scribbles: Sequence[Path | None]) -> References:
    """Read reference images, and the file of scribbles of each.

    Of a stack the frames that are named; else those that are painted, or the first, the middle
    and the last. Without ``--planes`` the planes of a file are one image together.
    """
    from napari_diffseg.image.axes import resolve_axes
    from napari_diffseg.io.frames import open_frames
    from napari_diffseg.io.reading import read_class_numbers

    level, series, axes = args.level, args.series, args.axes
    opened = partial(open_frames, axes=axes, volumes=not args.planes, level=level, series=series)
    found: References | None = None
    for path, strokes in zip(args.references, scribbles, strict=True):
        painted = None if strokes is None else read_class_numbers(strokes).pixels
        stack = opened(path)
        if painted is not None and painted.ndim == 3 and painted.shape == stack.shape:
            # Strokes have the shape of the file: then no axis of it is channels.
            stack = opened(path, n_channels=1)
        said = stack.rgb if axes is None else None
        kind = resolve_axes(stack.frame_shape, stack.frame_axes, rgb=said)
        found = found or References(stack, kind)
        if (stack.frame_axes, kind.rgb) != (found.first.frame_axes, found.kind.rgb):
            raise InputError(
                f"{path} has the axes {stack.frame_axes}, but {found.first.path} has "
                f"{found.first.frame_axes}, or only one of them is in colours; learn from images "
                "of one kind."
            )
        if stack.spatial == "ZYX" and _is_apart(stack, found.first):
            found.apart.append(path.name)
        found.notes += stack.notes
        by_frame = None
        if strokes is not None and painted is not None:
            by_frame = _strokes_by_frame(painted, strokes, stack)
        found.add(stack, by_frame, args.frames)
    if found is None:
        raise InputError("There is no image to learn from; name one.")
    return found


def _is_apart(own: ImageInfo, first: ImageInfo) -> bool:
    """Whether two volumes differ in how far planes are apart, measured in pixels."""
    if own.spacing is None or first.spacing is None:
        return False
    steps = [z / (y + x) for z, y, x in (own.spacing, first.spacing)]
    return not math.isclose(*steps, rel_tol=ALIKE)


def turned(painted: NDArray[Any], axes: str | None) -> NDArray[Any]:
    """Turn scribbles, which lie as the image's file does, to y before x, and z before these."""
    letters = (axes or "YX").upper()
    spatial = [letter for letter in letters if letter in "ZYX"]
    if painted.ndim == len(spatial) == 3:
        return painted.transpose([spatial.index(letter) for letter in "ZYX"])
    if "X" in letters and letters.find("X") < letters.find("Y"):
        return (painted if painted.ndim == 2 else painted.squeeze()).T
    return painted


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
