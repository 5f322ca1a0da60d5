"""Objects and measurements in the dock: the same as in Python, live, and nothing destroyed."""

from __future__ import annotations

import csv
import threading

import numpy as np
import pytest
import tifffile
from napari.layers import Image
from napari.layers._source import Source
from qtpy.QtCore import Qt
from skimage.draw import disk

import napari_diffseg
from napari_diffseg import cli
from napari_diffseg.instances import finding
from napari_diffseg.instances.measuring import unique_names
from napari_diffseg.instances.table import summary
from napari_diffseg.io.label_files.writing import write_labels
from napari_diffseg.io.reading import read_image
from napari_diffseg.widgets.objects import classes as classes_room
from napari_diffseg.widgets.objects import label_source
from napari_diffseg.widgets.objects.section import EDITED, NO_CLASS
from napari_diffseg.widgets.region.placement import camera_of
from napari_diffseg.widgets.scribbles.class_names import features_for
from napari_diffseg.widgets.tasks.session import SessionState

pytestmark = pytest.mark.gui

PLACE = {"scale": (0.5, 0.5), "units": ("µm", "µm"), "translate": (3, 4)}


def classes(shape=(60, 80), shift=0):
    """Background 1; two touching discs and a dot of class 2; a disc of class 3."""
    labels = np.ones(shape, np.uint8)
    for centre, radius, number in (
        ((20, 20 + shift), 10, 2),
        ((20, 37 + shift), 10, 2),
        ((50, 20 + shift), 2, 2),
        ((50, 60 - shift), 7, 3),
    ):
        labels[disk(centre, radius, shape=shape)] = number
    return labels


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 4000, (60, 80)).astype(np.uint16)


@pytest.fixture
def labels(viewer, pixels):
    viewer.add_image(pixels, name="cells", **PLACE)
    layer = viewer.add_labels(classes(), name="kinds", **PLACE)
    layer.features = features_for(layer.features, {2: "round", 3: "lone"}, 3)
    return layer


@pytest.fixture
def opened(labels, dock):
    """The dock on a labels layer, with the sections open."""
    dock.objects_fold.expand()
    dock.measure_fold.expand()
    return dock


@pytest.fixture
def made(opened, wait_for):
    opened.objects_form.split.box.setValue(6)
    opened.objects_form.make_button.click()
    wait_for(lambda: bool(opened.measuring.table))
    return opened


def objects_in(viewer):
    return [one for one in viewer.layers if "objects" in one.metadata.get("napari_diffseg", {})]


def make(dock, wait_for):
    """Press Make objects and wait until they are there."""
    found = []
    wait_for(dock.objects_form.make_button.isEnabled)
    dock.objects.found.connect(lambda: found.append(dock.objects.params))
    dock.objects_form.make_button.click()
    wait_for(lambda: bool(found) and found[-1] is not None)


def test_the_classes_are_listed_and_the_largest_is_not_ticked(opened):
    boxes = opened.objects_form.classes.boxes
    assert {number: box.text() for number, box in boxes.items()} == {
        1: "1",
        2: "2  round",
        3: "3  lone",
    }
    assert opened.objects_form.classes.ticked() == (2, 3)


def test_the_dock_makes_and_measures_what_python_does(viewer, made, labels, pixels):
    expected = napari_diffseg.objects(classes(), (2, 3), split=6)
    (layer,) = objects_in(viewer)
    assert layer.name == "cells objects"
    np.testing.assert_array_equal(layer.data, expected)
    np.testing.assert_allclose(layer.scale, labels.scale)
    np.testing.assert_allclose(layer.translate, labels.translate)
    assert tuple(layer.units) == tuple(labels.units)
    assert made.objects_form.count.text() == "3 objects"
    table = napari_diffseg.measure(
        expected,
        pixels,
        pixel_size=0.5,
        labels=classes(),
        classes=(2, 3),
        class_names={2: "round", 3: "lone"},
    )
    assert list(made.measuring.table) == list(table)
    for name, column in table.items():
        np.testing.assert_array_equal(made.measuring.table[name], column)
    assert layer.metadata["napari_diffseg"]["objects"]["split"] == 6
    # The classes are as they were, only out of sight.
    np.testing.assert_array_equal(labels.data, classes())
    assert not labels.visible


