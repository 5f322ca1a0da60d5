"""Files of microscopes (CZI, ND2, LIF), with bioio and its plugins where these are installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.errors import InputError, Remedy
from napari_diffseg.image.info import ImageInfo, Placed
from napari_diffseg.image.units import positive
from napari_diffseg.io.facts import Index, check_level, check_series
from napari_diffseg.io.kinds import DAMAGE, damaged
from napari_diffseg.io.tiff.ome_xml import known_names

PLUGINS = {"CZI": "bioio_czi", "ND2": "bioio_nd2", "LIF": "bioio_lif"}
"""Kind of a file → the package that reads it."""

_LIF_AXES = {"X": ("1", "m", 1e6), "Y": ("2", "m", 1e6), "Z": ("3", "m", 1e6), "T": ("4", "s", 1.0)}
"""Axis → its number in a LIF file, the unit there, and how many of ours that is."""

_MOST_READ = 64 * 2**20
"""A larger image is read as it is looked at, bytes."""


class VendorSource:
    """An image in the file of a microscope."""

    def __init__(self, path: Path, kind: str, level: int = 0, series: int = 0) -> None:
        if find_spec("bioio") is None or find_spec(PLUGINS[kind]) is None:
            raise InputError(
                f"{path} is a {kind} file, which needs more packages; run pip install "
                "'napari-diffseg[bioio]', or save the image as OME-TIFF."
            )
        from bioio_base.exceptions import UnsupportedFileFormatError

        # Readers of microscopes' files are not made for several threads.
        self._path, self._lock = path, Lock()
        try:
            self._data, self.facts = _opened(path, kind, level, series)
        except UnsupportedFileFormatError as error:
            raise InputError(
                f"{path} is truncated or damaged, or {PLUGINS[kind]} does not know its version; "
                "copy it again, or save the image as OME-TIFF."
            ) from error
        except DAMAGE as error:
            raise damaged(path, error) from error

    def reads_whole(self, spatial: tuple[int, ...]) -> bool:
        """Whether a part of a frame costs as much as all of it, for its spatial axes."""
        return all(len(self._data.chunks[axis]) == 1 for axis in spatial)

    def read(self, index: Index) -> NDArray[Any]:
        """Read a part of the image."""
        with self._lock:
            found = self._data[index].compute(scheduler="synchronous")
        return np.asarray(found, self.facts.dtype)

    def whole(self) -> Any:
        """Read the image, if it is no large one; else return a dask array."""
        if self._data.nbytes > _MOST_READ:
            return self._data
        try:
            return self.read((slice(None),) * self._data.ndim)
        except DAMAGE as error:
            raise damaged(self._path, error) from error


def _opened(path: Path, kind: str, level: int, series: int) -> tuple[Any, ImageInfo]:
    """Return the pixels, as a dask array, and what is known of them."""
    from bioio import BioImage

    image = BioImage(path)
    scenes = tuple(image.scenes)
    notes = check_series(series, scenes, str(path))
    image.set_scene(scenes[series])
    n_levels = len(image.resolution_levels)
    check_level(level, n_levels, str(path))
    image.set_resolution_level(image.resolution_levels[level])
    axes, data, placement, more = _read(image, path, kind, series)
    # An axis of one entry says nothing; beside samples it would be a second one of channels.
    kept = [len_ > 1 or letter in "YXS" for letter, len_ in zip(axes, data.shape, strict=True)]
    data = data[tuple(slice(None) if keep else 0 for keep in kept)]
    axes = "".join(letter for letter, keep in zip(axes, kept, strict=True) if keep)
    problem = None
    if {"C", "S"} <= set(axes):
        problem = InputError(
            f"{path} has colours in each of {image.dims.C} channels, and only one of the two can "
            "be the channels; save one of these as a file of its own."
        )
    names = [str(name) for name in image.channel_names or ()] if "C" in axes else []
    placeholders = all(name.startswith("Channel:") for name in names)
    return data, ImageInfo(
        axes=None if problem else axes.replace("S", "C"),
        shape=data.shape,
        dtype=np.dtype(data.dtype).newbyteorder("="),
        rgb="S" in axes,
        placement={letter: placed for letter, placed in placement.items() if letter in axes},
        channel_names=() if placeholders else known_names(names),
        n_levels=n_levels,
        notes=(*notes, *more),
        problem=problem,
    )


def _read(
    image: Any, path: Path, kind: str, series: int
) -> tuple[str, Any, dict[str, Placed], tuple[str, ...]]:
    """Return axes, pixels, places and notes of an image of bioio, with what bioio leaves out."""
    if kind == "LIF":
        return (*_by_lif(image, path, series), ())
    (axes, data), placement = _pixels(image, kind), _placement(image)
    if kind == "CZI" and (n_scenes := _n_scenes(path)) > len(image.scenes):
        note = f"{path.name} holds {n_scenes} scenes that it does not name; the first was read."
        return axes, data, placement, (note,)
    if kind != "ND2":
        return axes, data, placement, ()
    n_times, unknown, notes = _by_nd2(path, series)
    known = {letter: placed for letter, placed in placement.items() if letter not in unknown}
    return axes, data[:n_times], known, notes


def _pixels(image: Any, kind: str) -> tuple[str, Any]:
    """Return the axes, T C Z Y X and S of colours, and the pixels as a dask array."""
    axes = image.dims.order
    if "S" not in axes:
        return axes, image.dask_data
    # CZI has blue first.
    return axes, _in_memory(image.data[..., ::-1] if kind == "CZI" else image.data)


def _n_scenes(path: Path) -> int:
    """Return how many scenes a CZI file has; bioio knows those alone that have names."""
    from pylibCZIrw.czi import open_czi

    with open_czi(str(path)) as file:
        return len(file.scenes_bounding_rectangle)


def _in_memory(pixels: NDArray[Any]) -> Any:
    """Return colours as a dask array: bioio-czi 3.0 mixes them up in parts."""
    import dask.array

    return dask.array.from_array(pixels, chunks=-1)


def _by_lif(image: Any, path: Path, series: int) -> tuple[str, Any, dict[str, Placed]]:
    """Return axes, pixels and places of a LIF file; bioio-lif 2.0 knows no colours, no times."""
    from liffile import LifFile

    with LifFile(path) as file:
        stored = file.images[series]
        described = stored.xml_element.iter("DimensionDescription")
        units = {one.get("DimID"): one.get("Unit") for one in described}
        placement = {}
        for letter, places in stored.coords.items():
            number, unit, factor = _LIF_AXES.get(letter, ("", "", 0.0))
            step = positive(float(places[1] - places[0]) * factor)
            if step is not None and units.get(number) == unit:
                placement[letter] = Placed(step, 0.0, "µm" if unit == "m" else unit)
        if "S" in stored.dims:
            return "".join(stored.dims), _in_memory(stored.asarray()), placement
    return image.dims.order, image.dask_data, placement


def _by_nd2(path: Path, series: int) -> tuple[int | None, str, tuple[str, ...]]:
    """Return how many time points are there, along which axes no size is known, and a note.

    bioio has 0 for frames that a stopped acquisition has not taken, and 1 µm for no size.
    """
    from nd2 import ND2File

    with ND2File(path) as file:
        there, places = file.attributes.sequenceCount, file.loop_indices
        channels = file.metadata.channels or ()
        known = channels[0].volume.axesCalibrated if channels else (False, False, False)
    unknown = "".join(axis for axis, is_known in zip("XYZ", known, strict=True) if not is_known)
    missing = [at.get("T", 0) for at in places[there:] if at.get("P", 0) == series]
    if not missing:
        return None, unknown, ()
    said = f"{path.name} holds {there} of the {len(places)} frames that its metadata list"
    if min(missing) == 0:
        raise InputError(
            f"{said}, but of no time point all are there; choose another image of the file, or "
            "save the frames as OME-TIFF.",
            *([Remedy.CHOOSE_SERIES] if any("P" in at for at in places) else []),
        )
    note = f"{said}; what was read: time points (T) before {min(missing)}."
    return min(missing), unknown, (note,)


def _placement(image: Any) -> dict[str, Placed]:
    """Return where the pixels lie, along axes of which it is known."""
    sizes, between = image.physical_pixel_sizes, image.time_interval
    lengths = {letter: positive(getattr(sizes, letter)) for letter in "ZYX"}
    placement = {one: Placed(step, 0.0, "µm") for one, step in lengths.items() if step is not None}
    interval = None if between is None else positive(between.total_seconds())
    return placement if interval is None else placement | {"T": Placed(interval, 0.0, "s")}
