"""Samples for napari's File ▸ Open Sample, as layer data tuples; napari is not imported.

The real images lie inside the scikit-image package itself: opening one needs no network.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from skimage import data

from napari_diffseg.sample_data.simulated import PIXEL_SIZE, simulated_nuclei

LayerData = tuple[NDArray[Any], dict[str, Any], str]
"""Data, keyword arguments of the layer, and the layer's type."""

_CELL_PIXEL_SIZE = 0.107
"""In µm, as scikit-image documents it."""


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
    return [_image(data.cell(), "cell", pixel_size=_CELL_PIXEL_SIZE)]


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
    name = "simulated nuclei"
    truth = {**_physical(PIXEL_SIZE), "name": f"{name} (ground truth)", "visible": False}
    return [_image(image, name, pixel_size=PIXEL_SIZE), (labels, truth, "labels")]


def _image(
    pixels: NDArray[Any], name: str, *, rgb: bool = False, pixel_size: float | None = None
) -> LayerData:
    physical = {} if pixel_size is None else _physical(pixel_size)
    return pixels, {"name": name, "rgb": rgb, "axis_labels": ("y", "x"), **physical}, "image"


def _physical(pixel_size: float) -> dict[str, Any]:
    """Keyword arguments for square pixels of this many µm."""
    return {
        "scale": (pixel_size, pixel_size),
        "units": ("µm", "µm"),
        "axis_labels": ("y", "x"),
    }
