from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from numpy.typing import NDArray
from PIL import Image

from napari_diffseg.errors import InputError, OutOfMemoryError
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.io.frames import open_frames, open_series
from napari_diffseg.io.inputs import list_inputs
from napari_diffseg.io.ngff import images as zarr_images
from napari_diffseg.io.tiff.frames import TiffSource

RANDOM = np.random.default_rng(0)
STACK = RANDOM.integers(0, 4000, (6, 32, 24)).astype(np.uint16)
TZC = RANDOM.integers(0, 250, (3, 2, 2, 32, 24)).astype(np.uint8)  # T Z C Y X
RGB_STACK = RANDOM.integers(0, 250, (4, 32, 24, 3)).astype(np.uint8)
RGB = RGB_STACK[0]


def save_tiff(pixels: NDArray[Any], **how: Any) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        path = folder / "cells.tif"
        tifffile.imwrite(path, pixels, **how)
        return path

    return save


def save_zarr(pixels: NDArray[Any], **how: Any) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        path = folder / "cells.zarr"
        zarr.create_array(path, data=pixels, **how)
        return path

    return save


def save_picture(pixels: NDArray[Any], name: str) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        Image.fromarray(pixels).save(folder / name)
        return folder / name

    return save


@pytest.mark.parametrize(
    ("save", "axes", "pixels"),
    [
        pytest.param(
            save_tiff(STACK, imagej=True, metadata={"axes": "TYX"}), "TYX", STACK, id="ImageJ"
        ),
        pytest.param(
            save_tiff(TZC, imagej=True, metadata={"axes": "TZCYX"}), "TZCYX", TZC, id="hyperstack"
        ),
        pytest.param(save_tiff(STACK, ome=True, metadata={"axes": "ZYX"}), "ZYX", STACK, id="OME"),
        pytest.param(
            save_tiff(TZC.swapaxes(1, 2), ome=True, compression="zlib", metadata={"axes": "TCZYX"}),
            "TCZYX",
            TZC.swapaxes(1, 2),
            id="channels before planes, compressed",
        ),
        pytest.param(
            save_tiff(STACK, ome=True, tile=(16, 16), metadata={"axes": "TYX"}),
            "TYX",
            STACK,
            id="tiles",
        ),
        pytest.param(
            save_tiff(STACK.astype(">u2"), byteorder=">", ome=True, metadata={"axes": "TYX"}),
            "TYX",
            STACK,
            id="big-endian",
        ),
        pytest.param(
            save_tiff(RGB_STACK, ome=True, photometric="rgb", metadata={"axes": "TYXS"}),
            "TYXC",
            RGB_STACK,
            id="RGB frames",
        ),
        pytest.param(save_tiff(STACK[0]), "YX", STACK[0], id="plane"),
        pytest.param(save_tiff(RGB), "YXC", RGB, id="RGB plane"),
        pytest.param(save_picture(RGB, "a.png"), "YXC", RGB, id="PNG"),
        pytest.param(save_picture(STACK[0], "a.png"), "YX", STACK[0], id="16-bit PNG"),
        pytest.param(
            save_zarr(STACK, dimension_names=["t", "y", "x"]), "TYX", STACK, id="named zarr"
        ),
        pytest.param(
            save_zarr(TZC, dimension_names=["t", "z", "c", "y", "x"], chunks=(2, 1, 2, 16, 24)),
            "TZCYX",
            TZC,
            id="frames that share chunks",
        ),
        pytest.param(
            save_zarr(STACK, zarr_format=2, attributes={"_ARRAY_DIMENSIONS": ["z", "y", "x"]}),
            "ZYX",
            STACK,
            id="zarr 2, named as by xarray",
        ),
        pytest.param(save_zarr(STACK[0].T), "YX", STACK[0].T, id="nameless plane"),
    ],
)
def test_every_frame_and_part_is_that_of_the_array(
    tmp_path: Path, save: Callable[[Path], Path], axes: str, pixels: NDArray[Any]
) -> None:
    stack = open_frames(save(tmp_path))
    assert (stack.axes, stack.shape, stack.dtype) == (axes, pixels.shape, pixels.dtype)
    leading = [axis for axis, letter in enumerate(axes) if letter in "TZ"]
    planes = np.moveaxis(pixels, leading, range(len(leading)))
    planes = planes.reshape(-1, *planes.shape[len(leading) :])
    assert len(stack) == stack.n_frames == len(planes)
    assert stack.spatial_shape == tuple(pixels.shape[axes.index(letter)] for letter in "YX")
    for i, expected in enumerate(planes):
        frame = stack.frame(i)
        assert (frame.shape, frame.ndim, frame.dtype) == (
            expected.shape,
            expected.ndim,
            expected.dtype,
        )
        np.testing.assert_array_equal(np.asarray(frame), expected)
        for key in KEYS:
            found = stack.frame(i)[key]
            np.testing.assert_array_equal(found, expected[key])
            assert found.dtype == expected.dtype.newbyteorder("=")


