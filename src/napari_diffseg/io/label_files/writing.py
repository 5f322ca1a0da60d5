"""Labels to files: OME-TIFF, OME-Zarr and PNG, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from math import prod
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Unpack
from uuid import UUID

import numpy as np
import tifffile
from numpy.typing import ArrayLike, NDArray
from PIL import Image, PngImagePlugin

from napari_diffseg.errors import InputError, OutputError
from napari_diffseg.files import (
    as_unicode,
    check_name,
    check_place,
    check_replaceable,
    placed_whole,
    sweep_beside,
    written_whole,
)
from napari_diffseg.image.info import Placed
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.image.units import MICROMETRES, parse_unit
from napari_diffseg.io.label_files.label_store import Described, LabelStore
from napari_diffseg.io.label_files.provenance import PROVENANCE_KEY, with_classes

ZARR, TIFF, PNG = (".ome.zarr", ".zarr"), (".ome.tif", ".ome.tiff", ".tif", ".tiff"), (".png",)
SUFFIXES = (*TIFF, *ZARR, *PNG)
"""Endings of what can be written: OME-TIFF, the folders of OME-Zarr in `ZARR`, and PNG."""

# From here on a TIFF file needs 64-bit offsets; it may well grow by its compression.
_MOST_TIFF_BYTES = 2**31


def check_output(path: str | PathLike[str], *, force: bool = False) -> None:
    """Refuse, before a run, a place where its result cannot be written, or is not to be."""
    path = Path(path)
    if not path.name.lower().endswith(SUFFIXES):
        raise OutputError(
            f"{path} has no ending that can be written; name it with one of {', '.join(SUFFIXES)}."
        )
    check_name(path)
    sweep_beside(path)
    if path.name.lower().endswith(ZARR) and path.exists():
        check_replaceable(path, force=force)
        return
    check_place(path, force=force)


def check_holds_volume(path: Path, n_planes: int) -> None:
    """Refuse to put a volume into a PNG file."""
    if path.suffix.lower() == ".png":
        raise OutputError(
            f"{path} cannot hold a volume of {n_planes} planes, PNG holds one; write an "
            ".ome.tif or .ome.zarr file."
        )


def write_labels(
    path: str | PathLike[str],
    labels: ArrayLike,
    *,
    pixel_size: PixelSize | None = None,
    placement: Mapping[str, Placed] | None = None,
    provenance: Mapping[str, Any] | None = None,
    names: Mapping[int, str] | None = None,
    colors: Mapping[int, Sequence[float]] | None = None,
    force: bool = False,
) -> None:
    """Write unsigned labels ``y x`` or ``z y x`` to OME-TIFF, OME-Zarr or PNG, whole or not at all.

    Pixel size: PhysicalSize, scale and units, or whole pixels per metre; placement: OME-Zarr and,
    beside a pixel size, OME-TIFF; provenance (JSON, names and colours in it): its description, else
    `PROVENANCE_KEY`.
    """
    path, labels = Path(path), _checked(labels)
    axes, name = "ZYX"[-labels.ndim :], path.name.lower()
    check_output(path, force=force)
    if names or colors:
        provenance = with_classes(provenance, names, colors)
    if name.endswith(ZARR):
        is_volume = labels.ndim == 3 and len(labels) > 1
        said = Described(volumes=is_volume, pixel_size=pixel_size, placement=placement)
        said |= {"names": names, "colors": colors, "provenance": provenance}
        frames = [labels] if is_volume or labels.ndim == 2 else labels
        _write_zarr(path, frames, labels.shape, axes, labels.dtype, force=force, **said)
        return
    text = _text_of(provenance)
    if name.endswith(".png"):
        _check_fits_png(path, labels)
        with written_whole(path, force=force) as file:
            _write_png(file, labels, pixel_size, text)
        return
    known = _ome_metadata(axes, labels.shape, pixel_size, placement, text)
    metadata = _with_uuid(known, sha256(labels.data).digest())
    # The same bytes as ever for what fits into a TIFF file of 32 bits.
    options = {"bigtiff": True} if labels.nbytes >= _MOST_TIFF_BYTES else {}
    with written_whole(path, force=force) as file:
        _write_ome_tiff(file, labels, metadata, pixel_size, **options)


def write_label_frames(
    path: Path,
    frames: Iterable[NDArray[np.unsignedinteger]],
    *,
    shape: Sequence[int],
    axes: str,
    dtype: Any,
    force: bool = False,
    **said: Unpack[Described],
) -> None:
    """Write frame after frame, each ``y x`` or ``z y x``, to what the ending says; one is held.

    The frames are in C order over the axes before the spatial ones.
    """
    size, provenance = said.get("pixel_size"), said.get("provenance")
    if path.name.lower().endswith(ZARR):
        _write_zarr(path, frames, shape, axes, dtype, force=force, **said)
    elif path.suffix.lower() == ".png":
        [labels] = frames
        plane = np.asarray(labels, dtype).reshape(tuple(shape)[-2:])
        write_labels(path, plane, pixel_size=size, provenance=provenance, force=force)
    else:
        write_label_stack(
            path,
            (plane for frame in frames for plane in frame.reshape(-1, *frame.shape[-2:])),
            shape=shape,
            axes=axes,
            dtype=dtype,
            pixel_size=size,
            t_step=said.get("t_step"),
            placement=said.get("placement"),
            provenance=provenance,
            force=force,
        )


def _write_zarr(
    path: Path,
    frames: Iterable[NDArray[np.unsignedinteger]],
    shape: Sequence[int],
    axes: str,
    dtype: Any,
    *,
    force: bool,
    **said: Unpack[Described],
) -> None:
    with placed_whole(path, force=force) as part:
        store = LabelStore.create(part, axes=axes, shape=shape, dtype=dtype, **said)
        for i, labels in enumerate(frames):
            store.write_frame(i, labels.astype(dtype, copy=False).reshape(store.frame_shape))


def write_label_stack(
    path: str | PathLike[str],
    frames: Iterable[ArrayLike],
    *,
    shape: Sequence[int],
    axes: str,
    dtype: Any,
    pixel_size: PixelSize | None = None,
    t_step: float | None = None,
    placement: Mapping[str, Placed] | None = None,
    provenance: Mapping[str, Any] | None = None,
    force: bool = False,
) -> None:
    """Write planes, in C order over the axes before YX, to an OME-TIFF, whole or not; one is held.

    The file's bytes depend on nothing but what is given here. `t_step` is in seconds.
    """
    path, lengths, kind = Path(path), tuple(int(n) for n in shape), np.dtype(dtype)
    if len(axes) != len(lengths) or axes[-2:] != "YX" or min(lengths) < 1 or kind.kind != "u":
        raise InputError(
            f"Labels of the shape {lengths}, the axes {axes!r} and the type {kind} cannot be "
            "written; the axes end with 'YX', and the type is unsigned."
        )
    if path.suffix.lower() == ".png":
        raise OutputError(f"{path} cannot hold several frames; write an .ome.tif file.")
    text = _text_of(provenance)
    check_output(path, force=force)
    # The labels themselves are not yet known when their name is written.
    content = json.dumps([text, lengths, axes, kind.str]).encode()
    known = _ome_metadata(axes, lengths, pixel_size, placement, text)
    metadata = _with_uuid(known, sha256(content).digest()) | _time_metadata(axes, t_step)
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


def _text_of(provenance: Mapping[str, Any] | None) -> str | None:
    if provenance is None:
        return None
    return as_unicode(json.dumps(dict(provenance), ensure_ascii=False))


def _ome_metadata(
    axes: str,
    shape: Sequence[int],
    pixel_size: PixelSize | None,
    placement: Mapping[str, Placed] | None,
    text: str | None,
) -> dict[str, Any]:
    """Return what goes into the OME-XML."""
    metadata: dict[str, Any] = {"axes": axes, "Name": "labels"}
    if text is not None:
        metadata["Description"] = text
    if pixel_size is not None:
        for axis, size in (("Y", pixel_size.y), ("X", pixel_size.x)):
            metadata[f"PhysicalSize{axis}"] = size
            metadata[f"PhysicalSize{axis}Unit"] = pixel_size.unit
        if pixel_size.z is not None and "Z" in axes:
            metadata |= {"PhysicalSizeZ": pixel_size.z, "PhysicalSizeZUnit": pixel_size.unit}
    return metadata | _positions(axes, shape, pixel_size, placement)


def _time_metadata(axes: str, t_step: float | None) -> dict[str, Any]:
    has_time = t_step is not None and "T" in axes
    return {"TimeIncrement": t_step, "TimeIncrementUnit": "s"} if has_time else {}


def _positions(
    axes: str,
    shape: Sequence[int],
    pixel_size: PixelSize | None,
    placement: Mapping[str, Placed] | None,
) -> dict[str, Any]:
    """Return where each plane lies, for the OME-XML; empty where that is at 0, or not known."""
    if pixel_size is None or not placement:
        return {}
    starts: dict[str, float] = {}
    for letter in "ZYX":
        placed = placement.get(letter)
        unit = None if placed is None else parse_unit(placed.unit)
        if placed is not None and unit is not None and letter in axes:
            starts[letter] = placed.start
            if unit != pixel_size.unit:
                starts[letter] *= MICROMETRES[unit] / MICROMETRES[pixel_size.unit]
    if not any(starts.values()):
        return {}
    leading = tuple(int(length) for length in shape[:-2])
    planes: dict[str, Any] = {}
    for letter, start in starts.items():
        step = (pixel_size.z or 0.0) if letter == "Z" else 0.0
        planes[f"Position{letter}"] = [
            start + step * (index[axes.index("Z")] if letter == "Z" else 0)
            for index in np.ndindex(leading)
        ]
        planes[f"Position{letter}Unit"] = [pixel_size.unit] * prod(leading)
    return {"Plane": planes}


def _with_uuid(metadata: dict[str, Any], content: bytes) -> dict[str, Any]:
    """Name a file by what is in it, of which `content` stands for what the metadata do not say."""
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
        per_y, per_x = (one / 100 for one in pixel_size.per_metre)
        # The tag holds ratios of numbers of 32 bits; OME-XML holds every size.
        if 1e-9 < min(per_y, per_x) <= max(per_y, per_x) < 1e9:
            options |= {"resolution": (per_x, per_y), "resolutionunit": "CENTIMETER"}
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
