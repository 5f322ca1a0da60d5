"""Scribbles in the dock: painting, live, bad input, stepping back; with a fake run."""

from __future__ import annotations

import subprocess
import sys
from threading import Event

import dask.array as da
import numpy as np
import pytest
from napari.layers import Image, Labels
from napari.utils.notifications import notification_manager

from napari_diffseg.widgets.region.placement import camera_of
from napari_diffseg.widgets.scribbles.class_names import names_in
from napari_diffseg.widgets.tasks.session import SessionState
from napari_diffseg.widgets.ui import words

pytestmark = pytest.mark.gui


def results_in(viewer):
    return [layer for layer in viewer.layers if "napari_diffseg" in layer.metadata]


def is_at_rest(dock):
    return dock.session.state is SessionState.DONE and not dock.session.is_busy


def stroke(layer, number, start=(5, 5), end=(5, 12)):
    """Paint as the mouse does: several positions, one item of history."""
    layer.selected_label = number
    with layer.block_history():
        layer.paint(start, number)
        layer.paint(end, number)


@pytest.fixture
def scribbles(dock, image):
    dock.scribbles.new_button.click()
    return dock.section.layer


@pytest.fixture
def live(dock, scribbles, run, wait_for):
    """A dock in live mode with a first result."""
    dock.live_box.setChecked(True)
    stroke(scribbles, 1)
    wait_for(lambda: is_at_rest(dock))
    return dock


@pytest.fixture
def told(monkeypatch):
    notes = []
    monkeypatch.setattr(notification_manager, "dispatch", notes.append)
    monkeypatch.setattr(notification_manager, "catch_error", True)
    return notes


# --- the layer that is painted on -----------------------------------------------------------


def test_new_makes_a_layer_that_is_ready_to_paint_on(viewer, dock):
    place = {"scale": (2, 0.5, 0.5), "translate": (0, 7, 8), "units": ("µm", "µm", "µm")}
    viewer.add_image(np.zeros((4, 40, 60)), name="cells", axis_labels=("z", "y", "x"), **place)
    dock.scribbles.new_button.click()
    layer = dock.section.layer
    assert layer.name == "cells scribbles"
    assert layer.data.shape == (4, 40, 60)
    np.testing.assert_allclose(layer.scale, place["scale"])
    np.testing.assert_allclose(layer.translate, place["translate"])
    assert tuple(layer.axis_labels) == ("z", "y", "x")
    assert [str(unit) for unit in layer.units] == ["micrometer"] * 3
    assert (str(layer.mode), layer.selected_label) == ("paint", 1)
    assert 1 <= layer.brush_size <= 4
    assert viewer.layers.selection.active == layer
    assert words.PAINT in dock.status.text()


def test_new_without_an_image_says_why(viewer, dock):
    dock.scribbles.new_button.click()
    assert "no image" in dock.reason.text()
    assert len(viewer.layers) == 0


def test_results_are_never_offered_for_painting(viewer, dock, scribbles, wait_for):
    viewer.add_labels(np.zeros((24, 32), np.uint8), name="mine")
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    combo = dock.scribbles.combo
    offered = [combo.itemText(row) for row in range(combo.count())]
    assert offered == ["none", "mine", "cells scribbles"]
    assert dock.section.layer == scribbles


def test_segment_uses_the_strokes_and_keeps_number_and_colour(viewer, dock, scribbles, wait_for):
    for number, row in ((1, 3), (7, 15)):
        stroke(scribbles, number, (row, 5), (row, 12))
    painted = scribbles.data.copy()
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    (layer,) = results_in(viewer)
    np.testing.assert_array_equal(layer.data[painted > 0], painted[painted > 0])
    for number in (1, 7):
        np.testing.assert_allclose(layer.get_color(number), scribbles.get_color(number))
    np.testing.assert_array_equal(scribbles.data, painted)
    assert viewer.layers.index(layer) < viewer.layers.index(scribbles)
    assert viewer.layers.selection.active == scribbles
    assert str(scribbles.mode) == "paint"


def test_with_nothing_painted_segment_goes_without(viewer, dock, scribbles, run, wait_for):
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    assert results_in(viewer)[0].data.max() == 3


