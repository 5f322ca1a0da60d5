"""Make the pictures of docs/axes.md, one of each case: xvfb-run python scripts/axes_pictures.py.

Names of cases as arguments make these alone.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import dask.array as da
import numpy as np
import zarr
from napari_window import Window

from napari_diffseg.sample_data.multichannel import PIXEL_SIZE, simulated_cells
from napari_diffseg.sample_data.simulated import simulated_nuclei
from napari_diffseg.sample_data.simulated_volume import VOXEL_SIZE, simulated_volume

SIZE = (1150, 620)
MICROMETRES = ("µm", "µm")
DRIFT = 5
"""Pixels that the volume of the last case moves from one frame to the next."""


def plane(window: Window) -> None:
    """One channel in a plane."""
    window.open_sample("simulated_nuclei")
    window.open_dock()


def rgb(window: Window) -> None:
    """Red, green, blue."""
    window.open_sample("immunohistochemistry")
    window.open_dock()


def channel_axis(window: Window) -> None:
    """Three channels in one layer, along its first axis."""
    window.viewer.add_image(
        simulated_cells().image,
        name="three channels",
        scale=(1, PIXEL_SIZE, PIXEL_SIZE),
        units=("pixel", *MICROMETRES),
        axis_labels=("c", "y", "x"),
    )
    window.open_dock()


def channel_layers(window: Window) -> None:
    """Three channels, a layer each."""
    window.open_sample("simulated_channels")
    window.open_dock()


def stack_by_planes(window: Window) -> None:
    """A z-stack, of which one plane is segmented."""
    window.open_sample("simulated_stack")
    window.viewer.dims.set_current_step(0, 16)
    window.open_dock()


def stack_as_volume(window: Window) -> None:
    """The same z-stack, of which all planes are segmented together."""
    stack_by_planes(window)


def movie(window: Window) -> None:
    """A time series."""
    window.open_sample("simulated_movie")
    window.viewer.dims.set_current_step(0, 11)
    window.open_dock()


def movie_of_volumes(window: Window) -> None:
    """Time and depth."""
    volume = simulated_volume()[0]
    frames = np.stack([np.roll(volume, DRIFT * t, axis=2) for t in range(6)])
    window.viewer.add_image(
        frames,
        name="moving nuclei",
        scale=(1, *VOXEL_SIZE),
        units=("min", "µm", *MICROMETRES),
        axis_labels=("t", "z", "y", "x"),
    )
    window.viewer.dims.set_current_step((0, 1), (2, 16))
    window.open_dock()


def pyramid(window: Window) -> None:
    """A multiscale layer."""
    finest = np.tile(simulated_nuclei((1024, 1024), 220)[0], (4, 4))
    levels = [finest[::step, ::step] for step in (1, 2, 4, 8)]
    window.viewer.add_image(levels, multiscale=True, name="pyramid", axis_labels=("y", "x"))
    window.open_dock()


def lazy(window: Window) -> None:
    """A zarr array that stays on disk."""
    folder = Path(tempfile.mkdtemp(prefix="axes-pictures-"))
    volume = simulated_volume()[0]
    store = zarr.create_array(
        folder / "stack.zarr", shape=(128, 384, 384), chunks=(16, 96, 96), dtype=volume.dtype
    )
    store[...] = np.tile(volume, (4, 2, 2))
    window.viewer.add_image(
        da.from_zarr(store),
        name="stack.zarr",
        scale=VOXEL_SIZE,
        units=("µm", *MICROMETRES),
        axis_labels=("z", "y", "x"),
    )
    window.viewer.dims.set_current_step(0, 16)
    window.open_dock()


CASES: dict[str, Callable[[Window], None]] = {
    one.__name__.replace("_", "-"): one
    for one in (
        plane,
        rgb,
        channel_axis,
        channel_layers,
        stack_by_planes,
        stack_as_volume,
        movie,
        movie_of_volumes,
        pyramid,
        lazy,
    )
}


def main() -> None:
    """Open each case in a window of its own, segment it, photograph it."""
    for name in sys.argv[1:] or CASES:
        window = Window(SIZE)
        CASES[name](window)
        window.segment()
        window.photograph(f"axes-{name}")
        window.close()


if __name__ == "__main__":
    main()
