"""Labels to files: OME-TIFF, OME-Zarr and PNG, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from math import prod
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import numpy as np
import tifffile
from numpy.typing import ArrayLike, NDArray
from PIL import Image, PngImagePlugin

from napari_diffseg.errors import InputError, OutputError
from napari_diffseg.files import check_place, written_whole
from napari_diffseg.image.info import Placed
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.io.kinds import is_zarr

ZARR = (".ome.zarr", ".zarr")
SUFFIXES = (".ome.tif", ".ome.tiff", ".tif", ".tiff", *ZARR, ".png")
"""Endings of what can be written: OME-TIFF, the folders of OME-Zarr in `ZARR`, and PNG."""

PROVENANCE_KEY = "napari-diffseg"
"""Keyword of the provenance in PNG files (as JSON) and in OME-Zarr."""

# From here on a TIFF file needs 64-bit offsets; it may well grow by its compression.
_MOST_TIFF_BYTES = 2**31


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
    if path.name.lower().endswith(ZARR) and path.exists():
        check_replaceable(path, force=force)
        return
    check_place(path, force=force)


def check_holds_volume(path: Path, n_planes: int) -> None:
    """Refuse to put a volume into a PNG file.

    Raises
    ------
    OutputError
        The file is to be one.
    """
    if path.suffix.lower() == ".png":
        raise OutputError(
            f"{path} cannot hold a volume of {n_planes} planes, PNG holds one; write an "
            ".ome.tif or .ome.zarr file."
        )


def check_replaceable(path: Path, *, force: bool) -> None:
    """Refuse to put an OME-Zarr in the place of what is there, but of another one with `force`.

    Raises
    ------
    OutputError
        There is something: who knows what is in a folder that is no zarr.
    """
    if not is_zarr(path):
        raise OutputError(
            f"{path} is no zarr, whatever its name says; it is not overwritten: choose another "
            "name."
        )
    if not force:
        raise OutputError(f"{path} exists already; choose another name, or overwrite it (--force).")


def write_labels(
    path: str | PathLike[str],
    labels: ArrayLike,
    *,
    pixel_size: PixelSize | None = None,
    placement: Mapping[str, Placed] | None = None,
    provenance: Mapping[str, Any] | None = None,
    force: bool = False,
) -> None:
    """Write the labels of a plane or of a volume to an OME-TIFF, an OME-Zarr or a PNG file.

    They are written under another name beside their place and then moved there, so
    that nothing half-written ever stands under its name.

    Parameters
    ----------
    path : path-like
        Its ending tells the format, see `SUFFIXES`.
    labels : array_like of unsigned int, (y, x) or (z, y, x)
        0 is unlabelled.
    pixel_size : PixelSize, optional
        Written as PhysicalSize (OME-TIFF), as scale and units (OME-Zarr), or as the
        resolution (PNG, in whole pixels per metre).
    placement : mapping of str to Placed, optional
        Where the pixels of the image lie, written in OME-Zarr.
    provenance : mapping, optional
        How the labels came about, in values that JSON can hold: the description of
        the image in OME-TIFF, the text `PROVENANCE_KEY` in PNG and in OME-Zarr.
    force : bool
        Whether a file, or an OME-Zarr, that is there may be replaced.

    Raises
    ------
    OutputError
        As for `check_output`; the disk is full; or a PNG file is to hold a volume, or more
        than 65535 labels.
    InputError
        The labels have other axes, are empty or not of an unsigned dtype.
    """
    path = Path(path)
    labels = _checked(labels)
    axes = "ZYX"[-labels.ndim :]
    check_output(path, force=force)
    if path.name.lower().endswith(ZARR):
        from napari_diffseg.io.label_files.zarr import write_zarr_labels

        write_zarr_labels(
            path,
            labels,
            pixel_size=pixel_size,
            placement=placement,
            provenance=provenance,
            force=force,
        )
        return
    text = None if provenance is None else json.dumps(dict(provenance), ensure_ascii=False)
    if path.suffix.lower() == ".png":
        _check_fits_png(path, labels)
        with written_whole(path, force=force) as file:
            _write_png(file, labels, pixel_size, text)
        return
    metadata = _ome_metadata(axes, pixel_size, text, sha256(labels.tobytes()).digest())
    # The same bytes as ever for what fits into a TIFF file of 32 bits.
    options = {"bigtiff": True} if labels.nbytes >= _MOST_TIFF_BYTES else {}
    with written_whole(path, force=force) as file:
        _write_ome_tiff(file, labels, metadata, pixel_size, **options)


def write_label_stack(
    path: str | PathLike[str],
    frames: Iterable[ArrayLike],
    *,
    shape: Sequence[int],
    axes: str,
    dtype: Any,
    pixel_size: PixelSize | None = None,
    t_step: float | None = None,
    provenance: Mapping[str, Any] | None = None,
    force: bool = False,
) -> None:
    """Write the labels of many planes to an OME-TIFF file, one after the other.

    Not more than a plane is held in memory. The file is written whole or not at all, as by
    `write_labels`; its bytes depend on nothing but what is given here.

    Parameters
    ----------
    path : path-like
        Its ending is one of those for OME-TIFF in `SUFFIXES`.
    frames : iterable of array_like of unsigned int, each (y, x)
        In C order over the axes before Y and X.
    shape : sequence of int
        Of all labels.
    axes : str
        One letter for each axis: T and Z where there are frames, then ``YX``.
    dtype : dtype
        Unsigned; all labels fit into it.
    pixel_size : PixelSize, optional
        As for `write_labels`.
    t_step : float, optional
        Distance of frames in seconds.
    provenance : mapping, optional
        As for `write_labels`.
    force : bool
        Whether a file that is there may be replaced.

    Raises
    ------
    OutputError
        As for `check_output`; the disk is full; or the ending is that of a PNG file.
    InputError
        The frames are not as many as `shape` says, or not of that shape and type.
    """
    path, lengths, kind = Path(path), tuple(int(n) for n in shape), np.dtype(dtype)
    if len(axes) != len(lengths) or axes[-2:] != "YX" or min(lengths) < 1 or kind.kind != "u":
        raise InputError(
            f"Labels of the shape {lengths}, the axes {axes!r} and the type {kind} cannot be "
            "written; the axes end with 'YX', and the type is unsigned."
        )
    if path.suffix.lower() == ".png":
        raise OutputError(f"{path} cannot hold several frames; write an .ome.tif file.")
    text = None if provenance is None else json.dumps(dict(provenance), ensure_ascii=False)
    check_output(path, force=force)
    # The labels themselves are not yet known when their name is written.
    content = json.dumps([text, lengths, axes, kind.str]).encode()
    metadata = _ome_metadata(axes, pixel_size, text, sha256(content).digest())
    if t_step is not None and "T" in axes:
        metadata |= {"TimeIncrement": t_step, "TimeIncrementUnit": "s"}
    planes = _planes(frames, lengths, kind)
    with written_whole(path, force=force) as file:
        _write_ome_tiff(
            file,
            islice(planes, prod(lengths[:-2])),
            metadata,
            pixel_size,
            shape=lengths,
            dtype=kind,
            bigtiff=prod(lengths) * kind.itemsize >= _MOST_TIFF_BYTES,
        )
        # tifffile asks for no more frames than the shape has: a look for what is left over.
        next(planes, None)


def _planes(
    frames: Iterable[ArrayLike], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Iterator[NDArray[np.unsignedinteger]]:
    """Check frames on their way into a file."""
    n_frames, expected = 0, prod(shape[:-2])
    for frame in frames:
        if n_frames == expected:
            raise InputError(f"There are more than {expected} frames, which the shape {shape} has.")
        array = np.asarray(frame)
        if array.shape != shape[-2:] or not np.can_cast(array.dtype, dtype):
            raise InputError(
                f"Frame {n_frames} has the shape {array.shape} and the type {array.dtype}, but "
                f"{shape[-2:]} and {dtype} are expected."
            )
        n_frames += 1
        yield np.ascontiguousarray(array, dtype)
    if n_frames < expected:
        raise InputError(f"There are {n_frames} frames, but the shape {shape} has more.")


def _checked(labels: ArrayLike) -> NDArray[np.unsignedinteger]:
    array = np.asarray(labels)
    if array.ndim not in (2, 3) or array.size == 0 or array.dtype.kind != "u":
        raise InputError(
            f"Labels have shape {array.shape} and type {array.dtype}, but must be 2D or 3D, "
            "not empty and of an unsigned type."
        )
    return np.ascontiguousarray(array)


def _check_fits_png(path: Path, labels: NDArray[np.unsignedinteger]) -> None:
    if labels.ndim > 2:
        check_holds_volume(path, len(labels))
    if labels.max() > np.iinfo(np.uint16).max:
        raise OutputError(
            f"{path} cannot hold label {labels.max()}: PNG ends at 65535; write an .ome.tif file."
        )


def _ome_metadata(
    axes: str, pixel_size: PixelSize | None, text: str | None, content: bytes
) -> dict[str, Any]:
    """Return what goes into the OME-XML; `content` stands for all else that is in the file."""
    metadata: dict[str, Any] = {"axes": axes, "Name": "labels"}
    if text is not None:
        metadata["Description"] = text
    if pixel_size is not None:
        for axis, size in (("Y", pixel_size.y), ("X", pixel_size.x)):
            metadata[f"PhysicalSize{axis}"] = size
            metadata[f"PhysicalSize{axis}Unit"] = pixel_size.unit
        if pixel_size.z is not None and "Z" in axes:
            metadata |= {"PhysicalSizeZ": pixel_size.z, "PhysicalSizeZUnit": pixel_size.unit}
    # Made from the content, so that the same labels are the same bytes.
    known = json.dumps(metadata, ensure_ascii=False).encode()
    metadata["UUID"] = str(UUID(bytes=sha256(known + content).digest()[:16], version=4))
    return metadata


def _write_ome_tiff(
    file: BinaryIO,
    labels: NDArray[np.unsignedinteger] | Iterator[NDArray[np.unsignedinteger]],
    metadata: dict[str, Any],
    pixel_size: PixelSize | None,
    **options: Any,
) -> None:
    if pixel_size is not None:
        # For programs that do not read OME-XML; tifffile wants x first.
        per_y, per_x = pixel_size.per_metre
        options |= {"resolution": (per_x / 100, per_y / 100), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(
        file,
        labels,
        ome=True,
        photometric="minisblack",
        compression="zlib",
        metadata=metadata,
        **options,
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
