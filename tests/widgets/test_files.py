"""Layers from files and to files: what napari is told, what is written, and what is left alone."""

from __future__ import annotations

from pathlib import Path

import dask.array as da
import napari_builtins
import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Image, Labels, Layer
from napari.layers._source import Source
from napari.utils.colormaps import DirectLabelColormap
from npe2 import PluginManager, PluginManifest

import napari_diffseg
from napari_diffseg.errors import InputError
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.io.frames import open_frames
from napari_diffseg.io.label_files.described import known_labels
from napari_diffseg.widgets.files import reader
from napari_diffseg.widgets.files.labels import LAYER, NOTED, labels_of, size_from
from napari_diffseg.widgets.files.reader import get_reader
from napari_diffseg.widgets.files.writer import write_labels
from napari_diffseg.widgets.image.layer_facts import facts_of
from napari_diffseg.widgets.scribbles.class_names import names_in

BUILTINS = Path(napari_builtins.__file__).parent / "builtins.yaml"
PIXELS = np.random.default_rng(0).integers(0, 999, (2, 3, 20, 30)).astype(np.uint16)


def read(path):
    found = get_reader(str(path))
    return None if found is None else [Layer.create(*one) for one in found(str(path))]


def opened(path):
    """Open a file as napari does: channels become layers of their own."""
    layers = []
    for data, attributes, kind in get_reader(str(path))(str(path)):
        axis = attributes.pop("channel_axis", None)
        if axis is None:
            layers.append(Layer.create(data, attributes, kind))
            continue
        for n, name in enumerate(attributes.pop("name")):
            part = np.take(data, n, axis)
            layers.append(Layer.create(part, {**attributes, "name": name}, kind))
    return layers


def ome_tiff(path, pixels=PIXELS, axes="CZYX", **said):
    size = {f"PhysicalSize{one}": step for one, step in zip("ZYX", (2.0, 0.5, 0.25), strict=True)}
    metadata = {"axes": axes, **(size if not said.pop("bare", False) else {}), **said}
    tifffile.imwrite(path, pixels, ome=True, photometric="minisblack", metadata=metadata)
    return path


def test_an_ome_tiff_has_a_layer_for_each_named_channel(tmp_path):
    plane = {
        "PositionX": [5.0] * 6,
        "PositionXUnit": ["µm"] * 6,
        "PositionZ": [float(n % 3) for n in range(6)],
        "PositionZUnit": ["mm"] * 6,
    }
    said = {"Channel": {"Name": ["DAPI", "GFP"]}, "Plane": plane}
    layers = opened(ome_tiff(tmp_path / "cells.ome.tif", **said))
    assert [layer.name for layer in layers] == ["DAPI", "GFP"]
    for layer, pixels in zip(layers, PIXELS, strict=True):
        np.testing.assert_array_equal(layer.data, pixels)
        np.testing.assert_allclose(layer.scale, (2, 0.5, 0.25))
        np.testing.assert_allclose(layer.translate, (0, 0, 5))
        assert [str(unit) for unit in layer.units] == ["micrometer"] * 3
        assert layer.axis_labels == ("z", "y", "x")


def test_an_imagej_movie_has_its_interval(tmp_path):
    path = tmp_path / "movie.tif"
    said = {"axes": "TYX", "unit": "um", "finterval": 30.0}
    tifffile.imwrite(path, PIXELS[0], imagej=True, resolution=(4, 2), metadata=said)
    [layer] = read(path)
    np.testing.assert_allclose(layer.scale, (30, 0.5, 0.25))
    assert [str(unit) for unit in layer.units] == ["second", "micrometer", "micrometer"]
    assert (layer.axis_labels, layer.name) == (("t", "y", "x"), "movie")


def test_channels_without_names_and_colours_stay_in_one_layer(tmp_path):
    [layer] = read(ome_tiff(tmp_path / "a.ome.tif"))
    assert layer.axis_labels == ("c", "z", "y", "x")
    path = tmp_path / "rgb.ome.tif"
    colors = np.zeros((20, 30, 3), np.uint8)
    tifffile.imwrite(path, colors, ome=True, photometric="rgb", metadata={"PhysicalSizeX": 0.5})
    [layer] = read(path)
    assert layer.rgb
    assert layer.data.shape == (20, 30, 3)
    assert layer.axis_labels == ("y", "x")


