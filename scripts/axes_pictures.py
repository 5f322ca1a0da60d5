"""Make the pictures of docs/axes.md, one of each case: xvfb-run python scripts/axes_pictures.py.

Names of cases as arguments make these alone.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import zarr
from napari_window import Window

from napari_diffseg.sample_data.layers import simulated_stack
from napari_diffseg.sample_data.multichannel import PIXEL_SIZE, simulated_cells
from napari_diffseg.sample_data.simulated import simulated_nuclei
from napari_diffseg.sample_data.simulated_volume import VOXEL_SIZE, simulated_volume
from napari_diffseg.widgets.image.axes_reading import Extent
from napari_diffseg.widgets.region.placement import camera_of
from napari_diffseg.widgets.region.region import RegionKind, RegionWish

SIZE = (1110, 590)
FEW = 4
"""Labels of pictures without scribbles."""
DRIFT = 5
"""Pixels that the volume moves from one time point to the next."""
IN_PLANE = {"units": ("µm", "µm"), "scale": (PIXEL_SIZE, PIXEL_SIZE)}


def plane(window: Window) -> None:
    """One channel in a plane."""
    window.open_sample("simulated_nuclei")
    few_labels(window.open_dock())


def rgb(window: Window) -> None:
    """Red, green, blue."""
    window.open_sample("immunohistochemistry")
    few_labels(window.open_dock())


def channel_axis(window: Window) -> None:
    """Three channels in one layer, along its first axis."""
    window.viewer.add_image(
        simulated_cells().image,
        name="three channels",
        scale=(1, PIXEL_SIZE, PIXEL_SIZE),
        units=("pixel", "µm", "µm"),
        axis_labels=("c", "y", "x"),
    )
    few_labels(window.open_dock()).channels_fold.expand()


def channel_layers(window: Window) -> None:
    """Three channels, a layer each."""
    nuclei, cytoplasm, membranes, scribbles, *_ = window.open_sample("simulated_channels")
    window.viewer.layers.selection.active = nuclei
    dock = window.open_dock()
    dock.channels_fold.expand()
    for layer in (cytoplasm, membranes):
        dock.channels.tick(layer)
    dock.scribbles.choose(scribbles)


def planes(window: Window) -> None:
    """A z-stack, of which one plane is segmented."""
    volume(window)
    window.dock.axes.choose_extent(Extent.PLANE)


def volume(window: Window) -> None:
    """The same z-stack, of which all planes are segmented together."""
    _, scribbles, _ = window.open_sample("simulated_stack")
    window.viewer.dims.set_current_step(0, 16)
    window.open_dock().scribbles.choose(scribbles)


def movie(window: Window) -> None:
    """A time series."""
    _, scribbles, _ = window.open_sample("simulated_movie")
    window.viewer.dims.set_current_step(0, 11)
    window.open_dock().scribbles.choose(scribbles)


def movie_of_volumes(window: Window) -> None:
    """Time and depth."""
    (image, *_), (strokes, *_), _ = simulated_stack()
    image, strokes = (
        np.stack([np.roll(one, DRIFT * t, axis=2) for t in range(6)]) for one in (image, strokes)
    )
    where: dict[str, Any] = {
        "scale": (1, *VOXEL_SIZE),
        "units": ("min", "µm", "µm", "µm"),
        "axis_labels": ("t", "z", "y", "x"),
    }
    window.viewer.add_image(image, name="drifting nuclei", **where)
    scribbles = window.viewer.add_labels(strokes, name="scribbles", **where)
    window.viewer.dims.set_current_step((0, 1), (2, 16))
    window.open_dock().scribbles.choose(scribbles)


def pyramid(window: Window) -> None:
    """A multiscale layer."""
    finest = np.tile(simulated_nuclei((1024, 1024), 220)[0], (4, 4))
    levels = [finest[::step, ::step] for step in (1, 2, 4, 8)]
    window.viewer.add_image(
        levels, multiscale=True, name="pyramid", axis_labels=("y", "x"), **IN_PLANE
    )
    few_labels(window.open_dock())
    camera_of(window.viewer).zoom *= 6


def lazy(window: Window) -> None:
    """A zarr array that stays on disk, segmented in the field of view."""
    volume, _ = simulated_volume((32, 384, 384), n_nuclei=170)
    # It is read again for as long as the window is open.
    store = zarr.create_array(
        Path(tempfile.mkdtemp(prefix="axes-pictures-")) / "stack.zarr",
        data=volume,
        chunks=(16, 96, 96),
    )
    window.viewer.add_image(
        da.from_zarr(store),
        name="stack.zarr",
        scale=VOXEL_SIZE,
        units=("µm", "µm", "µm"),
        axis_labels=("z", "y", "x"),
    )
    window.viewer.dims.set_current_step(0, 16)
    dock = few_labels(window.open_dock())
    camera_of(window.viewer).zoom *= 2.5
    dock.region.choose(RegionWish(RegionKind.VIEW))


def question(window: Window) -> None:
    """Three axes without names."""
    window.viewer.add_image(simulated_volume()[0], name="no names")
    window.viewer.dims.set_current_step(0, 16)
    window.open_dock()


def few_labels(dock: Any) -> Any:
    """Ask for few labels, for the sake of a clear picture; returns the widget."""
    dock.params_form.write({"n_labels": FEW})
    return dock


CASES: dict[str, Callable[[Window], None]] = {
    one.__name__.replace("_", "-"): one
    for one in (
        plane,
        rgb,
        channel_axis,
        channel_layers,
        planes,
        volume,
        movie,
        movie_of_volumes,
        pyramid,
        lazy,
        question,
    )
}


def main() -> None:
    """Open each case in a window of its own, segment it, photograph it."""
    for name in sys.argv[1:] or CASES:
        window = Window(SIZE)
        CASES[name](window)
        if name != "question":
            window.segment()
        window.photograph(f"axes-{name}")
        window.close()


if __name__ == "__main__":
    main()