def test_naming_the_background_changes_no_other_tick_nor_one_that_was_chosen(opened, labels):
    """Before a person has ticked anything the defaults count, then what they ticked."""
    ticks = opened.objects_form.classes
    labels.features = features_for(labels.features, {2: "background", 3: "lone"}, 3)
    assert ticks.ticked() == (1, 3)
    labels.features = features_for(labels.features, {2: "round", 3: "lone"}, 3)
    assert ticks.ticked() == (2, 3)
    ticks.boxes[1].setChecked(True)
    ticks.boxes[3].setChecked(False)
    labels.features = features_for(labels.features, {2: "Background ", 3: "lone"}, 3)
    assert ticks.ticked() == (1,)
    ticks.boxes[2].setChecked(True)
    labels.features = features_for(labels.features, {2: "background", 3: "single"}, 3)
    assert ticks.ticked() == (1, 2)


def test_a_class_that_comes_later_is_not_ticked(viewer, made, labels, wait_for):
    boxes = made.objects_form.classes.boxes
    before = made.objects.layer.data.copy()
    labels.selected_label, labels.brush_size = 4, 5
    labels.paint((50, 40), 4)
    wait_for(lambda: 4 in made.objects_form.classes.boxes)
    assert made.objects_form.classes.ticked() == (2, 3)
    wait_for(lambda: not made.objects._ask_soon._timer.isActive())
    np.testing.assert_array_equal(made.objects.layer.data, before)
    # What was ticked is ticked again, once it is there again.
    labels.undo()
    labels.data = np.where(labels.data == 3, 1, labels.data)
    wait_for(lambda: sorted(made.objects_form.classes.boxes) == [1, 2])
    labels.data = classes()
    wait_for(lambda: sorted(made.objects_form.classes.boxes) == [1, 2, 3])
    assert made.objects_form.classes.ticked() == (2, 3)
    assert boxes is not made.objects_form.classes.boxes


def test_the_objects_follow_the_controls_on_the_one_layer(viewer, made, wait_for):
    (layer,) = objects_in(viewer)
    form = made.objects_form
    form.split.slider.setValue(0)
    wait_for(lambda: form.count.text() == "2 objects")
    form.split.box.setValue(6)
    wait_for(lambda: form.count.text() == "3 objects")
    form.neck.box.setValue(0)
    wait_for(lambda: form.count.text() == "2 objects")
    form.split.box.setValue(0)
    form.min_size.setValue(5)
    wait_for(lambda: form.count.text() == "3 objects")
    form.classes.boxes[3].setChecked(False)
    wait_for(lambda: form.count.text() == "2 objects")
    assert objects_in(viewer) == [layer]
    expected = napari_diffseg.objects(classes(), 2, min_size=5, split=0)
    np.testing.assert_array_equal(layer.data, expected)
    wait_for(lambda: len(made.measuring.table["object"]) == 2)
    form.classes.boxes[2].setChecked(False)
    wait_for(lambda: form.status.text() == NO_CLASS)
    np.testing.assert_array_equal(layer.data, expected)


def test_the_columns_of_the_table_are_narrow(made):
    table = made.measure_form.table
    shown = [column for column in range(len(table.table)) if not table.isColumnHidden(column)]
    header = table.model().headerData
    names = [header(column, Qt.Orientation.Horizontal) for column in shown]
    assert "area\num2" in names
    assert max(table.columnWidth(column) for column in shown) < 100
    whole = header(shown[0], Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole)
    assert whole == list(table.table)[shown[0]]


def test_the_objects_follow_the_classes(viewer, made, labels, wait_for):
    form = made.objects_form
    labels.data_setitem((np.array([50]), np.array([20])), 1)
    labels.selected_label = 2
    labels.brush_size = 9
    labels.paint((50, 40), 2)
    wait_for(lambda: form.count.text() == "4 objects")


