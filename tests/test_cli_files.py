"""Files as other programs write them, from the shell: what is read, and what is said."""

from __future__ import annotations

import html
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from napari_diffseg import cli
from napari_diffseg.io.frames import open_frames
from napari_diffseg.io.label_files.provenance import read_provenance
from napari_diffseg.io.reading import read_image

SMALL = ["--n-clusters", "6", "--threads", "1"]
HALVES = np.where(np.arange(32) < 16, 60, 180) + np.zeros((24, 1))
PLANES = (HALVES + np.random.default_rng(0).normal(0, 8, (4, 24, 32))).astype(np.uint8)
RGB = np.stack([PLANES, PLANES // 2, 255 - PLANES], -1)


def run(*arguments: Any) -> int:
    command, *rest = map(str, arguments)
    return cli.main([command, *rest, *([] if command == "apply" else SMALL)])


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


def ngff(path: Path, pixels: np.ndarray, axes: list[dict[str, str]], *steps: Any) -> Path:
    group = zarr.create_group(path, zarr_format=2)
    group.create_array("0", data=pixels)
    image: dict[str, Any] = {"axes": axes, "datasets": [{"path": "0"}]}
    image["datasets"][0]["coordinateTransformations"] = list(steps)
    group.attrs["multiscales"] = [image]
    return path


def spaces(names: str) -> list[dict[str, str]]:
    return [{"name": name, "type": "space", "unit": "micrometer"} for name in names]


SCALE = {"type": "scale", "scale": [2, 0.5, 0.5]}
SHIFT = {"type": "translation", "translation": [7, 10, 20]}


def transforms(path: Path) -> list[dict[str, Any]]:
    (image,) = zarr.open_group(path, mode="r").attrs["ome"]["multiscales"]
    found: list[dict[str, Any]] = image["datasets"][0]["coordinateTransformations"]
    return found


@pytest.mark.parametrize("how", [[], ["--planes"]])
def test_labels_of_a_volume_lie_where_it_lies(tmp_path: Path, how: list[str]) -> None:
    path = ngff(tmp_path / "a.zarr", PLANES, spaces("zyx"), SCALE, SHIFT)
    assert run("segment", path, "-o", tmp_path / "o.ome.zarr", *how) == 0
    assert transforms(tmp_path / "o.ome.zarr") == [SCALE, SHIFT]


def test_distances_that_are_stated_keep_the_place(tmp_path: Path) -> None:
    path = ngff(tmp_path / "a.zarr", PLANES, spaces("zyx"), SCALE, SHIFT)
    out = tmp_path / "o.ome.zarr"
    assert run("segment", path, "-o", out, "--spacing", "4000,500,500nm") == 0
    scale, shift = transforms(out)
    assert scale["scale"] == [4000, 500, 500]
    assert shift["translation"] == [7000, 10000, 20000]


def test_chosen_frames_lie_where_they_lay(tmp_path: Path) -> None:
    time = [{"name": "t", "type": "time", "unit": "second"}, *spaces("yx")]
    path = ngff(tmp_path / "a.zarr", PLANES, time, SCALE, SHIFT)
    assert run("train", path, "-o", tmp_path / "m.safetensors") == 0
    out = tmp_path / "o.ome.zarr"
    assert run("apply", tmp_path / "m.safetensors", path, "-o", out, "--frames", "1::2") == 0
    scale, shift = transforms(out)
    assert (scale["scale"], shift["translation"]) == ([4, 0.5, 0.5], [9, 10, 20])


def test_what_a_person_states_comes_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    axes = [{"name": "phase", "type": "other"}, *spaces("yx")]
    path = ngff(tmp_path / "a.zarr", PLANES[:2], axes, SCALE)
    assert run("segment", path, "-o", tmp_path / "o.tif") == 1
    assert "write the image again, or, where the axes are wrong, state them (--axes)." in said(
        capsys
    )
    assert run("segment", path, "-o", tmp_path / "o.tif", "--axes", "CYX") == 0


def test_what_is_missing_of_a_set_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, PLANES, ome=True, metadata={"axes": "TYX"})
    path.write_bytes(path.read_bytes().replace(b'SizeT="4"', b'SizeT="6"'))
    model = tmp_path / "m.safetensors"
    assert run("train", path, "-o", model) == 0
    assert "holds 4 of the 6 planes" in said(capsys)
    assert run("apply", model, path, "-o", tmp_path / "o.ome.tif") == 0
    assert "time points (T) 0 to 3" in said(capsys)
    assert open_frames(tmp_path / "o.ome.tif").n_frames == 4


def test_another_image_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, model = tmp_path / "two.tif", tmp_path / "m.safetensors"
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.zeros((8, 8), np.uint8), metadata={"axes": "YX"})
        writer.write(PLANES, metadata={"axes": "TYX"}, photometric="minisblack")
    assert run("train", path, "-o", model, "--series", "1") == 0
    assert "image 1 was read" in said(capsys)
    out = tmp_path / "o.ome.zarr"
    assert run("apply", model, path, "-o", out, "--series", "1") == 0
    assert open_frames(out).shape == PLANES.shape
    assert run("segment", path, "-o", tmp_path / "o.tif", "--series", "2") == 1
    assert "image 2 is asked for; choose one that it has (--series)." in said(capsys)


