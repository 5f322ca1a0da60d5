from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_diffseg import ApplyParams, Channel, Model
from napari_diffseg.batch.plan import Plan, differences
from napari_diffseg.batch.planning import make_plan
from napari_diffseg.errors import InputError, OutputError


def planned(model: Model, inputs: object, output: str = "out.ome.zarr", **more: object) -> Plan:
    return make_plan(model, inputs, output, **more)  # type: ignore[arg-type]


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    """Four times three planes."""
    path = tmp_path / "volumes.ome.tif"
    pixels = np.arange(4 * 3 * 16 * 20).reshape(4, 3, 16, 20).astype(np.uint16)
    size = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 1.5}
    more = {"axes": "TZYX", "TimeIncrement": 2.0, **size}
    tifffile.imwrite(path, pixels, ome=True, metadata=more)
    return path


def test_every_frame_of_a_stack_is_a_unit(model: Model, movie: Path) -> None:
    plan = planned(model, movie)
    [target] = plan.targets
    assert (target.axes, target.shape) == ("TYX", (6, 64, 64))
    assert [(unit.index, unit.position, unit.frame) for unit in plan.units()] == [
        (t, t, t) for t in range(6)
    ]
    assert {unit.path for unit in plan.units()} == {movie}
    assert str(target.pixel_size) == "0.5 × 0.5 µm"
    assert target.name(2) == "frame 2 of movie.ome.tif"


@pytest.mark.parametrize(
    ("chosen", "times"),
    [
        (slice(None, None, 2), [0, 2]),
        (slice(1, 3), [1, 2]),
        (slice(-1, None), [3]),
        (slice(2, 900), [2, 3]),
        (range(3, 0, -2), [3, 1]),
    ],
)
def test_frames_are_chosen_along_time_with_all_their_planes(
    model: Model, volumes: Path, chosen: slice | range, times: list[int]
) -> None:
    plan = planned(model, volumes, frames=chosen)
    [target] = plan.targets
    assert target.shape == (len(times), 3, 16, 20)
    assert [unit.frame for unit in plan.units()] == [3 * t + z for t in times for z in range(3)]
    step = chosen.step or 1
    assert target.t_step == pytest.approx(2.0 * abs(step))
    assert target.pixel_size.z == pytest.approx(1.5)


def test_planes_that_are_left_out_are_further_apart(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "volume.ome.tif"
    step = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0}
    volume = np.zeros((6, 16, 20), np.uint8)
    tifffile.imwrite(path, volume, ome=True, metadata={"axes": "ZYX", **step})
    for chosen, wanted in ((None, 2.0), (slice(1, 3), 2.0), (slice(None, None, 3), 6.0)):
        [target] = planned(model, path, frames=chosen).targets
        assert target.pixel_size.z == pytest.approx(wanted)


@pytest.mark.parametrize("chosen", [slice(9, None), slice(2, 2), range(3, 6), range(-1, 2)])
def test_frames_that_are_not_there_are_refused(
    model: Model, volumes: Path, chosen: slice | range
) -> None:
    with pytest.raises(InputError, match=r"has 4 frames, counted from 0"):
        planned(model, volumes, frames=chosen)


def test_several_files_are_one_series(model: Model, frames: np.ndarray, tmp_path: Path) -> None:
    files = [tmp_path / f"f{t}.tif" for t in (10, 9, 2)]
    for file, frame in zip(files, frames, strict=False):
        tifffile.imwrite(file, frame)
    plan = planned(model, tmp_path)
    [target] = plan.targets
    assert (target.axes, target.shape) == ("TYX", (3, 64, 64))
    units = list(plan.units())
    assert [unit.path.name for unit in units] == ["f2.tif", "f9.tif", "f10.tif"]
    assert [unit.frame for unit in units] == [0, 0, 0]
    assert target.name(1) == "f9.tif"
    # In the order in which they are named, where they are named.
    assert [unit.path for unit in planned(model, files).units()] == files


