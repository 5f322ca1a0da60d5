"""Samples for napari's File ▸ Open Sample, as layer data tuples; napari is not imported.

Real images lie inside the scikit-image package itself: opening one needs no network, but for
`cells3d`, which is downloaded when it is first opened. Simulated ones are made when they are
opened; they come with strokes to segment from, and with their ground truth, hidden.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage import data

from napari_diffseg.errors import InputError
from napari_diffseg.sample_data import multichannel, simulated_volume, time_lapse
from napari_diffseg.sample_data.simulated import PIXEL_SIZE, simulated_nuclei
from napari_diffseg.sample_data.strokes import strokes_on_plane, strokes_on_stack

LayerData = tuple[NDArray[Any], dict[str, Any], str]
"""Data, keyword arguments of the layer, and the layer's type."""

_CELL_PIXEL_SIZE = 0.107  # µm, as scikit-image documents it
_CELLS3D_VOXEL_SIZE = (0.29, 0.26, 0.26)
"""In µm along z, y, x, as scikit-image documents it."""
_NUCLEI_CLASSES = {1: "background", 2: "nucleus"}  # what the strokes on simulated nuclei mean


def immunohistochemistry() -> list[LayerData]:
    """Colonic glands, FHL2 stained brown with DAB, counterstained with haematoxylin.

    RGB, uint8, ``(512, 512, 3)``; Center for Microscopy and Molecular Imaging, no
    known copyright restrictions.
    """
    return [_image(data.immunohistochemistry(), "immunohistochemistry", rgb=True)]


def cell() -> list[LayerData]:
    """One cell floating in saline: quantitative phase image from a digital hologram.

    Grayscale, uint8, ``(660, 550)``, 0.107 µm per pixel; CC0, Müller et al. 2018.
    """
    return [_image(data.cell(), "cell", **_square(_CELL_PIXEL_SIZE))]


def microaneurysms() -> list[LayerData]:
    """Detail of a retina with microaneurysms, green channel.

    Grayscale, uint8, ``(102, 102)``; CC0, High-Resolution Fundus Image Database.
    """
    return [_image(data.microaneurysms(), "microaneurysms")]


def coins() -> list[LayerData]:
    """Greek coins from Pompeii on a background as bright as they are.

    Grayscale, uint8, ``(303, 384)``; Brooklyn Museum, no known copyright restrictions.
    """
    return [_image(data.coins(), "coins")]


def simulated_field() -> list[LayerData]:
    """Simulated fluorescent nuclei, and a hidden Labels layer with their ground truth.

    uint16, ``(512, 512)``, 0.325 µm per pixel.
    """
    image, labels = simulated_nuclei()
    name, physical = "simulated nuclei", _square(PIXEL_SIZE)
    return [_image(image, name, **physical), _truth(labels, name, **physical)]


def simulated_stack() -> list[LayerData]:
    """Simulated nuclei in a volume, strokes on three planes, and the ground truth.

    uint16, ``(32, 192, 192)`` along z, y, x; 1.0 × 0.25 × 0.25 µm per voxel.
    """
    image, labels = simulated_volume.simulated_volume()
    physical = _physical("zyx", simulated_volume.VOXEL_SIZE, ("µm",) * 3)
    classes = np.where(labels > 0, 2, 1)
    strokes = strokes_on_stack(classes, (6, 16, 26), n_strokes=3, seed=0)
    return _simulated(image, labels, strokes, "simulated z-stack", physical)


def simulated_movie() -> list[LayerData]:
    """Simulated nuclei that move and divide, strokes on three frames, and the tracks.

    uint16, ``(24, 192, 192)`` along t, y, x; 30 min per frame, 0.65 µm per pixel.
    """
    movie = time_lapse.simulated_time_lapse()
    side = time_lapse.PIXEL_SIZE
    physical = _physical("tyx", (time_lapse.FRAME_MINUTES, side, side), ("min", "µm", "µm"))
    classes = np.where(movie.tracks > 0, 2, 1)
    strokes = strokes_on_stack(classes, (0, 11, 23), n_strokes=3, seed=0)
    layers = _simulated(movie.image, movie.tracks, strokes, "simulated time-lapse", physical)
    numbers = range(int(movie.tracks.max()) + 1)
    parents = [movie.parents.get(number, 0) for number in numbers]
    layers[-1][1]["features"] = {"index": list(numbers), "parent": parents}
    return layers