def test_an_output_that_is_a_link_stays_one(tmp_path: Path) -> None:
    store = tmp_path / "elsewhere"
    store.mkdir()
    image, model = tmp_path / "a.tif", tmp_path / "m.safetensors"
    tifffile.imwrite(image, PLANES[0])
    model.symlink_to(store / "model.safetensors")
    assert run("train", image, "-o", model) == 0
    for name in ("o.tif", "o.ome.zarr"):
        for command in (("segment",), ("apply", model)):
            link = tmp_path / f"{command[0]}-{name}"
            link.symlink_to(store / link.name)
            for force in ([], ["--force"]):
                assert run(*command, image, "-o", link, *force) == 0
                assert link.is_symlink()
                assert (store / link.name).exists()
                assert read_image(link).pixels.shape == (24, 32)
    assert model.is_symlink()
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.tif").symlink_to(store / "a.tif")
    assert run("apply", model, image, "-o", folder) == 0
    assert (folder / "a.tif").is_symlink()
    assert read_image(store / "a.tif").pixels.shape == (24, 32)


def test_a_stack_of_pictures_in_colours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, model = tmp_path / "rgb.tif", tmp_path / "m.safetensors"
    tifffile.imwrite(path, RGB, photometric="rgb", metadata=None)
    assert run("segment", path, "-o", tmp_path / "o.tif") == 1
    assert "for example 'ZYXC'" in said(capsys)
    assert run("segment", path, "-o", tmp_path / "o.tif", "--axes", "ZYXC") == 0
    assert run("train", path, "-o", model) == 0
    assert "rgb.tif does not name its first axis; it was taken for time (T)" in said(capsys)
    assert run("apply", model, path, "-o", tmp_path / "t.ome.tif") == 0
    assert open_frames(tmp_path / "t.ome.tif").shape == PLANES.shape


def test_colours_beside_channels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, model = tmp_path / "rgb.ome.tif", tmp_path / "m.safetensors"
    tifffile.imwrite(path, RGB, ome=True, photometric="rgb", metadata={"axes": "CYXS"})
    assert run("train", path, "-o", model) == 1
    sentence = said(capsys)
    assert "3 samples a pixel in each of 4 channels" in sentence
    assert "which are the axes TYXC (--axes)." in sentence
    assert run("train", path, "-o", model, "--axes", "TYXC") == 0


def test_a_field_of_a_plate_is_opened_by_the_path_that_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plate = zarr.create_group(tmp_path / "plate.zarr", zarr_format=2)
    names = {"rows": [{"name": "A"}], "columns": [{"name": "1"}]}
    plate.attrs["plate"] = names | {"wells": [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}]}
    well = plate.create_group("A").create_group("1")
    well.attrs["well"] = {"images": [{"path": "0"}, {"path": "1"}]}
    for name, plane in zip("01", PLANES, strict=False):
        ngff(tmp_path / "plate.zarr" / "A" / "1" / name, plane, spaces("yx"))
    assert run("segment", tmp_path / "plate.zarr", "-o", tmp_path / "o.tif") == 1
    sentence = said(capsys)
    named = sentence.split("for example ")[1].split(",")[0]
    assert run("segment", named, "-o", tmp_path / "o.tif") == 0
    model, out = tmp_path / "m.safetensors", tmp_path / "o.ome.zarr"
    assert run("train", named, "-o", model) == 0
    assert (
        run("apply", model, tmp_path / "plate.zarr", "-o", out, "--table", tmp_path / "t.csv") == 0
    )
    assert "2 frames" in said(capsys)
    assert read_image(out / "A" / "1" / "1").pixels.shape == (24, 32)
    assert "plate.zarr/A/1/1" in (tmp_path / "t.csv").read_text()