def test_what_a_person_edits_is_left_as_it_is(viewer, made, wait_for):
    (layer,) = objects_in(viewer)
    layer.selected_label = 9
    layer.brush_size = 5
    layer.paint((40, 40), 9)
    edited = layer.data.copy()
    wait_for(lambda: made.objects_form.count.text() == "4 objects")
    wait_for(lambda: 9 in made.measuring.table["object"])
    made.objects_form.split.box.setValue(0)
    wait_for(lambda: not made.objects._ask_soon._timer.isActive())
    assert made.objects_form.status.text() == EDITED
    np.testing.assert_array_equal(layer.data, edited)
    layer.undo()
    wait_for(lambda: made.objects_form.count.text() == "3 objects")
    assert made.objects_form.status.text() == ""
    layer.redo()
    wait_for(lambda: made.objects_form.count.text() == "4 objects")
    make(made, wait_for)
    assert len(objects_in(viewer)) == 2
    np.testing.assert_array_equal(layer.data, edited)


def test_a_row_leads_to_its_object_and_an_object_to_its_row(viewer, made, qtbot, wait_for):
    (layer,) = objects_in(viewer)
    table = made.measure_form.table
    entry = list(made.measuring.table["object"]).index(2)
    index = table.model().index(entry, 1)
    place = table.visualRect(index).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    y, x = np.argwhere(layer.data == 2).mean(axis=0)
    np.testing.assert_allclose(camera_of(viewer).center[-2:], (0.5 * y + 3, 0.5 * x + 4))
    assert layer.selected_label == 2
    # It is seen alone for a moment, and then among the others again.
    assert layer.show_selected_label
    wait_for(lambda: not layer.show_selected_label)
    # … unless a person had chosen to see one alone; however many rows are clicked meanwhile.
    layer.show_selected_label = True
    made.measuring.go_to(entry)
    made.measuring.go_to(entry)
    wait_for(lambda: made.objects.layer._showed_one is None)
    assert layer.show_selected_label
    layer.show_selected_label = False

    class Press:
        position = (0.5 * 50 + 3, 0.5 * 60 + 4)
        view_direction = None
        dims_displayed = (0, 1)

    made.measuring._on_click(viewer, Press)
    [row] = {index.row() for index in table.selectionModel().selectedIndexes()}
    assert made.measuring.table["object"][row] == 3


def test_the_table_is_sorted_by_a_column(made):
    table = made.measure_form.table
    column = list(made.measuring.table).index("area_um2")
    table.sortByColumn(column, Qt.SortOrder.DescendingOrder)
    model = table.model()
    shown = [float(model.data(model.index(row, column))) for row in range(model.rowCount())]
    assert shown == sorted(shown, reverse=True)


def test_the_layer_tells_what_was_measured(viewer, made):
    (layer,) = objects_in(viewer)
    assert list(layer.features["index"]) == [1, 2, 3]
    assert "area_um2" in layer.features
    assert list(layer.features["class_name"]) == ["round", "round", "lone"]


def test_tables_are_saved(made, tmp_path, monkeypatch, wait_for):
    def save(button, path):
        monkeypatch.setattr(
            "napari_diffseg.widgets.ui.preferences.QFileDialog.getSaveFileName",
            lambda *_: (str(path), ""),
        )
        button.click()
        wait_for(path.with_suffix(".csv").exists)
        with path.with_suffix(".csv").open(encoding="utf-8") as file:
            return list(csv.DictReader(file))

    rows = save(made.measure_form.save_button, tmp_path / "objects")
    assert [int(row["object"]) for row in rows] == [1, 2, 3]
    saved = save(made.measure_form.summary_button, tmp_path / "summary.csv")
    expected = summary(made.measuring.table)
    assert [int(row["count"]) for row in saved] == expected["count"].tolist() == [2, 1]


def test_sizes_are_in_pixels_until_a_size_is_typed(viewer, dock, wait_for, qtbot, pixels):
    viewer.add_image(pixels, name="cells")
    viewer.add_labels(classes(), name="kinds")
    dock.measure_fold.expand()
    dock.objects_fold.expand()
    dock.objects_form.make_button.click()
    wait_for(lambda: bool(dock.measuring.table))
    assert "area_px" in dock.measuring.table
    assert "in pixels" in dock.measure_form.about.text()
    side = dock.axes_form.size_field.side
    qtbot.keyClicks(side, "0.5")
    wait_for(lambda: "area_um2" in dock.measuring.table)
    assert dock.measure_form.about.text() == "A pixel is 0.5 × 0.5 µm."
    areas = np.bincount(dock.objects.layer.data.ravel())[1:]
    np.testing.assert_allclose(dock.measuring.table["area_um2"], areas * 0.25)
    # What is half typed changes nothing.
    qtbot.keyClicks(side, "mm")
    assert "a positive number was expected" in dock.axes_form.size_field.about.text()
    assert "area_um2" in dock.measuring.table


