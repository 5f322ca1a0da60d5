"""A run that is copied as Python, or as a command, gives the same labels again."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_diffseg import Channel, ObjectParams, SegmentationParams, cli, objects, segment
from napari_diffseg.batch.recipe import Recipe
from napari_diffseg.errors import InputError
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.io.reading import read_class_numbers, read_image

RNG = np.random.default_rng(0)
GRAY = np.kron(RNG.integers(0, 3, (6, 6)), np.ones((12, 12))) * 60 + RNG.integers(0, 30, (72, 72))
TWO = np.stack([GRAY, GRAY.T]).astype(np.uint16)
VOLUME = np.stack([GRAY, GRAY, GRAY[::-1], GRAY[::-1]]).astype(np.uint8)
STROKES = np.zeros((72, 72), np.uint8)
STROKES[2:5, 3:9], STROKES[40:44, 30:50] = 1, 3
REGION = np.zeros((72, 72), np.uint8)
REGION[:, 10:60] = 1

CASES = {
    "plain": (GRAY.astype(np.uint8), Recipe(Path("a.tif"), axes="YX")),
    "a size": (
        GRAY.astype(np.uint8),
        Recipe(Path("a.tif"), axes="YX", pixel_size=PixelSize(0.65, 0.65, "µm")),
    ),
    "a size of voxels": (
        VOLUME,
        Recipe(
            Path("a.tif"),
            axes="ZYX",
            spacing=(2.0, 0.5, 0.5),
            pixel_size=PixelSize(0.5, 0.5, "µm", 2.0),
        ),
    ),
    "parameters": (
        GRAY.astype(np.uint8),
        Recipe(
            Path("a.tif"),
            axes="YX",
            fill=None,
            params=SegmentationParams(n_labels=3, min_region_size=5, only_painted="no"),
        ),
    ),
    "paper": (
        GRAY.astype(np.uint8),
        Recipe(
            Path("a.tif"),
            axes="YX",
            params=SegmentationParams.paper(n_iterations=2, n_features=8, n_clusters=8),
        ),
    ),
    "strokes in a region": (
        GRAY.astype(np.uint8),
        Recipe(
            Path("a.tif"), axes="YX", scribbles=Path("strokes.tif"), region=Path("my region.tif")
        ),
    ),
    "channels": (
        TWO,
        Recipe(
            Path("a.tif"),
            axes="CYX",
            rgb=False,
            channels=(Channel(1, weight=0.5, low=3.0, high=140.0),),
            objects=ObjectParams(split=4, min_size=9),
        ),
    ),
    "one end of a range": (TWO, Recipe(Path("a.tif"), axes="CYX", channels=(Channel(0, high=90),))),
    "volume": (VOLUME, Recipe(Path("a.tif"), axes="ZYX", spacing=(2.0, 0.5, 0.5))),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("strokes.tif", STROKES)
    tifffile.imwrite("my region.tif", REGION)
    return tmp_path


def first_run(pixels, told: Recipe):
    return segment(
        pixels,
        axes=told.axes,
        rgb=told.rgb,
        spacing=told.spacing,
        channels=told.channels,
        fill=told.fill,
        scribbles=None if told.scribbles is None else STROKES,
        region=None if told.region is None else REGION,
        params=told.params,
    )


def written(folder):
    """Return the labels and objects that were written, by name, and take the files away."""
    found = {}
    for path in folder.glob("* *.ome.tif"):
        found[path.name] = read_class_numbers(path).pixels
        path.unlink()
    return found


@pytest.mark.parametrize("case", CASES)
def test_python_and_shell_give_the_same_labels(folder, case):
    pixels, told = CASES[case]
    tifffile.imwrite("a.tif", pixels, photometric="minisblack")
    result = first_run(pixels, told)
    names: dict = {}
    exec(compile(told.python(), case, "exec"), names)
    np.testing.assert_array_equal(names["labels"], result.labels)
    # Python and the shell write the same files.
    size = read_image("a labels.ome.tif").pixel_size
    by_python = written(folder)
    for line in told.shell().splitlines():
        assert cli.main([*shlex.split(line.removesuffix(" &&"))[1:], "--quiet"]) == 0
    assert read_image("a labels.ome.tif").pixel_size == size == told.pixel_size
    by_shell = written(folder)
    expected = {"a labels.ome.tif": result.labels}
    if told.objects is not None:
        expected["a objects.ome.tif"] = found = objects(result, params=told.objects)
        np.testing.assert_array_equal(names["found"], found)
    assert set(by_python) == set(by_shell) == set(expected)
    for name, pixels in expected.items():
        np.testing.assert_array_equal(by_python[name], pixels)
        np.testing.assert_array_equal(by_shell[name], pixels)


def test_a_model_is_applied_again(folder):
    pixels = CASES["plain"][0]
    tifffile.imwrite("a.tif", pixels)
    model = segment(pixels, scribbles=STROKES).model
    model.save("m.safetensors")
    told = Recipe(Path("a.tif"), axes="YX", model=Path("m.safetensors"))
    names: dict = {}
    exec(compile(told.python(), "model", "exec"), names)
    np.testing.assert_array_equal(names["labels"], model.apply(pixels))
    np.testing.assert_array_equal(written(folder)["a labels.ome.tif"], names["labels"])
    assert cli.main([*shlex.split(told.shell())[1:], "--quiet"]) == 0
    np.testing.assert_array_equal(written(folder)["a labels.ome.tif"], names["labels"])


def test_a_plane_of_a_stack_is_for_python_only(folder):
    tifffile.imwrite("a.tif", VOLUME, photometric="minisblack")
    told = Recipe(Path("a.tif"), index=(2, slice(None), slice(None)), axes="YX")
    names: dict = {}
    exec(compile(told.python(), "plane", "exec"), names)
    np.testing.assert_array_equal(names["labels"], segment(VOLUME[2]).labels)
    with pytest.raises(InputError, match="as Python"):
        told.shell()
    whole = replace(told, index=(slice(None),) * 3, axes="ZYX")
    assert "segment a.tif" in whole.shell()