KEYS = [
    np.s_[...],
    np.s_[1],
    np.s_[-1, 2:],
    np.s_[1:2, ..., 1],
    np.s_[::-1, 20:3:-4],
    np.s_[1:30:2, 5:5],
    np.s_[..., :1000],
    np.s_[[1, 0], :2],
]


def test_a_key_that_does_not_fit_is_refused_as_by_numpy(tmp_path: Path) -> None:
    frame = open_frames(save_tiff(STACK[0])(tmp_path)).frame(0)
    for key in (99, (1, 2, 3), "a", (..., ...)):
        with pytest.raises(IndexError):
            frame[key]


def test_sizes_and_steps_of_an_ome_tiff(tmp_path: Path) -> None:
    metadata = {
        "axes": "TZYX",
        "PhysicalSizeX": 250,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 500,
        "PhysicalSizeYUnit": "nm",
        "PhysicalSizeZ": 2,
        "PhysicalSizeZUnit": "µm",
        "TimeIncrement": 1.5,
        "TimeIncrementUnit": "min",
    }
    stack = open_frames(save_tiff(TZC[:, :, 0], ome=True, metadata=metadata)(tmp_path))
    assert str(stack.pixel_size) == "2000 × 500 × 250 nm"
    assert (stack.spacing, stack.t_step) == (pytest.approx((2000, 500, 250)), 90)
    assert (stack.leading, stack.leading_shape) == ("TZ", (3, 2))


def test_sizes_and_steps_of_an_imagej_tiff(tmp_path: Path) -> None:
    how = {"resolution": (4, 2), "metadata": {"unit": "um", "spacing": 3, "finterval": 0.5}}
    how["metadata"]["axes"] = "TZYX"
    stack = open_frames(save_tiff(TZC[:, :, 0], imagej=True, **how)(tmp_path))
    assert stack.pixel_size == PixelSize(0.5, 0.25, "µm", 3)
    assert (stack.spacing, stack.t_step) == ((3, 0.5, 0.25), 0.5)


def test_axes_can_be_stated(tmp_path: Path) -> None:
    path = save_zarr(TZC)(tmp_path)
    stack = open_frames(path, "tzcyx")
    assert (stack.leading, stack.frame_axes, stack.frame_shape) == ("TZ", "CYX", (2, 32, 24))
    np.testing.assert_array_equal(np.asarray(stack.frame(5)), TZC[2, 1])
    for wrong, match in (("TYX", "name 3 axes"), ("TZCYY", "more than once"), ("TZCYQ", "'Q'")):
        with pytest.raises(InputError, match=match):
            open_frames(path, wrong)
    with pytest.raises(InputError, match="cannot be guessed"):
        open_frames(path)


def test_a_nameless_stack_is_taken_for_frames_and_says_so(tmp_path: Path) -> None:
    many = np.tile(STACK, (3, 1, 1))
    stack = open_frames(save_tiff(many, photometric="minisblack")(tmp_path))
    assert (stack.axes, stack.n_frames) == ("TYX", 18)
    assert stack.notes == ("cells.tif does not name its first axis; it was taken for time (T).",)
    few = open_frames(save_zarr(STACK[:3])(tmp_path))
    assert (few.axes, few.n_frames) == ("CYX", 1)
    assert "the first (3) was taken for channels" in few.notes[0]
    expected = open_frames(few.path, n_channels=1)
    assert (expected.axes, expected.n_frames) == ("TYX", 3)