def multiscale(path, shape=(2, 64, 64), translation=(0, 3, -4)):
    root = zarr.create_group(path, zarr_format=3)
    datasets = []
    for level in range(2):
        size = (shape[0], shape[1] >> level, shape[2] >> level)
        root.create_array(str(level), shape=size, dtype="u2", chunks=(1, 32, 32))
        scale = [30.0, 0.5 * 2**level, 0.25 * 2**level]
        moves = [{"type": "scale", "scale": scale}]
        moves.append({"type": "translation", "translation": list(translation)})
        datasets.append({"path": str(level), "coordinateTransformations": moves})
    axes = [{"name": "t", "type": "time", "unit": "second"}]
    axes += [{"name": one, "type": "space", "unit": "micrometer"} for one in "yx"]
    said = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    root.update_attributes({"ome": said})
    return path


def test_a_pyramid_opens_as_one_and_lazily(tmp_path, monkeypatch):
    path = multiscale(tmp_path / "movie.ome.zarr")
    monkeypatch.setattr(reader, "_MOST_READ", 100)
    [(data, attributes, kind)] = get_reader(str(path))(str(path))
    assert [level.shape for level in data] == [(2, 64, 64), (2, 32, 32)]
    assert all(isinstance(level, da.Array) for level in data)
    layer = Layer.create(data, attributes, kind)
    assert layer.multiscale
    np.testing.assert_allclose(layer.scale, (30, 0.5, 0.25))
    np.testing.assert_allclose(layer.translate, (0, 3, -4))


def test_a_large_stack_is_not_read_before_it_is_looked_at(tmp_path, monkeypatch):
    path = ome_tiff(tmp_path / "stack.ome.tif", PIXELS[0], "ZYX")
    monkeypatch.setattr(reader, "_MOST_READ", 100)
    [(data, _, _)] = get_reader(str(path))(str(path))
    assert isinstance(data, da.Array)
    assert data.chunks == ((1, 1, 1), (20,), (30,))
    np.testing.assert_array_equal(data[1, 3:5].compute(), PIXELS[0, 1, 3:5])
    monkeypatch.setattr(reader, "_CHUNK_BYTES", 100)
    monkeypatch.setattr(reader, "_TILE", 16)
    [(tiles, _, _)] = get_reader(str(path))(str(path))
    assert tiles.chunks == ((1, 1, 1), (16, 4), (16, 14))
    np.testing.assert_array_equal(tiles.compute(), PIXELS[0])
    # Another array may not be taken for it by what napari remembers.
    assert tiles.name != data.name


@pytest.mark.parametrize("most", [100, reader._MOST_READ])
def test_a_damaged_part_is_told_in_a_sentence(tmp_path, monkeypatch, most):
    path = multiscale(tmp_path / "movie.ome.zarr")
    zarr.open_group(path)["0"][:] = 7
    (path / "0" / "c" / "1" / "0" / "0").write_bytes(b"no chunk")
    monkeypatch.setattr(reader, "_MOST_READ", most)
    with pytest.raises(InputError, match=r"movie\.ome\.zarr is truncated or damaged"):
        np.asarray(get_reader(str(path))(str(path))[0][0][0])


@pytest.mark.parametrize(
    "make",
    [
        lambda path: (path / "a.tif").write_bytes(b"no tiff"),
        lambda path: (path / "a.txt").write_text("no image"),
        lambda path: zarr.create_array(path / "a.zarr", shape=(4, 5), dtype="u1"),
        lambda path: zarr.create_group(path / "a.zarr"),
        lambda path: (path / "a.zarr").mkdir(),
    ],
)
def test_what_is_not_known_is_left_to_others(tmp_path, make):
    make(tmp_path)
    [path] = tmp_path.iterdir()
    assert get_reader(str(path)) is None
    assert get_reader(str(tmp_path / "missing.ome.tif")) is None


@pytest.mark.parametrize("most", [1 << 20, 1])
def test_a_tiff_without_axes_is_an_array(tmp_path, monkeypatch, most):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS[0], photometric="minisblack", metadata=None)
    monkeypatch.setattr(reader, "_MOST_READ", most)
    [(data, attributes, kind)] = get_reader(str(path))(str(path))
    np.testing.assert_array_equal(np.asarray(data), PIXELS[0])
    assert (attributes, kind) == ({"name": "a"}, "image")


