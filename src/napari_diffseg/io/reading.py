"""Images from files: TIFF (OME, ImageJ, plain), PNG and JPEG.

The kind of a file is told by its first bytes, not by its name. A file that is cut
short is refused, never filled up with zeros.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from PIL import ImageFile as PillowFile

from napari_diffseg.errors import InputError, OutOfMemoryError
from napari_diffseg.io.pixel_size import PixelSize, from_imagej, from_ome_xml, from_resolution

__all__ = ["ImageFile", "PixelSize", "read_class_numbers", "read_image"]

_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",  # BigTIFF
    b"MM\0+": "TIFF",
}

_TIFF_UNITS = {2: "in", 3: "cm", 4: "mm", 5: "µm"}
"""Value of the ResolutionUnit tag → unit; 1 says that there is none."""

_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    tifffile.TiffFileError,  # a ValueError in later versions only
)
"""What tifffile, pillow and their decoders raise on bytes that make no sense."""


@dataclass(frozen=True, eq=False, slots=True)
class ImageFile:
    """An image and what its file says of it.

    Attributes
    ----------
    pixels : ndarray
        As stored, any dtype.
    axes : str or None
        One letter of T C Z Y X per array axis; None where the file does not say.
    rgb : bool or None
        Whether the channels are colours; None where the file does not say.
    pixel_size : PixelSize or None
        None where the file has none, or only a resolution for screen or print.
    path : Path
        Where it was read.
    notes : tuple of str
        Sentences that the person should read, e.g. that other images were left out.
    """

    pixels: NDArray[Any]
    axes: str | None
    rgb: bool | None
    pixel_size: PixelSize | None
    path: Path
    notes: tuple[str, ...] = ()


def read_image(path: str | PathLike[str]) -> ImageFile:
    """Read one image from a TIFF, OME-TIFF, PNG or JPEG file.

    Parameters
    ----------
    path : path-like
        Its name does not matter, its first bytes do.

    Returns
    -------
    ImageFile
        The first image of the file, at full resolution. The palette of a PNG becomes RGB;
        the orientation in the EXIF data of a JPEG is left alone.

    Raises
    ------
    InputError
        The file is missing, a folder, empty, truncated, damaged or of another kind.
    OutOfMemoryError
        The image does not fit into memory.
    """
    path = Path(path)
    return _read(path, _sniff(path), indexed=False)


def read_class_numbers(path: str | PathLike[str]) -> ImageFile:
    """Read an image of whole numbers, such as scribbles, from a TIFF, OME-TIFF or PNG file.

    Parameters
    ----------
    path : path-like
        Its name does not matter, its first bytes do.

    Returns
    -------
    ImageFile
        As of `read_image`, but of a picture with a palette it has the numbers, not the
        colours that they are shown in.

    Raises
    ------
    InputError
        As for `read_image`; or the file holds colours, or is a JPEG.
    OutOfMemoryError
        The image does not fit into memory.
    """
    path = Path(path)
    kind = _sniff(path)
    if kind == "JPEG":
        raise InputError(
            f"{path} is a JPEG file, which keeps numbers only roughly; save the class numbers as "
            "PNG or TIFF."
        )
    file = _read(path, kind, indexed=True)
    if file.rgb:
        raise InputError(
            f"{path} is a picture in colours, or has several planes, but one number for each "
            "pixel was expected; save the class numbers (0 = unpainted) as a grayscale or indexed "
            "PNG or TIFF."
        )
    return file


def _read(path: Path, kind: str, *, indexed: bool) -> ImageFile:
    try:
        return _read_tiff(path) if kind == "TIFF" else _read_picture(path, kind, indexed)
    except MemoryError as error:
        raise OutOfMemoryError(
            f"{path} needs more memory than there is; crop the image or save one plane of it."
        ) from error


def _sniff(path: Path) -> str:
    """Tell the kind of a file by its first bytes: ``"TIFF"``, ``"PNG"`` or ``"JPEG"``."""
    if path.is_dir():
        raise InputError(f"{path} is a folder, but an image file was expected; name a file in it.")
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; check the name of the file.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not start:
        raise InputError(f"{path} is empty (0 bytes); copy or save the image again.")
    for signature, kind in _SIGNATURES.items():
        if start.startswith(signature):
            return kind
    raise InputError(
        f"{path} is no image of a known kind, whatever its name says; save it as TIFF, PNG or JPEG."
    )


def _damaged(path: Path, error: Exception) -> InputError:
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return InputError(
        f"{path} is truncated or damaged ({first_line}); copy or save the image again."
    )


# --- TIFF --------------------------------------------------------------------------


def _read_tiff(path: Path) -> ImageFile:
    try:
        with tifffile.TiffFile(path) as tif:
            if len(tif.pages) == 0:
                raise tifffile.TiffFileError("there is no image in it")
            series = tif.series[0]
            _check_complete(tif, series)
            pixels = series.asarray()
            axes, rgb = _tiff_axes(series)
            return ImageFile(
                pixels, axes, rgb, _tiff_pixel_size(tif, series), path, _tiff_notes(tif)
            )
    except _DAMAGE as error:
        if "imagecodecs" in str(error):
            raise InputError(
                f"{path} is compressed in a way that needs one more package; run "
                "'pip install imagecodecs', or save the image without compression."
            ) from error
        raise _damaged(path, error) from error


def _check_complete(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> None:
    """Raise where the file ends too early: tifffile reads what is left and only logs it."""
    if tif.is_imagej and series.kind != "imagej":
        raise tifffile.TiffFileError("fewer planes than ImageJ wrote")
    for page in series.pages:
        if page is None:
            raise tifffile.TiffFileError("planes are missing")
    last, layout = tif.pages[-1], tif.tiff
    file = tif.filehandle
    file.seek(last.offset)
    (n_tags,) = struct.unpack(layout.tagnoformat, file.read(layout.tagnosize))
    file.seek(last.offset + layout.tagnosize + n_tags * layout.tagsize)
    (next_offset,) = struct.unpack(layout.offsetformat, file.read(layout.offsetsize))
    if next_offset != 0:
        raise tifffile.TiffFileError("the last pages are missing")


def _tiff_axes(series: tifffile.TiffPageSeries) -> tuple[str | None, bool | None]:
    """Return the axes of a series and whether its channels are colours."""
    # tifffile calls the samples of a pixel S, and axes that the file does not name Q or I.
    axes = series.axes
    if not set(axes) <= set("TCZYXS"):
        return None, None
    photometric = series.keyframe.photometric
    rgb = "S" in axes and photometric in (
        tifffile.PHOTOMETRIC.RGB,
        tifffile.PHOTOMETRIC.YCBCR,
    )
    return axes.replace("S", "C"), rgb


def _tiff_pixel_size(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> PixelSize | None:
    tags = series.keyframe.tags
    per_x, per_y = (_ratio(tags.valueof(name)) for name in ("XResolution", "YResolution"))
    size = from_ome_xml(tif.ome_metadata) if tif.ome_metadata else None
    if size is None and tif.imagej_metadata:
        size = from_imagej(tif.imagej_metadata, per_y, per_x)
    # A missing unit means inch by the standard, but says in truth that nobody set it.
    unit = _TIFF_UNITS.get(tags.valueof("ResolutionUnit", 1))
    if size is None and unit is not None:
        size = from_resolution(per_y, per_x, unit)
    return size


def _ratio(value: tuple[int, int] | None) -> float:
    """Return the value of a RATIONAL tag; 0 where it is missing or has no value."""
    return value[0] / value[1] if value and value[1] else 0.0


def _tiff_notes(tif: tifffile.TiffFile) -> tuple[str, ...]:
    n_images = len(tif.series)
    if n_images == 1:
        return ()
    return (f"The file holds {n_images} images; the first one was read.",)


# --- PNG and JPEG ------------------------------------------------------------------


def _read_picture(path: Path, kind: str, indexed: bool) -> ImageFile:
    try:
        with _strict_pillow(), Image.open(path, formats=[kind]) as image:
            notes = _picture_notes(image)
            image.load()
            pixels = _picture_pixels(image, indexed)
            per_x, per_y = image.info.get("dpi", (0, 0))
    except Image.DecompressionBombError as error:
        raise InputError(
            f"{path} has too many pixels for a {kind} file; save it as TIFF, or crop it."
        ) from error
    # Pillow raises SyntaxError for chunks that are broken.
    except (*_DAMAGE, SyntaxError) as error:
        raise _damaged(path, error) from error
    rgb = pixels.ndim == 3
    size = from_resolution(float(per_y), float(per_x), "in")
    return ImageFile(pixels, "YXC" if rgb else "YX", rgb, size, path, notes)


@contextmanager
def _strict_pillow() -> Iterator[None]:
    """Have pillow refuse truncated files, whatever other packages set, and accept large ones."""
    before = PillowFile.LOAD_TRUNCATED_IMAGES
    PillowFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    finally:
        PillowFile.LOAD_TRUNCATED_IMAGES = before


def _picture_pixels(image: Image.Image, indexed: bool) -> NDArray[Any]:
    """Return the pixels ``y x`` or ``y x c`` (RGB or RGBA); of a palette the indices if wanted."""
    if image.mode == "LA":
        image = image.getchannel("L")
    elif image.mode == "P" and not indexed:
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        image = image.convert("RGB")
    return np.array(image)


def _picture_notes(image: Image.Image) -> tuple[str, ...]:
    notes = []
    if image.mode == "LA":
        notes.append("The alpha channel was dropped.")
    # Known only before the pixels are loaded: how they lie in the file.
    deep = any("16B" in str(tile.args) for tile in getattr(image, "tile", ()))
    if deep and image.mode in ("RGB", "RGBA"):
        notes.append("Colours of 16 bits were read with 8 bits; a TIFF file keeps them whole.")
    n_frames = getattr(image, "n_frames", 1)
    if n_frames > 1:
        notes.append(f"The file holds {n_frames} frames; the first one was read.")
    return tuple(notes)
