"""Volumes, channels, regions and pyramids from the shell."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_diffseg import Channel, Model, RunOptions, SegmentationParams, cli, segment, train
from napari_diffseg.batch.recipe import Recipe
from napari_diffseg.cli import channels, region, spacing
from napari_diffseg.image.channels import CHANNEL_SPECS, ChannelSpec
from napari_diffseg.io.label_files.writing import write_labels
from napari_diffseg.io.reading import read_image

SMALL = ["--n-clusters", "6", "--threads", "1"]
PARAMS = SegmentationParams(n_clusters=6)
ONE = RunOptions(threads=1)
SHAPE = (6, 40, 48)
SIZE = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 1.5}


def make_volume() -> np.ndarray:
    """Return a bright ball in noise, ``z y x``."""
    z, y, x = np.indices(SHAPE)
    ball = ((z - 3) * 3) ** 2 + (y - 20) ** 2 + (x - 22) ** 2 < 12**2
    noise = np.random.default_rng(0).normal(0, 6, SHAPE)
    return (60 + 120 * ball + noise).clip(0, 255).astype(np.uint8)


VOLUME = make_volume()
CHANNELS = np.stack([VOLUME, 255 - VOLUME, VOLUME // 2])  # C Z Y X


def save(path: Path, pixels: np.ndarray, axes: str, **more: Any) -> Path:
    metadata = {"axes": axes, **SIZE, **more}
    tifffile.imwrite(path, pixels, ome=True, photometric="minisblack", metadata=metadata)
    return path


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    return save(tmp_path / "cells.ome.tif", VOLUME, "ZYX")


@pytest.fixture
def nameless(tmp_path: Path) -> Path:
    """A TIFF that says neither axes nor sizes."""
    tifffile.imwrite(tmp_path / "plain.tif", VOLUME, photometric="minisblack")
    return tmp_path / "plain.tif"


@pytest.fixture
def stained(tmp_path: Path) -> Path:
    names = {"Channel": {"Name": ["DAPI", "GFP", "RFP"]}}
    return save(tmp_path / "stained.ome.tif", CHANNELS, "CZYX", **names)


def run(command: str, *arguments: str | Path) -> int:
    return cli.main([command, *map(str, arguments), *SMALL])


def labels_in(path: Path) -> np.ndarray:
    return np.asarray(read_image(path).pixels)


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the last line that was printed, without the program's name."""
    printed = capsys.readouterr()
    assert printed.out == ""
    line = printed.err.splitlines()[-1]
    assert line.startswith("napari-diffseg: error: ")
    return line.removeprefix("napari-diffseg: error: ")


def provenance_of(path: Path) -> dict[str, Any]:
    with tifffile.TiffFile(path) as tif:
        described = tifffile.xml2dict(tif.ome_metadata or "")["OME"]["Image"]["Description"]
    facts: dict[str, Any] = json.loads(described) if isinstance(described, str) else described
    return facts