def test_a_report_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, page = tmp_path / "a b.tif", tmp_path / "page.html"
    tifffile.imwrite(path, RGB[0], photometric="rgb")
    told = ["segment", path, "-o", tmp_path / "o.tif", "--report", page]
    assert run(*told) == 0
    text = page.read_text("utf-8")
    assert html.escape(f"napari-diffseg segment '{path}' -o ") in text
    assert text.count("<img") == 3
    # What is there is not overwritten, and nothing is computed before that is said.
    (tmp_path / "o.tif").unlink()
    assert run(*told) == 1
    assert "page.html exists already" in said(capsys)
    assert not (tmp_path / "o.tif").exists()
    assert run(*told, "--force") == 0
    assert run("segment", path, "-o", tmp_path / "p.tif", "--report", path, "--force") == 1
    assert "another file of this run" in said(capsys)
    assert run("segment", path, "-o", tmp_path / "p.tif", "--report", "no/x.html") == 1
    assert run(*told, "--planes", "--force") == 1
    assert "--planes makes many" in said(capsys)


def test_train_and_apply_take_patterns_and_name_what_is_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in (1, 2, 10):
        tifffile.imwrite(tmp_path / f"t{n}.tif", PLANES[n % 4])
    model, labels = tmp_path / "m.safetensors", tmp_path / "labels"
    assert run("train", tmp_path / "t*.tif", "-o", model) == 0
    assert "from 3 images" in said(capsys)
    (tmp_path / "t3.tif").symlink_to(tmp_path / "gone.tif")
    assert run("apply", model, tmp_path, "-o", labels) == 3
    assert "t3.tif was not segmented" in said(capsys)
    assert sorted(one.name for one in labels.glob("*.tif")) == ["t1.tif", "t10.tif", "t2.tif"]
    for _ in range(2):
        assert run("apply", model, tmp_path, "-o", labels, "--resume") == 3
        assert "t3.tif was not segmented" in said(capsys), "it is told each time"


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes on Linux")
def test_names_of_files_in_another_encoding(tmp_path: Path) -> None:
    name = os.fsdecode(b"zelle_\xfc.tif")  # Latin-1
    model, table = tmp_path / "m.safetensors", tmp_path / "t.csv"
    tifffile.imwrite(tmp_path / "a.tif", PLANES[0])
    (tmp_path / "a.tif").rename(tmp_path / name)
    for ending in ("ome.tif", "png", "ome.zarr"):
        out = tmp_path / f"o.{ending}"
        assert run("segment", tmp_path / name, "-o", out, "--report", tmp_path / "r.html") == 0
        assert (read_provenance(out) or {})["image"].encode("utf-8", "replace")
        (tmp_path / "r.html").unlink()
    assert (read_provenance(tmp_path / "o.ome.tif") or {})["image"] == "zelle_\ufffd.tif"
    assert run("train", tmp_path / name, "-o", model) == 0
    assert run("apply", model, tmp_path / name, "-o", tmp_path / "o", "--table", table) == 0
    assert (tmp_path / "o" / name).exists()
    assert "zelle_\ufffd.tif" in table.read_text("utf-8")


def test_a_folder_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PLANES[0])
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert run("segment", tmp_path / "a.tif", "-o", tmp_path / "o.tif") == 1
    assert "does not exist any more; change to another" in said(capsys)


@pytest.mark.parametrize("length", [245, 300])
def test_a_name_that_is_too_long(
    tmp_path: Path, length: int, capsys: pytest.CaptureFixture[str]
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PLANES[0])
    for ending in (".tif", ".ome.zarr"):
        name = "n" * (length - len(ending)) + ending
        assert run("segment", tmp_path / "a.tif", "-o", tmp_path / name) == 1
        assert "is too long a name for a disk; choose a shorter one." in said(capsys)
    assert [one.name for one in tmp_path.iterdir()] == ["a.tif"]
