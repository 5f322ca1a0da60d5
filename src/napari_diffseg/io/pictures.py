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
from PIL import Image
from PIL import ImageFile as PillowFile

from napari_diffseg.errors import InputError
from napari_diffseg.image.info import ImageInfo, placed_by
from napari_diffseg.io.facts import ALPHA_DROPPED, Index, check_level, check_series
from napari_diffseg.io.kinds import DAMAGE, check_fits, damaged
from napari_diffseg.io.pixel_size import from_resolution

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
            shape = (image.height, image.width, *sample.shape[2:])
            self.facts = _facts(image, shape, sample.dtype, _notes(image))
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
            image.load()
            pixels = np.array(_plain(image, self._numbers))
        return pixels.astype(self.facts.dtype, copy=False)


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


def _notes(image: Image.Image) -> tuple[str, ...]:
    notes = []
    if image.mode == "LA":
        notes.append(ALPHA_DROPPED)
    # Known only before the pixels are loaded: how they lie in the file.
    deep = any("16B" in str(tile[-1]) for tile in getattr(image, "tile", ()))
    if deep and image.mode in ("RGB", "RGBA"):
        notes.append("Colours of 16 bits were read with 8 bits; a TIFF file keeps them whole.")
    n_frames = getattr(image, "n_frames", 1)
    if n_frames > 1:
        notes.append(f"The file holds {n_frames} frames; the first one was read.")
    return tuple(notes)