# --- as a volume -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["labels.ome.tif", "labels.ome.zarr"])
def test_a_file_with_planes_is_a_volume(
    volume: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("segment", volume, "-o", tmp_path / name) == 0
    expected = segment(VOLUME, axes="ZYX", spacing=(1.5, 0.5, 0.5), params=PARAMS, options=ONE)
    np.testing.assert_array_equal(labels_in(tmp_path / name), expected.labels)
    written = read_image(tmp_path / name)
    assert (written.axes, str(written.pixel_size)) == ("ZYX", "1.5 × 0.5 × 0.5 µm")
    said = capsys.readouterr().err
    assert "Z 6 · Y 40 · X 48 · one channel: voxels of 1.5 × 0.5 × 0.5 µm (z × y × x)" in said
    assert "as the file says" in said


def test_a_zarr_is_a_volume_too(tmp_path: Path) -> None:
    path = tmp_path / "cells.zarr"
    zarr.create_array(store=path, data=VOLUME, chunks=(2, 20, 48), dimension_names=list("zyx"))
    assert run("segment", path, "-o", tmp_path / "labels.tif", "--spacing", "3,1,1") == 0
    expected = segment(VOLUME, axes="ZYX", spacing=(3, 1, 1), params=PARAMS, options=ONE)
    np.testing.assert_array_equal(labels_in(tmp_path / "labels.tif"), expected.labels)


def test_strokes_on_planes_of_a_volume(volume: Path, tmp_path: Path) -> None:
    painted = np.zeros(SHAPE, np.uint8)
    painted[3, 18:22, 20:24] = 2
    painted[0, 2:5, 4:40] = 1
    tifffile.imwrite(tmp_path / "strokes.tif", painted, photometric="minisblack")
    output = tmp_path / "labels.tif"
    assert run("segment", volume, "--scribbles", tmp_path / "strokes.tif", "-o", output) == 0
    labels = labels_in(output)
    np.testing.assert_array_equal(labels[painted > 0], painted[painted > 0])


def test_axes_in_another_order_turn_the_labels(tmp_path: Path) -> None:
    path = tmp_path / "turned.tif"
    tifffile.imwrite(path, VOLUME.transpose(2, 1, 0), photometric="minisblack")
    mask = np.zeros(SHAPE, np.uint8)
    mask[1:5, 5:, 3:30] = 1
    tifffile.imwrite(tmp_path / "mask.tif", mask.transpose(2, 1, 0), photometric="minisblack")
    output = tmp_path / "labels.tif"
    told = ["--axes", "xyz", "--spacing", "3,1,1", "--region", tmp_path / "mask.tif"]
    assert run("segment", path, "-o", output, *told) == 0
    labels = labels_in(output)
    assert labels.shape == SHAPE
    assert not labels[mask == 0].any()
    assert labels[mask > 0].all()


# --- how far planes are apart ------------------------------------------------------


def test_a_stated_spacing_holds_and_is_said(
    volume: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "labels.tif"
    assert run("segment", volume, "-o", output, "--spacing", "2,1,1") == 0
    assert "voxels of 2 × 1 × 1 (z × y × x), as stated, where the file says 1.5 × 0.5 × 0.5 µm" in (
        capsys.readouterr().err
    )
    # Without a unit only the ratio is known: a pixel stays as large as the file says.
    assert str(read_image(output).pixel_size) == "1 × 0.5 × 0.5 µm"
    expected = segment(VOLUME, axes="ZYX", spacing=(2, 1, 1), params=PARAMS, options=ONE)
    np.testing.assert_array_equal(labels_in(output), expected.labels)
    assert run("segment", volume, "-o", output, "--force", "--spacing", "2,1,1nm") == 0
    assert str(read_image(output).pixel_size) == "2 × 1 × 1 nm"


def test_a_missing_spacing_is_said(
    nameless: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "labels.tif"
    assert run("segment", nameless, "-o", output, "--axes", "ZYX") == 0
    said = capsys.readouterr().err
    assert "voxels are taken for cubes; state it with --spacing" in said
    assert said.count("cubes") == 1
    assert read_image(output).pixel_size is None
    assert run("segment", nameless, "-o", output, "--axes", "ZYX", "--force", "--quiet") == 0
    assert capsys.readouterr().err == ""
    assert run("segment", nameless, "-o", output, "--axes", "ZYX", "--force", "--planes") == 0
    said = capsys.readouterr().err
    assert "taken plane by plane" in said
    assert "cubes" not in said


@pytest.mark.parametrize(
    ("text", "distances", "unit"),
    [
        ("2,0.5,0.25", (2, 0.5, 0.25), None),
        (" 3.5, .8, .8 um", (3.5, 0.8, 0.8), "µm"),
        ("1e-3,2,3e-1mm", (0.001, 2, 0.3), "mm"),
        ("2,1,1Å", (2, 1, 1), "Å"),
    ],
)
def test_spacing_is_read(text: str, distances: tuple[float, ...], unit: str | None) -> None:
    found = spacing.stated_spacing(text)
    assert (found.distances, found.unit) == (distances, unit)


@pytest.mark.parametrize(
    "text", ["0,1,1", "1,-1,1", "1,1", "1,1,1,1", "a,b,c", "1,1,1parsec", "nan,1,1", "", "inf,1,1"]
)
def test_no_spacing(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="three positive numbers"):
        spacing.stated_spacing(text)


def test_spacing_of_a_plane_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(tmp_path / "plane.ome.tif", VOLUME[0], "YX")
    assert run("segment", path, "-o", tmp_path / "a.tif", "--spacing", "2,1,1") == 1
    assert "--spacing is about volumes" in error_line(capsys)
    model = tmp_path / "m.safetensors"
    assert run("train", path, "-o", model, "--spacing", "2,1,1") == 1
    assert "--spacing is about volumes" in error_line(capsys)


def test_a_spacing_that_cannot_be(volume: Path, tmp_path: Path, capsys: Any) -> None:
    assert run("segment", volume, "-o", tmp_path / "a.tif", "--spacing", "9000,1,1") == 1
    assert "9000 times as far apart" in error_line(capsys)


# --- plane by plane ----------------------------------------------------------------


def test_planes_learn_from_first_middle_and_last(
    volume: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "labels.ome.tif"
    assert run("segment", volume, "-o", output, "--planes") == 0
    model = train([VOLUME[0], VOLUME[3], VOLUME[5]], axes="YX", params=PARAMS, options=ONE)
    expected = np.stack([model.apply(plane, axes="YX", options=ONE) for plane in VOLUME])
    np.testing.assert_array_equal(labels_in(output), expected)
    assert str(read_image(output).pixel_size) == "1.5 × 0.5 × 0.5 µm"
    assert "learned from planes 0, 3, 5 of 6" in capsys.readouterr().err
    assert provenance_of(output)["planes_learned_from"] == [0, 3, 5]


def test_planes_learn_from_those_that_are_painted(volume: Path, tmp_path: Path) -> None:
    painted = np.zeros(SHAPE, np.uint8)
    painted[2, 18:22, 20:24] = 2
    painted[4, 2:5, 4:40] = 1
    tifffile.imwrite(tmp_path / "strokes.tif", painted, photometric="minisblack")
    output = tmp_path / "labels.ome.tif"
    told = ["--planes", "--scribbles", tmp_path / "strokes.tif"]
    assert run("segment", volume, "-o", output, *told) == 0
    assert provenance_of(output)["planes_learned_from"] == [2, 4]
    assert labels_in(output)[2, 20, 22] == 2
    assert labels_in(output)[4, 3, 20] == 1


def test_planes_of_a_region(volume: Path, tmp_path: Path) -> None:
    output = tmp_path / "labels.ome.tif"
    assert run("segment", volume, "-o", output, "--planes", "--region", "1:5,4:36,:40") == 0
    inside = np.zeros(SHAPE[1:], bool)
    inside[4:36, :40] = True
    regions, learned = [inside] * 3, [VOLUME[z] for z in (1, 3, 4)]
    model = train(learned, regions=regions, axes="YX", params=PARAMS, options=ONE)
    expected = np.zeros(SHAPE, np.uint8)
    for z in range(1, 5):
        expected[z] = model.apply(VOLUME[z], axes="YX", region=inside, options=ONE)
    np.testing.assert_array_equal(labels_in(output), expected)


@pytest.mark.parametrize("axes", ["ZYX", "CZYX", "ZYXC"])
def test_planes_of_a_region_that_is_no_box(tmp_path: Path, axes: str) -> None:
    pixels = {"ZYX": VOLUME, "CZYX": CHANNELS, "ZYXC": np.moveaxis(CHANNELS[:2], 0, -1)}[axes]
    path = tmp_path / "cells.zarr"
    zarr.create_array(store=path, data=pixels, dimension_names=list(axes.lower()))
    mask = np.zeros(SHAPE, np.uint8)
    mask[:2, 5:30, 5:40] = 255
    mask[3:, 8:35, 2:30] = 255  # nothing on plane 2
    write_labels(tmp_path / "mask.ome.zarr", mask)
    output = tmp_path / "labels.ome.tif"
    told = ["--planes", "--region", tmp_path / "mask.ome.zarr"]
    assert run("segment", path, "-o", output, *told) == 0
    np.testing.assert_array_equal(labels_in(output) > 0, mask > 0)


def test_planes_means_nothing_for_a_plane(tmp_path: Path) -> None:
    path = save(tmp_path / "plane.ome.tif", VOLUME[0], "YX")
    for name, more in (("a.tif", []), ("b.tif", ["--planes"])):
        assert run("segment", path, "-o", tmp_path / name, *more) == 0
    np.testing.assert_array_equal(labels_in(tmp_path / "a.tif"), labels_in(tmp_path / "b.tif"))


def test_planes_and_strokes_that_do_not_fit(
    volume: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, painted, message in (
        ("a.tif", np.ones(SHAPE[1:], np.uint8), "the volume has (6, 40, 48)"),
        ("b.tif", np.zeros(SHAPE, np.uint8), "Nothing is painted"),
    ):
        tifffile.imwrite(tmp_path / name, painted, photometric="minisblack")
        told = ["--planes", "--scribbles", tmp_path / name, "-o", tmp_path / "out.tif"]
        assert run("segment", volume, *told) == 1
        assert message in error_line(capsys)


# --- channels ----------------------------------------------------------------------


def test_channels_by_number_and_by_name(stained: Path, tmp_path: Path) -> None:
    told = ["--channels", "RFP,1", "--channel-weight", "3=0.5", "--channel-range", "dapi=20:200"]
    assert run("segment", stained, "-o", tmp_path / "a.tif", *told) == 0
    picked = [Channel(2, "RFP", weight=0.5), Channel(0, "DAPI", low=20, high=200)]
    expected = segment(
        CHANNELS,
        axes="CZYX",
        spacing=(1.5, 0.5, 0.5),
        channels=picked,
        params=PARAMS,
        options=ONE,
    )
    np.testing.assert_array_equal(labels_in(tmp_path / "a.tif"), expected.labels)
    said = provenance_of(tmp_path / "a.tif")
    assert [Channel(**one) for one in said["channels"]] == picked
    assert said["spacing"] == [1.5, 0.5, 0.5]


def test_a_model_remembers_its_channels(
    stained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "m.safetensors"
    told = ["--channels", "RFP,1", "--channel-weight", "RFP=0.5"]
    assert run("train", stained, "-o", output, *told) == 0
    model = Model.load(output)
    assert [(one.index, one.name, one.weight) for one in model.channels] == [
        (2, "RFP", 0.5),
        (0, "DAPI", 1),
    ]
    assert (model.spatial, model.n_source_channels) == ("ZYX", 3)
    assert str(model.facts.pixel_size) == "1.5 × 0.5 × 0.5 µm"
    capsys.readouterr()
    assert cli.main(["card", str(output)]) == 0
    card = capsys.readouterr().out
    assert "Channel 3 (RFP), weight 0.5" in card
    assert "Channel 1 (DAPI)" in card
    assert "Volumes, whose planes are 3 pixels apart" in card


def test_names_of_the_file_are_remembered_without_being_asked_for(
    stained: Path, tmp_path: Path
) -> None:
    assert run("train", stained, "-o", tmp_path / "m.safetensors") == 0
    model = Model.load(tmp_path / "m.safetensors")
    assert [one.name for one in model.channels] == ["DAPI", "GFP", "RFP"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--channels", "4"], "There is no channel '4' in an image of 3 channels"),
        (["--channels", "0"], "There is no channel '0'"),
        (["--channels", "Cy5"], "(DAPI, GFP, RFP); choose by number, from 1 to 3"),
        (["--channels", "1,DAPI"], "name one of them twice"),
        (["--channels", "1", "--channel-weight", "2=3"], "left out by --channels"),
        (["--channels", "1", "--channel-range", "GFP=1:9"], "left out by --channels"),
        (["--channel-range", "2=9:1"], "the first must be the lower one"),
        (["--channel-weight", "2=0"], "must be above 0"),
    ],
)
def test_channels_that_are_not_there(
    stained: Path,
    tmp_path: Path,
    more: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for command, output in (("segment", "a.tif"), ("train", "m.safetensors")):
        assert run(command, stained, "-o", tmp_path / output, *more) == 1
        assert message in error_line(capsys)
        assert not (tmp_path / output).exists()


@pytest.mark.parametrize(
    ("told", "taken"),
    [
        (["--channels", "red,3"], {"rgb": False, "channels": [Channel(0), Channel(2)]}),
        (["--channel-weight", "2=0.5"], {"rgb": False, "channels": [0, Channel(1, weight=0.5), 2]}),
        (["--channels", "1,2,3"], {}),
    ],
)
def test_a_picture_of_which_a_colour_is_left_out_is_taken_for_channels(
    tmp_path: Path, told: list[str], taken: dict[str, Any]
) -> None:
    """As in the window."""
    picture = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert run("segment", tmp_path / "a.png", "-o", tmp_path / "b.tif", *told) == 0
    channels = [Channel(one) if isinstance(one, int) else one for one in taken.get("channels", ())]
    taken |= {"channels": channels} if channels else {}
    wanted = segment(picture, params=PARAMS, options=ONE, **taken).labels
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), wanted)


def test_a_model_takes_colours_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    model = tmp_path / "m.safetensors"
    assert run("train", tmp_path / "a.png", "-o", model, "--channels", "1") == 1
    assert "Red, green and blue are one picture" in error_line(capsys)


def said_of(name: str) -> Callable[[str], Any]:
    return partial(channels.said_of_channel, next(one for one in CHANNEL_SPECS if one.name == name))


@pytest.mark.parametrize("spec", CHANNEL_SPECS, ids=lambda spec: spec.name)
def test_what_is_said_of_a_channel_goes_into_copied_runs_and_models(
    spec: ChannelSpec, stained: Path, tmp_path: Path
) -> None:
    output = tmp_path / "m.safetensors"
    told = [f"--channel-{spec.name}", f"2={spec.example}"]
    assert run("train", stained, "-o", output, *told) == 0
    said = Model.load(output).channels
    assert list(said[1].changed) == [spec]
    copied = Recipe(stained, channels=said).shell()
    assert " ".join(told) in copied.replace(".0", "")
    assert repr(said[1]) in Recipe(stained, channels=said).python()


def test_one_end_of_a_range_may_be_left_to_be_measured() -> None:
    assert said_of("range")("2=:100") == ("2", {"low": None, "high": 100.0})
    assert said_of("range")("DAPI=5:") == ("DAPI", {"low": 5.0, "high": None})


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (channels.channel_list, "1,,2"),
        (channels.channel_list, ""),
        *((said_of("weight"), text) for text in ("2", "=2", "2=heavy", "2=", "2=1:2")),
        *((said_of("range"), text) for text in ("2=100", "2=:", "2=1:2:3", "2=1:x", "100:4000")),
        (region.stated_region, "1:2,3"),
        (region.stated_region, "1:2"),
        (region.stated_region, "1:2,3:4,5:6,7:8"),
    ],
)
def test_texts_that_cannot_be_read(read: Callable[[str], Any], text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="such as|write it so"):
        read(text)


# --- a region ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("4:30,8:40", (slice(None), slice(4, 30), slice(8, 40))),
        ("1:4,:,10:", (slice(1, 4), slice(None), slice(10, None))),
    ],
)
def test_a_part_of_a_volume(
    volume: Path, tmp_path: Path, text: str, window: tuple[slice, ...]
) -> None:
    assert run("segment", volume, "-o", tmp_path / "a.tif", "--region", text) == 0
    wanted = np.zeros(SHAPE, bool)
    wanted[window] = True
    np.testing.assert_array_equal(labels_in(tmp_path / "a.tif") > 0, wanted)
    assert provenance_of(tmp_path / "a.tif")["region"] == text