def test_frames_travel_to_other_processes(tmp_path: Path) -> None:
    stack = open_frames(save_tiff(STACK, ome=True, metadata={"axes": "TYX"})(tmp_path))
    frame = stack.frame(3)
    np.asarray(frame)
    sent = pickle.dumps((stack, frame))
    assert len(sent) < 2000
    again, same = pickle.loads(sent)
    assert again == stack
    np.testing.assert_array_equal(np.asarray(same), STACK[3])


@pytest.mark.parametrize(
    "save",
    [
        save_tiff(STACK, ome=True, metadata={"axes": "TYX"}),
        save_tiff(STACK, ome=True, compression="zlib", tile=(16, 16), metadata={"axes": "TYX"}),
        save_zarr(STACK, dimension_names=["t", "y", "x"], chunks=(2, 32, 24)),
    ],
)
def test_many_threads_read_one_file(tmp_path: Path, save: Callable[[Path], Path]) -> None:
    stack = open_frames(save(tmp_path))

    def read(turn: int) -> bool:
        i, top = turn % 6, turn % 17
        return np.array_equal(stack.frame(i)[top:], STACK[i, top:])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(200)))


def test_pictures_are_read_by_many_threads(tmp_path: Path) -> None:
    paths = [save_picture(plane, f"{i}.png")(tmp_path) for i, plane in enumerate(RGB_STACK)]
    stack = open_series(paths)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: np.asarray(stack.frame(i)), range(4)))
    np.testing.assert_array_equal(found, RGB_STACK)


def test_only_what_is_asked_for_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_tiff(STACK, ome=True, metadata={"axes": "TYX"})(tmp_path)
    source = TiffSource(path)
    read: list[int] = []
    original = tifffile.FileHandle.read

    def count(self: tifffile.FileHandle, size: int = -1) -> bytes:
        read.append(size)
        return original(self, size)

    monkeypatch.setattr(tifffile.FileHandle, "read", count)
    np.testing.assert_array_equal(source.read((2, slice(3, 5), slice(1, 9))), STACK[2, 3:5, 1:9])
    assert sum(read) == 2 * 24 * 2


def test_frames_in_one_chunk_are_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_zarr(STACK, dimension_names=["t", "y", "x"], chunks=(3, 32, 24))(tmp_path)
    stack = open_frames(path)
    reads: list[object] = []
    original = zarr.Array.__getitem__

    def count(self: Any, key: object) -> Any:
        reads.append(key)
        return original(self, key)

    monkeypatch.setattr(zarr.Array, "__getitem__", count)
    for i in range(6):
        np.testing.assert_array_equal(np.asarray(stack.frame(i)), STACK[i])
    assert len(reads) == 2
    # Where the frames of a chunk would take too much memory, each is read on its own.
    monkeypatch.setattr(zarr_images, "_MOST_BLOCK_BYTES", 10)
    np.testing.assert_array_equal(np.asarray(stack.frame(4)), STACK[4])
    assert len(reads) == 3


def test_a_file_that_is_written_anew_is_read_anew(tmp_path: Path) -> None:
    path = save_tiff(STACK, ome=True, metadata={"axes": "TYX"})(tmp_path)
    before = open_frames(path)
    np.asarray(before.frame(0))
    save_tiff(STACK + 1, ome=True, metadata={"axes": "TYX"})(tmp_path)
    np.testing.assert_array_equal(np.asarray(before.frame(0)), STACK[0] + 1)
    save_tiff(STACK[:4], ome=True, metadata={"axes": "TYX"})(tmp_path)
    with pytest.raises(InputError, match=r"\(4, 32, 24\).*\(6, 32, 24\)"):
        np.asarray(before.frame(0))


# --- several files -----------------------------------------------------------------