def test_several_files_are_no_one_image(tmp_path):
    path = ome_tiff(tmp_path / "a.ome.tif")
    assert get_reader([str(path), str(path)]) is None


# --- labels -----------------------------------------------------------------------------


def labels_layer(**more):
    data = np.random.default_rng(1).integers(0, 4, (3, 20, 30)).astype(np.int64)
    features = pd.DataFrame({"index": [0, 1, 2], "class": [None, "background", "nucleus"]})
    known = {
        "scale": (30, 0.5, 0.25),
        "translate": (60, 3, -4),
        "units": ("s", "um", "um"),
        "axis_labels": ("t", "y", "x"),
        "features": features,
    }
    return Labels(data, name="cells", **{**known, **more})


def saved(layer, path):
    data, attributes, _ = layer.as_layer_data_tuple()
    assert write_labels(str(path), data, attributes) == [str(path)]
    [found] = read(path)
    return found


@pytest.mark.parametrize("ending", [".ome.tif", ".ome.zarr"])
def test_labels_come_back_as_they_were(tmp_path, ending):
    layer = labels_layer()
    found = saved(layer, tmp_path / f"cells{ending}")
    assert isinstance(found, Labels)
    np.testing.assert_array_equal(found.data, layer.data)
    np.testing.assert_allclose(found.scale, layer.scale)
    np.testing.assert_allclose(found.translate[1:], layer.translate[1:])
    assert [str(one) for one in found.units] == ["second", "micrometer", "micrometer"]
    assert found.axis_labels == ("t", "y", "x")
    assert names_in(found.features) == {1: "background", 2: "nucleus"}
    for label in (1, 2, 3):
        np.testing.assert_allclose(found.get_color(label), layer.get_color(label), atol=3e-3)
    # Time is time, whoever reads it.
    frames = open_frames(tmp_path / f"cells{ending}")
    assert (frames.axes, frames.t_step) == ("TYX", 30)
    assert frames.pixel_size == PixelSize(0.5, 0.25, "µm")


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(["yx", "zyx", "tyx", "tzyx", "ztyx", "xy", "yxz"]),
    st.sampled_from(["u1", "u2", "i4", "bool"]),
    st.tuples(*[st.sampled_from([0.1, 0.325, 2, 1e3])] * 4),
)
def test_labels_of_any_axes_are_written_in_the_order_of_files(axes, dtype, scale):
    lengths = {"t": 2, "z": 3, "y": 4, "x": 5}
    shape = tuple(lengths[one] for one in axes)
    data = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    known = {"axis_labels": tuple(axes), "scale": scale[: len(axes)]}
    known["units"] = tuple("s" if one == "t" else "um" for one in axes)
    frames, notes = labels_of(data, known)
    order = [one for one in "tzyx" if one in axes]
    expected = data.transpose([axes.index(one) for one in order])
    assert frames.axes == "".join(order).upper()
    planes = np.stack(list(frames.planes())).reshape(frames.shape)
    np.testing.assert_array_equal(planes, expected)
    size = frames.said["pixel_size"]
    assert [size.y, size.x] == [known["scale"][axes.index(one)] for one in "yx"]
    assert notes == ()


def test_what_the_dock_knows_is_written_where_the_layer_does_not(tmp_path):
    size = {"y": 0.5, "x": 0.25, "unit": "µm"}
    noted = {"program": "napari-diffseg", LAYER: {"axes": "TYX", "pixel_size": size}}
    noted[LAYER]["t_step"] = [2.0, "min"]
    layer = Labels(np.ones((3, 20, 30), "u1"), translate=(0, 4, 8), metadata={NOTED: noted})
    path = tmp_path / "cells.ome.tif"
    saved(layer, path)
    frames = open_frames(path)
    assert (frames.axes, frames.t_step) == ("TYX", 120)
    assert frames.pixel_size == PixelSize(0.5, 0.25, "µm")
    assert [frames.placement[one].start for one in "YX"] == [2, 2]
    # That is about the layer, not about how it came about.
    assert LAYER not in known_labels(path).provenance