def test_dask_strokes_are_computed(viewer, dock, image, wait_for):
    strokes = np.zeros((24, 32), np.uint8)
    strokes[3, 4:9], strokes[9, 4:9] = 2, 5
    layer = viewer.add_labels(da.from_array(strokes), name="lazy")
    dock.scribbles.choose(layer)
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    assert set(np.unique(results_in(viewer)[0].data)) == {2, 5}


@pytest.mark.parametrize("is_multiscale", [False, True], ids=["a shape", "multiscale"])
def test_scribbles_that_do_not_fit_are_one_sentence(viewer, dock, image, is_multiscale):
    wrong = np.zeros((30, 40), np.uint8)
    data = [wrong, wrong[::2, ::2]] if is_multiscale else wrong
    layer = viewer.add_labels(data, name="wrong", multiscale=is_multiscale)
    dock.scribbles.choose(layer)
    assert "'wrong' are 30 × 40, but the image 'cells' is 24 × 32" in dock.reason.text()
    assert not dock.segment_button.isEnabled()
    dock.scribbles.combo.setCurrentIndex(0)
    assert dock.segment_button.isEnabled()


def test_one_painted_class_and_everything_else(viewer, dock, scribbles, run, wait_for):
    rest = dock.scribbles.classes.rest_box
    assert not rest.isVisibleTo(dock)
    stroke(scribbles, 2)
    wait_for(lambda: rest.isVisibleTo(dock))
    rest.click()
    assert dock.params().only_painted == "yes"
    assert names_in(scribbles.features) == {3: "background"}
    # It is seen that it is on, and can be switched off.
    assert rest.isVisibleTo(dock)
    assert rest.isChecked()
    rest.click()
    assert dock.params().only_painted == "auto"
    assert names_in(scribbles.features) == {}


def test_everything_else_is_background_for_the_strokes_that_it_was_said_of(
    viewer, dock, scribbles, run, wait_for
):
    rest = dock.scribbles.classes.rest_box
    stroke(scribbles, 1)
    wait_for(lambda: rest.isVisibleTo(dock))
    rest.click()
    dock.scribbles.combo.setCurrentIndex(0)
    assert dock.params().only_painted == "auto"
    dock.scribbles.choose(scribbles)
    assert dock.params().only_painted == "yes"
    assert rest.isChecked()
    # Said under Advanced, it counts as well.
    dock.params_form.write({"only_painted": "no"})
    assert not rest.isChecked()
    dock.scribbles.combo.setCurrentIndex(0)
    assert dock.params().only_painted == "no"


def test_who_calls_a_class_background_sees_through_it(viewer, dock, scribbles, wait_for):
    for number, row in ((1, 3), (7, 15)):
        stroke(scribbles, number, (row, 5), (row, 12))
    dock.section.name(7, "Background")
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    (layer,) = results_in(viewer)
    assert (layer.get_color(1)[3], layer.get_color(7)[3]) == (1, 0)
    dock.section.name(7, "tissue")
    np.testing.assert_allclose(layer.get_color(7), scribbles.get_color(7))


def test_the_next_class_comes_by_itself(dock, scribbles):
    stroke(scribbles, 1)
    dock.section.pick_next()
    assert scribbles.selected_label == 2
    dock.section.pick_next()
    assert scribbles.selected_label == 1


# --- live -----------------------------------------------------------------------------------


def test_the_first_stroke_starts_a_run_and_the_next_ones_are_followed(
    viewer, live, scribbles, run, wait_for
):
    (layer,) = results_in(viewer)
    assert (run.starts, len(run.followed)) == (1, 0)
    stroke(scribbles, 2, (15, 5), (15, 12))
    wait_for(lambda: set(np.unique(layer.data)) == {1, 2} and is_at_rest(live))
    assert (run.starts, len(run.followed)) == (1, 1)
    assert results_in(viewer) == [layer]
    assert "Strokes followed" in live.status.text()
    assert viewer.layers.selection.active == scribbles