def test_a_part_of_a_plane(tmp_path: Path) -> None:
    path = save(tmp_path / "plane.ome.tif", VOLUME[0], "YX")
    mask = np.zeros(SHAPE[1:], np.uint8)
    mask[6:34, 3:41] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    for name, told in (("a.tif", "6:34,3:41"), ("b.tif", str(tmp_path / "mask.png"))):
        assert run("segment", path, "-o", tmp_path / name, "--region", told) == 0
        np.testing.assert_array_equal(labels_in(tmp_path / name) > 0, mask > 0)


def test_a_mask_of_one_plane_holds_for_all(volume: Path, tmp_path: Path) -> None:
    mask = np.zeros(SHAPE[1:], np.uint8)
    mask[6:34, 3:41] = 1
    Image.fromarray(mask).save(tmp_path / "mask.png")
    told = ["--region", tmp_path / "mask.png"]
    assert run("segment", volume, "-o", tmp_path / "a.tif", *told) == 0
    np.testing.assert_array_equal(
        labels_in(tmp_path / "a.tif") > 0, np.broadcast_to(mask > 0, SHAPE)
    )


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("0:41,0:10", "goes from 0 to 41 along Y, but the image from 0 to 40"),
        ("0:7,:,:", "along Z, but the image from 0 to 6"),
        ("30:20,:", "goes from 30 to 20 along Y, but must end after it begins"),
        ("5:5,:", "goes from 5 to 5 along Y"),
        ("none.png", "none.png does not exist"),
        ("small.png", "has the shape (8, 8), but the image has (6, 40, 48)"),
        ("empty.png", "0 everywhere"),
    ],
)
@pytest.mark.parametrize("planes", [[], ["--planes"]])
def test_regions_that_are_none(
    volume: Path,
    tmp_path: Path,
    told: str,
    message: str,
    planes: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    Image.fromarray(np.ones((8, 8), np.uint8)).save(tmp_path / "small.png")
    Image.fromarray(np.zeros(SHAPE[1:], np.uint8)).save(tmp_path / "empty.png")
    told = str(tmp_path / told) if told.endswith(".png") else told
    output = tmp_path / "a.tif"
    assert run("segment", volume, "-o", output, "--region", told, *planes) == 1
    assert message in error_line(capsys)
    assert not output.exists()


def test_a_region_of_planes_of_a_plane(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(tmp_path / "plane.ome.tif", VOLUME[0], "YX")
    assert run("segment", path, "-o", tmp_path / "a.tif", "--region", "0:1,:,:") == 1
    assert "the image is one plane (40 × 48)" in error_line(capsys)


# --- levels, times, outputs --------------------------------------------------------


def test_a_level_of_a_pyramid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cells.ome.zarr"
    group = zarr.create_group(path, zarr_format=3)
    datasets = []
    for level in (0, 1):
        step = 2**level
        group.create_array(str(level), data=VOLUME[:, ::step, ::step])
        transformation = {"type": "scale", "scale": [1.5, 0.5 * step, 0.5 * step]}
        datasets.append({"path": str(level), "coordinateTransformations": [transformation]})
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    image = {"axes": axes, "datasets": datasets}
    group.update_attributes({"ome": {"version": "0.5", "multiscales": [image]}})
    half = VOLUME[:, ::2, ::2]
    assert run("segment", path, "-o", tmp_path / "a.ome.tif", "--level", "1") == 0
    expected = segment(half, axes="ZYX", spacing=(1.5, 1, 1), params=PARAMS, options=ONE)
    np.testing.assert_array_equal(labels_in(tmp_path / "a.ome.tif"), expected.labels)
    assert str(read_image(tmp_path / "a.ome.tif").pixel_size) == "1.5 × 1 × 1 µm"
    assert provenance_of(tmp_path / "a.ome.tif")["level"] == 1
    assert run("segment", path, "-o", tmp_path / "b.tif", "--level", "1", "--planes") == 0
    assert labels_in(tmp_path / "b.tif").shape == half.shape
    model = tmp_path / "m.safetensors"
    assert run("train", path, "-o", model, "--level", "1") == 0
    assert str(Model.load(model).facts.pixel_size) == "1.5 × 1 × 1 µm"
    capsys.readouterr()
    assert run("segment", path, "-o", tmp_path / "c.tif", "--level", "2") == 1
    assert "has levels 0 to 1 but level 2 is asked for" in error_line(capsys)


@pytest.mark.parametrize("planes", [[], ["--planes"]])
@pytest.mark.parametrize("axes", ["TZYX", "TYX"])
def test_times_are_for_train_and_apply(
    tmp_path: Path, planes: list[str], axes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.stack([VOLUME, VOLUME]) if "Z" in axes else VOLUME[:2]
    path = save(tmp_path / "movie.ome.tif", pixels, axes)
    assert run("segment", path, "-o", tmp_path / "a.tif", *planes) == 1
    line = error_line(capsys)
    assert "has 2 frames (T), but 'segment' takes one image" in line
    assert "'train'" in line
    assert "'apply'" in line


def test_a_volume_is_no_png(
    volume: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for planes in ([], ["--planes"]):
        assert run("segment", volume, "-o", tmp_path / "a.png", *planes) == 1
        assert "PNG holds one" in error_line(capsys)


def test_a_source_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cells.zarr"
    zarr.create_array(store=path, data=VOLUME, dimension_names=list("zyx"))
    assert run("segment", path, "-o", path, "--force") == 1
    assert "is the image itself" in error_line(capsys)
    mask = tmp_path / "mask.tif"
    tifffile.imwrite(mask, (VOLUME > 100).astype(np.uint8), photometric="minisblack")
    assert run("segment", path, "-o", mask, "--region", mask, "--force") == 1
    assert "is the region itself" in error_line(capsys)


# --- models of volumes -------------------------------------------------------------


def test_a_model_of_volumes_learns_from_frames(tmp_path: Path) -> None:
    movie = np.stack([VOLUME, VOLUME[:, ::-1], VOLUME[:, :, ::-1]])
    path = save(tmp_path / "movie.ome.tif", movie, "TZYX")
    assert run("train", path, "-o", tmp_path / "m.safetensors", "--frames", "0,2") == 0
    model = Model.load(tmp_path / "m.safetensors")
    expected = train(
        [movie[0], movie[2]], axes="ZYX", spacing=(1.5, 0.5, 0.5), params=PARAMS, options=ONE
    )
    assert model.checksum == expected.checksum
    assert model.facts.provenance["images"] == [
        "frame 0 of movie.ome.tif",
        "frame 2 of movie.ome.tif",
    ]


def test_a_model_of_planes_learns_from_planes(tmp_path: Path) -> None:
    path = save(tmp_path / "cells.ome.tif", VOLUME, "ZYX")
    assert run("train", path, "-o", tmp_path / "m.safetensors", "--planes", "--frames", "1,4") == 0
    model = Model.load(tmp_path / "m.safetensors")
    assert model.spatial == "YX"
    assert str(model.facts.pixel_size) == "0.5 × 0.5 µm"
    expected = train([VOLUME[1], VOLUME[4]], axes="YX", params=PARAMS, options=ONE)
    assert model.checksum == expected.checksum


def test_volumes_that_are_apart_otherwise_are_told(
    volume: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = save(tmp_path / "other.ome.tif", VOLUME[:, ::-1], "ZYX", PhysicalSizeZ=4)
    model = tmp_path / "m.safetensors"
    assert run("train", volume, other, "-o", model) == 0
    assert "planes of other.ome.tif are not as far apart" in capsys.readouterr().err
    assert Model.load(model).z_step == 3
    assert run("train", volume, other, "-o", model, "--spacing", "2,1,1", "--force") == 0
    assert "not as far apart" not in capsys.readouterr().err
    assert Model.load(model).z_step == 2


def test_planes_and_volumes_are_not_learned_together(
    volume: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plane = save(tmp_path / "plane.ome.tif", VOLUME[0], "YX")
    assert run("train", volume, plane, "-o", tmp_path / "m.safetensors") == 1
    assert "learn from images of one kind" in error_line(capsys)


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two volumes: the ball, and the ball turned over."""
    home = tmp_path_factory.mktemp("movie")
    return save(home / "movie.ome.tif", np.stack([VOLUME, VOLUME[:, ::-1]]), "TZYX")


@pytest.mark.parametrize("planes", [[], ["--planes"]])
def test_time_and_depth_are_learned_and_labelled(
    movie: Path, tmp_path: Path, planes: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    model, output = tmp_path / "m.safetensors", tmp_path / "labels.ome.tif"
    assert run("train", movie, "-o", model, *planes) == 0
    capsys.readouterr()
    assert cli.main(["apply", str(model), str(movie), "-o", str(output), "--threads", "1"]) == 0
    written = read_image(output)
    assert (written.axes, str(written.pixel_size)) == ("TZYX", "1.5 × 0.5 × 0.5 µm")
    learned = Model.load(model)
    pixels = read_image(movie).pixels
    if planes:
        wanted = [[learned.apply(plane, options=ONE) for plane in frame] for frame in pixels]
        assert "12 frames" in capsys.readouterr().err
    else:
        wanted = [learned.apply(frame, axes="ZYX", options=ONE) for frame in pixels]
        assert "2 frames" in capsys.readouterr().err
    np.testing.assert_array_equal(np.asarray(written.pixels), wanted)


def test_a_second_frame_of_volumes(movie: Path, tmp_path: Path) -> None:
    model, output = tmp_path / "m.safetensors", tmp_path / "labels.ome.zarr"
    assert run("train", movie, "-o", model, "--frames", "0") == 0
    told = ["--frames", "1", "--table", str(tmp_path / "volumes.csv")]
    assert cli.main(["apply", str(model), str(movie), "-o", str(output), *told]) == 0
    expected = Model.load(model).apply(VOLUME[:, ::-1], axes="ZYX", options=ONE)
    np.testing.assert_array_equal(labels_in(output)[0], expected)
    assert (tmp_path / "volumes.csv").read_text().startswith("file,frame,label,name,volume_vx,")


def test_a_volume_is_labelled_window_by_window(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cells.zarr"
    volume = np.tile(VOLUME, (15, 1, 1))
    chunks = (8, *VOLUME.shape[1:])  # windows are units of their own where a file has parts
    zarr.create_array(store=path, data=volume, chunks=chunks, dimension_names=list("zyx"))
    model, output = tmp_path / "m.safetensors", tmp_path / "labels.ome.zarr"
    assert run("train", path, "-o", model) == 0
    capsys.readouterr()
    assert cli.main(["apply", str(model), str(path), "-o", str(output), "--threads", "1"]) == 0
    said = capsys.readouterr().err
    assert "1 frame, " in said
    assert " windows a second" in said
    expected = Model.load(model).apply(volume, axes="ZYX", options=ONE)
    np.testing.assert_array_equal(labels_in(output), expected)


def test_planes_for_a_model_of_volumes(
    movie: Path, volume: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "m.safetensors"
    assert run("train", volume, "-o", model) == 0
    told = ["apply", str(model), str(movie), "-o", str(tmp_path / "out.tif"), "--axes", "TCYX"]
    assert cli.main(told) == 1
    assert "no planes along Z, but the model was trained on volumes" in error_line(capsys)


# --- what was found by looking for faults ----------------------------------------------


def test_a_channel_may_be_called_by_a_number(tmp_path: Path) -> None:
    names = {"Channel": {"Name": ["405", "488", "561"]}}
    path = save(tmp_path / "light.ome.tif", CHANNELS, "CZYX", **names)
    out, same = tmp_path / "out.ome.tif", tmp_path / "same.ome.tif"
    assert run("segment", path, "-o", out, "--channels", "488") == 0
    assert run("segment", path, "-o", same, "--channels", "2") == 0
    np.testing.assert_array_equal(labels_in(out), labels_in(same))


def test_planes_without_a_finite_pixel_are_not_learned_from(tmp_path: Path) -> None:
    pixels = VOLUME.astype(np.float32)
    pixels[0] = np.nan
    out = tmp_path / "out.ome.tif"
    assert run("segment", save(tmp_path / "a.ome.tif", pixels, "ZYX"), "-o", out, "--planes") == 0
    labels = labels_in(out)
    assert not labels[0].any()
    assert labels[1:].all()


def test_strokes_beside_the_region_count_plane_by_plane_too(
    volume: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    region, strokes = np.zeros((2, *SHAPE), np.uint8)
    region[1, 4:9, 4:9] = region[3:5, 10:30, 10:40] = 1
    strokes[1, 20, 20:30] = strokes[3, 15, 15:30] = 1
    strokes[3, 25, 15:30] = 2
    tifffile.imwrite(tmp_path / "region.tif", region, photometric="minisblack")
    tifffile.imwrite(tmp_path / "strokes.tif", strokes, photometric="minisblack")
    files = ["--region", tmp_path / "region.tif", "--scribbles", tmp_path / "strokes.tif"]
    assert run("segment", volume, "-o", tmp_path / "out.ome.tif", "--planes", *files) == 0
    assert "learned from planes 1, 3 of 6" in capsys.readouterr().err
    labels = labels_in(tmp_path / "out.ome.tif")
    assert (labels[1, 20, 20:30] == 1).all()
    assert not labels[(region | strokes) == 0].any()