def test_the_result_of_a_run_becomes_objects_and_a_new_result_is_followed(
    viewer, dock, image, wait_for
):
    dock.objects_fold.expand()
    assert not dock.objects_form.make_button.isEnabled()
    dock.segment_button.click()
    wait_for(lambda: dock.session.state is SessionState.DONE and not dock.session.is_busy)
    assert dock.objects_form.combo.currentText() == "cells labels"
    make(dock, wait_for)
    (layer,) = objects_in(viewer)
    result = dock.results.finished.layer.data
    ticked = dock.objects_form.classes.ticked()
    np.testing.assert_array_equal(layer.data, napari_diffseg.objects(result, ticked))
    before = layer.data.copy()
    dock.labels.slider.setValue(2)
    wait_for(lambda: not np.array_equal(layer.data, before))
    merged = dock.results.finished.layer.data
    assert not np.array_equal(merged, result)
    ticked = dock.objects_form.classes.ticked()
    np.testing.assert_array_equal(layer.data, napari_diffseg.objects(merged, ticked))
    # Objects are no classes, and nothing to paint on.
    combos = dock.objects_form.combo, dock.scribbles.combo
    for combo in combos:
        assert layer.name not in [combo.itemText(row) for row in range(combo.count())]


@pytest.mark.parametrize("is_open", [True, False], ids=["dock open", "dock closed"])
def test_without_the_layer_of_objects_the_classes_are_seen_again(viewer, made, labels, is_open):
    (layer,) = objects_in(viewer)
    assert not labels.visible
    if not is_open:
        viewer.window.remove_dock_widget(made)
    viewer.layers.remove(layer)
    assert labels.visible
    if not is_open:
        return
    assert made.measuring.table == {}
    assert made.objects_form.count.text() == ""


def test_objects_of_all_frames_keep_their_numbers(viewer, dock, wait_for):
    movie = np.stack([classes(shift=shift) for shift in (0, 3, 6)])
    place = {"axis_labels": ("t", "y", "x"), "scale": (1, 0.5, 0.5), "units": ("s", "µm", "µm")}
    viewer.add_image(movie * 10, name="movie", **place)
    viewer.add_labels(movie, name="kinds", **place)
    viewer.dims.set_current_step(0, 1)
    dock.objects_fold.expand()
    dock.measure_fold.expand()
    dock.objects_form.split.box.setValue(6)
    make(dock, wait_for)
    expected = napari_diffseg.objects(movie, (2, 3), axes="TYX", split=6)
    (layer,) = objects_in(viewer)
    np.testing.assert_array_equal(layer.data, expected)
    wait_for(lambda: bool(dock.measuring.table))
    table = napari_diffseg.measure(expected, movie * 10, axes="TYX", pixel_size=0.5, labels=movie)
    for name in ("frame", "object", "class", "area_um2", "centroid_x_um", "mean_ch1"):
        np.testing.assert_array_equal(dock.measuring.table[name], table[name], err_msg=name)
    dock.measuring.go_to(int(np.flatnonzero(table["frame"] == 2)[0]))
    assert viewer.dims.current_step[0] == 2
    labels = viewer.layers["kinds"]
    labels.data[0, :3] = 9  # on a frame that is not in view
    labels.events.set_data()
    wait_for(lambda: 9 in dock.objects_form.classes.boxes)
    assert len(layer.features) == (table["frame"] == 2).sum()


