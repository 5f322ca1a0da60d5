"""The part of an image that is to be segmented, as named on the command line."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_diffseg.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_RANGE = re.compile(r"\s*(\d*)\s*:\s*(\d*)\s*")


@dataclass(frozen=True, slots=True)
class Box:
    """Ranges of pixels, counted from 0."""

    sides: tuple[tuple[int | None, int | None], ...]

    def __str__(self) -> str:
        ends = (("" if end is None else str(end) for end in side) for side in self.sides)
        return ",".join(":".join(side) for side in ends)


def stated_region(text: str) -> Box | Path:
    """Read ``"0:512,100:612"``, ``"3:40,0:512,100:612"``, or the name of a file."""
    parts = [_RANGE.fullmatch(part) for part in text.split(",")]
    found = [part for part in parts if part is not None]
    if not found:
        return Path(text)
    if len(found) < len(parts) or len(found) not in (2, 3):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no region; write Y0:Y1,X0:X1 or Z0:Z1,Y0:Y1,X0:X1, such as "
            "0:512,100:612, or the name of a file"
        )
    return Box(tuple((_end(part[1]), _end(part[2])) for part in found))


def read_region(region: Box | Path, shape: tuple[int, ...], axes: str) -> NDArray[np.bool_]:
    """Return where labels are wanted.

    `shape` is ``(z) y x``; a mask in a file lies as its `axes`. What is given for rows and columns
    alone holds for all planes.
    """
    import numpy as np

    if isinstance(region, Box):
        wanted = np.zeros(shape, np.bool_)
        wanted[_window(region, shape)] = True
        return wanted
    from napari_diffseg.cli.references import turned
    from napari_diffseg.io.reading import read_class_numbers

    mask: NDArray[Any] = turned(read_class_numbers(region).pixels, axes) != 0
    if mask.shape not in (shape, shape[-2:]):
        raise InputError(
            f"The region {region} has the shape {mask.shape}, but the image has {shape}; give one "
            "of the same shape, or of the same height and width."
        )
    if not mask.any():
        raise InputError(f"The region {region} is 0 everywhere; mark what is to be segmented.")
    return np.array(np.broadcast_to(mask, shape))


def _window(box: Box, shape: tuple[int, ...]) -> tuple[slice, ...]:
    n = len(box.sides)
    if n > len(shape):
        raise InputError(
            f"The region has ranges along Z, Y and X, but the image is one plane ({shape[0]} × "
            f"{shape[1]}); give ranges along Y and X."
        )
    window = [slice(None)] * (len(shape) - n)
    for letter, (first, last), length in zip("ZYX"[-n:], box.sides, shape[-n:], strict=True):
        start, stop = first or 0, length if last is None else last
        if not 0 <= start < stop <= length:
            raise InputError(
                f"The region goes from {start} to {stop} along {letter}, but the image from 0 to "
                f"{length}; give a part of it."
            )
        window.append(slice(start, stop))
    return tuple(window)


def _end(text: str) -> int | None:
    return int(text) if text else None