def simulated_channels() -> list[LayerData]:
    """Simulated cells in three channels, strokes for four classes, and the ground truth.

    uint16, ``(3, 256, 256)`` along c, y, x: nuclei, cytoplasm, membranes; 0.325 µm per pixel.
    """
    stained = multichannel.simulated_cells()
    name, physical = "simulated cells", _square(multichannel.PIXEL_SIZE)
    strokes = strokes_on_plane(stained.regions, 4, np.random.default_rng(0))
    classes = _named(multichannel.REGIONS)
    return [
        _channels(stained.image, multichannel.CHANNELS, 0, **physical),
        _strokes(strokes, name, **classes, **physical),
        _truth(stained.regions, name, **classes, **physical),
        _truth(stained.cells, f"{name}, one by one", **physical),
    ]


def cells3d() -> list[LayerData]:
    """Cells in a volume, two channels: membranes and nuclei; downloaded when first opened.

    uint16, ``(60, 2, 256, 256)`` along z, c, y, x; 0.29 × 0.26 × 0.26 µm per voxel; Allen
    Institute for Cell Science. Raises InputError where it is not here and cannot be downloaded.
    """
    simulated = "or open one of the simulated samples, which need no download"
    try:
        pixels = data.cells3d()
    except ModuleNotFoundError as error:
        raise InputError(
            "The sample cells3d is downloaded by the package pooch, which is not installed; "
            f"install it (pip install pooch), {simulated}."
        ) from error
    # ValueError: what came is not the file that was asked for.
    except (OSError, ValueError) as error:
        raise InputError(
            "The sample cells3d could not be downloaded; try again where there is a network, "
            f"{simulated}."
        ) from error
    physical = _physical("zyx", _CELLS3D_VOXEL_SIZE, ("µm",) * 3)
    return [_channels(pixels, ("membranes", "nuclei"), 1, **physical)]


def _simulated(
    image: NDArray[np.uint16],
    labels: NDArray[np.uint16],
    strokes: NDArray[np.uint8],
    name: str,
    physical: dict[str, Any],
) -> list[LayerData]:
    """Return an image of nuclei, strokes on them, and their ground truth."""
    return [
        _image(image, name, **physical),
        _strokes(strokes, name, **_named(_NUCLEI_CLASSES), **physical),
        _truth(labels, name, **physical),
    ]


def _image(pixels: NDArray[Any], name: str, *, rgb: bool = False, **keywords: Any) -> LayerData:
    return pixels, {"name": name, "rgb": rgb, "axis_labels": ("y", "x"), **keywords}, "image"


def _channels(
    pixels: NDArray[Any], names: tuple[str, ...], channel_axis: int, **keywords: Any
) -> LayerData:
    """Return an image of which napari makes a layer for each channel."""
    return pixels, {"name": list(names), "channel_axis": channel_axis, **keywords}, "image"


def _strokes(strokes: NDArray[np.uint8], name: str, **keywords: Any) -> LayerData:
    return strokes, {"name": f"{name} (scribbles)", **keywords}, "labels"


def _truth(labels: NDArray[Any], name: str, **keywords: Any) -> LayerData:
    return labels, {"name": f"{name} (ground truth)", "visible": False, **keywords}, "labels"


def _named(classes: dict[int, str]) -> dict[str, Any]:
    """Keyword argument that tells napari's status bar, and the dock, what classes are called."""
    return {"features": {"index": [0, *classes], "class": [None, *classes.values()]}}


def _square(pixel_size: float) -> dict[str, Any]:
    """Keyword arguments for square pixels of this many µm."""
    return _physical("yx", (pixel_size, pixel_size), ("µm", "µm"))


def _physical(axes: str, scale: tuple[float, ...], units: tuple[str, ...]) -> dict[str, Any]:
    return {"scale": scale, "units": units, "axis_labels": tuple(axes)}