def test_erasing_undo_and_redo_are_followed(live, scribbles, run, wait_for):
    stroke(scribbles, 2, (15, 5), (15, 12))
    wait_for(lambda: len(run.followed) == 1 and is_at_rest(live))
    stroke(scribbles, 0, (15, 12), (15, 12))
    wait_for(lambda: len(run.followed) == 2 and is_at_rest(live))
    scribbles.undo()
    wait_for(lambda: len(run.followed) == 3 and is_at_rest(live))
    scribbles.redo()
    wait_for(lambda: len(run.followed) == 4 and is_at_rest(live))
    scribbles.fill((0, 0), 3)
    wait_for(lambda: len(run.followed) == 5 and is_at_rest(live))
    first, erased, undone, redone, filled = run.followed
    np.testing.assert_array_equal(first, undone)
    np.testing.assert_array_equal(erased, redone)
    assert (erased > 0).sum() < (first > 0).sum()
    assert set(np.unique(filled)) == {1, 2, 3}


def test_what_is_no_stroke_is_not_followed(viewer, live, scribbles, run, qtbot):
    scribbles.refresh()
    scribbles.opacity = 0.5
    scribbles.visible = False
    stroke(scribbles, 2, (15, 5), (15, 12))
    scribbles.undo()
    qtbot.wait(400)
    assert run.followed == []


def test_a_new_stroke_cancels_the_run_under_way(viewer, live, scribbles, run, wait_for):
    run.follow_stands = True
    stroke(scribbles, 2, (15, 5), (15, 12))
    wait_for(lambda: len(run.followed) == 1)
    stroke(scribbles, 3, (20, 5), (20, 12))
    wait_for(lambda: len(run.followed) == 2)
    assert run.n_cancelled == 1
    run.follow_go_on.set()
    wait_for(lambda: is_at_rest(live))
    (layer,) = results_in(viewer)
    assert set(np.unique(layer.data)) == {1, 2, 3}
    assert len(live.results.history) == 1


def test_strokes_during_a_run_from_the_start_are_followed_at_its_end(
    viewer, dock, scribbles, run, wait_for
):
    run.stands_at = 2
    dock.live_box.setChecked(True)
    stroke(scribbles, 1)
    wait_for(run.stands.is_set)
    # Heard, not read: the next step of the run says how far it is.
    said = []
    dock.runs.said.connect(lambda sentence, is_wrong: said.append(sentence))
    stroke(scribbles, 2, (15, 5), (15, 12))
    wait_for(lambda: words.LATER in said)
    assert run.starts == 1
    run.go_on.set()
    wait_for(lambda: len(run.followed) == 1 and is_at_rest(dock))
    assert set(np.unique(results_in(viewer)[0].data)) == {1, 2}


def test_live_is_switched_off_and_on_in_mid_run(viewer, live, scribbles, run, wait_for, qtbot):
    run.follow_stands = True
    stroke(scribbles, 2, (15, 5), (15, 12))
    wait_for(lambda: len(run.followed) == 1)
    live.live_box.setChecked(False)
    stroke(scribbles, 3, (20, 5), (20, 12))
    qtbot.wait(300)
    run.follow_go_on.set()
    wait_for(lambda: is_at_rest(live))
    assert len(run.followed) == 1
    assert set(np.unique(results_in(viewer)[0].data)) == {1, 2}
    live.live_box.setChecked(True)
    wait_for(lambda: len(run.followed) == 2 and is_at_rest(live))
    assert set(np.unique(results_in(viewer)[0].data)) == {1, 2, 3}


def test_with_live_off_nothing_is_followed(dock, scribbles, run, qtbot):
    stroke(scribbles, 1)
    qtbot.wait(300)
    assert run.starts == 0
    assert not dock.session.is_busy


def test_other_parameters_need_a_run_from_the_start_on_the_same_layer(
    viewer, live, scribbles, run, wait_for
):
    (layer,) = results_in(viewer)
    live.params_form.write({"seed": 5})
    stroke(scribbles, 2, (15, 5), (15, 12))
    wait_for(lambda: run.starts == 2 and is_at_rest(live))
    assert run.followed == []
    assert results_in(viewer) == [layer]


def test_of_two_images_each_has_its_own_result(viewer, live, scribbles, run, wait_for):
    (first,) = results_in(viewer)
    before = first.data.copy()
    other = viewer.add_image(np.random.default_rng(1).random((24, 32)), name="other")
    live.images.choose(other)
    stroke(scribbles, 2, (15, 5), (15, 12))
    wait_for(lambda: run.starts == 2 and is_at_rest(live))
    assert {layer.name for layer in results_in(viewer)} == {"cells labels", "other labels"}
    np.testing.assert_array_equal(first.data, before)


