"""Fill: the constant around what was stitched, rotated, registered or padded is no image.

The rule of ``"auto"``, the same for images, volumes (by their planes) and several images at once.
A value is fill where all of this holds:

- it is the lowest or the highest value that there is, and the same in every channel;
- its connected areas that touch the border of a plane make up half a percent of all pixels;
- the rest is a picture: it has many different values;
- between it and the rest lies a gap: the nearest pixels of the rest are farther from it than a
  twentieth of the rest's range, or than the nearest twentieth of the rest is wide. Pixels beside
  the fill do not count, where rotating and stitching mix both;
- its outline is straight: most of it lies in longer pieces than the arcs of a disc have.

Dark background, clipped or cut off at a threshold, has values close by, or the outline of what
lies on it. Masks and drawings have few values. Once a value is decided, every pixel that has it in
all channels is left out, whatever the window it is seen in; the gap says that this is harmless.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import find_contours

from napari_diffseg.errors import InputError
from napari_diffseg.image.arrays import Mask

AUTO = "auto"
NONE = "none"

Fill = float | str | None
"""A value, ``"auto"``, or None (also ``"none"``) where every pixel is image."""

Floats = NDArray[np.float64]

_MOST_PLANES, _MOST_SIDE = 16, 1024  # of each image that is looked at; evenly spread
_LEAST_SHARE = 0.005  # of all pixels, in areas that touch the border
_SMALLEST_AREA = 16  # pixels; smaller ones are dark or bright pixels of the image
_LEAST_VALUES = 16  # different ones, of a picture
_LEVELS = 4  # steps of quantization that are no gap yet
_RIM = 2  # pixels beside the fill in which it may be mixed with the image
_NEAREST, _NEAR, _FAR = 0.1, 5.0, 99.9  # percentiles of the distance from the fill
_GAP = 0.05
_MOST_VALUES = 1 << 18  # distances of which the percentiles are taken
_TOLERANCE = 1.0  # pixels by which the stairs of a straight edge leave the line
_LONG = 2.75  # times the root of diameter and tolerance; an arc of a disc is at most 2 long
_STRAIGHT = 0.6


def read_fill(text: str) -> Fill:
    """Read what a person typed: ``"auto"``, ``"none"``, or a number."""
    said = text.strip().lower()
    if said == AUTO:
        return AUTO
    try:
        return None if said == NONE else checked_fill(float(said))
    except ValueError as error:
        raise _no_fill(text) from error


def checked_fill(fill: Fill) -> float | str | None:
    """Return what was said of the fill: a finite number, ``"auto"``, or None."""
    if isinstance(fill, str):
        return read_fill(fill)
    if fill is None:
        return None
    if not math.isfinite(fill):
        raise _no_fill(str(fill))
    return float(fill)


def fill_in_words(fill: Fill) -> str:
    """Return what `read_fill` reads as this; whole numbers have no decimal point."""
    if fill is None or isinstance(fill, str):
        return fill or NONE
    return str(int(fill)) if float(fill).is_integer() and abs(fill) < 1e16 else repr(float(fill))


def decided_fill(fill: Fill, images: Iterable[NDArray[Any]]) -> float | None:
    """Return the value that is fill in all of these images; None where none is."""
    fill = checked_fill(fill)
    return _found(images) if isinstance(fill, str) else fill


def fill_mask(pixels: NDArray[Any], fill: float | None) -> Mask | None:
    """Find the pixels ``(y, x)`` that have the value in every channel; None where none has."""
    if fill is None or pixels.dtype.kind == "b":
        return None
    value = _as_pixel(fill, pixels.dtype)
    if value is None:
        return None
    filled: Mask = pixels[0] == value
    for channel in pixels[1:]:
        filled &= channel == value
    return filled if filled.any() else None


def fill_notes(value: float | None, said: Fill, n_pixels: int | None = None) -> tuple[str, ...]:
    """Return what a person should know of the fill."""
    if value is None:
        return ()
    how = "was taken for fill around the image" if isinstance(said, str) else "is fill"
    which = "these pixels" if n_pixels is None else f"{n_pixels} pixels"
    if n_pixels == 0:
        return (f"The value {fill_in_words(value)} {how}, but no pixel of this image has it.",)
    return (f"The value {fill_in_words(value)} {how}: {which} are left out and have label 0.",)


def _no_fill(said: str) -> InputError:
    return InputError(
        f"{said!r} is no fill; give the value of the pixels around the image, such as 0 or -9999, "
        "or 'auto' or 'none'."
    )


def _as_pixel(fill: float, dtype: np.dtype[Any]) -> Any:
    """Return the value as pixels of this type have it; None where they cannot."""
    if dtype.kind != "f":
        return int(fill) if float(fill).is_integer() else None
    with np.errstate(over="ignore"):
        value = dtype.type(fill)
    return value if np.isfinite(value) else None


# --- the rule ------------------------------------------------------------------------------


def _found(images: Iterable[NDArray[Any]]) -> float | None:
    samples = [_sample(image) for image in images if image.dtype.kind != "b"]
    finite = [_finite(one) for one in samples]
    counted = [one[:, where] for one, where in zip(samples, finite, strict=True) if where.any()]
    if not counted:
        return None
    lowest = min(float(one.min()) for one in counted)
    highest = max(float(one.max()) for one in counted)
    for value, upwards in ((lowest, 1.0), (highest, -1.0)):
        masks = [_equal(one, value) for one in samples]
        n_equal = sum(int(np.count_nonzero(mask)) for mask in masks)
        if n_equal < _LEAST_SHARE * sum(mask.size for mask in masks):
            continue  # nearly all images end here
        areas = [_areas(mask) for mask in masks]
        if not _is_at_border(areas):
            continue
        rest = [where & ~_widened(one) for where, one in zip(finite, areas, strict=True)]
        values = [upwards * _farthest(*both, upwards) for both in zip(samples, rest, strict=True)]
        if _lies_above(np.concatenate(values), upwards * value) and _is_straight(areas):
            return value
    return None


def _sample(image: NDArray[Any]) -> NDArray[Any]:
    """Return a few planes and pixels at an even stride, ``c z y x``."""
    volume = image if image.ndim == 4 else image[:, np.newaxis]
    n_planes = volume.shape[1]
    planes = np.unique(np.linspace(0, n_planes - 1, min(n_planes, _MOST_PLANES)).astype(int))
    step = -(-max(volume.shape[2:]) // _MOST_SIDE)
    sample: NDArray[Any] = volume[:, planes, ::step, ::step]
    return sample


def _finite(sample: NDArray[Any]) -> Mask:
    if sample.dtype.kind != "f":
        return np.ones(sample.shape[1:], np.bool_)
    finite: Mask = np.isfinite(sample).all(axis=0)
    return finite


def _equal(sample: NDArray[Any], value: float) -> Mask:
    found = fill_mask(sample, value)
    return np.zeros(sample.shape[1:], np.bool_) if found is None else found


def _areas(mask: Mask) -> Mask:
    """Keep the connected areas in each plane ``z y x`` that are more than single pixels."""
    kept = np.zeros_like(mask)
    for plane, out in zip(mask, kept, strict=True):
        pieces, _ = ndimage.label(plane)
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        out[:] = (sizes >= _SMALLEST_AREA)[pieces]
    return kept


def _is_at_border(areas: Sequence[Mask]) -> bool:
    """Whether enough of the areas touch the border of their plane ``z y x``."""
    n_bordering = 0
    for plane in (plane for one in areas for plane in one):
        pieces, _ = ndimage.label(plane)
        edges = (pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1])
        at_border = np.setdiff1d(np.concatenate(edges), 0)
        n_bordering += int(np.count_nonzero(np.isin(pieces, at_border)))
    return n_bordering >= _LEAST_SHARE * sum(one.size for one in areas)


def _widened(areas: Mask) -> Mask:
    wide: Mask = ndimage.binary_dilation(areas, np.ones((3, 3, 3)), iterations=_RIM)
    return wide


def _farthest(sample: NDArray[Any], rest: Mask, upwards: float) -> Floats:
    """Return of each pixel its value in the channel where it is farthest from the fill.

    Not its distance, in which a fill such as -3.4e38 would swallow the picture.
    """
    values = sample[:, rest].astype(np.float64)
    farthest: Floats = values.max(axis=0) if upwards > 0 else values.min(axis=0)
    return farthest


def _lies_above(values: Floats, fill: float) -> bool:
    """Whether values are those of a picture, and lie apart from the fill."""
    # An odd step visits every column of an image whose width is a power of 2.
    step = -(-values.size // _MOST_VALUES)
    known = values[:: step | 1]
    different = np.unique(known)
    if different.size < _LEAST_VALUES:
        return False
    nearest, near, far = np.percentile(known, (_NEAREST, _NEAR, _FAR), method="nearest")
    wide = min(_GAP * (far - nearest), near - nearest)
    level = float(np.diff(different).min())
    return bool(nearest - fill > max(wide, _LEVELS * level))


def _is_straight(areas: Sequence[Mask]) -> bool:
    """Whether most of the outline is straight; blank planes have none, and are straight."""
    total = straight = 0.0
    for mask in areas:
        for plane in mask:
            if not plane.any() or plane.all():
                continue
            # Of a disc as large as what is not fill.
            diameter = 2 * math.sqrt(np.count_nonzero(~plane) / math.pi)
            longest_arc = _LONG * math.sqrt(diameter * _TOLERANCE)
            lengths = _pieces(plane)
            total += lengths.sum()
            straight += lengths[lengths > longest_arc].sum()
    return straight >= _STRAIGHT * total


def _pieces(plane: Mask) -> Floats:
    """Return the lengths of the straight pieces of an outline ``(y, x)``, pixels."""
    from skimage.measure import approximate_polygon  # loads scipy.signal, which takes a second

    outlines = find_contours(plane.astype(np.float32), 0.5)
    corners = [approximate_polygon(one, _TOLERANCE) for one in outlines]
    return np.concatenate([np.hypot(*np.diff(one, axis=0).T) for one in corners])
