"""What the numbers of a TIFF file stand for: gray, inverted gray, colours, indices of a palette.

Colours of all kinds become red, green and blue, and inverted gray becomes gray. What cannot be
brought to these is read as it is stored, and that is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from napari_diffseg.image.units import number
from napari_diffseg.io.facts import ALPHA_DROPPED

Convert = Callable[[NDArray[Any]], NDArray[Any]]

_PHOTOMETRIC, _JPEG = tifffile.PHOTOMETRIC, (6, 7)
_APERIO_YCBCR = 33003
"""Compression of slides: YCbCr in JPEG 2000, whatever else the file says."""

_ALIKE = 0.9
"""A palette whose brightness follows its numbers as closely (correlation) only displays them."""


@dataclass(frozen=True, slots=True)
class Colors:
    """What the numbers stand for, and how they are brought to gray or red, green and blue.

    `convert` takes pixels with their samples (if any) last; `n_samples` (None: no axis), `rgb` and
    `dtype` are of what it gives.
    """

    rgb: bool
    convert: Convert | None
    n_samples: int | None
    dtype: np.dtype[Any]
    note: str = ""


def colors_of(page: tifffile.TiffPage, has_samples: bool, *, numbers: bool) -> Colors:
    """Find out what the numbers of a page stand for.

    Where class `numbers` are wanted a palette is left aside, and so is inversion, but of 1 bit.
    `has_samples`: a pixel has several, whatever the page says whose planes the file calls frames.
    """
    n = page.shape[page.axes.index("S")] if has_samples else None
    stored = Colors(False, None, n, np.dtype(page.dtype).newbyteorder("="))
    kind = page.photometric
    if "S" in page.axes and not has_samples:
        return stored
    if kind == _PHOTOMETRIC.MINISBLACK:
        return _gray(page, stored)
    if kind == _PHOTOMETRIC.MINISWHITE:
        return stored if numbers and page.bitspersample > 1 else _inverted(page, stored)
    if kind == _PHOTOMETRIC.PALETTE:
        return _palette(page, stored, numbers=numbers)
    mode = _mode(page)
    if mode is not None:
        return _replaced(stored, partial(_with_pillow, mode=mode), 3, rgb=True)
    if kind == _PHOTOMETRIC.RGB or (kind == _PHOTOMETRIC.YCBCR and page.compression in _JPEG):
        return _rgb(page, stored)
    if kind == _PHOTOMETRIC.MASK and n is None:
        return stored
    name = getattr(kind, "name", kind)
    each = ", each channel by itself" if has_samples else ""
    return _said(
        stored,
        f"The pixels are stored as {name} ({page.dtype}), which is not brought to colours or gray; "
        f"the numbers were read as they are{each}.",
    )


def _replaced(
    stored: Colors, convert: Convert | None, n: int | None, *, rgb: bool = False, note: str = ""
) -> Colors:
    dtype = np.dtype(np.uint8) if rgb and convert is not None else stored.dtype
    return Colors(rgb, convert, n, dtype, note)


def _said(stored: Colors, note: str) -> Colors:
    told = " ".join(filter(None, (stored.note, note)))
    return _replaced(stored, stored.convert, stored.n_samples, note=told)


def calibrated(said: Mapping[str, Any], stored: Colors) -> Colors:
    """Bring gray to the values that ImageJ shows of it, if a straight line leads there.

    Its images of 16 bits with a sign are stored 32768 higher.
    """
    if "cf" not in said or stored.n_samples is not None or stored.convert is not None:
        return stored
    line = [number(said.get(f"c{power}")) for power in range(3)]
    start, slope = line[0], line[1]
    if said["cf"] != 0 or start is None or slope is None or line[2] is not None:
        return _said(
            stored,
            "ImageJ shows other values of this file, by a calibration that is no straight line; "
            "the numbers were read as they are stored.",
        )
    if (start, slope) == (0, 1):
        return stored
    if slope == 1 and start == -(2**15) and stored.dtype == np.uint16:
        return replace(stored, convert=_signed, dtype=np.dtype(np.int16))
    line_of = partial(_on_line, start=start, slope=slope)
    return replace(stored, convert=line_of, dtype=np.dtype(np.float32))


def _signed(pixels: NDArray[Any]) -> NDArray[np.int16]:
    return (pixels.astype(np.int32) - 2**15).astype(np.int16)


def _on_line(pixels: NDArray[Any], start: float, slope: float) -> NDArray[np.float32]:
    return (start + slope * pixels.astype(np.float64)).astype(np.float32)


def _gray(page: tifffile.TiffPage, stored: Colors) -> Colors:
    # 0 is a sample of which nothing is said: many programs store channels so.
    if stored.n_samples == 2 and page.extrasamples and page.extrasamples[0] != 0:
        return _replaced(stored, _first_sample, None, note=ALPHA_DROPPED)
    return stored


def _first_sample(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels[..., 0]


def _rgb(page: tifffile.TiffPage, stored: Colors) -> Colors:
    n = stored.n_samples
    if n == 4 and page.extrasamples and page.extrasamples[0] == 0:
        note = "The channel beside red, green and blue, whose meaning the file does not say, was "
        return _replaced(stored, None, n, rgb=True, note=note + "taken for alpha and dropped.")
    if n in (3, 4):
        return _replaced(stored, None, n, rgb=True)
    if n is None:
        return _said(stored, "The file calls its one channel RGB; it was read as gray.")
    return _said(stored, f"Red, green, blue and more: the {n} channels were taken each by itself.")


def _inverted(page: tifffile.TiffPage, stored: Colors) -> Colors:
    if stored.dtype.kind not in "bu":
        return _said(stored, "The file has 0 for white; its numbers were read as they are.")
    white = stored.dtype.type(2**page.bitspersample - 1)
    turned = partial(np.subtract if stored.dtype.kind == "u" else np.not_equal, white)
    shown = _gray(page, stored)  # without alpha, which is not inverted
    if shown.convert is None:
        return _replaced(stored, turned, stored.n_samples)
    return replace(shown, convert=lambda pixels: turned(_first_sample(pixels)))


def _palette(page: tifffile.TiffPage, stored: Colors, *, numbers: bool) -> Colors:
    """Read the colours of a palette, unless it shows intensities in the order of their numbers."""
    if stored.n_samples is not None:  # the first is the number; the others are alpha and the like
        stored = _replaced(stored, _first_sample, None, note=ALPHA_DROPPED)
    if numbers:
        return stored
    table = page.colormap
    if table is None:
        return _said(stored, "The palette of the file is missing; its numbers were read as gray.")
    colors = table.T.astype(np.float64)
    if colors.max() > 255:  # some programs write 8 bits where 16 are due
        colors //= 256
    brightness = colors @ (0.299, 0.587, 0.114)
    number = np.arange(len(brightness))
    if brightness.std() > 0 and np.corrcoef(brightness, number)[0, 1] >= _ALIKE:
        return stored
    if page.is_imagej:  # a look-up table is for display there, whatever its colours
        return _said(
            stored, "The colours in which ImageJ shows the file were left aside; its numbers count."
        )
    lookup = partial(_looked_up, colors.astype(np.uint8), stored.convert)
    return _replaced(stored, lookup, 3, rgb=True, note=stored.note)


def _looked_up(
    lookup: NDArray[np.uint8], before: Convert | None, pixels: NDArray[Any]
) -> NDArray[Any]:
    found: NDArray[Any] = np.take(lookup, before(pixels) if before else pixels, axis=0)
    return found


def _mode(page: tifffile.TiffPage) -> str | None:
    """Return pillow's name for colours that it brings to RGB; None for others."""
    if page.dtype != np.uint8 or "S" not in page.axes:
        return None
    n, kind = page.samplesperpixel, page.photometric
    if n == 3 and kind == _PHOTOMETRIC.CIELAB:
        return "LAB"
    if n == 3 and page.compression == _APERIO_YCBCR:
        return "YCbCr"
    if n == 3 and kind == _PHOTOMETRIC.YCBCR and page.compression not in _JPEG:
        return "YCbCr"
    if n == 4 and kind == _PHOTOMETRIC.SEPARATED and page.tags.valueof("InkSet", 1) == 1:
        return "CMYK"
    return None


def _with_pillow(pixels: NDArray[Any], mode: str) -> NDArray[Any]:
    """Bring pixels of 8 bits, their samples last, to RGB."""
    height, width = int(np.prod(pixels.shape[:-2], dtype=np.int64)), pixels.shape[-2]
    if height * width == 0:
        return np.zeros((*pixels.shape[:-1], 3), np.uint8)
    image = Image.frombytes(mode, (width, height), pixels.tobytes(), "raw", mode)
    shown = image.convert("RGB") if mode != "LAB" else _from_lab(image)
    return np.asarray(shown).reshape(*pixels.shape[:-1], 3)


def _from_lab(image: Image.Image) -> Image.Image:
    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    shown = ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB")
    assert shown is not None  # None is for what is changed in place
    return shown