def test_files_are_frames(tmp_path: Path) -> None:
    paths = [tmp_path / f"t{i}.tif" for i in range(3)]
    for path, volume in zip(paths, TZC, strict=True):
        tifffile.imwrite(
            path,
            volume,
            ome=True,
            metadata={"axes": "ZCYX", "PhysicalSizeX": 2, "PhysicalSizeY": 2},
        )
    stack = open_series(paths)
    assert (stack.axes, stack.shape) == ("TZCYX", TZC.shape)
    assert stack.pixel_size == PixelSize(2, 2, "µm")
    assert stack.path == paths[0]
    for i in range(6):
        np.testing.assert_array_equal(np.asarray(stack.frame(i)), TZC[i // 2, i % 2])
        assert stack.file_of(i) == paths[i // 2]
    assert stack.name_of(5) == "frame 1 of t2.tif"


def test_files_with_one_time_point_each(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.zarr" for i in range(2)]
    for i, path in enumerate(paths):
        zarr.create_array(path, data=STACK[i][None], dimension_names=["t", "y", "x"])
    stack = open_series(paths)
    assert (stack.axes, stack.shape, stack.leading) == ("TYX", (2, 32, 24), "T")
    np.testing.assert_array_equal(np.asarray(stack.frame(1)), STACK[1])
    again = [tmp_path / "a.zarr", tmp_path / "b.zarr"]
    for path in again:
        zarr.create_array(path, data=STACK, dimension_names=["t", "y", "x"])
    with pytest.raises(InputError, match="6 time points itself"):
        open_series(again)


def test_one_file_is_no_series(tmp_path: Path) -> None:
    assert open_series([save_tiff(STACK[0])(tmp_path)]).axes == "YX"
    with pytest.raises(InputError, match="no files"):
        open_series([])


def test_files_of_another_shape_or_type(tmp_path: Path) -> None:
    for i, plane in enumerate([STACK[0], STACK[1], STACK[2, :30]]):
        tifffile.imwrite(tmp_path / f"{i}.tif", plane)
    paths = list_inputs(tmp_path)
    with pytest.raises(InputError, match=r"2\.tif has the shape \(30, 24\)"):
        open_series(paths)
    tifffile.imwrite(paths[2], STACK[2].astype(np.float32))
    with pytest.raises(InputError, match=r"2\.tif has the shape .* float32"):
        open_series(paths)
    with pytest.raises(InputError, match="does not exist"):
        open_series([*paths[:2], tmp_path / "3.tif"])


def test_damaged_files_are_told_when_they_are_read(tmp_path: Path) -> None:
    paths = [save_picture(plane, f"{i}.png")(tmp_path) for i, plane in enumerate(RGB_STACK)]
    paths[0].write_bytes(b"")
    paths[2].write_bytes(paths[2].read_bytes()[:200])
    stack = open_series(paths)
    assert stack.n_frames == 4
    np.testing.assert_array_equal(np.asarray(stack.frame(1)), RGB_STACK[1])
    with pytest.raises(InputError, match=r"0\.png is empty"):
        np.asarray(stack.frame(0))
    with pytest.raises(InputError, match=r"2\.png is truncated or damaged"):
        np.asarray(stack.frame(2))
    with pytest.raises(InputError, match="is empty"):
        open_series([paths[0], paths[0]])


# --- bad files ---------------------------------------------------------------------


def test_a_damaged_page_in_the_middle(tmp_path: Path) -> None:
    path = save_tiff(STACK, ome=True, compression="zlib", metadata={"axes": "TYX"})(tmp_path)
    with tifffile.TiffFile(path) as tif:
        page = tif.series[0].pages[3]
        assert page is not None
        offset, n_bytes = page.dataoffsets[0], page.databytecounts[0]
    content = bytearray(path.read_bytes())
    content[offset : offset + n_bytes] = b"\x55" * n_bytes
    path.write_bytes(content)
    stack = open_frames(path)
    for i in (0, 1, 2, 4, 5):
        np.testing.assert_array_equal(np.asarray(stack.frame(i)), STACK[i])
    with pytest.raises(InputError, match=r"^Frame 3 of cells\.tif in .* is damaged \(.*\); copy"):
        np.asarray(stack.frame(3))


def test_a_damaged_chunk(tmp_path: Path) -> None:
    path = save_zarr(STACK, dimension_names=["t", "y", "x"], chunks=(1, 32, 24))(tmp_path)
    (path / "c" / "2" / "0" / "0").write_bytes(b"no chunk")
    stack = open_frames(path)
    np.testing.assert_array_equal(np.asarray(stack.frame(1)), STACK[1])
    with pytest.raises(InputError, match=r"^Frame 2 of cells\.zarr in .* is damaged"):
        np.asarray(stack.frame(2))


@pytest.mark.parametrize("how", [{"imagej": True}, {"ome": True}, {"compression": "zlib"}])
def test_a_file_cut_short(tmp_path: Path, how: dict[str, Any]) -> None:
    path = save_tiff(STACK, metadata={"axes": "TYX"}, **how)(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="truncated or damaged"):
        open_frames(path)


def test_a_file_cut_short_while_it_is_open(tmp_path: Path) -> None:
    path = save_tiff(STACK, ome=True, metadata={"axes": "TYX"})(tmp_path)
    source = TiffSource(path)
    with path.open("r+b") as file:
        file.truncate(4000)
    with pytest.raises(EOFError):
        source.read((5, slice(None), slice(None)))


def test_no_such_frame(tmp_path: Path) -> None:
    stack = open_frames(save_tiff(STACK, ome=True, metadata={"axes": "TYX"})(tmp_path))
    for i in (-1, 6):
        with pytest.raises(InputError, match=f"no frame {i} "):
            stack.frame(i)


def test_no_image_at_a_path(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"text, in truth")
    (tmp_path / "folder.zarr").mkdir()
    for name, match in (("b.tif", "not exist"), ("a.tif", "no image"), ("folder.zarr", "folder")):
        with pytest.raises(InputError, match=match):
            open_frames(tmp_path / name)


def test_a_frame_larger_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = open_frames(save_tiff(STACK, ome=True, metadata={"axes": "TYX"})(tmp_path))

    def refuse(self: object, index: object) -> None:
        raise MemoryError

    monkeypatch.setattr(TiffSource, "read", refuse)
    with pytest.raises(OutOfMemoryError, match="memory"):
        np.asarray(stack.frame(0))


# --- folders -----------------------------------------------------------------------


def test_images_of_a_folder_in_natural_order(tmp_path: Path) -> None:
    for name in ("t10.tif", "t2.tif", "T1.PNG", "notes.txt", ".hidden.tif", "a.jpeg"):
        (tmp_path / name).write_bytes(b"")
    zarr.create_array(tmp_path / "t3.zarr", data=STACK)
    (tmp_path / "sub.zarr").mkdir()
    names = [path.name for path in list_inputs(tmp_path)]
    assert names == ["a.jpeg", "T1.PNG", "t2.tif", "t3.zarr", "t10.tif"]
    for name in ("t2.tif", "t3.zarr"):
        assert list_inputs(tmp_path / name) == [tmp_path / name]


def test_patterns_that_a_shell_has_left(tmp_path: Path) -> None:
    for name in ("t10.tif", "t2.tif", "a[1].tif", "t3.png"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in list_inputs(tmp_path / "t*.tif")] == ["t2.tif", "t10.tif"]
    assert [path.name for path in list_inputs(tmp_path / "a[1].tif")] == ["a[1].tif"]
    with pytest.raises(InputError, match=r"x\*\.tif does not exist"):
        list_inputs(tmp_path / "x*.tif")


@pytest.mark.parametrize("address", ["https://example.org/a.tif", "s3://bucket/a.zarr"])
def test_an_address_is_no_file(address: str) -> None:
    with pytest.raises(InputError, match=f"{address} is an address.*download it first"):
        list_inputs(address)
    with pytest.raises(InputError, match=f"{address} is an address.*download it first"):
        open_frames(address)


@pytest.mark.parametrize("name", ["nowhere", "C:/nowhere.tif", "no/where.tif"])
def test_a_file_that_is_not_there(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} does not exist; check the name"):
        open_frames(name)


def test_folders_without_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"")
    with pytest.raises(InputError, match="no image in the folder"):
        list_inputs(tmp_path)
    with pytest.raises(InputError, match="not exist"):
        list_inputs(tmp_path / "nowhere")