def test_a_result_that_a_person_has_edited_is_left_and_a_new_layer_follows(
    viewer, live, scribbles, run, wait_for
):
    (layer,) = results_in(viewer)
    layer.data[20:, :] = 9
    edited = layer.data.copy()
    stroke(scribbles, 2, (15, 5), (15, 12))
    wait_for(lambda: len(run.followed) == 1 and is_at_rest(live))
    np.testing.assert_array_equal(layer.data, edited)
    assert len(results_in(viewer)) == 2
    assert set(np.unique(results_in(viewer)[1].data)) == {1, 2}


def test_when_a_correction_fails_the_result_is_as_before(
    viewer, live, scribbles, run, told, wait_for
):
    (layer,) = results_in(viewer)
    before = layer.data.copy()
    run.follow_error = MemoryError()
    stroke(scribbles, 2, (15, 5), (15, 12))
    wait_for(lambda: "not enough memory" in live.status.text())
    np.testing.assert_array_equal(layer.data, before)
    assert layer.editable
    assert results_in(viewer) == [layer]
    run.follow_error = None
    stroke(scribbles, 3, (20, 5), (20, 12))
    wait_for(lambda: set(np.unique(layer.data)) == {1, 2, 3})


def test_all_is_erased_and_the_result_is_as_without_strokes(viewer, live, scribbles, run, wait_for):
    (layer,) = results_in(viewer)
    painted = layer.data.copy()
    scribbles.undo()
    wait_for(lambda: len(run.followed) == 1 and is_at_rest(live))
    assert set(np.unique(layer.data)) == {1, 2, 3}
    assert "Strokes are gone" in live.status.text()
    assert live.labels.isEnabled()
    live.previous_button.click()
    np.testing.assert_array_equal(layer.data, painted)
    scribbles.redo()
    wait_for(lambda: len(run.followed) == 2 and is_at_rest(live))
    assert results_in(viewer) == [layer]
    assert run.starts == 1


def test_the_only_stroke_is_undone_before_it_was_followed(viewer, dock, scribbles, run, wait_for):
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    (layer,) = results_in(viewer)
    before = layer.data.copy()
    dock.live_box.setChecked(True)
    run.follow_stands = True
    stroke(scribbles, 1)
    wait_for(lambda: len(run.followed) == 1)
    scribbles.undo()
    wait_for(lambda: words.UNPAINTED in dock.status.text())
    wait_for(lambda: run.n_cancelled == 1)
    np.testing.assert_array_equal(layer.data, before)
    assert len(run.followed) == 1


# --- things that happen in mid-run -------------------------------------------------------------


@pytest.fixture
def following(live, scribbles, run, wait_for):
    """A dock whose correction stands still."""
    run.follow_stands = True
    stroke(scribbles, 2, (15, 5), (15, 12))
    wait_for(lambda: len(run.followed) == 1)
    return live


def test_the_scribbles_are_deleted(viewer, following, scribbles, run, wait_for):
    viewer.layers.remove(scribbles)
    assert following.status.text() == words.SCRIBBLES_GONE
    assert not following.live_box.isEnabled()
    run.follow_go_on.set()
    wait_for(lambda: is_at_rest(following))
    assert set(np.unique(results_in(viewer)[0].data)) == {1, 2}
    assert following.segment_button.isEnabled()


@pytest.mark.parametrize("change", [{"scale": (2, 2)}, {"translate": (5, 0)}], ids=str)
def test_the_scribbles_are_moved_or_rescaled(viewer, following, scribbles, run, wait_for, change):
    ((name, value),) = change.items()
    setattr(scribbles, name, value)
    run.follow_go_on.set()
    wait_for(lambda: is_at_rest(following))
    assert "do not lie on 'cells'" in following.reason.text()
    assert set(np.unique(results_in(viewer)[0].data)) == {1, 2}
    stroke(scribbles, 3, (20, 5), (20, 12))
    wait_for(lambda: "do not lie on" in following.status.text())
    assert len(run.followed) == 1