def test_colours_that_a_person_has_chosen_are_kept(tmp_path):
    colors = {None: (0, 0, 0, 0), 1: (1, 0, 0, 1), 2: (0, 0.5, 1, 0.5)}
    layer = labels_layer(colormap=DirectLabelColormap(color_dict=colors))
    found = saved(layer, tmp_path / "cells.ome.zarr")
    np.testing.assert_allclose(found.get_color(2), colors[2], atol=3e-3)


def test_a_rotated_layer_keeps_its_size_and_says_what_is_lost():
    layer = Labels(np.ones((20, 30), "u1"), scale=(0.5, 0.5), units=("um", "um"), rotate=30)
    data, attributes, _ = layer.as_layer_data_tuple()
    frames, notes = labels_of(data, attributes)
    assert frames.said["pixel_size"] == PixelSize(0.5, 0.5, "µm")
    assert "rotated" in notes[0]


def test_axes_without_names_are_said(tmp_path):
    _, notes = labels_of(np.ones((3, 4, 5), "u1"), {"name": "cells"})
    assert "were saved as Z (planes) 3 · Y 4 · X 5" in notes[0]


def test_labels_have_no_channels():
    with pytest.raises(InputError, match="3 channels"):
        labels_of(np.ones((3, 4, 5), "u1"), {"axis_labels": ("c", "y", "x")})
    frames, _ = labels_of(np.ones((1, 4, 5), "u1"), {"axis_labels": ("c", "y", "x")})
    assert frames.axes == "YX"


@pytest.mark.parametrize("said", [None, 3, {}, {"y": 1}, {"y": -1, "x": 1, "unit": "µm"}])
def test_metadata_that_make_no_sense_say_no_size(said):
    assert size_from(said) is None


def test_an_ome_zarr_brings_its_labels_along(tmp_path):
    path = multiscale(tmp_path / "cells.zarr", (2, 64, 64))
    group = zarr.open_group(path, mode="a").create_group("labels")
    group.update_attributes({"ome": {"version": "0.5", "labels": ["nuclei"]}})
    multiscale(path / "labels" / "nuclei", (2, 64, 64))
    image, labels = read(path)
    assert isinstance(image, Image)
    assert isinstance(labels, Labels)
    assert labels.name == "cells nuclei"


# --- napari ------------------------------------------------------------------------------


@pytest.fixture
def manager():
    """A plugin manager that knows this plugin and what napari itself brings."""
    manager = PluginManager()
    for path in (Path(napari_diffseg.__file__).parent / "napari.yaml", BUILTINS):
        manager.register(PluginManifest.from_file(path))
    return manager


@pytest.mark.parametrize("name", ["a.ome.tif", "a.ome.tiff", "a.OME.TIF", "a.ome.zarr"])
def test_napari_saves_labels_by_our_writer(manager, name):
    writer, _ = manager.get_writer(name, ["labels"])
    assert writer.command == "napari-diffseg.write_labels"
    offered = [one.display_name for one in manager.iter_compatible_writers(["labels"])]
    assert any("OME-TIFF, with pixel size" in one for one in offered)


def test_napari_asks_us_for_what_we_can_read(manager, tmp_path):
    def plugins(name):
        return {one.plugin_name for one in manager.iter_compatible_readers([str(name)])}

    for name in ("a.tif", "a.ome.tif", "a.TIFF", "a.safetensors", tmp_path):
        assert "napari-diffseg" in plugins(name)
    assert "napari-diffseg" not in plugins("a.png")


def test_the_size_in_the_file_counts_where_napari_read_it_without(tmp_path):
    path = ome_tiff(tmp_path / "movie.ome.tif", PIXELS[0], "TYX", TimeIncrement=5.0)
    layer = Image(PIXELS[0], name="movie")
    facts = facts_of(layer)
    assert facts.in_file == {}
    layer._source = Source(path=str(path))
    facts = facts_of(layer)
    assert facts.noted == ("T", "Y", "X")
    assert (facts.in_file["Y"].step, facts.in_file["X"].step) == (0.5, 0.25)
    # What the layer says itself is not asked of the file.
    layer.scale = (1, 3, 3)
    assert facts_of(layer).in_file == {}
