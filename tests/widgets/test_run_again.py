"""What Export copies as Python, or as a shell command, gives the labels of the layer again."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QApplication

from napari_diffseg import cli
from napari_diffseg.io.label_files.described import known_labels
from napari_diffseg.io.reading import read_class_numbers
from napari_diffseg.widgets.export.form import ExportForm
from napari_diffseg.widgets.image.axes_reading import Extent
from napari_diffseg.widgets.region.region import RegionKind, RegionWish

pytestmark = pytest.mark.gui

RNG = np.random.default_rng(0)
GRAY = np.kron(RNG.integers(0, 3, (6, 6)), np.ones((12, 12))) * 60 + RNG.integers(0, 30, (72, 72))
GRAY = GRAY.astype(np.uint8)
MOVIE = np.stack([GRAY.T, GRAY, GRAY[::-1]])
VOLUME = np.stack([GRAY, GRAY, GRAY[::-1], GRAY[::-1]])


@pytest.fixture
def dock(viewer, tmp_path, monkeypatch):
    """The dock, with the real runs; files without a folder are in a folder of the test."""
    monkeypatch.chdir(tmp_path)
    QApplication.clipboard().clear()
    return viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]


@pytest.fixture
def opened(viewer, dock, tmp_path):
    """Write an image, open it as a person does, and return its layers."""

    def open_file(pixels, plugin="napari-diffseg", colors="minisblack", **said):
        path = tmp_path / "cells.ome.tif"
        tifffile.imwrite(path, pixels, ome=True, photometric=colors, metadata=said)
        return viewer.open(str(path), plugin=plugin)

    return open_file


@pytest.fixture
def segment(dock, wait_for):
    def run():
        dock.segment_button.click()
        wait_for(lambda: not dock.session.is_busy and dock.results.finished is not None)
        return labels_of(dock)

    return run


@pytest.fixture
def copied(dock, wait_for):
    """Press a button, and return the text on the clipboard, or what is said instead."""

    def press(button):
        form = dock.export_form
        QApplication.clipboard().setText("")
        getattr(form, f"{button}_button").click()
        wait_for(lambda: not form.status.text().startswith("Comparing"))
        return QApplication.clipboard().text() or form.status.text()

    return press


def labels_of(dock):
    finished = dock.results.finished
    return finished.source.from_place(np.asarray(finished.layer.data)).copy()


def run_python(text):
    names: dict = {}
    for part in ("labels", "objects"):  # nothing is overwritten without a word
        Path(f"cells {part}.ome.tif").unlink(missing_ok=True)
    exec(compile(text, "copied", "exec"), names)
    return names


def run_shell(text):
    for line in text.splitlines():
        assert cli.main([*shlex.split(line.removesuffix(" &&"))[1:], "--quiet", "--force"]) == 0
    return read_class_numbers("cells labels.ome.tif").pixels


@pytest.mark.parametrize("plugin", ["napari-diffseg", "napari"])
def test_an_image_with_other_parameters(dock, opened, segment, copied, plugin):
    opened(GRAY, plugin, axes="YX")
    dock.knobs.params_form.write({"n_labels": 3, "min_region_size": 5})
    dock.fill.type("none")
    labels = segment()
    text = copied("python")
    assert dock.export_form.status.text() == "Copied as Python."
    assert "n_labels=3" in text
    np.testing.assert_array_equal(run_python(text)["labels"], labels)
    text = copied("shell")
    assert dock.export_form.status.text() == "Copied as a shell command."
    np.testing.assert_array_equal(run_shell(text), labels)


def test_strokes_and_region_are_read_from_what_export_writes(
    viewer, dock, opened, segment, copied, wait_for, tmp_path
):
    opened(GRAY, axes="YX")
    box = np.array([[10, 10], [10, 60], [70, 60], [70, 10]])
    viewer.add_shapes([box], shape_type="rectangle", name="here")
    dock.region.choose(RegionWish(RegionKind.INSIDE, viewer.layers["here"]))
    assert dock.state.region.kind is RegionKind.INSIDE
    dock.add_scribbles()
    strokes = dock.state.scribbles
    strokes.data[12:15, 13:19], strokes.data[40:44, 30:50] = 1, 3
    labels = segment()
    form = dock.export_form
    assert form.told_box.isEnabled()
    assert form.told_box.isChecked()
    text = copied("python")
    assert "export Strokes and region" in form.status.text()
    dock.exporting.export(tmp_path)
    wait_for(lambda: "written to" in form.status.text())
    # The names are those of the files, in whose folder the text was said to be run.
    np.testing.assert_array_equal(run_python(text)["labels"], labels)
    again = copied("python")
    assert form.status.text() == "Copied as Python."
    assert f"{tmp_path}" in again.split("scribbles=")[1]
    np.testing.assert_array_equal(run_python(again)["labels"], labels)
    np.testing.assert_array_equal(run_shell(copied("shell")), labels)


def test_a_frame_of_a_movie_and_its_objects(viewer, dock, opened, segment, copied, wait_for):
    opened(MOVIE, axes="TYX")
    viewer.dims.set_current_step(0, 1)
    labels = segment()
    dock.objects_form.make_button.click()
    wait_for(lambda: dock.objects.params is not None)
    names = run_python(copied("python"))
    np.testing.assert_array_equal(names["labels"], labels)
    np.testing.assert_array_equal(names["found"], np.squeeze(dock.objects.layer.data))
    assert "copy the run as Python" in copied("shell")


def test_a_channel_of_its_own_and_channels_together(viewer, dock, opened, segment, copied):
    pixels = np.stack([GRAY, GRAY.T, GRAY[::-1]])
    _, second, third = opened(pixels, axes="CYX", Channel={"Name": ["a", "b", "c"]})
    dock.images.choose(second)
    labels = segment()
    text = copied("python")
    assert "channels=[Channel(index=1" in text
    np.testing.assert_array_equal(run_python(text)["labels"], labels)
    np.testing.assert_array_equal(run_shell(copied("shell")), labels)
    dock.channels.tick(third)
    dock.channels.rows[0].numbers["weight"].setValue(2)
    labels = segment()
    text = copied("python")
    assert "weight=2.0" in text
    np.testing.assert_array_equal(run_python(text)["labels"], labels)
    np.testing.assert_array_equal(run_shell(copied("shell")), labels)


def test_colours(dock, opened, segment, copied):
    pixels = np.stack([GRAY, GRAY.T, GRAY[::-1]], -1)
    opened(pixels, colors="rgb", axes="YXS")
    labels = segment()
    np.testing.assert_array_equal(run_python(copied("python"))["labels"], labels)
    np.testing.assert_array_equal(run_shell(copied("shell")), labels)


def test_a_model_on_the_frames_of_a_movie(
    viewer, dock, opened, segment, copied, wait_for, tmp_path
):
    opened(MOVIE, axes="TYX")
    segment()
    form = dock.apply_form
    form.apply_button.click()
    wait_for(
        lambda: (
            dock.applying.newest.on_layers is not None
            and dock.applying.newest.on_layers.is_complete
        )
    )
    wait_for(lambda: not dock.applying.session.is_busy)
    layer = dock.applying.layer.layer
    dock.export_form.layers.choose(layer)
    assert "The model is in no file" in copied("python")
    dock.modelling.save(str(tmp_path / "m.safetensors"))
    viewer.dims.set_current_step(0, 2)
    dock.export_form.layers.choose(layer)
    labels = run_python(copied("python"))["labels"]
    np.testing.assert_array_equal(labels, np.asarray(layer.data)[2])
    np.testing.assert_array_equal(run_shell(copied("shell")), np.asarray(layer.data))
    # Whoever changes a label, by whatever tool and in whatever frame; undone, it is as it was.
    other = 2 if layer.data[1, 5, 5] == 1 else 1
    layer.fill((1, 5, 5), other)
    assert "edited by hand" in copied("python")
    layer.undo()
    assert "model.apply" in copied("python")
    layer.data[0, 7, 7] += 1
    assert "edited by hand" in copied("shell")
    layer.data[0, 7, 7] -= 1
    assert "apply" in copied("shell")
    layer.data = np.where(layer.data == 1, 2, layer.data)
    assert "edited by hand" in copied("python")


def test_a_volume(viewer, dock, opened, segment, copied):
    opened(VOLUME, axes="ZYX", PhysicalSizeX=0.5, PhysicalSizeY=0.5, PhysicalSizeZ=2.0)
    dock.axes.choose_extent(Extent.VOLUME)
    labels = segment()
    assert labels.shape == VOLUME.shape
    text = copied("python")
    assert "spacing=(2.0, 0.5, 0.5)" in text
    np.testing.assert_array_equal(run_python(text)["labels"], labels)
    np.testing.assert_array_equal(run_shell(copied("shell")), labels)


def test_what_cannot_be_done_again_is_said(viewer, dock, opened, segment, copied):
    viewer.add_image(GRAY, name="array")
    segment()
    assert "'array' is in no file; save it first" in copied("python")
    viewer.layers.clear()
    [layer] = opened(GRAY, axes="YX")
    layer.data[3, 3] += 1
    segment()
    assert "is not as" in copied("python")
    dock.results.finished.layer.data[:5] = 1
    assert "edited by hand" in copied("python")


def test_names_and_colours_are_written_as_export_does(
    dock, opened, segment, copied, wait_for, tmp_path
):
    opened(GRAY, axes="YX", PhysicalSizeX=0.5, PhysicalSizeY=0.5)
    dock.add_scribbles()
    strokes = dock.state.scribbles
    strokes.data[12:15, 13:19], strokes.data[40:44, 30:50] = 1, 3
    segment()
    dock.section.name(1, "nuclei = round")
    dock.section.name(3, "background")
    dock.exporting.export(tmp_path)
    wait_for(lambda: "written to" in dock.export_form.status.text())
    exported = known_labels(tmp_path / "cells labels.ome.tif")
    assert exported.names == {1: "nuclei = round", 3: "background"}
    run_python(copied("python"))
    again = known_labels(tmp_path / "cells labels.ome.tif")
    assert (again.names, again.colors) == (exported.names, exported.colors)
    assert read_class_numbers(tmp_path / "cells labels.ome.tif").pixel_size.y == 0.5
    run_shell(copied("shell"))
    again = known_labels(tmp_path / "cells labels.ome.tif")
    assert again.names == exported.names
    for number, color in exported.colors.items():
        np.testing.assert_allclose(again.colors[number], color, atol=1 / 500)
    dock.section.name(1, "a, b")
    assert "'a, b' has a comma" in copied("shell")
    assert "'a, b'" in copied("python")


def test_a_report_has_the_run_in_it(viewer, dock, opened, segment, wait_for, tmp_path, monkeypatch):
    opened(GRAY, axes="YX")
    segment()
    path = tmp_path / "page.html"
    monkeypatch.setattr(ExportForm, "ask_for_report", lambda self, name: str(path))
    dock.export_form.report_button.click()
    wait_for(lambda: "The report was written to" in dock.export_form.status.text())
    text = Path(path).read_text("utf-8")
    assert "image = read_image(" in text
    assert text.count("<img") == 3
