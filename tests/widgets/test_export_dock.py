"""The pixel size, counts over time and Export in the dock: one truth from the file to the files."""

from __future__ import annotations

import csv
import threading

import numpy as np
import pytest
import tifffile
from skimage.draw import disk

from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.io.frames import open_frames
from napari_diffseg.io.label_files import frames
from napari_diffseg.io.label_files.described import known_labels
from napari_diffseg.io.reading import read_image
from napari_diffseg.widgets.export.form import ExportForm
from napari_diffseg.widgets.files.labels import LAYER, NOTED
from napari_diffseg.widgets.measure.plot import ObjectPlot
from napari_diffseg.widgets.scribbles.class_names import features_for

pytestmark = pytest.mark.gui


def classes(shape=(3, 60, 80)):
    """Background 1; in frame t, t + 1 discs of class 2."""
    labels = np.ones(shape, np.uint8)
    for t in range(shape[0]):
        for n in range(t + 1):
            labels[t][disk((15 + 20 * n, 20), 7, shape=shape[1:])] = 2
    return labels


@pytest.fixture
def movie(tmp_path, viewer):
    """A movie that napari's own reader has opened at scale 1."""
    path = tmp_path / "movie.ome.tif"
    said = {"axes": "TYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "TimeIncrement": 30.0}
    pixels = np.random.default_rng(0).integers(0, 4000, (3, 60, 80)).astype(np.uint16)
    tifffile.imwrite(path, pixels, ome=True, photometric="minisblack", metadata=said)
    [layer] = viewer.open(str(path), plugin="napari")
    assert tuple(layer.scale) == (1, 1, 1)
    return layer


@pytest.fixture
def opened(viewer, movie, dock):
    layer = viewer.add_labels(classes(), name="kinds")
    layer.features = features_for(layer.features, {2: "cell"}, 2)
    dock.objects_fold.expand()
    dock.measure_fold.expand()
    dock.export_fold.expand()
    return dock


@pytest.fixture
def made(opened, wait_for):
    opened.objects_form.split.box.setValue(0)
    opened.objects_form.make_button.click()
    wait_for(lambda: opened.measuring.table.get("object", np.zeros(0)).size == 6)
    return opened


def test_the_file_says_what_napari_does_not_show(viewer, movie, dock):
    size = dock.axes_form.size_field
    assert size.side.text() == "0.5"
    assert "From the metadata of the file" in size.about.text()
    assert "T 3" in dock.axes_form.line.text()
    source = dock.choice.source()
    assert source.pixel_size == PixelSize(0.5, 0.5, "µm")
    # The image itself is as it was.
    assert tuple(movie.scale) == (1, 1, 1)
    movie.scale, movie.units = (1, 2, 2), ("s", "um", "um")
    assert size.side.text() == "2"
    assert size.about.text() == ""


def test_a_size_that_is_typed_counts_before_the_file(viewer, made, wait_for, qtbot):
    size = made.axes_form.size_field
    assert made.measure_form.about.text() == "A pixel is 0.5 × 0.5 µm."
    before = made.measuring.table["area_um2"]
    size.side.clear()
    qtbot.keyClicks(size.side, "1")
    wait_for(lambda: np.allclose(made.measuring.table["area_um2"], before * 4))
    assert "As you typed it" in size.about.text()
    layer = made.objects.layer.layer
    assert layer.metadata[NOTED][LAYER]["pixel_size"]["x"] == 1
    made.axes_form.reset_button.click()
    wait_for(lambda: np.allclose(made.measuring.table["area_um2"], before))
    assert size.side.text() == "0.5"


def test_a_typed_size_stays_with_its_image(viewer, movie, dock, qtbot):
    qtbot.keyClicks(dock.axes_form.size_field.side, "5")
    other = viewer.add_image(np.zeros((20, 30)), name="other")
    dock.images.choose(other)
    assert dock.axes_form.size_field.side.text() == ""
    dock.images.choose(movie)
    assert dock.choice.source().pixel_size == PixelSize(0.55, 0.55, "µm")


def test_counts_over_time_lead_to_the_frames(viewer, made):
    plot = made.measure_form.plot
    assert plot.isVisibleTo(made)
    assert plot.describe(1) == "Frame 1\ncell: 2, 36.25 µm² each"
    plot.resize(300, 170)
    assert not plot.grab().isNull()
    plot.clicked.emit(2)
    assert viewer.dims.current_step[0] == 2
    assert plot._current == 2


def test_a_plot_of_nothing_is_not_shown(qtbot):
    plot = ObjectPlot()
    qtbot.addWidget(plot)
    plot.show_objects({}, 3, {}, {}, str)
    assert not plot.isVisibleTo(None)
    assert plot.describe(0) == ""


def test_a_result_is_exported_with_all_that_is_known(tmp_path, viewer, made, wait_for):
    form, folder = made.export_form, tmp_path / "out"
    for box in form.boxes.values():
        assert box.isEnabled()
        box.setChecked(True)
    made.exporting.export(folder)
    wait_for(lambda: "written to" in form.status.text())
    assert sorted(path.name for path in folder.iterdir()) == [
        "kinds labels.ome.tif",
        "kinds mask 1.ome.tif",
        "kinds mask 2 cell.ome.tif",
        "kinds objects.csv",
        "kinds objects.ome.tif",
        "kinds summary.csv",
    ]
    mask = read_image(folder / "kinds mask 2 cell.ome.tif")
    np.testing.assert_array_equal(mask.pixels, classes() == 2)
    assert (mask.axes, mask.pixel_size) == ("TYX", PixelSize(0.5, 0.5, "µm"))
    assert known_labels(folder / "kinds labels.ome.tif").names == {2: "cell"}
    objects = open_frames(folder / "kinds objects.ome.tif")
    assert (objects.axes, objects.pixel_size) == ("TYX", PixelSize(0.5, 0.5, "µm"))
    assert objects.t_step == 30
    with (folder / "kinds objects.csv").open(encoding="utf-8") as file:
        areas = [float(row["area_um2"]) for row in csv.DictReader(file)]
    assert areas == pytest.approx(made.measuring.table["area_um2"].tolist())


def test_a_stopped_export_keeps_whole_files_and_the_dock_is_idle_at_once(
    tmp_path, viewer, made, wait_for, monkeypatch
):
    form, folder, real = made.export_form, tmp_path / "out", frames._fitting
    stands, go_on, n_planes = threading.Event(), threading.Event(), []

    def fitting(plane, kind):
        n_planes.append(1)
        if len(n_planes) == 5:  # the second frame of the second file
            stands.set()
            go_on.wait(60)
        return real(plane, kind)

    monkeypatch.setattr(frames, "_fitting", fitting)
    for box in form.boxes.values():
        box.setChecked(True)
    made.exporting.export(folder)
    wait_for(stands.is_set)
    wait_for(lambda: form.wait.isVisibleTo(form))
    assert form.status.text() == "Writing …"
    wait_for(lambda: form.wait.bar.value() > 0)
    form.wait.stop_button.click()
    assert not form.wait.is_busy
    assert not form.wait.isVisibleTo(form)
    assert "Stopped" in form.status.text()
    go_on.set()
    wait_for(lambda: made.exporting._writes._run is None)
    assert [path.name for path in folder.iterdir()] == ["kinds labels.ome.tif"]
    assert read_image(folder / "kinds labels.ome.tif").pixels.shape == classes().shape
    assert "Stopped" in form.status.text()


def test_before_files_are_replaced_a_person_is_asked(tmp_path, opened, wait_for, monkeypatch):
    form, folder, asked = opened.export_form, tmp_path / "out", []
    assert not form.boxes["objects"].isEnabled()
    assert form.parts() == ["labels"]
    folder.mkdir()
    (folder / "kinds labels.ome.tif").write_bytes(b"precious")
    monkeypatch.setattr(ExportForm, "ask_to_replace", lambda self, names: asked.append(names))
    opened.exporting.export(folder)
    wait_for(lambda: form.status.text() == "Nothing was written.")
    assert asked == [["kinds labels.ome.tif"]]
    assert (folder / "kinds labels.ome.tif").read_bytes() == b"precious"
    monkeypatch.setattr(ExportForm, "ask_to_replace", lambda self, names: True)
    opened.exporting.export(folder)
    wait_for(lambda: "1 file written to" in form.status.text())


def test_what_cannot_be_written_is_said(tmp_path, opened, wait_for):
    opened.exporting.export(tmp_path / "no" / "out")
    wait_for(lambda: "cannot be made a folder" in opened.export_form.status.text())
