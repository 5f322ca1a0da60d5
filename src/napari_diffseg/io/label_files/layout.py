"""How labels lie in OME-Zarr: groups, metadata, arrays.

The labels stand at ``labels/diffseg`` of the group, where NGFF has them; the group itself
shows the same arrays as an image, because viewers look for an image first.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np

from napari_diffseg.errors import InputError, OutputError
from napari_diffseg.files import cannot_write
from napari_diffseg.image.info import Placed
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.io.label_files.writing import PROVENANCE_KEY
from napari_diffseg.io.ngff.labels import VERSION, image_label, multiscales
from napari_diffseg.io.ngff.pyramid import Level, levels_of

if TYPE_CHECKING:
    import zarr

NAME = "diffseg"
"""Name of the labels within the group."""

LABELS = f"labels/{NAME}"
"""Where their arrays stand."""


def metadata_file(path: Path) -> Path:
    """Return the file of a store that has the metadata of the labels."""
    return path / LABELS / "zarr.json"


class Described(TypedDict, total=False):
    """What is said of labels, as `LabelStore.create` explains it."""

    volumes: bool
    pixel_size: PixelSize | None
    t_step: float | None
    placement: Mapping[str, Placed] | None
    names: Mapping[int, str] | None
    colors: Mapping[int, Sequence[float]] | None
    provenance: Mapping[str, Any] | None


def create_store(
    path: Path,
    axes: str,
    shape: Sequence[int],
    dtype: Any,
    **said: Unpack[Described],
) -> None:
    """Make empty arrays of labels with their metadata, as a whole or not at all.

    Takes and raises what `LabelStore.create` does.
    """
    lengths, axes = tuple(int(length) for length in shape), axes.upper()
    volumes, size = said.get("volumes", False), said.get("pixel_size")
    kind = _checked(axes, lengths, np.dtype(dtype), volumes)
    levels = levels_of(lengths, "ZYX" if volumes else "YX", (size and size.z_step) or 1.0)
    image, labels = _metadata(axes, levels, said)
    if path.exists():
        raise OutputError(f"{path} exists already; choose another name, or remove it.")
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        import zarr

        root = zarr.create_group(part, zarr_format=3)
        root.update_attributes(image)
        group = root.create_group("labels")
        group.update_attributes({"ome": {"version": VERSION, "labels": [NAME]}})
        _create_arrays(group.create_group(NAME, attributes=labels), axes, levels, kind)
        part.rename(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _metadata(
    axes: str, levels: Sequence[Level], said: Described
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the attributes of the group as an image, and those of its labels."""
    describe = partial(
        multiscales,
        axes,
        pixel_size=said.get("pixel_size"),
        t_step=said.get("t_step"),
        placement=said.get("placement"),
        factors=[dict(zip(axes, level.steps, strict=True)) for level in levels],
    )
    numbers = [str(number) for number in range(len(levels))]
    image = describe([f"{LABELS}/{number}" for number in numbers], name="label numbers")
    labels = {
        "version": VERSION,
        "multiscales": describe(numbers, name=NAME),
        "image-label": image_label(said.get("names") or {}, said.get("colors") or {}),
    }
    return (
        {"ome": {"version": VERSION, "multiscales": image}},
        {"ome": labels, PROVENANCE_KEY: dict(said.get("provenance") or {})},
    )


def _checked(
    axes: str, shape: tuple[int, ...], dtype: np.dtype[Any], volumes: bool
) -> np.dtype[Any]:
    """Check what a store is to be made with; return the dtype in the native byte order."""
    if axes not in ("YX", "TYX", "ZYX", "TZYX", "ZTYX"):
        raise InputError(f"Labels have the axes {axes!r}, but T and Z must stand before 'YX'.")
    if len(shape) != len(axes) or min(shape) < 1:
        raise InputError(
            f"Labels of the shape {shape} do not have the axes {axes!r}, each at least 1 long."
        )
    if volumes and (not axes.endswith("ZYX") or shape[-3] == 1):
        raise InputError(
            f"Labels of the shape {shape} with the axes {axes!r} are no volumes, which have "
            "several planes along Z before 'YX'."
        )
    if dtype.kind != "u":
        raise InputError(f"Labels are of the type {dtype}, but must be of an unsigned type.")
    return dtype.newbyteorder("=")


def _create_arrays(
    group: zarr.Group, axes: str, levels: Sequence[Level], dtype: np.dtype[Any]
) -> None:
    from zarr.codecs import ZstdCodec

    for number, level in enumerate(levels):
        group.create_array(
            str(number),
            shape=level.shape,
            dtype=dtype,
            chunks=level.chunks,
            compressors=ZstdCodec(level=3),
            fill_value=0,
            dimension_names=[letter.lower() for letter in axes],
        )