def test_the_result_layer_is_deleted(viewer, following, scribbles, run, wait_for):
    viewer.layers.remove(results_in(viewer)[0])
    assert words.REMOVED in following.status.text()
    run.follow_stands = False
    stroke(scribbles, 3, (20, 5), (20, 12))
    wait_for(lambda: len(run.followed) == 2 and is_at_rest(following))
    assert set(np.unique(results_in(viewer)[0].data)) == {1, 2, 3}


def test_the_dock_is_closed(viewer, following, scribbles, run, qtbot):
    session = following.session
    viewer.window.remove_dock_widget(following)
    assert not session.is_busy
    stroke(scribbles, 3, (20, 5), (20, 12))
    qtbot.wait(300)
    assert len(run.followed) == 1


# --- afterwards ---------------------------------------------------------------------------------


def test_previous_result_goes_back_and_leaves_the_strokes_alone(
    viewer, live, scribbles, run, wait_for
):
    (layer,) = results_in(viewer)
    shown = [layer.data.copy()]
    for number, row in ((2, 12), (3, 18)):
        stroke(scribbles, number, (row, 5), (row, 12))
        wait_for(lambda n=number: n in layer.data and is_at_rest(live))
        shown.append(layer.data.copy())
    painted = scribbles.data.copy()
    for labels in (shown[1], shown[0]):
        live.previous_button.click()
        np.testing.assert_array_equal(layer.data, labels)
    assert not live.previous_button.isEnabled()
    np.testing.assert_array_equal(scribbles.data, painted)
    assert words.BACK in live.status.text()
    stroke(scribbles, 4, (21, 20), (21, 25))
    wait_for(lambda: 4 in layer.data)


def test_previous_result_leaves_an_edited_layer_alone(viewer, live, scribbles, run, wait_for):
    stroke(scribbles, 2, (15, 5), (15, 12))
    wait_for(lambda: len(run.followed) == 1 and is_at_rest(live))
    (layer,) = results_in(viewer)
    layer.data[20:, :] = 9
    edited = layer.data.copy()
    live.previous_button.click()
    np.testing.assert_array_equal(layer.data, edited)


def test_the_slider_is_off_where_every_pixel_has_a_painted_class(live, scribbles, wait_for):
    assert live.labels.isEnabled()
    # One class is painted, and the rest has labels of its own: how many there are is said.
    assert live.labels.number.text() == str(live.results.segmentation.n_labels)
    stroke(scribbles, 2, (15, 5), (15, 12))
    wait_for(lambda: not live.labels.isEnabled())
    assert live.labels.slider.toolTip() == words.ALL_PAINTED
    assert live.labels.number.text() == str(live.results.segmentation.n_labels)
    live.previous_button.click()
    assert live.labels.isEnabled()


def test_names_are_typed_once_and_shown_for_strokes_and_result(viewer, live, scribbles, wait_for):
    stroke(scribbles, 2, (15, 5), (15, 12))
    # A name is that of a class which the result has.
    wait_for(lambda: 2 in results_in(viewer)[0].data and is_at_rest(live))
    edit = live.scribbles.classes.names[2]
    edit.setText("nucleus")
    edit.editingFinished.emit()
    (layer,) = results_in(viewer)
    assert names_in(scribbles.features) == names_in(layer.features) == {2: "nucleus"}
    stroke(scribbles, 3, (20, 5), (20, 12))
    wait_for(lambda: 3 in layer.data and is_at_rest(live))
    assert names_in(layer.features) == {2: "nucleus"}
    assert live.scribbles.classes.names[2].text() == "nucleus"


def test_a_class_is_picked_to_paint_with(viewer, live, scribbles, image, wait_for):
    viewer.layers.selection.active = image
    live.scribbles.classes.buttons[2].click()
    assert scribbles.selected_label == 2
    assert viewer.layers.selection.active == scribbles
    live.scribbles.classes.add_button.click()
    assert scribbles.selected_label == 3
    assert 3 in live.scribbles.classes.buttons


def test_many_classes_are_counted_not_listed(viewer, dock, image, wait_for):
    many = viewer.add_labels(np.arange(24 * 32).reshape(24, 32).astype(np.uint16), name="many")
    dock.scribbles.choose(many)
    wait_for(lambda: "755 more classes" in dock.scribbles.classes._more.text())


