"""Size, place, names and colours of labels: written, and read back by us and by others."""

from __future__ import annotations

import string
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_diffseg.errors import InputError, OutputError
from napari_diffseg.image.info import Placed
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.io.frames import open_frames
from napari_diffseg.io.label_files.described import known_labels, labels_beside
from napari_diffseg.io.label_files.frames import LabelFrames
from napari_diffseg.io.sources import new_source

SIZES = st.floats(1e-3, 1e3, allow_nan=False).map(lambda x: float(f"{x:.6g}"))
STARTS = st.floats(-1e4, 1e4, allow_nan=False).map(lambda x: float(f"{x:.6g}"))
NAMES = st.text(string.ascii_letters + "µ <&>\"'", min_size=1, max_size=8)
COLORS = st.tuples(*[st.integers(0, 255).map(lambda n: n / 255)] * 4)


@st.composite
def described(draw):
    """Labels of any axes and type, with all that can be said of them."""
    axes = draw(st.sampled_from(["YX", "ZYX", "TYX", "TZYX"]))
    lengths = {"T": 3, "Z": 2, "Y": 5, "X": 7}
    shape = tuple(lengths[one] for one in axes)
    dtype = draw(st.sampled_from(["bool", "u1", "u2", "u4", "i2", "i4", "i8"]))
    labels = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 2, shape).astype(dtype)
    unit = draw(st.sampled_from(["µm", "nm", "mm"]))
    z = draw(SIZES) if "Z" in axes else None
    size = draw(st.none() | st.builds(PixelSize, SIZES, SIZES, st.just(unit), st.just(z)))
    placement = {}
    if size is not None:
        steps = {"Z": size.z, "Y": size.y, "X": size.x}
        placement = {one: Placed(steps[one], draw(STARTS), unit) for one in axes if one in steps}
    said = {
        "pixel_size": size,
        "t_step": draw(st.none() | SIZES) if "T" in axes else None,
        "placement": placement,
        "names": draw(st.dictionaries(st.integers(1, 9), NAMES, max_size=3)),
        "colors": draw(st.dictionaries(st.integers(1, 9), COLORS, max_size=3)),
        "provenance": {"by": "hand"},
    }

    def planes():
        yield from labels.reshape(-1, *shape[-2:])

    return labels, LabelFrames(axes, shape, labels.dtype, planes, said)


@pytest.mark.parametrize("ending", [".ome.tif", ".ome.zarr"])
@settings(max_examples=25, deadline=None)
@given(described())
def test_what_is_said_is_read_back(ending, case):
    labels, frames = case
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"labels{ending}"
        frames.write(path)
        source = new_source(path)
        info = source.facts
        np.testing.assert_array_equal(source.read((slice(None),) * labels.ndim), labels)
        assert info.axes == frames.axes
        assert info.pixel_size == frames.said["pixel_size"]
        assert info.t_step == pytest.approx(frames.said["t_step"])
        for letter, placed in frames.said["placement"].items():
            assert info.placement[letter].start == pytest.approx(placed.start, rel=1e-9)
        known = known_labels(path)
        assert known.names == frames.said["names"]
        for label, color in frames.said["colors"].items():
            assert known.colors[label] == pytest.approx(color, abs=1e-5)
        assert known.provenance["by"] == "hand"
        # Files stay open as long as what reads them lives.
        del source


def frames_of(labels, axes, **said):
    def planes():
        yield from labels.reshape(-1, *labels.shape[-2:])

    return LabelFrames(axes, labels.shape, labels.dtype, planes, said)


SIZE = PixelSize(0.5, 0.25, "µm", z=2.0)
PLACE = {
    "Z": Placed(2.0, 7.0, "µm"),
    "Y": Placed(500, -3000, "nm"),
    "X": Placed(0.25, 1.25, "µm"),
}


def test_tifffile_reads_where_the_planes_lie(tmp_path):
    path = tmp_path / "labels.ome.tif"
    frames_of(np.ones((3, 4, 5), "u1"), "ZYX", pixel_size=SIZE, placement=PLACE).write(path)
    with tifffile.TiffFile(path) as tif:
        said = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
    assert [plane["PositionZ"] for plane in said["Plane"]] == [7, 9, 11]
    assert {(plane["PositionY"], plane["PositionYUnit"]) for plane in said["Plane"]} == {(-3, "µm")}
    assert said["PhysicalSizeZ"] == 2


