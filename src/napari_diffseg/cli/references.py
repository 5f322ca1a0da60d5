"""What a model is to learn from: images or frames of stacks, and what was painted on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_diffseg.errors import InputError
from napari_diffseg.images.pixel_size import PixelSize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_diffseg.io.frames import FrameStack

NONE = "-"
"""Stands for a file of scribbles where there is none."""


@dataclass(eq=False, slots=True)
class References:
    """Reference images of one kind.

    Attributes
    ----------
    axes : str
        Of each image.
    rgb : bool
        Whether the channels are colours.
    pixel_size : PixelSize or None
        Of the first image.
    images : list of ndarray
    scribbles : list of (ndarray of int, (y, x), or None)
    names : list of str
        Each image in words.
    notes : list of str
        Sentences that the person should read.
    """

    axes: str
    rgb: bool
    pixel_size: PixelSize | None
    images: list[NDArray[Any]] = field(default_factory=list)
    scribbles: list[NDArray[Any] | None] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_references(
    paths: Sequence[Path],
    scribbles: Sequence[Path | None],
    frames: Sequence[int] | None,
    axes: str | None,
) -> References:
    """Read reference images.

    Parameters
    ----------
    paths : sequence of Path
        Images, or stacks of frames.
    scribbles : sequence of (Path or None)
        What was painted, one file for each image: of its height and width, and for a
        stack of its frames.
    frames : sequence of int, optional
        Which frames of each stack. Where None: those that are painted; else the first,
        the middle and the last.
    axes : str, optional
        Axes of the files, where that is stated.

    Raises
    ------
    InputError
        A file cannot be read, the files are not of one kind, or a stack has no such frame.
    """
    from napari_diffseg.images.axes import resolve_axes
    from napari_diffseg.io.frames import open_frames
    from napari_diffseg.io.reading import read_class_numbers

    found: References | None = None
    for path, strokes in zip(paths, scribbles, strict=True):
        painted = None if strokes is None else read_class_numbers(strokes).pixels
        stack = open_frames(path, axes)
        if painted is not None and painted.ndim == 3 and painted.shape == stack.shape:
            # Strokes have the shape of the file: then no axis of it is channels.
            stack = open_frames(path, axes, n_channels=1)
        said = stack.rgb if axes is None else None
        rgb = resolve_axes(stack.frame_shape, stack.frame_axes, rgb=said).rgb
        if found is None:
            found = References(stack.frame_axes, rgb, stack.pixel_size)
        elif (stack.frame_axes, rgb) != (found.axes, found.rgb):
            raise InputError(
                f"{path} has the axes {stack.frame_axes}, but {paths[0]} has {found.axes}, or only "
                "one of them is in colours; learn from images of one kind."
            )
        found.notes += stack.notes
        by_frame = None
        if strokes is not None and painted is not None:
            by_frame = _strokes_by_frame(painted, strokes, stack)
        _add(found, stack, by_frame, frames)
    if found is None:
        raise InputError("There is no image to learn from; name one.")
    return found


def turned(painted: NDArray[Any], axes: str | None) -> NDArray[Any]:
    """Turn scribbles, which lie as the image's file does, so that y comes before x."""
    letters = (axes or "YX").upper()
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
        found.images.append(np.asarray(stack.frame(number)))
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
    """Return what was painted on each frame of a stack ``n y x``."""
    if stack.n_frames == 1:
        # Of one image the shape is checked with the image itself.
        strokes: NDArray[Any] = turned(painted, stack.frame_axes)[None]
        return strokes
    height, width = (stack.frame_shape[stack.frame_axes.index(axis)] for axis in "YX")
    is_turned = stack.frame_axes.index("X") < stack.frame_axes.index("Y")
    plane = (width, height) if is_turned else (height, width)
    if painted.size != stack.n_frames * height * width or painted.shape[-2:] != plane:
        raise InputError(
            f"{path} has the shape {painted.shape}, but {stack.path} has {stack.n_frames} frames "
            f"of {plane[0]} × {plane[1]}; give scribbles of the same frames, height and width."
        )
    strokes = painted.reshape(stack.n_frames, *plane)
    return strokes.transpose(0, 2, 1) if is_turned else strokes
