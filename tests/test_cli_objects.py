from __future__ import annotations

import argparse
import csv
import os
import signal
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_diffseg import InputError, ObjectParams, cli, measure, objects
from napari_diffseg.cli.spacing import stated_pixel_size
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.instances import finding
from napari_diffseg.io.frames import open_frames
from napari_diffseg.io.label_files.frames import LabelFrames
from napari_diffseg.io.label_files.label_store import LabelStore
from napari_diffseg.io.label_files.provenance import read_provenance
from napari_diffseg.io.label_files.writing import write_label_stack, write_labels
from napari_diffseg.io.reading import read_image

SIZE = PixelSize(0.3, 0.3, "µm")


def run(*words, code=0):
    assert cli.main([str(word) for word in words]) == code


def table_of(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def movie():
    """Blobs that drift: labels 1 and 2."""
    y, x = np.mgrid[:64, :80]
    centres = np.random.default_rng(1).uniform(8, 60, (6, 2))
    frames = [
        1 + np.any([np.hypot(y - a - t, x - b - 2 * t) < 7 for a, b in centres], axis=0)
        for t in range(5)
    ]
    return np.stack(frames).astype(np.uint8)


@pytest.fixture
def stack_file(tmp_path, movie):
    path = tmp_path / "labels.ome.tif"
    write_label_stack(
        path, movie, shape=movie.shape, axes="TYX", dtype="u1", pixel_size=SIZE, t_step=30.0
    )
    return path


@pytest.mark.parametrize("ending", ["ome.tif", "ome.zarr"])
def test_the_shell_makes_what_python_makes_of_a_stack(tmp_path, movie, stack_file, ending, capsys):
    out = tmp_path / f"objects.{ending}"
    run("objects", stack_file, "-o", out, "--classes", 2, "--split", 4, "--min-size", 9)
    expected = objects(movie, 2, axes="TYX", split=4, min_size=9)
    assert f"{expected.max()} objects in 5 frames" in capsys.readouterr().err
    stack = open_frames(out)
    assert (stack.axes, stack.pixel_size, stack.t_step) == ("TYX", SIZE, 30.0)
    found = np.stack([np.asarray(stack.frame(t)[:, :]) for t in range(5)])
    assert np.array_equal(found, expected)
    told = read_provenance(out)
    assert told["objects"] == ObjectParams(classes="2", split=4, min_size=9).to_dict()
    assert told["labels"] == "labels.ome.tif"


def test_a_plane_to_png_and_its_table(tmp_path, movie, capsys):
    labels, image, out = (tmp_path / name for name in ("labels.png", "image.tif", "objects.png"))
    write_labels(labels, movie[0], pixel_size=SIZE)
    pixels = np.random.default_rng(0).integers(0, 999, (2, 64, 80)).astype(np.uint16)
    metadata = {"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}}
    tifffile.imwrite(image, pixels, ome=True, metadata=metadata, photometric="minisblack")
    run("objects", labels, "-o", out, "--classes", "2", "--split", "4", "--clear-border")
    found = objects(movie[0], 2, split=4, clear_border=True)
    assert np.array_equal(read_image(out).pixels, found)
    table, summary = tmp_path / "table.csv", tmp_path / "summary.csv"
    words = ["measure", out, "--image", image, "--labels", labels, "-o", table]
    run(*words, "--summary", summary, "--pixel-size", "0.5um", "--names", "2=nucleus")
    expected = measure(
        found,
        pixels,
        channel_axis=0,
        channel_names=["DAPI", "GFP"],
        pixel_size=0.5,
        labels=movie[0],
        classes=2,
        class_names={2: "nucleus"},
    )
    rows = table_of(table)
    assert list(rows[0]) == list(expected)
    assert len(rows) == expected["object"].size > 0
    for name, column in expected.items():
        if column.dtype == object:
            assert [row[name] for row in rows] == list(column)
        else:
            assert np.allclose([float(row[name]) for row in rows], column), name
    [only] = table_of(summary)
    assert (only["class_name"], int(only["count"])) == ("nucleus", len(rows))
    assert float(only["total_area_um2"]) == pytest.approx(expected["area_um2"].sum())


def test_the_pixel_size_goes_with_the_objects(tmp_path, stack_file, movie, capsys):
    out, table = tmp_path / "objects.ome.zarr", tmp_path / "table.csv"
    run("objects", stack_file, "-o", out, "--classes", 2)
    run("measure", out, "-o", table)
    rows = table_of(table)
    areas = [float(row["area_um2"]) for row in rows if row["frame"] == "4"]
    assert sum(areas) == pytest.approx((movie[4] == 2).sum() * 0.09, rel=0.02)
    assert "pixels" not in capsys.readouterr().err


def test_sizes_in_pixels_are_said_to_be(tmp_path, movie, capsys):
    labels, table = tmp_path / "labels.png", tmp_path / "table.csv"
    write_labels(labels, movie[0])
    run("measure", labels, "-o", table)
    assert "sizes are in pixels" in capsys.readouterr().err
    assert "area_px" in table_of(table)[0]


def test_a_volume_is_one_thing_and_its_planes_are_many(tmp_path, movie, capsys):
    labels, out = tmp_path / "labels.ome.tif", tmp_path / "objects.ome.tif"
    size = PixelSize(0.3, 0.3, "µm", z=1.2)
    write_labels(labels, movie, pixel_size=size)
    run("objects", labels, "-o", out, "--classes", 2, "--split", 3)
    file = read_image(out)
    assert (file.axes, file.pixel_size) == ("ZYX", size)
    spacing = (1.2, 0.3, 0.3)
    assert np.array_equal(file.pixels, objects(movie, 2, split=3, spacing=spacing))
    run("objects", labels, "-o", out, "--classes", 2, "--split", 3, "--planes", "--force")
    expected = objects(movie, 2, split=3, axes="TYX")
    assert np.array_equal(read_image(out).pixels, expected)
    run("measure", out, "-o", tmp_path / "table.csv")
    assert "volume_um3" in table_of(tmp_path / "table.csv")[0]


def test_nothing_is_overwritten(tmp_path, stack_file, capsys):
    out, table = tmp_path / "objects.ome.tif", tmp_path / "table.csv"
    run("objects", stack_file, "-o", out, "--classes", 2)
    run("measure", out, "-o", table)
    before = out.read_bytes(), table.read_bytes()
    run("objects", stack_file, "-o", out, "--classes", 1, code=1)
    run("measure", out, "-o", table, "--summary", table, "--force", code=1)
    run("measure", out, "-o", table, code=1)
    run("measure", out, "-o", out, "--force", code=1)
    run("objects", stack_file, "-o", stack_file, "--force", code=1)
    assert (out.read_bytes(), table.read_bytes()) == before
    run("objects", stack_file, "-o", out, "--classes", 1, "--force")
    assert out.read_bytes() != before[0]


def test_damage_leaves_nothing_behind(tmp_path, movie, monkeypatch, capsys):
    path, out = tmp_path / "labels.ome.zarr", tmp_path / "objects.ome.zarr"
    store = LabelStore.create(path, axes="TYX", shape=movie.shape, dtype="u1")
    for t, frame in enumerate(movie):
        store.write(t, None, frame)
    chunk = sorted(one for one in path.rglob("c/3/0/0") if one.is_file())[0]
    chunk.write_bytes(b"no zstd")
    run("objects", path, "-o", out, code=1)
    assert "damaged" in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == ["labels.ome.zarr"]


def test_what_does_not_fit_is_said(tmp_path, movie, stack_file, capsys):
    out = tmp_path / "objects.ome.tif"
    colors = tmp_path / "colors.png"
    Image.fromarray(np.zeros((64, 80, 3), np.uint8)).save(colors)
    run("objects", colors, "-o", out, code=1)
    assert "one whole number for each pixel" in capsys.readouterr().err
    run("objects", stack_file, "-o", tmp_path / "objects.png", code=1)
    assert "PNG holds one" in capsys.readouterr().err
    run("objects", stack_file, "-o", out, "--classes", "two", code=1)
    assert "numbers from 1 on" in capsys.readouterr().err
    run("objects", stack_file, "-o", out)
    run("measure", out, "--image", colors, "-o", tmp_path / "table.csv", code=1)
    error = capsys.readouterr().err
    assert "5 frames along T of 64 × 80" in error
    assert "state the axes" in error
    with pytest.raises(SystemExit):
        run("measure", out, "-o", tmp_path / "table.csv", "--pixel-size", "3")


def test_a_decimal_comma_is_not_taken_for_two_sizes():
    with pytest.raises(argparse.ArgumentTypeError, match=r"write 1\.5um, or 1\.0,5\.0um for two"):
        stated_pixel_size("1,5um")
    assert stated_pixel_size("0.3,0.4um") == PixelSize(0.3, 0.4, "µm")


def test_a_nameless_movie_is_taken_as_the_objects_are(tmp_path, movie, stack_file, capsys):
    out, image, table = (tmp_path / name for name in ("objects.ome.tif", "movie.tif", "t.csv"))
    run("objects", stack_file, "-o", out, "--classes", 2)
    tifffile.imwrite(image, movie * 10, photometric="minisblack", metadata=None)
    run("measure", out, "--image", image, "-o", table)
    assert {row["min_ch1"] for row in table_of(table)} == {"20"}


def test_memory_does_not_grow_with_the_frames(tmp_path, capsys):
    def peak(n_frames):
        path, out = tmp_path / f"{n_frames}.ome.zarr", tmp_path / f"{n_frames}.objects.ome.zarr"
        store = LabelStore.create(path, axes="TYX", shape=(n_frames, 256, 256), dtype="u1")
        frame = np.zeros((256, 256), np.uint8)
        frame[40:200, 40:200] = 2
        for t in range(n_frames):
            store.write(t, None, frame)
        tracemalloc.start()
        run("objects", path, "-o", out, "--split", 5, "--quiet")
        run("measure", out, "-o", tmp_path / f"{n_frames}.csv", "--quiet")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(2)
    # A frame of what is found has 256 kB.
    assert peak(24) - peak(4) < 256 * 1024


def test_names_of_classes_come_from_the_labels(tmp_path, movie):
    labels, out, table = (tmp_path / name for name in ("labels.png", "objects.png", "table.csv"))
    write_labels(labels, movie[0], provenance={"class_names": {"2": "nucleus"}})
    run("objects", labels, "-o", out, "--classes", 2)
    assert read_provenance(out)["class_names"] == {"2": "nucleus"}
    run("measure", out, "--labels", labels, "-o", table)
    assert {row["class_name"] for row in table_of(table)} == {"nucleus"}


def blocks(background):
    """Return three blocks of class 2 and one of class 3 on a background."""
    labels = np.full((40, 60), background, np.uint8)
    for left in (4, 20, 36):
        labels[4:14, left : left + 10] = 2
    labels[24:34, 4:14] = 3
    return labels


@pytest.mark.parametrize(("background", "n_objects"), [(0, 4), (1, 4)])
def test_background_is_left_out_unless_it_is_named(tmp_path, background, n_objects, capsys):
    labels, out = tmp_path / "labels.png", tmp_path / "objects.png"
    write_labels(labels, blocks(background))
    run("objects", labels, "-o", out)
    said = capsys.readouterr().err
    found = read_image(out).pixels
    assert found.max() == n_objects
    assert not found[blocks(background) == background].any()
    assert np.array_equal(found, objects(blocks(background)))
    assert ("1, the largest class, is taken for background" in said) == (background == 1)
    named = "1,2,3" if background else "2,3"
    run("objects", labels, "-o", out, "--classes", named, "--split", 0, "--force")
    assert read_image(out).pixels.max() == n_objects + background


def test_where_there_is_a_0_the_largest_class_is_no_background():
    labels = blocks(1)
    labels[0, 0] = 0
    assert objects(labels).max() == 5
    assert objects(np.ones((9, 9), np.uint8), min_size=1).max() == 1  # one class alone


def test_a_class_that_is_not_there_is_said(tmp_path, capsys):
    labels = tmp_path / "labels.png"
    write_labels(labels, blocks(1))
    run("objects", labels, "-o", tmp_path / "objects.png", "--classes", 7, code=1)
    said = capsys.readouterr().err
    assert "no class 7 among the labels" in said
    assert "(they have 1, 2, 3)" in said
    assert not (tmp_path / "objects.png").exists()
    with pytest.raises(InputError, match="no class 7 among the labels"):
        objects(blocks(1), 7)
    # But of a frame that has none of a class there are none.
    movie = np.stack([blocks(1), np.ones((40, 60), np.uint8)])
    assert not objects(movie, 2, axes="TYX")[1].any()


def test_classes_that_are_measured_as_objects_are_said_to_be(tmp_path, capsys):
    labels, table = tmp_path / "labels.ome.tif", tmp_path / "table.csv"
    write_labels(labels, blocks(1), provenance={"program": "napari-diffseg"})
    run("measure", labels, "-o", table)
    assert "holds classes" in capsys.readouterr().err
    run("objects", labels, "-o", tmp_path / "objects.ome.tif")
    run("measure", tmp_path / "objects.ome.tif", "-o", table, "--force")
    assert "holds classes" not in capsys.readouterr().err


@pytest.mark.parametrize("background", [0, 1])
def test_export_leaves_the_same_background_out_as_objects(tmp_path, background):
    labels, folder = tmp_path / "labels.ome.tif", tmp_path / "out"
    write_labels(labels, blocks(background))
    run("export", labels, "-o", folder, "--objects", "--table", "--quiet")
    (path,) = folder.glob("*objects*.ome.tif")
    found = np.asarray(read_image(path).pixels)
    np.testing.assert_array_equal(found, objects(blocks(background)))


_DEAF = """
import hashlib, signal, sys
from napari_diffseg import cli
from napari_diffseg.batch import objects

signal.signal(signal.SIGINT, signal.SIG_IGN)

def deaf(*args, **kwargs):
    print("begun", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", 2**31 - 1)  # as NumPy: Python hears nothing meanwhile

objects.objects_of_frames = deaf if sys.argv[1] != "measure" else objects.objects_of_frames
objects.measure_frame = deaf
sys.exit(cli.main())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no signal to send")
@pytest.mark.parametrize("command", ["objects", "measure", "export"])
def test_ctrl_c_ends_a_command_in_the_midst_of_a_computation(tmp_path, stack_file, command):
    out = tmp_path / "out"
    out.mkdir()
    name = {"objects": "o.ome.zarr", "measure": "t.csv", "export": "e"}[command]
    program = subprocess.Popen(
        [sys.executable, "-c", _DEAF, command, str(stack_file), "-o", str(out / name)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        assert program.stdout.readline() == b"begun\n"
        begun = time.monotonic()
        program.send_signal(signal.SIGINT)
        _, printed = program.communicate(timeout=60)
        # Less than a second on a machine with nothing else to do; the computation takes an hour.
        assert time.monotonic() - begun < 20
    finally:
        program.kill()
    assert program.returncode == 130
    assert printed.decode().endswith("napari-diffseg: cancelled.\n")
    whole = ["labels labels.ome.tif", "labels mask 1.ome.tif", "labels mask 2.ome.tif"]
    left = sorted(path.name for path in out.rglob("*") if path != out / "e")
    assert left == (whole if command == "export" else [])


def test_the_files_of_an_export_begin_with_the_name_of_the_image(tmp_path):
    labels, folder = tmp_path / "cells_labels.ome.tif", tmp_path / "out"
    for said, name in (
        ({"image": "cells.ome.tif"}, "cells"),
        ({"images": ["movie.tif"]}, "movie"),
        ({"images": ["a.tif", "b.tif"]}, "cells_labels"),
        ({}, "cells_labels"),
    ):
        write_labels(labels, blocks(0), provenance=said, force=True)
        run("export", labels, "-o", folder, "--labels", "--quiet", "--force")
        assert (folder / f"{name} labels.ome.tif").exists()


def test_the_frames_are_counted_once(tmp_path, stack_file, monkeypatch):
    counted, count = [], finding.count_in_all
    monkeypatch.setattr(finding, "count_in_all", lambda found: counted.append(1) or count(found))
    monkeypatch.setattr(LabelFrames, "classes", None)
    run("export", stack_file, "-o", tmp_path / "out", "--masks", "--objects", "--names", "2=cell")
    assert len(counted) == 1
    assert (tmp_path / "out" / "labels mask 2 cell.ome.tif").exists()


def test_names_of_classes_that_never_come_are_said_and_not_written(tmp_path, capsys):
    labels, found, table = (tmp_path / f"{name}.ome.tif" for name in ("labels", "found", "table"))
    write_labels(labels, blocks(0))
    run("export", labels, "-o", tmp_path / "out", "--labels", "--names", "2=cell,9=x")
    assert "there is no label 9 in the result (it has 0, 2, 3)" in capsys.readouterr().err
    many = tmp_path / "many.ome.tif"
    write_labels(many, np.arange(400, dtype=np.uint16).reshape(20, 20))
    run("export", many, "-o", tmp_path / "out", "--labels", "--names", "999=x")
    assert "(it has 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …), so" in capsys.readouterr().err
    written = read_provenance(tmp_path / "out" / "labels labels.ome.tif")
    assert written["class_names"] == {"2": "cell"}
    run("objects", labels, "-o", found)
    told = ["measure", found, "-o", table, "--force", "--names", "2=cell,9=x"]
    run(*told, "--labels", labels)
    assert "there is no label 9 in the result" in capsys.readouterr().err
    run(*told)
    assert "classes are known only of the labels (--labels)" in capsys.readouterr().err


def test_labels_that_fiji_keeps_in_floats_are_labels(tmp_path, movie, capsys):
    results = {}
    for kind in ("u1", "f4"):
        path, folder = tmp_path / f"{kind}.tif", tmp_path / kind
        tifffile.imwrite(path, movie.astype(kind), imagej=True, metadata={"axes": "TYX"})
        run("export", path, "-o", folder, "--name", "a", "--classes", "2")
        run("measure", path, "-o", folder / "classes.csv")
        results[kind] = {
            one.name: tifffile.imread(one) if one.suffix == ".tif" else one.read_text()
            for one in sorted(folder.iterdir())
        }
    for name, of_numbers in results["u1"].items():
        assert np.array_equal(results["f4"][name], of_numbers), name
    assert np.array_equal(objects(movie.astype("f4"), 2, axes="TYX"), objects(movie, 2, axes="TYX"))
    tifffile.imwrite(tmp_path / "image.tif", movie[0] + np.float32(0.5))
    run("measure", tmp_path / "image.tif", "-o", tmp_path / "no.csv", code=1)
    assert "labels are one whole number for each pixel" in capsys.readouterr().err
    assert not (tmp_path / "no.csv").exists()