def test_a_folder_has_an_output_for_each_input(
    model: Model, frames: np.ndarray, tmp_path: Path
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for name in ("a.tif", "b.ome.tiff"):
        tifffile.imwrite(source / name, frames[0])
    Image.fromarray(frames[0]).save(source / "c.JPG", format="JPEG")
    Image.fromarray(frames[0]).save(source / "d.png")
    zarr.create_array(store=source / "e.zarr", data=frames, dimension_names=list("tyx"))
    plan = planned(model, source, str(tmp_path / "out"))
    assert plan.is_folder
    names = [target.output.name for target in plan.targets]
    assert names == ["a.tif", "b.ome.tiff", "c.png", "d.png", "e.ome.zarr"]
    assert {target.output.parent for target in plan.targets} == {tmp_path / "out"}
    assert [unit.index for unit in plan.units()] == list(range(4 + 6))


def test_a_file_in_a_folder_that_cannot_be_used_is_named(
    model: Model, frames: np.ndarray, tmp_path: Path
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", frames[0])
    tifffile.imwrite(tmp_path / "c.tif", np.zeros((2, 9, 9), np.uint8), metadata={"axes": "CYX"})
    (tmp_path / "b.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:40])
    plan = planned(model, tmp_path, str(tmp_path / "out"))
    assert [target.output.name for target in plan.targets] == ["a.tif"]
    (first, damage), (second, channels) = plan.unreadable
    assert (first, second) == ("b.tif", "c.tif")
    assert "truncated or damaged" in str(damage)
    assert "has 2 channels, but the model was trained on 1 channel" in str(channels)
    # Nothing that was read is held by what is told.
    assert [(one.__traceback__, one.__cause__) for _, one in plan.unreadable] == [(None, None)] * 2
    (tmp_path / "a.tif").unlink()
    with pytest.raises(InputError, match="None of the 2 files can be segmented; b.tif"):
        planned(model, tmp_path, str(tmp_path / "out"))


def test_two_inputs_with_one_output_are_refused(
    model: Model, frames: np.ndarray, tmp_path: Path
) -> None:
    for name, kind in (("a.png", "PNG"), ("a.jpg", "JPEG")):
        Image.fromarray(frames[0]).save(tmp_path / name, format=kind)
    with pytest.raises(OutputError, match=r"would both become .*a\.png"):
        planned(model, tmp_path, str(tmp_path / "out"))


@pytest.mark.parametrize(
    ("pixels", "axes", "message"),
    [
        (np.zeros((2, 3, 16, 16), np.uint8), "TCYX", "has 3 channels, but .* on 1 channel"),
        (np.zeros((16, 16, 3), np.uint8), "YXS", r"are colours \(RGB\), but"),
    ],
)
def test_other_channels_are_refused_before_any_frame_is_read(
    model: Model, tmp_path: Path, pixels: np.ndarray, axes: str, message: str
) -> None:
    path = tmp_path / "other.ome.tif"
    photometric = "rgb" if "S" in axes else "minisblack"
    tifffile.imwrite(path, pixels, ome=True, photometric=photometric, metadata={"axes": axes})
    with pytest.raises(InputError, match=message):
        planned(model, path)


def test_stated_axes_turn_the_labels(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "turned.ome.tif"
    size = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
    tifffile.imwrite(
        path, np.zeros((2, 16, 20), np.uint8), ome=True, metadata={"axes": "TYX", **size}
    )
    [target] = planned(model, path, axes="TXY").targets
    assert target.shape == (2, 20, 16)
    assert str(target.pixel_size) == "0.5 × 0.25 µm"


@pytest.mark.parametrize("output", ["out.jpg", "out.ome.jpeg"])
def test_endings_that_cannot_be_written_are_refused(model: Model, movie: Path, output: str) -> None:
    with pytest.raises(OutputError, match=r"ending that cannot be written; .*\.ome\.zarr"):
        planned(model, movie, output)


def test_png_holds_one_frame(model: Model, movie: Path) -> None:
    with pytest.raises(OutputError, match="cannot hold 6 frames, PNG holds one"):
        planned(model, movie, "out.png")
    assert planned(model, movie, "out.png", frames=slice(2, 3)).n_units == 1


def test_an_input_is_never_the_output(model: Model, folder: Path, movie: Path) -> None:
    with pytest.raises(OutputError, match="is the image itself"):
        planned(model, movie, str(movie))
    with pytest.raises(OutputError, match="is the image itself"):
        planned(model, folder, str(folder))


def test_an_output_neither_holds_an_input_nor_lies_within_one(model: Model, tmp_path: Path) -> None:
    """With force the image would be deleted together with what stands in the output's place."""
    image = tmp_path / "image.zarr"
    array = zarr.create_group(image).create_array("0", shape=(16, 20), dtype="u1")
    array[:] = 1
    with pytest.raises(OutputError, match="holds an image"):
        planned(model, image / "0", str(image))
    with pytest.raises(OutputError, match="lies within one"):
        planned(model, image / "0", str(image / "0" / "labels.zarr"))
    assert planned(model, image / "0", str(tmp_path / "labels.zarr")).n_units == 1


def test_the_labels_do_not_go_into_the_folder_of_the_images(model: Model, tmp_path: Path) -> None:
    """A run that was cut short could not be finished: its labels would be more inputs."""
    for t in range(2):
        Image.fromarray(np.zeros((16, 20), np.uint8)).save(tmp_path / f"f{t}.jpg")
    with pytest.raises(OutputError, match="is the folder of the images itself"):
        planned(model, tmp_path, str(tmp_path))
    assert planned(model, sorted(tmp_path.iterdir()), str(tmp_path)).n_units == 2


def test_what_makes_another_plan_is_said(model: Model, movie: Path, tmp_path: Path) -> None:
    copy = tmp_path / movie.name
    shutil.copy(movie, copy)
    mine = planned(model, copy)
    assert differences(mine.facts, planned(model, copy).facts) == []
    for other, words in [
        (planned(model, copy, frames=slice(2)), ["the choice of frames"]),
        (planned(model, copy, params=ApplyParams(intensities="frame")), ["how the model is appl"]),
        (planned(model, copy, axes="TYX"), ["the axes"]),
        (planned(model.with_facts(class_names={1: "x"}), copy), ["the model"]),
        (planned(replace(model, channels=(Channel(0, "GFP"),)), copy), ["the channels that it "]),
    ]:
        assert [word[:21] for word in differences(mine.facts, other.facts)] == [
            word[:21] for word in words
        ]
    copy.write_bytes(copy.read_bytes() + b"\0")
    assert differences(mine.facts, planned(model, copy).facts) == ["the inputs"]


def test_no_input_is_one_sentence(model: Model, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no image to segment"):
        planned(model, [])
    with pytest.raises(InputError, match="no image in the folder"):
        planned(model, tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        planned(model, tmp_path / "none.tif")
