"""The part of an image that is to be segmented, as named on the command line."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from napari_diffseg.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_RANGE = re.compile(r"\s*(\d*)\s*:\s*(\d*)\s*")

Box: TypeAlias = tuple[slice, ...]
"""Ranges of pixels along (z,) y and x, counted from 0; an end may be None."""


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
    return tuple(slice(*(int(end) if end else None for end in part.groups())) for part in found)


def region_in_words(region: Box | Path) -> str:
    """Return a region as it is written, a file by its name."""
    if isinstance(region, Path):
        return region.name
    sides = ((side.start, side.stop) for side in region)
    return ",".join(":".join("" if end is None else str(end) for end in side) for side in sides)


def read_region(region: Box | Path, shape: tuple[int, ...], axes: str) -> NDArray[np.bool_]:
    """Return where labels are wanted.

    `shape` is ``(z) y x``; a mask in a file lies as its `axes`. What is given for rows and columns
    alone holds for all planes.
    """
    import numpy as np

    if not isinstance(region, Path):
        wanted = np.zeros(shape, np.bool_)
        window: Any = (..., *_checked(region, shape))
        wanted[window] = True
        return wanted
    from napari_diffseg.cli.references import turned
    from napari_diffseg.io.reading import read_class_numbers

    mask: NDArray[np.bool_] = turned(read_class_numbers(region).pixels, axes) != 0
    if mask.shape not in (shape, shape[-2:]):
        raise InputError(
            f"The region {region} has the shape {mask.shape}, but the image has {shape}; give one "
            "of the same shape, or of the same height and width."
        )
    if not mask.any():
        raise InputError(f"The region {region} is 0 everywhere; mark what is to be segmented.")
    return np.broadcast_to(mask, shape)


def region_box(region: Box | Path | None, shape: tuple[int, ...]) -> Box | None:
    """Return the window of an image ``(z) y x`` that ranges of pixels name; None of a file."""
    if not isinstance(region, tuple):
        return None
    sides = (slice(None),) * (len(shape) - len(region)) + _checked(region, shape)
    return tuple(slice(*side.indices(n)) for side, n in zip(sides, shape, strict=True))


def _checked(box: Box, shape: tuple[int, ...]) -> Box:
    """Return ranges that lie within an image."""
    n = len(box)
    if n > len(shape):
        raise InputError(
            f"The region has ranges along Z, Y and X, but the image is one plane ({shape[0]} × "
            f"{shape[1]}); give ranges along Y and X."
        )
    for letter, side, length in zip("ZYX"[-n:], box, shape[-n:], strict=True):
        start, stop = side.start or 0, length if side.stop is None else side.stop
        if start >= stop:
            raise InputError(
                f"The region goes from {start} to {stop} along {letter}, but must end after it "
                "begins; write the lower number first."
            )
        if not 0 <= start < stop <= length:
            raise InputError(
                f"The region goes from {start} to {stop} along {letter}, but the image from 0 to "
                f"{length}; give a part of it."
            )
    return box