@pytest.mark.parametrize("names", [{}, {2: "round", 4: "late"}, {1: "x", 3: "background"}], ids=str)
def test_the_table_of_a_movie_is_the_same_file_at_every_door(
    viewer, dock, wait_for, tmp_path, monkeypatch, names
):
    """A class is in the last frame only, and by its area the background is another one there."""
    if names:  # as it is where there are many pixels
        monkeypatch.setattr("napari_diffseg.widgets.objects.classes.AT_ONCE", 0)
    kinds = np.stack([classes(shift=shift) for shift in (0, 3, 6)])
    kinds[2, 45:, 5:35] = 4
    kinds[0][kinds[0] == 1] = 3
    movie = (kinds * 100 + np.arange(80)).astype(np.uint16)
    sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "TimeIncrement": 2.0}
    image, labels, found = (tmp_path / f"{one}.ome.tif" for one in ("movie", "kinds", "found"))
    tifffile.imwrite(image, movie, ome=True, metadata={"axes": "TYX", **sizes})
    viewer.open(str(image), plugin="napari-diffseg")
    place = {one: getattr(viewer.layers[0], one) for one in ("scale", "units", "axis_labels")}
    layer = viewer.add_labels(kinds, name="kinds", **place)
    layer.features = features_for(layer.features, names, 4)
    viewer.dims.set_current_step(0, 1)
    dock.objects_fold.expand()
    dock.measure_fold.expand()
    make(dock, wait_for)
    wait_for(lambda: bool(dock.measuring.table))
    dock.measuring.save(tmp_path / "window.csv")
    wait_for((tmp_path / "window.csv").exists)
    in_window = (tmp_path / "window.csv").read_text("utf-8")
    assert ",4," in in_window.splitlines()[-1]

    said = {"axes": "TYX", "pixel_size": 0.5, "class_names": names, "parts": ["labels", "table"]}
    params = napari_diffseg.ObjectParams()
    napari_diffseg.export(kinds, tmp_path, image=movie, name="python", params=params, **said)
    assert in_window == (tmp_path / "python objects.csv").read_text("utf-8")

    (tmp_path / "python labels.ome.tif").rename(labels)
    assert cli.main(["objects", str(labels), "-o", str(found), "--quiet"]) == 0
    words = ["--image", str(image), "--labels", str(labels), "-o", str(tmp_path / "shell.csv")]
    assert cli.main(["measure", str(found), *words, "--quiet"]) == 0
    assert in_window == (tmp_path / "shell.csv").read_text("utf-8")


def test_a_run_that_follows_strokes_shows_its_regions(viewer, dock, image, run, wait_for):
    """Regions or objects are seen: what a person changes, and what they have last asked for."""
    dock.segment_button.click()
    wait_for(lambda: dock.session.state is SessionState.DONE and not dock.session.is_busy)
    make(dock, wait_for)
    regions = dock.results.finished.layer
    assert not regions.visible
    dock.add_scribbles()
    dock.live_box.setChecked(True)
    strokes = dock.state.scribbles
    strokes.paint((5, 5), 1)
    strokes.paint((20, 20), 2)
    wait_for(lambda: bool(run.followed) and not dock.session.is_busy)
    objects = dock.objects.layer.layer
    assert (regions.visible, objects.visible) == (True, False)
    wait_for(lambda: bool(dock.measuring.table) or not dock.measure_fold.isExpanded())
    dock.objects_form.split.box.setValue(7)
    assert (regions.visible, objects.visible) == (False, True)
    strokes.paint((10, 20), 2)
    wait_for(lambda: len(run.followed) > 1 and not dock.session.is_busy)
    assert (regions.visible, objects.visible) == (True, False)
    dock.objects_form.make_button.click()
    assert (regions.visible, objects.visible) == (False, True)


def test_the_labels_of_all_frames_become_objects(viewer, dock, model, wait_for):
    movie = np.where(np.stack([classes(shift=shift) for shift in (0, 4, 8)]) > 1, 200, 10)
    viewer.add_image(movie.astype(np.uint8), name="movie", axis_labels=("t", "y", "x"))
    dock.modelling.load("cells.safetensors")
    wait_for(lambda: dock.apply_form.apply_button.isEnabled())
    dock.apply_form.apply_button.click()
    wait_for(lambda: not dock.applying.session.is_busy)
    assert dock.objects_form.combo.currentText() == "movie model labels"
    wait_for(lambda: dock.objects_form.classes.ticked() == (2,))
    viewer.dims.set_current_step(0, 1)
    make(dock, wait_for)
    expected = napari_diffseg.objects(np.where(movie > 100, 2, 1), 2, axes="TYX")
    (layer,) = objects_in(viewer)
    np.testing.assert_array_equal(layer.data, expected)


