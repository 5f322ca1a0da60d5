"""Volumes from files and to files: spacing, names of channels, frames of several planes."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
import zarr
from numpy.typing import NDArray
from ome_zarr_models.v05 import Image, ImageLabel

from napari_diffseg.errors import InputError, OutputError
from napari_diffseg.image.lazy import LazyArray
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.image.windows import tiles, whole
from napari_diffseg.io.frames import open_frames, open_series
from napari_diffseg.io.label_files import label_store, writing
from napari_diffseg.io.label_files.label_store import LabelStore
from napari_diffseg.io.label_files.writing import write_label_stack, write_labels
from napari_diffseg.io.ngff.pyramid import CHUNKS
from napari_diffseg.io.reading import read_class_numbers, read_image
from napari_diffseg.io.tiff import frames as tiff_frames

RANDOM = np.random.default_rng(0)
MOVIE = RANDOM.integers(0, 4000, (3, 2, 5, 32, 24)).astype(np.uint16)  # T C Z Y X
VOLUME = MOVIE[0, 0]
LABELS = RANDOM.integers(0, 5, (7, 40, 30)).astype(np.uint8)  # Z Y X
LARGE = (np.indices((40, 1100, 600)).sum(axis=0) // 100 % 7).astype(np.uint8)
SIZE = PixelSize(0.5, 0.25, "µm", 2.0)
TURNED = replace(SIZE, y=SIZE.x, x=SIZE.y)


def save_ome(path: Path, pixels: NDArray[Any] = VOLUME, axes: str = "ZYX", **how: Any) -> Path:
    size = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2}
    metadata = {"axes": axes, **size, **how.pop("metadata", {})}
    tifffile.imwrite(path, pixels, ome=True, photometric="minisblack", metadata=metadata, **how)
    return path


# --- what a file says --------------------------------------------------------------


def test_an_ome_tiff_states_axes_and_spacing(tmp_path: Path) -> None:
    image = read_image(save_ome(tmp_path / "a.ome.tif"))
    assert (image.axes, image.pixels.shape) == ("ZYX", VOLUME.shape)
    assert (image.pixel_size, image.spacing) == (SIZE, (2, 0.5, 0.25))


def test_an_imagej_tiff_states_axes_and_spacing(tmp_path: Path) -> None:
    metadata = {"axes": "ZCYX", "spacing": 2.0, "unit": "um"}
    path = tmp_path / "a.tif"
    pixels = MOVIE[0].swapaxes(0, 1)
    tifffile.imwrite(path, pixels, imagej=True, resolution=(4, 2), metadata=metadata)
    image = read_image(path)
    assert (image.axes, image.pixel_size) == ("ZCYX", SIZE)
    np.testing.assert_array_equal(image.pixels, pixels)


def test_distances_count_without_a_unit_too(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, VOLUME, imagej=True, metadata={"axes": "ZYX", "spacing": 3.5})
    image = read_image(path)
    assert (image.pixel_size, image.spacing) == (None, (3.5, 1, 1))
    assert open_frames(path, volumes=True).spacing == (3.5, 1, 1)


@pytest.mark.parametrize(
    "spacing", [{}, {"PhysicalSizeZ": 0}, {"PhysicalSizeZ": -2}, {"PhysicalSizeZUnit": "pixel"}]
)
def test_a_distance_of_planes_that_is_none_is_not_known(
    tmp_path: Path, spacing: dict[str, Any]
) -> None:
    size = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2} | spacing
    if not spacing:
        del size["PhysicalSizeZ"]
    tifffile.imwrite(tmp_path / "a.ome.tif", VOLUME, ome=True, metadata={"axes": "ZYX", **size})
    image = read_image(tmp_path / "a.ome.tif")
    assert (image.pixel_size, image.spacing) == (PixelSize(0.5, 0.25, "µm"), None)


def test_a_plane_has_no_distance_of_planes(tmp_path: Path) -> None:
    path = save_ome(tmp_path / "a.ome.tif", VOLUME[0], "YX")
    assert read_image(path).pixel_size == SIZE.plane
    assert open_frames(path).pixel_size == SIZE.plane


def test_stated_axes_turn_sizes_and_name_planes(tmp_path: Path) -> None:
    image = read_image(save_ome(tmp_path / "a.ome.tif")).stated("zxy")
    assert (image.axes, image.spacing) == ("ZXY", (2, 0.25, 0.5))
    assert image.pixel_size == TURNED
    assert image.stated("TYX").pixel_size == SIZE.plane
    assert image.stated("TYX").spacing is None
    assert image.stated(None) is image
    frames = open_frames(image.path, "ZXY", volumes=True)
    assert (frames.pixel_size, frames.spacing) == (TURNED, (2, 0.25, 0.5))


def test_a_zarr_says_distances_without_units(tmp_path: Path) -> None:
    def save(name: str, scale: list[float], unit: str | None) -> Path:
        group = zarr.create_group(tmp_path / name, zarr_format=3)
        group.create_array("0", data=VOLUME)
        transformation = {"type": "scale", "scale": scale}
        axes = [{"name": one} | ({"unit": unit} if unit else {}) for one in "zyx"]
        datasets = [{"path": "0", "coordinateTransformations": [transformation]}]
        image = {"axes": axes, "datasets": datasets}
        group.update_attributes({"ome": {"version": "0.5", "multiscales": [image]}})
        return tmp_path / name

    assert read_image(save("a", [4, 1, 1], None)).spacing == (4, 1, 1)
    assert read_image(save("b", [1, 1, 1], None)).spacing is None
    assert read_image(save("c", [1, 1, 1], "micrometer")).spacing == (1, 1, 1)


def test_names_of_channels(tmp_path: Path) -> None:
    named = {"Channel": {"Name": ["DAPI", "GFP"]}}
    path = save_ome(tmp_path / "a.ome.tif", MOVIE[0], "CZYX", metadata=named)
    assert read_image(path).channel_names == ("DAPI", "GFP")
    assert open_frames(path, volumes=True).channel_names == ("DAPI", "GFP")
    assert read_image(save_ome(tmp_path / "b.ome.tif", MOVIE[0], "CZYX")).channel_names == ()


@pytest.mark.parametrize(
    ("omero", "names"),
    [
        ({"channels": [{"label": "DAPI"}, {"label": " GFP "}]}, ("DAPI", "GFP")),
        ({"channels": [{"label": "DAPI"}, {}]}, ("DAPI", "")),
        ({"channels": [{"label": 5}, "GFP"]}, ()),
        ({"channels": "DAPI"}, ()),
        (5, ()),
        (None, ()),
    ],
)
def test_names_of_channels_of_a_zarr(tmp_path: Path, omero: object, names: tuple[str, ...]) -> None:
    group = zarr.create_group(tmp_path / "a.ome.zarr", zarr_format=2)
    group.create_array("0", data=MOVIE[0])
    axes = [{"name": name} for name in "czyx"]
    image = {"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}
    group.update_attributes({"multiscales": [image], "omero": omero})
    assert read_image(tmp_path / "a.ome.zarr").channel_names == names


# --- lazily ------------------------------------------------------------------------


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_large_plain_tiffs_are_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, byteorder: str
) -> None:
    monkeypatch.setattr(tiff_frames, "_MOST_READ", 100)
    path = save_ome(tmp_path / "a.ome.tif", MOVIE[0], "CZYX", byteorder=byteorder)
    image = read_image(path)
    assert isinstance(image.pixels, np.memmap)
    assert not image.pixels.flags.writeable
    np.testing.assert_array_equal(image.pixels, MOVIE[0])
    packed = read_image(save_ome(tmp_path / "b.ome.tif", compression="zlib"))
    assert not isinstance(packed.pixels, np.memmap)
    np.testing.assert_array_equal(packed.pixels, VOLUME)


def test_a_mapped_file_that_is_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff_frames, "_MOST_READ", 100)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, VOLUME, metadata=None)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match="truncated or damaged"):
        read_image(path)


def test_zarrs_stay_where_they_are(tmp_path: Path) -> None:
    array = zarr.create_array(
        store=tmp_path / "a.zarr", data=VOLUME, chunks=(1, 8, 8), dimension_names=list("zyx")
    )
    image = read_image(tmp_path / "a.zarr")
    assert isinstance(image.pixels, LazyArray)
    assert (image.axes, image.pixels.shape) == ("ZYX", array.shape)
    np.testing.assert_array_equal(image.pixels[1:3, 4, ::2], VOLUME[1:3, 4, ::2])


def test_class_numbers_of_a_volume(tmp_path: Path) -> None:
    for name in ("a.tif", "a.ome.zarr"):
        write_labels(tmp_path / name, LABELS)
        numbers = read_class_numbers(tmp_path / name).pixels
        assert isinstance(numbers, np.ndarray)
        np.testing.assert_array_equal(numbers, LABELS)


# --- frames ------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_frames_are_volumes_where_that_is_asked(tmp_path: Path, compression: str | None) -> None:
    path = save_ome(tmp_path / "a.ome.tif", MOVIE, "TCZYX", compression=compression)
    stack = open_frames(path, volumes=True)
    assert (stack.spatial, stack.spatial_shape) == ("ZYX", (5, 32, 24))
    assert (stack.leading, stack.n_frames) == ("T", 3)
    assert (stack.frame_axes, stack.frame_shape) == ("CZYX", (2, 5, 32, 24))
    frame = pickle.loads(pickle.dumps(stack.frame(2)))
    assert frame.axes == "CZYX"
    np.testing.assert_array_equal(np.asarray(frame), MOVIE[2])
    np.testing.assert_array_equal(frame[1, 1:4, 3:9, -5:], MOVIE[2, 1, 1:4, 3:9, -5:])
    planes = open_frames(path)
    assert (planes.spatial, planes.leading, planes.n_frames) == ("YX", "TZ", 15)


def test_one_plane_is_no_volume(tmp_path: Path) -> None:
    zarr.create_array(
        store=tmp_path / "a.zarr", data=VOLUME[None, :1], dimension_names=list("tzyx")
    )
    stack = open_frames(tmp_path / "a.zarr", volumes=True)
    assert (stack.spatial, stack.leading, stack.frame_shape) == ("YX", "TZ", (32, 24))


def test_planes_of_a_volume_are_never_guessed(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.tile(VOLUME, (3, 1, 1)), photometric="minisblack")
    guessed = open_frames(tmp_path / "a.tif", volumes=True)
    assert (guessed.axes, guessed.spatial) == ("TYX", "YX")
    assert "taken for time" in guessed.notes[0]
    assert open_frames(tmp_path / "a.tif", "ZYX", volumes=True).spatial == "ZYX"


def test_a_series_of_volumes(tmp_path: Path) -> None:
    paths = [save_ome(tmp_path / f"{t}.ome.tif", MOVIE[t, 0]) for t in range(3)]
    series = open_series(paths, volumes=True)
    assert (series.axes, series.leading, series.frame_axes) == ("TZYX", "T", "ZYX")
    np.testing.assert_array_equal(np.asarray(series.frame(1)), MOVIE[1, 0])
    assert series.name_of(1) == "1.ome.tif"


def test_a_file_without_a_channel_is_no_frame_of_the_series(tmp_path: Path) -> None:
    save_ome(tmp_path / "0.ome.tif", MOVIE[0], "CZYX")
    save_ome(tmp_path / "1.ome.tif", MOVIE[1, :1], "CZYX")
    with pytest.raises(InputError, match=r"1\.ome\.tif has the shape \(5, 32, 24\)"):
        open_series([tmp_path / "0.ome.tif", tmp_path / "1.ome.tif"], volumes=True)


# --- labels ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.ome.tif", "a.tif", "a.ome.zarr", "a.zarr"])
def test_a_volume_of_labels_reads_back(tmp_path: Path, name: str) -> None:
    write_labels(tmp_path / name, LABELS, pixel_size=SIZE, provenance={"seed": 1})
    image = read_image(tmp_path / name)
    np.testing.assert_array_equal(np.asarray(image.pixels), LABELS)
    assert (image.axes, image.pixel_size) == ("ZYX", SIZE)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_other_programs_read_a_volume(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.ome.tif", LABELS, pixel_size=SIZE)
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tif:
        assert tif.series[0].axes == "ZYX"
        pixels = ElementTree.fromstring(tif.ome_metadata or "").find(".//{*}Pixels")
    assert pixels is not None
    assert (pixels.get("SizeZ"), pixels.get("PhysicalSizeZ")) == ("7", "2.0")
    write_labels(tmp_path / "a.ome.zarr", LARGE, pixel_size=SIZE)
    assert Image.from_zarr(zarr.open_group(tmp_path / "a.ome.zarr", mode="r")).labels is not None
    group = zarr.open_group(tmp_path / "a.ome.zarr/labels/diffseg", mode="r")
    ImageLabel.from_zarr(group)


def test_a_picture_holds_no_volume(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot hold a volume of 7 planes, PNG holds one"):
        write_labels(tmp_path / "a.png", LABELS)
    assert list(tmp_path.iterdir()) == []


def test_large_volumes_become_large_tiffs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_MOST_TIFF_BYTES", 1000)
    write_labels(tmp_path / "a.tif", LABELS)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.is_bigtiff


def test_only_a_zarr_is_replaced_by_a_zarr(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.zarr"
    write_labels(path, LABELS)
    with pytest.raises(OutputError, match="exists already"):
        write_labels(path, LABELS[:3])
    write_labels(path, LABELS[:3], force=True)
    assert read_image(path).pixels.shape == (3, 40, 30)
    (tmp_path / "b.zarr").mkdir()
    (tmp_path / "b.zarr" / "thesis.txt").write_text("precious")
    with pytest.raises(OutputError, match="no zarr"):
        write_labels(tmp_path / "b.zarr", LABELS, force=True)
    assert (tmp_path / "b.zarr" / "thesis.txt").read_text() == "precious"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.ome.zarr", "b.zarr"]


def test_a_volume_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LabelStore, "write", fail)
    with pytest.raises(OutputError, match="the disk is full"):
        write_labels(tmp_path / "a.ome.zarr", LABELS)
    assert list(tmp_path.iterdir()) == []


# --- a store of volumes ------------------------------------------------------------


def create(path: Path, shape: tuple[int, ...], axes: str = "ZYX") -> LabelStore:
    return LabelStore.create(
        path, axes=axes, shape=shape, dtype=np.uint8, volumes=True, pixel_size=SIZE
    )


def contents(path: Path) -> dict[str, bytes]:
    return {
        str(one.relative_to(path)): one.read_bytes() for one in path.rglob("*") if one.is_file()
    }


def test_windows_of_a_volume_and_their_place_in_the_pyramid(tmp_path: Path) -> None:
    store = create(tmp_path / "a.ome.zarr", LARGE.shape)
    assert (store.spatial, store.n_frames, store.frame_shape) == ("ZYX", 1, LARGE.shape)
    windows = list(tiles(whole(LARGE.shape), (32, 512, 512)))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda window: store.write(0, window, LARGE[window]), windows[::-1]))
    np.testing.assert_array_equal(store.read(0), LARGE)
    group = zarr.open_group(tmp_path / "a.ome.zarr/labels/diffseg", mode="r")
    assert sorted(group.array_keys()) == ["0", "1", "2"]
    # The planes are 5.3 pixels apart: none is left out until y and x are as coarse.
    for level, step in enumerate((1, 2, 4)):
        array = group[str(level)]
        assert isinstance(array, zarr.Array)
        np.testing.assert_array_equal(array[:], LARGE[:, ::step, ::step])
    found = read_image(tmp_path / "a.ome.zarr", level=2)
    assert found.pixel_size == PixelSize(2, 1, "µm", 2)


def test_the_bytes_of_a_volume_depend_on_its_labels_alone(tmp_path: Path) -> None:
    first, second = (create(tmp_path / name, LARGE.shape) for name in "ab")
    first.write(0, None, LARGE)
    for window in tiles(whole(LARGE.shape), CHUNKS["ZYX"]):
        second.write(0, window, LARGE[window])
    assert contents(first.path) == contents(second.path)
    second.clear(0)
    second.sweep()
    assert not second.read(0).any()


def test_frames_of_a_store_are_volumes(tmp_path: Path) -> None:
    movie = np.stack([LABELS, LABELS[::-1]])
    store = create(tmp_path / "a.zarr", movie.shape, "TZYX")
    for t in (1, 0):
        pickle.loads(pickle.dumps(store)).write(t, None, movie[t])
    np.testing.assert_array_equal(store.read(1), movie[1])
    np.testing.assert_array_equal(
        store.read(1, (slice(2, 3), slice(0, 9), slice(4, 5))), movie[1, 2:3, :9, 4:5]
    )
    with pytest.raises(InputError, match="no frame 2"):
        store.read(2)


@pytest.mark.parametrize("held", [1, 5 * LABELS[0].nbytes, 10**9])
def test_planes_come_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    movie = np.stack([LABELS, LABELS[::-1]])
    store = create(tmp_path / "a.zarr", movie.shape, "TZYX")
    for t in range(2):
        store.write(t, None, movie[t])
    monkeypatch.setattr(label_store, "_MOST_HELD", held)
    np.testing.assert_array_equal(list(store.planes()), movie.reshape(-1, 40, 30))
    write_label_stack(
        tmp_path / "a.tif",
        store.planes(),
        shape=movie.shape,
        axes="TZYX",
        dtype=np.uint8,
        pixel_size=SIZE,
    )
    stack = open_frames(tmp_path / "a.tif", volumes=True)
    assert (stack.axes, stack.pixel_size) == ("TZYX", SIZE)
    np.testing.assert_array_equal(np.asarray(stack.frame(1)), movie[1])


@pytest.mark.parametrize(
    "window",
    [
        (slice(8, 40), slice(0, 512), slice(0, 512)),
        (slice(0, 20), slice(0, 512), slice(0, 512)),
        (slice(0, 40), slice(0, 500), slice(0, 512)),
        (slice(0, 48), slice(0, 512), slice(0, 512)),
    ],
)
def test_windows_that_share_a_chunk_are_refused(
    tmp_path: Path, window: tuple[slice, slice, slice]
) -> None:
    store = create(tmp_path / "a.zarr", LARGE.shape)
    with pytest.raises(InputError, match="multiples of"):
        store.write(0, window, np.zeros([side.stop - side.start for side in window], np.uint8))


def test_a_store_of_volumes_has_windows_of_three_axes(tmp_path: Path) -> None:
    store = create(tmp_path / "a.zarr", LABELS.shape)
    with pytest.raises(InputError, match="window has 2 axes"):
        store.write(0, (slice(0, 40), slice(0, 30)), LABELS[0])
    with pytest.raises(InputError, match="have the shape"):
        store.write(0, None, LABELS[:3])
    for axes, shape in (("ZTYX", (7, 2, 40, 30)), ("ZYX", (1, 40, 30)), ("TYX", (7, 40, 30))):
        with pytest.raises(InputError, match="are no volumes"):
            create(tmp_path / "b.zarr", shape, axes)
