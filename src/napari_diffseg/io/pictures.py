"""PNG and JPEG files, with pillow: never cut short, and by threads one after the other."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL import ImageFile as PillowFile

from napari_diffseg.errors import InputError
from napari_diffseg.image.info import ImageInfo, placed_by
from napari_diffseg.io.facts import (
    ALPHA_DROPPED,
    Index,
    check_level,
    check_series,
    orientation_notes,
)
from napari_diffseg.io.kinds import DAMAGE, check_fits, damaged
from napari_diffseg.io.resolution import from_resolution

_DEEP = ("RGB;16B", "RGBA;16B", "LA;16B")
"""What pillow calls pixels of several samples of 16 bits."""

_BRIGHTENED = {"L;2": 85, "L;4": 17}
"""What pillow calls gray of 2 and 4 bits → by how much it multiplies it."""

# The switches of pillow and of warnings hold for all threads.
_ONE_AT_A_TIME = Lock()


class PictureSource:
    """A PNG or JPEG file, which is always read as a whole."""

    def __init__(
        self, path: Path, kind: str, level: int = 0, series: int = 0, *, numbers: bool = False
    ) -> None:
        check_level(level, 1, str(path))
        self._path, self._kind, self._numbers = path, kind, numbers
        with _opened(path, kind) as image:
            # One pixel goes the way of all, and shows the channels and the type.
            pixel = Image.new(image.mode, (1, 1))
            pixel.info = dict(image.info)
            sample = np.array(_plain(pixel, numbers))
            # Known only before the pixels are loaded: how they lie in the file.
            self._stored = str(next((tile[-1] for tile in getattr(image, "tile", ())), ""))
            if self._is_deep:
                sample = np.zeros((1, 1, *((3,) if "RGB" in self._stored else ())), np.uint16)
            shape = (image.height, image.width, *sample.shape[2:])
            self.facts = _facts(image, shape, sample.dtype, _notes(image, self._stored))
        check_series(series, [" × ".join(map(str, shape))], str(path))

    def reads_whole(self, spatial: tuple[int, ...]) -> bool:
        """Whether a part of a frame costs as much as all of it: always."""
        return True

    def read(self, index: Index) -> NDArray[Any]:
        """Read a part of the picture."""
        return self.whole()[index]

    def whole(self) -> NDArray[Any]:
        """Read the picture: gray, RGB or RGBA, ``y x`` or ``y x c``."""
        check_fits(self._path, self.facts.shape, self.facts.dtype)
        with _opened(self._path, self._kind) as image:
            image.load()  # whatever reads the pixels: it is here that damage is found
            if self._is_deep:
                return _deep(self._path, self.facts.shape)
            pixels = np.array(_plain(image, self._numbers))
        if self._numbers and self._stored in _BRIGHTENED:
            pixels //= _BRIGHTENED[self._stored]
        return pixels.astype(self.facts.dtype, copy=False)

    @property
    def _is_deep(self) -> bool:
        """Whether pixels have several samples of 16 bits, of which pillow keeps 8."""
        return self._stored in _DEEP


def _deep(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """Read gray or colours of 16 bits without their alpha."""
    from imagecodecs import png_decode

    pixels: NDArray[np.uint16] = png_decode(path.read_bytes())
    return pixels[..., 0] if len(shape) == 2 else pixels[..., :3]


@contextmanager
def _opened(path: Path, kind: str) -> Iterator[Image.Image]:
    try:
        with _strict_pillow(), Image.open(path, formats=[kind]) as image:
            yield image
    except Image.DecompressionBombError as error:
        raise InputError(
            f"{path} has too many pixels for a {kind} file; save it as TIFF, or crop it."
        ) from error
    except DAMAGE as error:
        raise damaged(path, error) from error


@contextmanager
def _strict_pillow() -> Iterator[None]:
    """Have pillow refuse truncated files, whatever other packages set, and accept large ones."""
    with _ONE_AT_A_TIME:
        before = PillowFile.LOAD_TRUNCATED_IMAGES
        PillowFile.LOAD_TRUNCATED_IMAGES = False
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                yield
        finally:
            PillowFile.LOAD_TRUNCATED_IMAGES = before


def _plain(image: Image.Image, numbers: bool) -> Image.Image:
    """Bring a picture to gray, RGB or RGBA; one with a palette to its numbers if wanted."""
    if image.mode == "LA":
        return image.getchannel("L")
    if image.mode == "P" and not numbers:
        return image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode == "CMYK":  # pillow itself brings the YCbCr of a JPEG file to RGB
        return image.convert("RGB")
    return image


def _facts(
    image: Image.Image, shape: tuple[int, ...], dtype: np.dtype[Any], notes: tuple[str, ...]
) -> ImageInfo:
    rgb = len(shape) == 3
    per_x, per_y = image.info.get("dpi", (0, 0))
    size = from_resolution(float(per_y), float(per_x), "in")
    native = dtype.newbyteorder("=")
    return ImageInfo("YXC" if rgb else "YX", shape, native, rgb, placed_by(size), notes=notes)


def _notes(image: Image.Image, stored: str) -> tuple[str, ...]:
    notes = []
    if image.mode == "LA" or stored in ("LA;16B", "RGBA;16B"):
        notes.append(ALPHA_DROPPED)
    notes += orientation_notes(image.getexif().get(ExifTags.Base.Orientation))
    n_frames = getattr(image, "n_frames", 1)
    if n_frames > 1:
        notes.append(f"The file holds {n_frames} frames; the first one was read.")
    return tuple(notes)