def test_uncertainty_is_shown_follows_and_is_taken_away(viewer, live, scribbles, run, wait_for):
    live.uncertainty_box.setChecked(True)
    assert live.status.text() == words.LOOKING_FOR_DOUBTS
    wait_for(lambda: len(viewer.layers) == 4)
    assert live.status.text() == words.DOUBTS_SHOWN
    (layer,) = [one for one in viewer.layers if one.name == "cells uncertainty"]
    assert isinstance(layer, Image)
    assert viewer.layers.index(layer) < viewer.layers.index(scribbles)
    assert viewer.layers.selection.active == scribbles
    assert live.images.count() == 1, "it is not offered as an image"
    stroke(scribbles, 2, (15, 5), (15, 12))
    wait_for(lambda: len(run.followed) == 1 and is_at_rest(live))
    live.uncertainty_box.setChecked(False)
    assert layer not in viewer.layers
    live.uncertainty_box.setChecked(True)
    wait_for(lambda: len(viewer.layers) == 4)
    viewer.layers.remove("cells uncertainty")
    assert not live.uncertainty_box.isChecked()
    assert live.status.text() == "", "nothing is cyan any more"


def test_what_is_said_of_uncertainty_goes_with_it_and_nothing_else_does(viewer, live, wait_for):
    live.uncertainty_box.setChecked(True)
    wait_for(lambda: live.status.text() == words.DOUBTS_SHOWN)
    live.uncertainty_box.setChecked(False)
    assert live.status.text() == ""
    live.uncertainty_box.setChecked(True)
    wait_for(lambda: live.status.text() == words.DOUBTS_SHOWN)
    live.run_view.say(words.BACK)
    live.uncertainty_box.setChecked(False)
    assert live.status.text() == words.BACK


def test_where_the_result_is_sure_everywhere_it_is_not_said_to_be_cyan(
    viewer, live, monkeypatch, wait_for
):
    monkeypatch.setattr("napari_diffseg.core.doubt.SURE", 1.0)
    live.uncertainty_box.setChecked(True)
    wait_for(lambda: live.status.text() == words.NO_DOUBTS_SHOWN)


def test_a_long_look_for_doubts_has_a_bar_and_can_be_stopped(viewer, live, monkeypatch, wait_for):
    goes_on, work = Event(), live.doubts.answers._work

    def slow(*what):
        goes_on.wait(20)
        return work(*what)

    monkeypatch.setattr(live.doubts.answers, "_work", slow)
    before = list(viewer.layers)
    live.uncertainty_box.setChecked(True)
    wait_for(lambda: not live.progress_bar.isHidden() and live.stop_button.isEnabled())
    live.stop_button.click()
    assert live.status.text() == words.STAYS
    assert live.progress_bar.isHidden()
    assert not live.stop_button.isEnabled()
    assert not live.uncertainty_box.isChecked()
    goes_on.set()
    wait_for(lambda: live.doubts.answers._run is None)
    assert list(viewer.layers) == before


def test_a_look_for_doubts_that_are_not_to_be_seen_any_more_has_no_bar(live, monkeypatch, wait_for):
    goes_on, work = Event(), live.doubts.answers._work

    def slow(*what):
        goes_on.wait(20)
        return work(*what)

    monkeypatch.setattr(live.doubts.answers, "_work", slow)
    live.uncertainty_box.setChecked(True)
    wait_for(lambda: live.stop_button.isEnabled())
    live.uncertainty_box.setChecked(False)
    assert live.progress_bar.isHidden()
    assert not live.stop_button.isEnabled()
    goes_on.set()
    wait_for(lambda: live.doubts.answers._run is None)


def test_strokes_that_take_long_to_follow_have_a_bar(live, scribbles, run, wait_for):
    run.follow_stands = True
    stroke(scribbles, 2, (15, 5), (15, 12))
    wait_for(lambda: not live.progress_bar.isHidden())
    run.follow_go_on.set()
    wait_for(lambda: is_at_rest(live))
    assert live.progress_bar.isHidden()


