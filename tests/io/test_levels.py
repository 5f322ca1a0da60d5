"""Resolutions of an image: pyramids in TIFF and in OME-Zarr."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from numpy.typing import NDArray
from PIL import Image

from napari_diffseg.errors import InputError
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.io.frames import open_frames, open_series
from napari_diffseg.io.reading import read_image

VOLUME = np.random.default_rng(0).integers(0, 4000, (4, 40, 60)).astype(np.uint16)  # Z Y X
HALF = VOLUME[:, ::2, ::2]
QUARTER = VOLUME[::2, ::4, ::4]
Save = Callable[[Path], Path]


def save_zarr(folder: Path, levels: tuple[NDArray[Any], ...] = (VOLUME, HALF, QUARTER)) -> Path:
    path = folder / "cells.ome.zarr"
    group = zarr.create_group(path, zarr_format=3)
    datasets = []
    for number, level in enumerate(levels):
        group.create_array(str(number), data=level)
        scale = [2.0, 0.5, 0.25][-level.ndim :]
        if level.ndim == 3:
            scale = [
                size * full / own
                for size, full, own in zip(scale, VOLUME.shape, level.shape, strict=True)
            ]
        datasets.append(
            {
                "path": str(number),
                "coordinateTransformations": [{"type": "scale", "scale": scale}],
            }
        )
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    image = {"axes": axes, "datasets": datasets}
    group.update_attributes({"ome": {"version": "0.5", "multiscales": [image]}})
    return path


def save_tiff(folder: Path, half: NDArray[Any] = HALF) -> Path:
    """An OME-TIFF with a smaller picture in SubIFDs, as Bio-Formats and tifffile write it."""
    path = folder / "cells.ome.tif"
    size = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2}
    with tifffile.TiffWriter(path, ome=True) as tif:
        tif.write(VOLUME, subifds=1, metadata={"axes": "ZYX", **size})
        tif.write(half, subfiletype=1)
    return path


@pytest.mark.parametrize("save", [save_tiff, save_zarr])
def test_a_level_is_read_with_its_size(tmp_path: Path, save: Save) -> None:
    path = save(tmp_path)
    full = read_image(path)
    np.testing.assert_array_equal(np.asarray(full.pixels), VOLUME)
    assert full.pixel_size == PixelSize(0.5, 0.25, "µm", 2)
    half = read_image(path, level=1)
    np.testing.assert_array_equal(np.asarray(half.pixels), HALF)
    assert (half.axes, half.pixel_size) == ("ZYX", PixelSize(1, 0.5, "µm", 2))
    assert half.spacing == (2, 1, 0.5)
    assert half.n_levels == full.n_levels


@pytest.mark.parametrize("save", [save_tiff, save_zarr])
def test_frames_of_a_level(tmp_path: Path, save: Save) -> None:
    path = save(tmp_path)
    planes = open_frames(path, level=1)
    assert (planes.leading, planes.frame_shape) == ("Z", HALF.shape[1:])
    np.testing.assert_array_equal(np.asarray(planes.frame(3)), HALF[3])
    volume = open_frames(path, volumes=True, level=1).frame(0)
    np.testing.assert_array_equal(volume[1:3, 5:7, 2:], HALF[1:3, 5:7, 2:])
    series = open_series([path, path], volumes=True, level=1)
    assert (series.axes, series.shape) == ("TZYX", (2, *HALF.shape))


def test_planes_may_be_left_out_too(tmp_path: Path) -> None:
    quarter = read_image(save_zarr(tmp_path), level=2)
    assert quarter.pixel_size == PixelSize(2, 1, "µm", 4)
    np.testing.assert_array_equal(np.asarray(quarter.pixels), QUARTER)


@pytest.mark.parametrize(("save", "n"), [(save_tiff, 2), (save_zarr, 3)])
@pytest.mark.parametrize("level", [-1, 3, 99])
def test_a_level_that_is_not_there(tmp_path: Path, save: Save, n: int, level: int) -> None:
    path = save(tmp_path)
    for read in (read_image, open_frames):
        with pytest.raises(InputError, match=f"levels 0 to {n - 1} but level {level} is asked"):
            read(path, level=level)


def test_files_of_one_resolution_have_level_0_only(tmp_path: Path) -> None:
    Image.fromarray(HALF[0].astype(np.uint8)).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", HALF[0])
    zarr.create_array(store=tmp_path / "a.zarr", data=HALF[0])
    for name in ("a.png", "a.tif", "a.zarr"):
        for read in (read_image, open_frames):
            assert read(tmp_path / name, level=0) is not None
            with pytest.raises(InputError, match="has one resolution, level 0,"):
                read(tmp_path / name, level=1)


@pytest.mark.parametrize(
    "level",
    [
        pytest.param(VOLUME[:, :, :, None].repeat(2, 3), id="another axis"),
        pytest.param(np.tile(VOLUME, (1, 2, 1)), id="larger"),
    ],
)
def test_levels_that_do_not_match(tmp_path: Path, level: NDArray[Any]) -> None:
    path = save_zarr(tmp_path, (VOLUME, HALF))
    group = zarr.open_group(path, mode="r+")
    del group["1"]
    group.create_array("1", data=level)
    for read in (read_image, open_frames):
        with pytest.raises(InputError, match="level 0|has 4") as caught:
            read(path, level=1)
        assert str(caught.value).endswith(".")
    np.testing.assert_array_equal(np.asarray(read_image(path).pixels), VOLUME)


def test_a_level_that_lacks_channels(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.zarr"
    group = zarr.create_group(path, zarr_format=3)
    group.create_array("0", data=np.zeros((3, 40, 60), np.uint8))
    group.create_array("1", data=np.zeros((2, 20, 30), np.uint8))
    axes = [{"name": "c", "type": "channel"}, *({"name": name} for name in "yx")]
    image = {"axes": axes, "datasets": [{"path": "0"}, {"path": "1"}]}
    group.update_attributes({"ome": {"version": "0.5", "multiscales": [image]}})
    with pytest.raises(InputError, match="no smaller picture"):
        read_image(path, level=1)
