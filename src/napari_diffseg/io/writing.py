"""Labels to files: OME-TIFF and PNG, written whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile
from numpy.typing import ArrayLike, NDArray
from PIL import Image, PngImagePlugin

from napari_diffseg.errors import InputError, OutputError
from napari_diffseg.io.pixel_size import PixelSize

SUFFIXES = (".ome.tif", ".ome.tiff", ".tif", ".tiff", ".png")
"""Endings of the files that can be written; all but the last are OME-TIFF."""

PROVENANCE_KEY = "napari-diffseg"
"""Keyword of the text in a PNG file that holds the provenance as JSON."""


def check_output(path: str | PathLike[str], *, force: bool = False) -> None:
    """Find out before a run whether its result can be written.

    Parameters
    ----------
    path : path-like
        Where the labels are to go.
    force : bool
        Whether a file that is there may be replaced.

    Raises
    ------
    OutputError
        The ending is unknown, the folder is missing or cannot be written to, or
        there is a file already.
    """
    path = Path(path)
    if not path.name.lower().endswith(SUFFIXES):
        raise OutputError(
            f"{path} has no ending that can be written; name it with one of {', '.join(SUFFIXES)}."
        )
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file to write to.")
    if not path.parent.is_dir():
        raise OutputError(f"The folder {path.parent} does not exist; create it first.")
    if path.exists() and not force:
        raise OutputError(f"{path} exists already; choose another name, or overwrite it (--force).")
    try:
        # A try tells more than permission bits, which mean little on network drives.
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OutputError(
            f"The folder {path.parent} cannot be written to ({error.strerror or error}); "
            "choose another."
        ) from error


def write_labels(
    path: str | PathLike[str],
    labels: ArrayLike,
    *,
    pixel_size: PixelSize | None = None,
    provenance: Mapping[str, Any] | None = None,
    force: bool = False,
) -> None:
    """Write labels to an OME-TIFF or a PNG file.

    The file is written under another name beside its place and then moved there, so
    that no half-written file ever stands under its name.

    Parameters
    ----------
    path : path-like
        Its ending tells the format, see `SUFFIXES`.
    labels : array_like of unsigned int, (y, x)
        0 is unlabelled.
    pixel_size : PixelSize, optional
        Written as PhysicalSizeY and PhysicalSizeX (OME-TIFF), or as the resolution
        (PNG, in whole pixels per metre).
    provenance : mapping, optional
        How the labels came about, in values that JSON can hold: the description of
        the image in OME-TIFF, the text `PROVENANCE_KEY` in PNG.
    force : bool
        Whether a file that is there may be replaced.

    Raises
    ------
    OutputError
        As for `check_output`; the disk is full; or there are more than 65535 labels
        for a PNG file.
    InputError
        The labels are not 2D, empty or not of an unsigned dtype.
    """
    path = Path(path)
    labels = _checked(labels)
    text = None if provenance is None else json.dumps(dict(provenance), ensure_ascii=False)
    check_output(path, force=force)
    if path.suffix.lower() == ".png" and labels.max() > np.iinfo(np.uint16).max:
        raise OutputError(
            f"{path} cannot hold label {labels.max()}: PNG ends at 65535; write an .ome.tif file."
        )
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("x+b") as file:
            if path.suffix.lower() == ".png":
                _write_png(file, labels, pixel_size, text)
            else:
                _write_ome_tiff(file, labels, pixel_size, text)
            file.flush()
            os.fsync(file.fileno())
        # Again, because another program may have put a file there in the meantime.
        check_output(path, force=force)
        part.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        part.unlink(missing_ok=True)


def _checked(labels: ArrayLike) -> NDArray[np.unsignedinteger]:
    array = np.asarray(labels)
    if array.ndim != 2 or array.size == 0 or array.dtype.kind != "u":
        raise InputError(
            f"Labels have shape {array.shape} and type {array.dtype}, but must be 2D, "
            "not empty and of an unsigned type."
        )
    return np.ascontiguousarray(array)


def _write_ome_tiff(
    file: BinaryIO,
    labels: NDArray[np.unsignedinteger],
    pixel_size: PixelSize | None,
    text: str | None,
) -> None:
    metadata: dict[str, Any] = {"axes": "YX", "Name": "labels"}
    resolution: dict[str, Any] = {}
    if text is not None:
        metadata["Description"] = text
    if pixel_size is not None:
        for axis, size in (("Y", pixel_size.y), ("X", pixel_size.x)):
            metadata[f"PhysicalSize{axis}"] = size
            metadata[f"PhysicalSize{axis}Unit"] = pixel_size.unit
        # For programs that do not read OME-XML; tifffile wants x first.
        per_y, per_x = pixel_size.per_metre
        resolution = {"resolution": (per_x / 100, per_y / 100), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(
        file,
        labels,
        ome=True,
        photometric="minisblack",
        compression="zlib",
        metadata=metadata,
        **resolution,
    )


def _write_png(
    file: BinaryIO,
    labels: NDArray[np.unsignedinteger],
    pixel_size: PixelSize | None,
    text: str | None,
) -> None:
    info = PngImagePlugin.PngInfo()
    options: dict[str, Any] = {}
    if text is not None:
        info.add_itxt(PROVENANCE_KEY, text)
    if pixel_size is not None:
        per_y, per_x = pixel_size.per_metre
        # A coarser or finer pixel than this does not fit into PNG's 32-bit whole number.
        if all(1 <= round(per) < 2**32 for per in (per_y, per_x)):
            options["dpi"] = (per_x * 0.0254, per_y * 0.0254)
    dtype = np.uint8 if labels.max() <= np.iinfo(np.uint8).max else np.uint16
    Image.fromarray(labels.astype(dtype)).save(file, format="PNG", pnginfo=info, **options)
