"""npe2 reader: images from TIFF and OME-Zarr with size, place, axes and names of channels.

Large ones are read as they are looked at. A TIFF that names no axes is read as an array, as napari
itself does: who has chosen this reader for all TIFFs is not asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import dask.array as da
import numpy as np
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.notifications import show_info
from numpy.typing import NDArray

from napari_diffseg.errors import DiffSegError
from napari_diffseg.files import is_zarr, stem_of
from napari_diffseg.image.info import ImageInfo, Placed
from napari_diffseg.image.units import parse_unit, seconds
from napari_diffseg.io.kinds import DAMAGE, damaged
from napari_diffseg.io.label_files.described import KnownLabels, known_labels, labels_beside
from napari_diffseg.io.ngff.labels import UNIT_NAMES
from napari_diffseg.io.sources import Source, new_source, open_source
from napari_diffseg.widgets.files.labels import NOTED
from napari_diffseg.widgets.scribbles.class_names import INDEX, NAME

Layers = list[tuple[Any, dict[str, Any], str]]

_ENDINGS = (".tif", ".tiff", ".zarr")
_MOST_READ = 256 * 2**20
"""An image of more bytes stays in its file until it is looked at."""

_CHUNK_BYTES = 64 * 2**20
_TILE = 1024
"""Side of what is read at once of planes that are larger than that."""

NAMELESS = "channel {}"
"""What the layer of a channel without a name is called."""


def get_reader(path: str | list[str]) -> Callable[[str], Layers] | None:
    """Return what reads this file or folder; None where it is no image, or a Zarr without axes.

    Several files, which come as a list, are no one image.
    """
    if not isinstance(path, str) or not path.rstrip("/\\").lower().endswith(_ENDINGS):
        return None
    file = Path(path)
    if not file.exists() or (file.is_dir() and not is_zarr(file)):
        return None
    try:
        info = open_source(file).facts
    except DiffSegError:
        return None  # napari's own reader, or another one, may know it
    return None if info.axes is None and file.is_dir() else read_layers


def read_layers(path: str) -> Layers:
    """Read a file or an OME-Zarr as layers: one for each channel that has a name.

    Labels that this program has written, and those in an OME-Zarr, become Labels layers. Raises a
    `DiffSegError` where the file is damaged, or not there any more.
    """
    file = Path(path)
    labels = known_labels(file)
    if labels is not None:
        return [_labels_layer(_stem(file), labels)]
    layers = [_image_layer(file)]
    for name, known in labels_beside(file).items():
        layers.append(_labels_layer(f"{_stem(file)} {name}", known))
    return layers


def _image_layer(path: Path) -> tuple[Any, dict[str, Any], str]:
    data, info = _pyramid(path)
    if info.axes is None:
        return (data if len(data) > 1 else data[0]), {"name": _stem(path)}, "image"
    axes = info.axes
    attributes: dict[str, Any] = {"name": _stem(path), "metadata": {"axes": axes}}
    channel = axes.find("C")
    if info.rgb:
        others = [axis for axis in range(len(axes)) if axis != channel]
        data = [level.transpose([*others, channel]) for level in data]
        attributes["rgb"] = True
        axes = axes.replace("C", "")
    elif channel >= 0 and any(info.channel_names):
        n_channels = info.shape[channel]
        known = (*info.channel_names, *[""] * n_channels)[:n_channels]
        attributes["channel_axis"] = channel
        attributes["name"] = [one or NAMELESS.format(n) for n, one in enumerate(known, start=1)]
        attributes["metadata"] = {"axes": axes.replace("C", "")}
        axes = axes.replace("C", "")
    attributes |= _placed(info, axes)
    for note in info.notes:
        show_info(note)
    return (data if len(data) > 1 else data[0]), attributes, "image"


def _labels_layer(name: str, known: KnownLabels) -> tuple[Any, dict[str, Any], str]:
    data, info = _pyramid(known.path)
    attributes: dict[str, Any] = {"name": name, **_placed(info, str(info.axes))}
    if known.provenance:
        attributes["metadata"] = {NOTED: dict(known.provenance)}
    if known.names:
        # Only those that have names: numbers may be large, and few of them named.
        numbers = [0, *sorted(number for number in known.names if number > 0)]
        names = [known.names.get(one) for one in numbers]
        attributes["features"] = {INDEX: numbers, NAME: names}
    if known.colors:
        colors: dict[int | None, Any] = {None: (0.5, 0.5, 0.5, 1.0), 0: (0.0, 0.0, 0.0, 0.0)}
        colors.update(known.colors.items())
        attributes["colormap"] = DirectLabelColormap(color_dict=colors)
    return (data if len(data) > 1 else data[0]), attributes, "labels"


def _pyramid(path: Path) -> tuple[list[Any], ImageInfo]:
    """Return the arrays of all resolutions, the full one first, and what is known of that."""
    first = new_source(path)
    info = first.facts if first.facts.axes is None else first.facts.along(first.facts.axes)
    others = [new_source(path, level) for level in range(1, info.n_levels)]
    return [_array(one, path) for one in (first, *others)], info


def _array(source: Source, path: Path) -> Any:
    """Return pixels: read, where they are few; else an array that reads what is looked at."""
    info = source.facts
    n_bytes = int(np.prod(info.shape, dtype=np.int64)) * info.dtype.itemsize
    if n_bytes <= _MOST_READ:
        return _read(source, path, (slice(None),) * len(info.shape))
    return da.map_blocks(
        partial(_read_block, source, path),
        # Never that of another array: napari keeps what it has read of one by its name.
        name=f"napari-diffseg-{uuid4().hex}",
        chunks=_chunks(info),
        dtype=info.dtype,
        meta=np.empty((0,) * len(info.shape), info.dtype),
    )


def _read_block(source: Source, path: Path, block_info: Mapping[Any, Any]) -> NDArray[Any]:
    where = block_info[None]["array-location"]
    return _read(source, path, tuple(slice(start, stop) for start, stop in where))


def _read(source: Source, path: Path, where: tuple[slice, ...]) -> NDArray[Any]:
    try:
        return source.read(where)
    except DAMAGE as error:
        raise damaged(path, error) from error


def _chunks(info: ImageInfo) -> tuple[tuple[int, ...], ...]:
    """Return sides of blocks: planes, or tiles of larger ones."""
    axes = info.axes or "?" * (len(info.shape) - 2) + "YX"
    sides = dict(zip(axes, info.shape, strict=True))
    n_colors = sides.get("C", 1) if info.rgb else 1
    if sides["Y"] * sides["X"] * n_colors * info.dtype.itemsize > _CHUNK_BYTES:
        sides |= {"Y": min(_TILE, sides["Y"]), "X": min(_TILE, sides["X"])}
    wanted = tuple(sides[a] if a in "YX" or (a == "C" and info.rgb) else 1 for a in axes)
    chunks: tuple[tuple[int, ...], ...] = da.core.normalize_chunks(
        wanted, info.shape, dtype=info.dtype
    )
    return chunks


def _placed(info: ImageInfo, axes: str) -> dict[str, Any]:
    """Return scale, units, translation and labels of these axes, as napari wants them."""
    places = [_in_known_unit(info.placement.get(letter, Placed(1.0))) for letter in axes]
    return {
        "scale": tuple(one.step for one in places),
        "units": tuple(one.unit for one in places),
        "translate": tuple(one.start for one in places),
        "axis_labels": tuple(letter.lower() for letter in axes),
    }


def _in_known_unit(placed: Placed) -> Placed:
    """Return a place in a unit that napari knows: a length, seconds, or pixels for others."""
    length, time = parse_unit(placed.unit), seconds(1, placed.unit)
    if length is not None:
        return placed._replace(unit=UNIT_NAMES[length])
    if time is not None:
        return Placed(placed.step * time, placed.start * time, "second")
    return placed._replace(unit="pixel")


def _stem(path: Path) -> str:
    """Return the name without an ending that is read here; another is a part of the name."""
    return stem_of(path) if path.name.lower().endswith(_ENDINGS) else path.name