def test_a_volume_is_measured_as_one(viewer, dock, wait_for):
    volume = np.stack([np.ones((40, 60), np.uint8), *[classes((40, 60))] * 4])
    place = {"axis_labels": ("z", "y", "x"), "scale": (2, 0.5, 0.5), "units": ("µm",) * 3}
    viewer.add_image(volume, name="volume", **place)
    viewer.add_labels(volume, name="kinds", **place)
    dock.objects_fold.expand()
    dock.measure_fold.expand()
    make(dock, wait_for)
    wait_for(lambda: bool(dock.measuring.table))
    expected = napari_diffseg.objects(volume, 2, spacing=(2, 0.5, 0.5))
    (layer,) = objects_in(viewer)
    np.testing.assert_array_equal(layer.data, expected)
    table = napari_diffseg.measure(expected, volume, pixel_size=(2, 0.5, 0.5))
    for name in ("volume_um3", "centroid_z_um", "equivalent_diameter_um"):
        np.testing.assert_array_equal(dock.measuring.table[name], table[name])
    # A row leads to its plane too.
    dock.measuring.go_to(0)
    assert viewer.dims.current_step[0] == round(table["centroid_z_um"][0] / 2)


@pytest.mark.parametrize("what", ["objects", "measure"])
def test_what_takes_long_shows_progress_and_stops_at_once(
    viewer, opened, wait_for, monkeypatch, what
):
    module, name, form = {
        "objects": (finding, "add_depths", opened.objects_form),
        "measure": (label_source, "measure_frame", opened.measure_form),
    }[what]
    stands, go_on, real = threading.Event(), threading.Event(), getattr(module, name)

    def slow(*args, **kwargs):
        stands.set()
        go_on.wait(60)
        return real(*args, **kwargs)

    monkeypatch.setattr(module, name, slow)
    opened.objects_form.make_button.click()
    wait_for(stands.is_set)
    wait_for(lambda: form.wait.isVisibleTo(form))
    assert "…" in form.wait.text.text() + form.status.text()
    form.wait.stop_button.click()
    assert not form.wait.is_busy
    assert not form.wait.isVisibleTo(form)
    assert "Stopped" in form.status.text()
    go_on.set()
    answers = opened.objects._answers, opened.measuring._answers
    wait_for(lambda: not any(one._run for one in answers))
    assert not opened.measuring.table
    # Objects that were not made leave no empty layer behind, and the classes are seen.
    assert (opened.objects.layer is None) == (what == "objects")
    if what == "objects":
        assert all(layer.data.any() for layer in viewer.layers)
        assert opened.objects.classes.layer.visible
    assert "Stopped" in form.status.text()
    # And again.
    opened.objects_form.make_button.click()
    wait_for(lambda: bool(opened.measuring.table))
    np.testing.assert_array_equal(
        opened.objects.layer.data, napari_diffseg.objects(classes(), (2, 3))
    )


def test_counting_that_is_stopped_lists_what_was_found(viewer, dock, wait_for, monkeypatch):
    monkeypatch.setattr(classes_room, "AT_ONCE", 0)
    movie, real, stands = np.stack([classes()] * 3), classes_room._count, threading.Event()
    movie[0][movie[0] == 3] = 1
    go_on = threading.Event()

    def slow(source, frame):
        if frame == 1:
            stands.set()
            go_on.wait(60)
        return real(source, frame)

    monkeypatch.setattr(classes_room, "_count", slow)
    form = dock.objects_form
    dock.objects_fold.expand()
    place = {"axis_labels": ("t", "y", "x")}
    viewer.add_image(movie * 10, name="movie", **place)
    viewer.add_labels(movie, name="kinds", **place)
    wait_for(stands.is_set)
    assert not form.make_button.isEnabled()
    form.wait.stop()
    assert form.make_button.isEnabled()
    assert list(form.classes.boxes) == [1, 2]
    go_on.set()


