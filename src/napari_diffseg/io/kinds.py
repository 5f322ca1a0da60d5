"""What a file is by its first bytes, and how to say that it is broken."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from napari_diffseg.errors import InputError, OutOfMemoryError, first_line
from napari_diffseg.files import is_zarr
from napari_diffseg.memory import check_memory

_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",  # BigTIFF
    b"MM\0+": "TIFF",
    b"ZISRAWFILE": "CZI",
    b"\xda\xce\xbe\x0a": "ND2",
    b"p\0\0\0": "LIF",
}

SMALL = 256 * 2**20
"""Bytes that are read without a look at how much memory there is."""

DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,  # pillow, of PNG chunks that are broken
    TypeError,
    ValueError,  # tifffile.TiffFileError and zarr's own are ValueErrors
    struct.error,
    zlib.error,
)
"""What tifffile, pillow, zarr and their decoders raise on bytes that make no sense."""


@lru_cache(maxsize=4096)
def name_of(path: Path) -> str:
    """Return the name of a file or folder; within a zarr it begins with the name of that."""
    inner = path.name
    while is_zarr(path.parent):
        path = path.parent
        inner = f"{path.name}/{inner}"
    return inner


def kind_of(path: Path) -> str:
    """Tell the kind of a file by its first bytes: ``"TIFF"``, ``"PNG"``, ``"CZI"`` and so on."""
    if path.is_dir():
        raise InputError(f"{path} is a folder, but an image file was expected; name a file in it.")
    try:
        if path.exists() and not path.is_file():  # to read it might wait for ever
            raise InputError(f"{path} is a pipe or a device; save the image to a file first.")
        with path.open("rb") as file:
            start = file.read(400)
    except FileNotFoundError as error:
        raise not_there(path) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not start:
        raise InputError(f"{path} is empty (0 bytes); copy or save the image again.")
    for signature, kind in _SIGNATURES.items():
        if start.startswith(signature):
            return kind
    if start.startswith(b"PK\3\4"):
        raise InputError(f"{path} is a ZIP archive; unpack it, and name an image that was in it.")
    if b"<OME" in start:
        raise InputError(
            f"{path} describes images whose pixels are in other files; name one of these, such as "
            "the .ome.tif files beside it."
        )
    raise InputError(
        f"{path} is no image of a known kind, whatever its name says; save it as TIFF, PNG or JPEG."
    )


def not_there(path: Path) -> InputError:
    """Say that there is no file or folder of a name."""
    scheme, is_address, rest = path.as_posix().partition(":/")
    if is_address and scheme == "file":
        return InputError(
            f"{path} is the address of a file; give its name without 'file:', as {Path('/', rest)}."
        )
    if is_address and len(scheme) > 1 and scheme.isalnum():  # one letter is a drive
        return InputError(
            f"{scheme}://{rest.lstrip('/')} is an address, but a file of this machine was "
            "expected; download it first."
        )
    return InputError(f"{path} does not exist; check the name of the file.")


def damaged(path: Path, error: Exception) -> InputError:
    """Say that a file is broken, has gone, or is compressed in a way that is not known here."""
    if not path.exists():
        return not_there(path)
    if "imagecodecs" in str(error) or "COMPRESSION" in str(error):
        return InputError(
            f"{path} is compressed in a way that cannot be read here ({first_line(error)}); save "
            "the image without compression, or as LZW or Deflate."
        )
    return InputError(
        f"{path} is truncated or damaged ({first_line(error)}); copy or save the image again."
    )


def check_fits(path: Path, shape: Iterable[int], dtype: np.dtype[Any]) -> None:
    """Refuse to read what does not fit into memory; of what is small nobody asks."""
    n_bytes = prod(shape) * dtype.itemsize
    if n_bytes > SMALL:
        check_memory(
            n_bytes,
            str(path),
            "crop the image, or save it as OME-Zarr or as TIFF without compression, of which no "
            "more is read than is used",
        )


def too_large(path: Path) -> OutOfMemoryError:
    """Say that an image does not fit into memory."""
    return OutOfMemoryError(
        f"{path} needs more memory than there is; crop the image or save one plane of it."
    )
