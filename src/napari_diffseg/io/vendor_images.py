"""Files of microscopes (CZI, ND2, LIF), with bioio and its plugins where these are installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.errors import InputError
from napari_diffseg.image.info import ImageInfo, Placed
from napari_diffseg.image.units import positive
from napari_diffseg.io.facts import Index, check_level, check_series
from napari_diffseg.io.kinds import DAMAGE, damaged
from napari_diffseg.io.tiff.ome_xml import known_names

PLUGINS = {"CZI": "bioio_czi", "ND2": "bioio_nd2", "LIF": "bioio_lif"}
"""Kind of a file → the package that reads it."""

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
    axes = image.dims.order  # T C Z Y X, and S of colours
    data = _colours(image.data, kind) if "S" in axes else image.dask_data
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
    names = [str(name) for name in image.channel_names or ()]
    placeholders = all(name.startswith("Channel:") for name in names)
    return data, ImageInfo(
        axes=None if problem else axes.replace("S", "C"),
        shape=data.shape,
        dtype=np.dtype(data.dtype).newbyteorder("="),
        rgb="S" in axes,
        placement=_placement(image),
        channel_names=() if placeholders or "C" not in axes else known_names(names),
        n_levels=n_levels,
        notes=notes,
        problem=problem,
    )


def _colours(pixels: NDArray[Any], kind: str) -> Any:
    """Return pixels with colours, which are in memory: bioio-czi 3.0 mixes them up in parts."""
    import dask.array

    # CZI has blue first.
    colours = pixels[..., ::-1] if kind == "CZI" else pixels
    return dask.array.from_array(colours, chunks=-1)


def _placement(image: Any) -> dict[str, Placed]:
    """Return where the pixels lie, of which what is not known is None or 0."""
    sizes, between = image.physical_pixel_sizes, image.time_interval
    lengths = {letter: positive(getattr(sizes, letter)) for letter in "ZYX"}
    placement = {one: Placed(step, 0.0, "µm") for one, step in lengths.items() if step is not None}
    interval = None if between is None else positive(between.total_seconds())
    return placement if interval is None else placement | {"T": Placed(interval, 0.0, "s")}