def test_too_many_pixels_are_refused_in_a_sentence(opened, monkeypatch):
    monkeypatch.setattr("napari_diffseg.widgets.objects.label_source.MOST_PIXELS", 10)
    opened.objects_form.make_button.click()
    assert "too many for the window" in opened.objects_form.status.text()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("DAPI", "GFP"), ("DAPI", "GFP")),
        (("DAPI", ""), ("DAPI", "ch2")),
        ((), ("ch1", "ch2")),
        (("DAPI",), ("DAPI",)),
        (("",), ("ch1",)),
    ],
)
def test_columns_have_the_names_of_the_channels_of_the_file_at_every_door(
    viewer, dock, wait_for, tmp_path, names, expected
):
    image, kinds, found, csv_file = (
        tmp_path / one for one in ("image.ome.tif", "kinds.png", "objects.png", "table.csv")
    )
    is_one = len(expected) == 1
    pixels = np.random.default_rng(0).integers(0, 4000, (60, 80) if is_one else (2, 60, 80))
    axes = "YX" if is_one else "CYX"
    told = {"Channel": {"Name": names[0] if is_one else list(names)}} if any(names) else {}
    metadata = {"axes": axes, **told}
    tifffile.imwrite(image, pixels.astype("u2"), metadata=metadata, photometric="minisblack")
    write_labels(kinds, classes())
    layer = Image(pixels.astype("u2"), name="image", metadata={"axes": axes})
    layer._source = Source(path=str(image))  # as napari's own reader opens it
    viewer.add_layer(layer)
    viewer.add_labels(classes(), name="kinds")
    dock.objects_fold.expand()
    dock.measure_fold.expand()
    dock.objects_form.combo.choose(viewer.layers["kinds"])
    source = dock.objects.classes.describe_layer(viewer.layers["kinds"])
    in_window = unique_names(source.names(), len(source.channels(0)))
    assert cli.main(["objects", str(kinds), "-o", str(found), "--quiet"]) == 0
    words = ["measure", str(found), "--image", str(image), "-o", str(csv_file), "--quiet"]
    assert cli.main(words) == 0
    with csv_file.open(encoding="utf-8") as file:
        in_shell = next(csv.reader(file))
    read = read_image(image)
    in_python = napari_diffseg.measure(
        napari_diffseg.objects(classes()),
        read.pixels,
        channel_axis=None if is_one else 0,
        channel_names=read.channel_names,
    )
    assert in_shell == list(in_python)
    assert in_window == list(expected)
    assert [one[5:] for one in in_shell if one.startswith("mean_")] == list(expected)


def test_the_controls_of_other_classes_leave_the_objects_alone(viewer, made, labels, wait_for):
    """They follow while their own classes are chosen, which come back with their ticks."""
    form, (layer,) = made.objects_form, objects_in(viewer)
    form.classes.boxes[2].setChecked(False)
    wait_for(lambda: made.objects.params.class_numbers == (3,))
    others = viewer.add_labels(classes(shift=3), name="others", **PLACE)
    form.combo.choose(others)
    layer.visible, labels.visible, params = False, True, made.objects.params
    asked, pause = [], made.objects._ask_soon._timer
    made.objects._answers.changed.connect(asked.append)
    form.split.box.setValue(9)
    form.classes.boxes[3].setChecked(False)
    wait_for(lambda: not pause.isActive())
    assert asked == []
    assert (layer.visible, labels.visible) == (False, True)
    form.combo.choose(labels)
    assert form.classes.ticked() == (3,)
    form.split.box.setValue(8)
    wait_for(lambda: made.objects.params != params)
    assert made.objects.params.class_numbers == (3,)


@pytest.mark.parametrize("is_seen", [True, False], ids=["objects", "nothing"])
def test_a_run_that_is_given_up_leaves_seen_what_was_seen(dock, image, run, wait_for, is_seen):
    dock.segment_button.click()
    wait_for(lambda: dock.session.state is SessionState.DONE and not dock.session.is_busy)
    make(dock, wait_for)
    result, objects = dock.results.finished.layer, dock.objects.layer.layer
    objects.visible = is_seen
    run.stands_at = 2
    dock.segment_button.click()
    wait_for(run.stands.is_set)
    assert (result.visible, objects.visible) == (True, False)
    dock.stop_button.click()
    dock.stop_button.click()
    assert not dock.session.is_busy
    assert (result.visible, objects.visible) == (False, is_seen)
