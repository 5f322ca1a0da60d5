"""The dock widget in real napari, with a fake run unless a test says otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from napari.layers import Labels
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QTimer

from napari_diffseg.params import SegmentationParams
from napari_diffseg.widgets.segment import overview, view
from napari_diffseg.widgets.segment.reopening import take_left
from napari_diffseg.widgets.tasks.session import SessionState
from napari_diffseg.widgets.ui.remembered import defaults_only, recall, remember

pytestmark = pytest.mark.gui


def labels_of(viewer):
    return [layer for layer in viewer.layers if isinstance(layer, Labels)]


def is_at_rest(dock):
    return not dock.session.is_busy and dock.stop_button.isEnabled() is False


@pytest.fixture
def pressed(dock, image, run, wait_for):
    """A dock whose run stands still at its second iteration, a preview shown."""
    run.stands_at = 2
    dock.segment_button.click()
    wait_for(lambda: run.stands.is_set() and "Iteration" in dock.status.text())
    return dock


@pytest.fixture
def told(monkeypatch):
    """What napari would notify the person of."""
    notes = []
    monkeypatch.setattr(notification_manager, "dispatch", notes.append)
    monkeypatch.setattr(notification_manager, "catch_error", True)
    return notes


# --- the main job -----------------------------------------------------------------------


def test_press_segment_and_get_a_labels_layer(viewer, image, dock, run, wait_for):
    run.stands_at = 1
    dock.segment_button.click()
    assert dock.session.state is SessionState.RUNNING
    assert not dock.segment_button.isEnabled()
    assert dock.stop_button.isEnabled()
    run.go_on.set()
    wait_for(lambda: dock.session.state is SessionState.DONE)
    (layer,) = labels_of(viewer)
    assert layer.name == "cells labels"
    assert layer.data.shape == (24, 32)
    assert layer.data.max() == 3
    assert layer.metadata["napari_diffseg"]["program"] == "napari-diffseg"
    assert layer.metadata["napari_diffseg"]["image_layers"] == ["cells"]
    assert layer.editable
    assert "3 labels" in dock.status.text()
    assert dock.segment_button.isEnabled()
    assert not dock.stop_button.isEnabled()


def test_previews_appear_while_the_run_goes_on(pressed, viewer):
    (layer,) = labels_of(viewer)
    assert pressed.session.state is SessionState.RUNNING
    assert set(np.unique(layer.data)) == {1, 2}
    assert not layer.editable
    assert "Iteration" in pressed.status.text()
    assert "4 clusters" in pressed.status.text()


def test_stop_keeps_what_there_is(pressed, viewer, wait_for):
    pressed.stop_button.click()
    assert pressed.session.state is SessionState.FINISHING
    assert "Stop again" in pressed.status.text()
    wait_for(lambda: pressed.session.state is SessionState.DONE)
    (layer,) = labels_of(viewer)
    assert layer.metadata["napari_diffseg"]["stop_reason"] == "finished by the user"
    assert "finished by the user" in pressed.status.text()


def test_stop_pressed_again_keeps_nothing_and_is_done_at_once(pressed, viewer):
    pressed.stop_button.click()
    pressed.stop_button.click()
    assert pressed.session.state is SessionState.IDLE
    assert labels_of(viewer) == []
    assert "as it was before" in pressed.status.text()
    assert not pressed.stop_button.isEnabled()
    assert pressed.segment_button.isEnabled()


def test_strokes_that_waited_begin_no_run_once_that_is_given_up(pressed, run, qtbot, wait_for):
    pressed.add_scribbles()
    pressed.live_box.setChecked(True)
    pressed.state.scribbles.paint((5, 5), 1)
    wait_for(lambda: pressed.runs.loop.is_late)
    pressed.stop_button.click()
    pressed.stop_button.click()
    qtbot.wait(400)
    assert run.starts == 1
    assert not pressed.session.is_busy
    assert "as it was before" in pressed.status.text()


def test_a_second_run_shows_on_the_layer_of_the_first(viewer, image, dock, run, wait_for):
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock) and bool(labels_of(viewer)))
    (layer,) = labels_of(viewer)
    layer.name, layer.visible = "mine", False
    run.stands_at = 2
    dock.segment_button.click()
    wait_for(run.stands.is_set)
    assert layer.visible
    run.go_on.set()
    wait_for(lambda: is_at_rest(dock))
    assert labels_of(viewer) == [layer]
    assert layer.data.max() == 3


def test_a_second_run_leaves_what_a_person_has_edited(viewer, image, dock, wait_for):
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock) and bool(labels_of(viewer)))
    (layer,) = labels_of(viewer)
    layer.data[3:6, 3:6] = 7
    edited = layer.data.copy()
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock) and len(labels_of(viewer)) == 2)
    np.testing.assert_array_equal(layer.data, edited)


def test_a_copy_that_is_kept_is_changed_by_no_run(viewer, image, dock, wait_for):
    assert not dock.keep_button.isEnabled()
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock) and bool(labels_of(viewer)))
    (layer,) = labels_of(viewer)
    dock.keep_button.click()
    kept, _ = labels_of(viewer)
    assert kept.name == "cells labels kept"
    assert not kept.visible
    np.testing.assert_array_equal(kept.data, layer.data)
    before = kept.data.copy()
    dock.labels.slider.setValue(2)
    wait_for(lambda: layer.data.max() == 2)
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    assert labels_of(viewer) == [kept, layer]
    np.testing.assert_array_equal(kept.data, before)
    assert [dock.scribbles.combo.itemText(0), dock.scribbles.combo.count()] == ["none", 1]


def test_a_dock_that_is_opened_again_goes_on(viewer, image, dock, run, wait_for):
    dock.params_form.write({"seed": 7})
    dock.fill.type("0")
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock) and bool(labels_of(viewer)))
    (layer,) = labels_of(viewer)
    viewer.window.remove_dock_widget(dock)
    again = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
    assert (again.params().seed, again.state.fill) == (7, "0")
    assert again.modelling.shelf.chosen is not None
    again.labels.slider.setValue(2)
    wait_for(lambda: layer.data.max() == 2)
    assert labels_of(viewer) == [layer]


def test_what_was_set_is_there_in_the_next_session(viewer, image, dock, nothing_remembered):
    dock.params_form.write({"seed": 7, "n_labels": 3})
    dock.params_form.fields["learning_rate"].value = "fast"
    assert not dock.segment_button.isEnabled()
    viewer.window.remove_dock_widget(dock)
    assert nothing_remembered.exists()
    # Another session: nothing is left in the viewer.
    take_left(viewer)
    again = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
    assert (again.params().seed, again.params().n_labels) == (7, 0)
    assert again.knobs.problem() == ""
    again.knobs.reset_button.click()
    assert again.params() == SegmentationParams()


def test_a_demonstration_neither_uses_nor_replaces_what_was_set(viewer, run, nothing_remembered):
    remember({SegmentationParams: {"seed": 7}})
    kept = nothing_remembered.read_bytes()
    with defaults_only():
        dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
        assert dock.params() == SegmentationParams()
        dock.params_form.write({"seed": 8})
        viewer.window.remove_dock_widget(dock)
    assert nothing_remembered.read_bytes() == kept
    assert recall(SegmentationParams) == {"seed": 7}


def test_a_long_status_leaves_no_gap_behind(dock):
    reason = dock.run_view.reason
    for label, tell in ((dock.status, dock.run_view.say), (reason, reason.say)):
        tell("Short.")
        before = label.minimumHeight()
        tell("A sentence of many words. " * 20)
        assert label.minimumHeight() > before
        tell("Short.")
        assert label.minimumHeight() == before


def test_a_file_of_settings_that_is_no_such_file_changes_nothing(viewer, run, nothing_remembered):
    nothing_remembered.write_text("{'seed'")
    dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
    assert dock.params() == SegmentationParams()


def test_a_layer_of_the_results_name_is_not_touched(viewer, image, dock, wait_for):
    mine = viewer.add_image(np.zeros((5, 5)), name="cells labels")
    dock.images.choose(image)
    dock.segment_button.click()
    wait_for(lambda: dock.session.state is SessionState.DONE)
    assert mine in viewer.layers
    assert mine.name == "cells labels"
    assert len(viewer.layers) == 3


def test_start_twice_is_refused(pressed, run):
    pressed.start()
    assert run.starts == 1
    assert "already running" in pressed.status.text()
    assert pressed.session.is_busy


def test_the_colours_stay_when_the_numbers_change(viewer, image, dock, run, wait_for):
    run.stands_at = 2
    dock.segment_button.click()
    wait_for(lambda: run.stands.is_set() and labels_of(viewer)[0].data.any())
    (layer,) = labels_of(viewer)
    before = {number: layer.get_color(number) for number in (1, 2)}
    run.go_on.set()
    wait_for(lambda: dock.session.state is SessionState.DONE)
    # The fake result's label 1 was 2 in the previews, and the other way round.
    np.testing.assert_array_equal(layer.get_color(1), before[2])
    np.testing.assert_array_equal(layer.get_color(2), before[1])
    n_clusters = dock.params().n_clusters
    all_colors = {tuple(layer.get_color(number)) for number in range(1, n_clusters + 1)}
    assert len(all_colors) == n_clusters
    assert layer.get_color(0) is None or layer.get_color(0)[3] == 0


# --- things that happen in mid-run --------------------------------------------------------


def test_the_image_is_deleted_and_the_result_comes_all_the_same(pressed, viewer, run, wait_for):
    viewer.layers.remove("cells")
    run.go_on.set()
    wait_for(lambda: pressed.session.state is SessionState.DONE)
    (layer,) = labels_of(viewer)
    assert layer.data.max() == 3
    assert not pressed.segment_button.isEnabled()
    assert "no image" in pressed.reason.text()


def test_the_image_is_deleted_before_the_first_preview(viewer, image, dock, wait_for):
    dock.segment_button.click()
    viewer.layers.remove("cells")
    wait_for(lambda: dock.session.state is SessionState.DONE)
    assert len(labels_of(viewer)) == 1


def test_the_result_layer_is_deleted_and_the_run_is_cancelled(pressed, viewer, run, wait_for):
    viewer.layers.remove("cells labels")
    assert pressed.session.state is SessionState.IDLE
    assert "removed" in pressed.status.text()
    wait_for(run.closed.is_set)
    assert [layer.name for layer in viewer.layers] == ["cells"]
    assert pressed.segment_button.isEnabled()


def test_the_result_layer_is_renamed(pressed, viewer, run, wait_for):
    (layer,) = labels_of(viewer)
    layer.name = "mine"
    run.go_on.set()
    wait_for(lambda: pressed.session.state is SessionState.DONE)
    assert [one.name for one in labels_of(viewer)] == ["mine"]
    assert "napari_diffseg" in layer.metadata


def test_layers_are_switched_and_the_result_stays_with_its_image(pressed, viewer, run, wait_for):
    other = viewer.add_image(np.random.default_rng(1).random((9, 9)), name="other")
    pressed.images.choose(other)
    assert "Y 9" in pressed.axes_form.line.text()
    run.go_on.set()
    wait_for(lambda: pressed.session.state is SessionState.DONE)
    (layer,) = labels_of(viewer)
    assert layer.name == "cells labels"
    assert layer.data.shape == (24, 32)


def test_the_slider_moves_and_the_result_lands_where_it_was(viewer, dock, run, wait_for):
    viewer.add_image(np.random.default_rng(0).random((7, 20, 20)), name="stack")
    viewer.dims.set_current_step(0, 2)
    run.stands_at = 2
    dock.segment_button.click()
    wait_for(run.stands.is_set)
    viewer.dims.set_current_step(0, 5)
    run.go_on.set()
    wait_for(lambda: dock.session.state is SessionState.DONE)
    (layer,) = labels_of(viewer)
    assert layer.data.shape == (1, 20, 20)
    assert layer.translate[0] == 2


def test_the_viewer_is_closed(pressed, viewer, run, wait_for, qtbot):
    session = pressed.session
    viewer.close()
    wait_for(lambda: not session.is_busy)
    wait_for(run.closed.is_set)
    qtbot.wait(100)
    assert len(viewer.layers) == 0


# In a process of its own: the fixture cannot cope with a window that is closed already.
CLOSE_THE_WINDOW = """
import time
import napari
import numpy as np