def test_ome_zarr_reads_sizes_places_names_and_colours(tmp_path):
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    path = tmp_path / "labels.ome.zarr"
    labels = np.arange(20, dtype="u1").reshape(4, 5) % 3
    said = {"names": {1: "a", 2: "b"}, "colors": {1: (1, 0, 0, 1), 2: (0, 0, 1, 1)}}
    place = {one: PLACE[one] for one in "YX"}
    frames_of(labels, "YX", pixel_size=SIZE.plane, placement=place, **said).write(path)
    image, _, found = Reader(parse_url(path))()
    for node in (image, found):
        np.testing.assert_array_equal(np.asarray(node.data[0]), labels)
        scale, translation = node.metadata["coordinateTransformations"][0]
        assert (scale["scale"], translation["translation"]) == ([0.5, 0.25], [-3.0, 1.25])
    assert found.metadata["color"] == {1: [1, 0, 0, 1], 2: [0, 0, 1, 1]}
    assert found.metadata["properties"] == {1: {"name": "a"}, 2: {"name": "b"}}


def test_a_position_without_a_unit_of_length_says_nothing(tmp_path):
    path = tmp_path / "image.ome.tif"
    metadata = {
        "axes": "YX",
        "PhysicalSizeX": 0.5,
        "PhysicalSizeY": 0.5,
        "Plane": {"PositionX": [12.0], "PositionXUnit": ["reference frame"]},
    }
    tifffile.imwrite(path, np.zeros((4, 5), "u1"), ome=True, metadata=metadata)
    assert open_frames(path).placement["X"].start == 0


def test_imagej_says_which_pixel_the_origin_is_at(tmp_path):
    path = tmp_path / "image.tif"
    metadata = {"axes": "ZYX", "unit": "um", "spacing": 2.0, "xorigin": 4, "zorigin": 1}
    pixels = np.zeros((3, 4, 5), "u1")
    tifffile.imwrite(path, pixels, imagej=True, resolution=(5, 5), metadata=metadata)
    placement = open_frames(path).placement
    starts = [placement[one].start for one in "ZYX"]
    assert starts == pytest.approx([-2.0, 0.0, -0.8])


def test_a_coarser_resolution_begins_in_the_middle_of_its_first_pixel(tmp_path):
    path = tmp_path / "pyramid.ome.tif"
    metadata = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    with tifffile.TiffWriter(path, ome=True) as tif:
        tif.write(np.zeros((64, 64), "u1"), subifds=1, metadata=metadata)
        tif.write(np.zeros((32, 32), "u1"), subfiletype=1)
    placed = open_frames(path, level=1).placement["X"]
    assert (placed.step, placed.start) == (1.0, 0.25)


def test_labels_of_other_programs_in_an_ome_zarr_are_found(tmp_path):
    root = zarr.create_group(tmp_path / "image.zarr", zarr_format=3)
    group = root.create_group("labels", attributes={"ome": {"labels": ["nuclei", "gone"]}})
    said = {
        "properties": [{"label-value": 2, "name": "nucleus"}, {"label-value": "x"}],
        "colors": [{"label-value": 2, "rgba": [255, 0, 0, 255]}, {"label-value": 3, "rgba": "no"}],
    }
    group.create_group("nuclei", attributes={"ome": {"image-label": said}})
    [(name, known)] = labels_beside(tmp_path / "image.zarr").items()
    assert (name, known.names, known.colors) == ("nuclei", {2: "nucleus"}, {2: (1, 0, 0, 1)})


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([[1, -2]]), "a label -2"),
        (np.array([[1, 2**40]]), f"a label {2**40}"),
        (np.array([[0.5]]), "one whole number"),
    ],
)
def test_labels_that_no_file_holds(tmp_path, labels, message):
    with pytest.raises(InputError, match=message):
        frames_of(labels, "YX").write(tmp_path / "labels.ome.tif")
    assert not list(tmp_path.iterdir())


def test_a_stack_does_not_go_into_a_png(tmp_path):
    with pytest.raises(OutputError, match="PNG holds one"):
        frames_of(np.ones((2, 4, 5), "u1"), "TYX").write(tmp_path / "labels.png")


def test_a_file_of_another_program_is_no_result_of_ours(tmp_path):
    path = tmp_path / "image.ome.tif"
    metadata = {"axes": "YX", "Description": '{"exposure": 5}'}
    tifffile.imwrite(path, np.zeros((4, 5), "u1"), ome=True, metadata=metadata)
    assert known_labels(path) is None
