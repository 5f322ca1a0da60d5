"""Export: the same from Python and the shell, nothing overwritten."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from napari_diffseg import InputError, ObjectParams, OutputError, cli, export, measure, summary
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.instances import stacks
from napari_diffseg.io.label_files.described import known_labels
from napari_diffseg.io.label_files.frames import LabelFrames
from napari_diffseg.io.reading import read_image

NAMES = {2: "nucleus", 3: "cell/x"}


@pytest.fixture
def labels():
    frames = np.ones((3, 60, 80), np.uint8)
    for t in range(3):
        frames[t, 10 + t : 20 + t, 10:20] = 2
        frames[t, 30:44, 30:40] = 3
    return frames


@pytest.fixture
def image(labels):
    return np.random.default_rng(0).integers(0, 999, labels.shape).astype(np.uint16)


def rows_of(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def run(*words, code=0):
    assert cli.main([str(word) for word in words]) == code


FILES = [
    "result labels.ome.tif",
    "result mask 1.ome.tif",
    "result mask 2 nucleus.ome.tif",
    "result mask 3 cell_x.ome.tif",
    "result objects.csv",
    "result objects.ome.tif",
    "result summary.csv",
]


@pytest.fixture
def exported(tmp_path, labels, image):
    params = ObjectParams(classes="2,3")
    told = {"axes": "TYX", "image": image, "pixel_size": 0.5, "params": params}
    paths = export(labels, tmp_path / "out", class_names=NAMES, **told)
    assert sorted(path.name for path in paths) == FILES
    return tmp_path / "out"


def test_every_file_has_the_size_and_the_axes(exported, labels):
    for name in FILES:
        if name.endswith(".tif"):
            file = read_image(exported / name)
            assert (file.axes, file.pixel_size) == ("TYX", PixelSize(0.5, 0.5, "µm"))
    np.testing.assert_array_equal(read_image(exported / FILES[0]).pixels, labels)
    mask = read_image(exported / FILES[2])
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask.pixels, labels == 2)
    assert known_labels(exported / FILES[2]).names == {1: "nucleus"}
    assert known_labels(exported / FILES[0]).names == NAMES


def test_the_tables_are_those_of_measure_and_summary(exported, labels, image):
    objects = read_image(exported / "result objects.ome.tif").pixels
    told = {"labels": labels, "classes": (2, 3), "class_names": NAMES, "pixel_size": 0.5}
    table = measure(objects, image, axes="TYX", **told)
    rows = rows_of(exported / "result objects.csv")
    assert list(rows[0]) == list(table)
    assert [float(row["area_um2"]) for row in rows] == pytest.approx(table["area_um2"].tolist())
    counts = [int(row["count"]) for row in rows_of(exported / "result summary.csv")]
    assert counts == summary(table)["count"].tolist() == [1] * 6


@pytest.mark.parametrize("ending", [".ome.tif", ".ome.zarr"])
def test_the_shell_exports_what_python_does(tmp_path, exported, labels, image, ending, capsys):
    result, out = tmp_path / f"result{ending}", tmp_path / "shell"
    said = {"pixel_size": PixelSize(0.5, 0.5, "µm"), "names": NAMES}
    LabelFrames("TYX", labels.shape, labels.dtype, lambda: iter(labels), said).write(result)
    picture = tmp_path / "image.ome.zarr"
    LabelFrames("TYX", image.shape, image.dtype, lambda: iter(image), said).write(picture)
    run("export", result, "-o", out, "--image", picture, "--classes", "2,3")
    assert sorted(path.name for path in out.iterdir()) == FILES
    for name in FILES:
        if name.endswith(".csv"):
            assert (out / name).read_text() == (exported / name).read_text(), name
        else:
            mine, theirs = read_image(out / name), read_image(exported / name)
            np.testing.assert_array_equal(mine.pixels, theirs.pixels)
            assert (mine.axes, mine.pixel_size) == (theirs.axes, theirs.pixel_size)


def test_nothing_is_overwritten_unless_it_is_said(tmp_path, exported, labels, capsys):
    before = {path.name: path.read_bytes() for path in exported.iterdir()}
    with pytest.raises(OutputError, match="already"):
        export(labels, exported, axes="TYX", parts=["labels"])
    result = exported / "result labels.ome.tif"
    run("export", result, "-o", exported, "--name", "result", "--labels", "--force", code=1)
    assert "would be replaced" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in exported.iterdir()} == before
    export(labels, exported, axes="TYX", parts=["labels"], force=True)
    assert read_image(result).pixel_size is None


def test_only_what_is_asked_for_is_written(tmp_path, exported, capsys):
    result, out = exported / "result labels.ome.tif", tmp_path / "few"
    run("export", result, "-o", out, "--masks", "--zarr", "--name", "m")
    assert sorted(path.name for path in out.iterdir()) == [
        "m mask 1.ome.zarr",
        "m mask 2 nucleus.ome.zarr",
        "m mask 3 cell_x.ome.zarr",
    ]
    run("export", result, "-o", tmp_path / "table", "--table", "--classes", 2)
    assert len(rows_of(tmp_path / "table" / "result labels objects.csv")) == 3


def test_a_volume_is_measured_as_one(tmp_path):
    labels = np.zeros((4, 20, 20), np.uint8)
    labels[1:3, 5:10, 5:10] = 1
    export(labels, tmp_path / "out", pixel_size=(2, 0.5, 0.5))
    [row] = rows_of(tmp_path / "out" / "result objects.csv")
    assert float(row["volume_um3"]) == pytest.approx(50 * 0.5)
    assert rows_of(tmp_path / "out" / "result summary.csv")[0]["count"] == "1"


def test_the_classes_are_counted_once(tmp_path, labels, monkeypatch):
    counted, real = [], stacks.count_in_all
    monkeypatch.setattr(stacks, "count_in_all", lambda all_: counted.append(0) or real(all_))
    monkeypatch.setattr(LabelFrames, "classes", lambda self: pytest.fail("counted again"))
    export(labels, tmp_path / "out", axes="TYX", params=ObjectParams(classes="2,3"))
    assert len(counted) == 1


@pytest.mark.parametrize(
    ("told", "message"),
    [({"parts": ["pixels"]}, "cannot be exported"), ({"ending": ".png"}, "must be one of")],
)
def test_what_cannot_be_exported_is_said(tmp_path, labels, told, message):
    with pytest.raises(InputError, match=message):
        export(labels, tmp_path / "out", axes="TYX", **told)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_said(tmp_path, labels):
    with pytest.raises(OutputError, match="cannot be made a folder"):
        export(labels, tmp_path / "no" / "out", axes="TYX", parts=["labels"])