viewer = napari.Viewer(show_welcome_screen=False)
viewer.add_image(np.random.default_rng(0).random((64, 64)))
dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
dock.params_form.write({"n_iterations": 100_000, "n_features": 4, "n_clusters": 4})
session, window = dock.session, dock.window()
closed = []


def close_once(facts):
    # napari lets other events through while it closes, and cannot be closed twice.
    if not closed:
        closed.append(True)
        window.close()


session.stepped.connect(close_once)
dock.segment_button.click()
del dock
started = time.monotonic()
napari.run()
print("over", session.is_busy, time.monotonic() - started < 60)
"""


def test_the_window_is_closed_and_napari_ends():
    done = subprocess.run(
        [sys.executable, "-c", CLOSE_THE_WINDOW],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "NAPARI_CATCH_ERRORS": "0"},
    )
    assert "over False True" in done.stdout, done.stderr
    assert "Traceback" not in done.stderr


def test_the_dock_is_closed_and_things_are_as_before(pressed, viewer, run, wait_for, qtbot):
    session = pressed.session
    viewer.window.remove_dock_widget(pressed)
    assert not session.is_busy
    wait_for(run.closed.is_set)
    assert [layer.name for layer in viewer.layers] == ["cells"]
    # Nothing of the dead widget listens to the viewer.
    qtbot.wait(50)
    viewer.add_image(np.zeros((4, 4)))
    viewer.layers.clear()


def test_a_finished_result_outlives_the_dock(viewer, image, dock, wait_for):
    dock.segment_button.click()
    wait_for(lambda: dock.session.state is SessionState.DONE)
    viewer.window.remove_dock_widget(dock)
    assert len(labels_of(viewer)) == 1


# --- errors -----------------------------------------------------------------------------


@pytest.mark.parametrize("n_selected", [0, 1, 2])
def test_after_a_failure_the_selection_is_that_before_the_run(
    viewer, image, dock, run, told, wait_for, n_selected
):
    others = [viewer.add_points(np.zeros((1, 2)), name=name) for name in ("one", "two")]
    viewer.layers.selection.clear()
    viewer.layers.selection.update(others[:n_selected])
    if n_selected == 2:
        viewer.layers.selection.active = others[0]
        viewer.layers.selection.add(others[1])
    before = {layer.name for layer in viewer.layers.selection}, viewer.layers.selection.active
    assert len(before[0]) == n_selected
    run.error = ValueError("a bug")
    dock.segment_button.click()
    assert [layer.name for layer in viewer.layers.selection] == ["cells labels"]
    wait_for(lambda: is_at_rest(dock))
    after = {layer.name for layer in viewer.layers.selection}, viewer.layers.selection.active
    assert after == before


def test_after_a_failure_what_was_selected_since_stays(pressed, viewer, run, told, wait_for):
    other = viewer.add_points(np.zeros((1, 2)), name="other")
    run.error = ValueError("a bug")
    run.go_on.set()
    wait_for(lambda: is_at_rest(pressed))
    assert labels_of(viewer) == []
    assert viewer.layers.selection.active == other


def test_where_launching_breaks_things_are_as_before(viewer, image, dock, monkeypatch, wait_for):
    def broken(make_steps, listener):
        raise OSError("no more threads")

    working = dock.session._launch
    monkeypatch.setattr(dock.session, "_launch", broken)
    with pytest.raises(OSError, match="no more threads"):
        dock.start()
    assert [layer.name for layer in viewer.layers] == ["cells"]
    assert dock.segment_button.isEnabled()
    monkeypatch.setattr(dock.session, "_launch", working)
    dock.segment_button.click()
    wait_for(lambda: dock.session.state is SessionState.DONE)


def test_merging_that_fails_is_said_once(viewer, image, dock, told, wait_for, monkeypatch):
    dock.segment_button.click()
    wait_for(lambda: dock.session.state is SessionState.DONE)

    def broken(n_labels):
        raise RuntimeError("no merging")

    monkeypatch.setattr(dock.results.segmentation, "with_n_labels", broken)
    dock.labels.slider.setValue(2)
    wait_for(lambda: "no merging" in dock.status.text())
    assert len([one for one in told if "no merging" in one.message]) == 1
    assert labels_of(viewer)[0].data.max() == 3


@pytest.mark.parametrize("fails_at", [1, 3])
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RuntimeError("shapes cannot be multiplied"), "shapes cannot be multiplied"),
        (ValueError("a bug"), "ValueError: a bug"),
        (MemoryError(), "not enough memory"),
    ],
    ids=["RuntimeError", "exception", "out of memory"],
)
def test_an_error_leaves_things_as_they_were(
    viewer, image, dock, run, told, wait_for, error, text, fails_at
):
    run.error, run.fails_at = error, fails_at
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    assert dock.session.state is SessionState.IDLE
    assert text in dock.status.text()
    assert "#e5605a" in dock.status.styleSheet()
    assert dock.segment_button.isEnabled()
    assert [layer.name for layer in viewer.layers] == ["cells"]
    assert len([one for one in told if text.split(": ")[-1] in one.message]) == 1
    run.error = None
    dock.segment_button.click()
    wait_for(lambda: dock.session.state is SessionState.DONE)


def test_a_result_that_is_deleted_later_is_nobodys_business(viewer, image, dock, wait_for):
    dock.segment_button.click()
    wait_for(lambda: dock.session.state is SessionState.DONE)
    said = dock.status.text()
    viewer.layers.remove("cells labels")
    assert dock.status.text() == said
    assert dock.segment_button.isEnabled()


def test_an_out_of_memory_error_of_torch(viewer, image, dock, run, told, wait_for):
    import torch

    run.error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    assert "out of memory" in dock.status.text()
    assert len(viewer.layers) == 1


# --- bad input: one sentence, Segment off, nothing changed --------------------------------


def test_no_image_layer(viewer, dock):
    assert not dock.segment_button.isEnabled()
    assert "There is no image yet" in dock.reason.text()
    viewer.add_labels(np.zeros((4, 4), int))
    assert not dock.segment_button.isEnabled()
    viewer.add_image(np.random.default_rng(0).random((8, 8)))
    assert dock.segment_button.isEnabled()
    assert dock.reason.text() == ""


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("n_clusters", 1, "Clusters at start is 1, but must be 2 to 1024."),
        ("learning_rate", "11", "Learning rate is 11, but must be"),
        ("learning_rate", "fast", "Learning rate is fast, but must be"),
        ("learning_rate", "nan", "Learning rate is nan, but must be"),
        ("momentum", "", "Momentum is empty, but must be"),
        ("seed", 2**31, "Seed is 2147483648, but must be"),
    ],
)
def test_a_parameter_out_of_bounds_is_marked(image, dock, name, value, sentence):
    field = dock.params_form.fields[name]
    good = field.value
    field.value = value
    assert not dock.segment_button.isEnabled()
    assert sentence in dock.reason.text()
    assert "background-color" in field.native.styleSheet()
    dock.start()
    assert not dock.session.is_busy
    field.value = good
    assert dock.segment_button.isEnabled()
    assert field.native.styleSheet() == ""


def test_an_option_out_of_bounds_is_marked(image, dock):
    dock.options_form.fields["threads"].value = -1
    assert "Threads is -1" in dock.reason.text()
    assert not dock.segment_button.isEnabled()


@pytest.mark.parametrize(
    ("axes", "sentence"),
    [
        ("QYX", "unknown letter 'Q'"),
        ("YYX", "name Y more than once"),
        ("ZTX", "have no Y"),
        ("YX", "name 2 axes, but 'stack' has 3"),
        ("", "have no Y"),
    ],
)
def test_axes_that_do_not_fit(viewer, dock, qtbot, axes, sentence):
    viewer.add_image(np.random.default_rng(0).random((5, 20, 20)), name="stack")
    dock.axes.type_letters(axes)
    assert sentence in dock.axes_form.question.text()
    assert not dock.segment_button.isEnabled()
    assert "border" in dock.axes_form.letters.styleSheet()


@pytest.mark.parametrize(
    ("pixels", "sentence"),
    [
        (np.full((16, 16), 7, np.uint8), "Every pixel has the value 7"),
        (np.full((16, 16), np.nan, np.float32), "finite"),
    ],
    ids=["constant", "all NaN"],
)
def test_an_image_without_content(
    viewer, make_napari_viewer_proxy, told, wait_for, pixels, sentence
):
    dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
    viewer.add_image(pixels, name="nothing", contrast_limits=(0, 1))
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    assert sentence in dock.status.text()
    assert len(viewer.layers) == 1
    assert dock.segment_button.isEnabled()


def test_a_device_that_is_not_there(viewer, image, told, wait_for):
    dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
    dock.device.addItem("GPU (cuda:99)", "cuda:99")
    dock.device.setCurrentIndex(dock.device.count() - 1)
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    assert "cuda:99" in dock.status.text()
    assert len(viewer.layers) == 1


# --- knobs ------------------------------------------------------------------------------


def test_presets_slider_and_form_agree(image, dock):
    dock.preset.setCurrentIndex(dock.preset.findData("paper"))
    dock.preset.activated.emit(dock.preset.currentIndex())
    assert dock.params().preset == "paper"
    assert dock.labels.slider.value() == dock.labels.slider.maximum() == 100, "0 means all"
    dock.labels.slider.setValue(7)
    assert dock.params().n_labels == 7
    assert dock.labels.number.text() == "7"
    dock.labels.slider.setValue(100)
    assert dock.params().preset == "paper", "the last position is all, whatever there will be"
    assert dock.labels.number.text() == "all"
    dock.labels.slider.setValue(7)
    assert dock.preset.currentData() == "paper", "how many labels are shown is no other method"
    dock.params_form.write({"continuity_weight": 3.0})
    assert dock.preset.currentData() == "custom"
    dock.params_form.fields["seed"].value = 7
    dock.preset.setCurrentIndex(dock.preset.findData("default"))
    dock.preset.activated.emit(dock.preset.currentIndex())
    assert dock.params().preset == "default"
    assert dock.params().seed == 7
    assert dock.labels.slider.maximum() == 16
    assert dock.labels.number.text() == "auto", "no result says yet how many there are"
    dock.labels.slider.setValue(12)
    assert dock.params().n_labels == 12


def test_custom_cannot_be_chosen(image, dock):
    dock.preset.setCurrentIndex(dock.preset.findData("custom"))
    dock.preset.activated.emit(dock.preset.currentIndex())
    assert dock.preset.currentData() == "default"


@pytest.mark.parametrize("typed", ["nan", "inf", "-inf", "", "one"])
def test_what_is_no_number_is_marked(image, dock, typed):
    dock.params_form.fields["continuity_weight"].value = typed
    assert not dock.segment_button.isEnabled()
    assert "Smoothness" in dock.reason.text()
    dock.params_form.fields["continuity_weight"].value = "1"
    assert dock.segment_button.isEnabled()


def test_a_patch_that_is_too_small_is_marked(image, dock):
    dock.params_form.fields["patch_size"].value = 3
    assert not dock.segment_button.isEnabled()
    assert "patch_size is 3" in dock.reason.text()


@pytest.fixture
def real(viewer, monkeypatch, wait_for):
    """A dock with a finished run of the real core, its result layer, and the image."""
    y, x = np.mgrid[:48, :64]
    pixels = ((np.sin(x / 5) + np.cos(y / 7)) * 60 + 127).astype(np.uint8)
    viewer.add_image(pixels, name="waves")
    dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
    small(dock)
    dock.params_form.write({"n_labels": 8})
    dock.segment_button.click()
    wait_for(lambda: dock.session.state is SessionState.DONE)
    (layer,) = labels_of(viewer)
    assert layer.data.max() > 3
    return dock, layer


def test_the_slider_merges_the_labels_of_a_finished_run_at_once(real, viewer, wait_for):
    dock, layer = real
    for n_labels in (5, 4, 2):  # of several moves the last one counts
        dock.labels.slider.setValue(n_labels)
    wait_for(lambda: layer.data.max() == 2 and "2 labels now" in dock.status.text())
    assert layer.metadata["napari_diffseg"]["params"]["n_labels"] == 2
    assert labels_of(viewer) == [layer]
    assert layer.editable


def test_the_slider_leaves_what_a_person_has_edited_alone(real):
    dock, layer = real
    layer.data[:5, :5] = 1 + layer.data[0, 0]
    edited = layer.data.copy()
    dock.labels.slider.setValue(2)
    assert "edited" in dock.status.text()
    assert dock.params().n_labels == 2
    np.testing.assert_array_equal(layer.data, edited)


def test_strokes_made_while_labels_are_merged_are_kept(viewer, image, dock, run, wait_for):
    dock.segment_button.click()
    wait_for(lambda: dock.session.state is SessionState.DONE)
    (layer,) = labels_of(viewer)
    dock.labels.slider.setValue(2)
    layer.data[5:9, 5:9] = 7
    edited = layer.data.copy()
    wait_for(lambda: "edited" in dock.status.text())
    np.testing.assert_array_equal(layer.data, edited)


def test_all_labels_come_back(real, wait_for):
    dock, layer = real
    whole = layer.data.copy()
    dock.labels.slider.setValue(3)
    wait_for(lambda: layer.data.max() == 3)
    dock.labels.slider.setValue(8)
    wait_for(lambda: layer.data.max() == whole.max())
    np.testing.assert_array_equal(layer.data, whole)
    assert dock.labels.number.text() == "8"


def test_a_new_run_forgets_the_finished_one(viewer, image, dock, run, wait_for):
    dock.segment_button.click()
    wait_for(lambda: dock.session.state is SessionState.DONE)
    (first,) = labels_of(viewer)
    run.stands_at = 1
    dock.segment_button.click()
    wait_for(run.stands.is_set)
    dock.labels.slider.setValue(2)
    run.go_on.set()
    wait_for(lambda: dock.session.state is SessionState.DONE)
    # Moved in mid-run, the knob is for the run under way, and not for what was there before.
    wait_for(lambda: first.data.max() == 2)
    assert labels_of(viewer) == [first]


def test_the_slider_without_the_result_layer_is_for_the_next_run(real, viewer):
    dock, layer = real
    viewer.layers.remove(layer)
    dock.labels.slider.setValue(2)
    assert labels_of(viewer) == []
    assert dock.params().n_labels == 2


def test_several_layers_are_channels(viewer, image, dock, run, wait_for):
    assert dock.channels_fold.text() == "Intensities"
    other = viewer.add_image(np.random.default_rng(1).random((24, 32)), name="other")
    viewer.add_image(np.random.default_rng(1).random((9, 9)), name="small")
    dock.images.choose(image)
    assert dock.channels_fold.text() == "Channels (1 of 2)"
    assert dock.channels_fold.isVisibleTo(dock)
    assert "one channel" in dock.axes_form.line.text()
    dock.channels.tick(other)
    assert "2 channels" in dock.axes_form.line.text()
    dock.segment_button.click()
    wait_for(lambda: dock.session.state is SessionState.DONE)
    assert run.sources[0].read().shape == (2, 24, 32)
    assert [one.name for one in run.sources[0].channels] == ["cells", "other"]
    # A channel that is deleted is no channel any more.
    viewer.layers.remove("other")
    assert "one channel" in dock.axes_form.line.text()


def test_layers_that_lie_elsewhere_are_no_channels(viewer, image, dock):
    viewer.add_image(np.zeros((24, 32), np.uint8), name="shifted", translate=(5, 0))
    dock.images.choose(image)
    assert dock.channels_fold.text() == "Intensities"
    assert dock.segment_button.isEnabled()


def test_typed_axes_outlast_other_layers_and_the_run(viewer, dock, run, wait_for):
    stack = viewer.add_image(np.random.default_rng(0).random((4, 80, 90)), name="stack")
    dock.axes.type_letters("CYX")
    viewer.add_points(np.zeros((1, 2)))
    stack.name = "renamed"
    dock.segment_button.click()
    wait_for(lambda: dock.session.state is SessionState.DONE)
    assert dock.axes_form.letters.text() == "CYX"
    assert dock.choice.source().axes == "CYX"
    viewer.add_image(np.zeros((7, 20, 20)), name="another")
    dock.images.setCurrentText("another")
    assert dock.axes_form.letters.text() == "ZYX"


def test_a_person_can_say_that_an_axis_holds_channels(viewer, dock, run, wait_for):
    viewer.add_image(np.random.default_rng(0).random((7, 20, 20)), name="stack")
    assert dock.axes_form.letters.text() == "ZYX"
    assert "Only the displayed plane" in dock.notes.text()
    dock.axes.type_letters("CYX")
    assert "7 channels" in dock.axes_form.line.text()
    assert not dock.notes.isVisibleTo(dock)
    dock.segment_button.click()
    wait_for(lambda: dock.session.state is SessionState.DONE)
    assert run.sources[0].read().shape == (7, 20, 20)


def test_the_active_image_is_chosen_when_the_dock_opens(viewer, run):
    first = viewer.add_image(np.random.default_rng(0).random((8, 8)), name="first")
    viewer.add_image(np.random.default_rng(0).random((8, 8)), name="second")
    viewer.layers.selection.active = first
    dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
    assert dock.images.chosen().name == "first"
    first.name = "renamed"
    assert dock.images.currentText() == "renamed"


# --- the real core ----------------------------------------------------------------------


def small(dock):
    dock.params_form.write({"n_features": 8, "n_clusters": 8, "n_iterations": 5, "n_blocks": 1})
    dock.options_form.write({"preview_interval": 0.0})


@pytest.mark.parametrize(
    "shape", [(40, 30), (40, 30, 3), (1, 30)], ids=["gray", "RGB", "1 px wide"]
)
def test_the_real_core(viewer, wait_for, shape):
    dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
    rgb = len(shape) == 3
    pixels = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    viewer.add_image(pixels, name="cells", rgb=rgb, scale=(0.5, 0.5), units=("µm", "µm"))
    small(dock)
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    assert dock.session.state is SessionState.DONE, dock.status.text()
    (layer,) = labels_of(viewer)
    assert layer.data.shape == shape[:2]
    assert tuple(layer.scale) == (0.5, 0.5)
    assert [str(unit) for unit in layer.units] == ["micrometer", "micrometer"]
    assert layer.metadata["napari_diffseg"]["params"]["n_features"] == 8


def test_more_labels_than_a_byte_can_count(make_napari_viewer_proxy, wait_for):
    viewer = make_napari_viewer_proxy(show=True)
    dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
    viewer.add_image(np.random.default_rng(0).random((64, 64)), name="cells")
    small(dock)
    dock.params_form.write({"n_clusters": 300, "n_labels": 300, "n_iterations": 1})
    dock.params_form.write({"min_region_size": 0})
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    assert dock.session.state is SessionState.DONE, dock.status.text()
    (layer,) = labels_of(viewer)
    assert layer.data.dtype == np.uint16 or layer.data.max() < 256
    assert len({tuple(layer.get_color(n)) for n in range(1, 301)}) == 300
    dock.labels.slider.setValue(280)
    wait_for(lambda: "now" in dock.status.text())
    dock.labels.slider.setValue(20)
    wait_for(lambda: layer.data.max() <= 20)


def test_the_window_is_never_blocked_while_training_runs(viewer, qtbot, wait_for, monkeypatch):
    """No slot of ours and nothing else in the GUI thread works for more than 0.1 s on end.

    The clock is the GUI thread's own processor time, so that a busy machine, which may
    keep any thread waiting, does not count; that the thread does not wait for the run
    either is the next test.
    """
    dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
    viewer.add_image(np.random.default_rng(0).random((256, 256)), name="cells")
    small(dock)
    dock.params_form.write({"n_iterations": 40})
    gaps, last = [], [time.thread_time()]

    def beat():
        now = time.thread_time()
        gaps.append(now - last[0])
        last[0] = now

    heart = QTimer()
    heart.timeout.connect(beat)
    heart.start(5)
    dock.segment_button.click()
    # The click itself, in which napari builds the controls of the new layer, comes before.
    gaps.clear()
    last[0] = time.thread_time()
    wait_for(lambda: is_at_rest(dock))
    heart.stop()
    assert dock.session.state is SessionState.DONE
    assert len(gaps) > 20
    assert max(gaps) < 0.1


def test_the_window_does_not_wait_for_the_run(viewer, image, dock, run, qtbot, wait_for):
    """While one iteration takes 2 s, the window's heart beats on, and Stop is heard."""
    steps = run._steps

    def slow(shape):
        inner = steps(shape)
        yield next(inner)
        time.sleep(2.0)
        return (yield from inner)

    run._steps = slow
    gaps, last = [], [time.perf_counter()]

    def beat():
        now = time.perf_counter()
        gaps.append(now - last[0])
        last[0] = now

    heart = QTimer()
    heart.timeout.connect(beat)
    heart.start(5)
    dock.segment_button.click()
    wait_for(lambda: "Iteration 1" in dock.status.text())
    dock.stop_button.click()
    wait_for(lambda: is_at_rest(dock))
    heart.stop()
    assert len(gaps) > 40
    assert sorted(gaps)[-2] < 1.0


def test_the_memory_line_knows_the_device(dock, image, monkeypatch):
    """What training holds on a GPU is not said of the main memory."""
    devices = []
    monkeypatch.setattr(view, "_devices", lambda: dict.fromkeys(("auto", "cpu", "cuda:0"), ""))
    monkeypatch.setattr(
        overview, "estimate_memory", lambda *_, device, **more: devices.append(device) or 1
    )
    dock.knobs.offer_devices()
    for name in ("auto", "cpu", "cuda:0"):
        dock.knobs.device.setCurrentIndex(dock.knobs.device.findData(name))
        dock.refreshing()
        assert devices[-1] == ("cpu" if name == "cpu" else "cuda")