def test_go_to_most_uncertain_moves_the_camera_and_hardly_zooms(viewer, live, wait_for):
    camera = camera_of(viewer)
    camera.center, zoom = (0, 2, 2), camera.zoom
    live.uncertain_button.click()
    wait_for(lambda: camera.center[1] > 2)
    # The image is so small that all of it is the region.
    np.testing.assert_allclose(camera.center[1:], (11.5, 15.5))
    assert zoom <= camera.zoom <= 2 * zoom
    assert live.status.text() == words.DOUBTS_THERE
    live.uncertain_button.click()
    wait_for(lambda: live.status.text() == words.DOUBTS_AGAIN + words.DOUBTS_THERE)
    camera.center = (0, 2, 2)
    assert live.status.text() == "", "the middle of the view is another place"


def test_whoever_goes_while_it_is_still_looked_for_doubts_is_taken_there(
    viewer, live, monkeypatch, wait_for
):
    goes_on, work, said = Event(), live.doubts.answers._work, []

    def slow(*what):
        goes_on.wait(20)
        return work(*what)

    monkeypatch.setattr(live.doubts.answers, "_work", slow)
    monkeypatch.setattr(live.doubts, "_say", said.append)
    camera = camera_of(viewer)
    camera.center = (0, 2, 2)
    live.uncertainty_box.setChecked(True)
    live.uncertain_button.click()
    goes_on.set()
    wait_for(lambda: camera.center[1] > 2)
    assert said == [words.LOOKING_FOR_DOUBTS, words.LOOKING_FOR_DOUBTS, words.DOUBTS_THERE]


def test_a_run_that_begins_calls_off_the_way_to_the_result_before(
    viewer, live, monkeypatch, wait_for
):
    goes_on, work = Event(), live.doubts.answers._work

    def slow(*what):
        goes_on.wait(20)
        return work(*what)

    monkeypatch.setattr(live.doubts.answers, "_work", slow)
    camera = camera_of(viewer)
    camera.center = (0, 2, 2)
    live.uncertain_button.click()
    live.segment_button.click()
    goes_on.set()
    wait_for(lambda: live.doubts.answers._run is None and is_at_rest(live))
    assert tuple(camera.center) == (0, 2, 2)


def test_where_nothing_is_unsure_the_view_stays_and_it_is_said(viewer, live, monkeypatch, wait_for):
    monkeypatch.setattr("napari_diffseg.core.doubt.most_uncertain_region", lambda *_: None)
    camera = camera_of(viewer)
    camera.center, zoom = (0, 2, 2), camera.zoom
    live.uncertain_button.click()
    wait_for(lambda: live.status.text() == words.NO_DOUBTS)
    assert tuple(camera.center) == (0, 2, 2)
    assert camera.zoom == zoom


def test_a_labels_layer_of_a_person_can_be_painted_on(viewer, dock, image, run, wait_for):
    mine = viewer.add_labels(np.zeros((24, 32), np.int32), name="mine")
    dock.scribbles.choose(mine)
    dock.live_box.setChecked(True)
    stroke(mine, 1)
    stroke(mine, 2, (15, 5), (15, 12))
    wait_for(lambda: is_at_rest(dock))
    (layer,) = results_in(viewer)
    for number in (1, 2):
        np.testing.assert_allclose(layer.get_color(number), mine.get_color(number), atol=1e-6)
    assert isinstance(mine, Labels)


OPEN_ANOTHER = """
import napari
import numpy as np
from qtpy.QtCore import QEventLoop, QTimer


def live(seconds):
    loop = QEventLoop()
    QTimer.singleShot(int(1000 * seconds), loop.quit)
    loop.exec()


viewer = napari.Viewer(show_welcome_screen=False)
viewer.add_image(np.random.default_rng(0).random((300, 360)))
dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
live(1)
dock.scribbles.new_button.click()
live(0.5)
viewer.add_labels(np.ones((300, 360), np.uint8))
live(0.5)
viewer.layers.clear()
live(0.5)
viewer.add_image(np.zeros((12, 128, 160)))
live(0.5)
print("still there", flush=True)
viewer.close()
"""


def test_napari_lives_on_when_all_was_removed_that_was_painted_on_and_a_stack_is_opened():
    done = subprocess.run(
        [sys.executable, "-c", OPEN_ANOTHER], capture_output=True, text=True, timeout=120
    )
    assert "still there" in done.stdout, done.stderr[-2000:]
