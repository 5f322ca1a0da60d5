"""Applying a model in the dock: frames, stop, resume, looking, folders; with a fake model."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
from napari.layers import Labels
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_diffseg.batch import sinks
from napari_diffseg.params import ApplyParams
from napari_diffseg.widgets.batch import apply_words
from napari_diffseg.widgets.batch.form import Scope
from napari_diffseg.widgets.ui import words

pytestmark = pytest.mark.gui

N = 5


def stack_of(n=N, shape=(24, 32)):
    """Return frames of which each has one more bright column."""
    frames = np.full((n, *shape), 10, np.uint8)
    for number in range(n):
        frames[number, :, : number + 1] = 200
    return frames


def wanted(frames):
    return np.where(frames > 100, 2, 1).astype(np.uint8)


def labels_in(viewer):
    return [layer for layer in viewer.layers if isinstance(layer, Labels)]


def is_at_rest(dock):
    return not dock.applying.session.is_busy


@pytest.fixture
def told(monkeypatch):
    notes = []
    monkeypatch.setattr(notification_manager, "dispatch", notes.append)
    monkeypatch.setattr(notification_manager, "catch_error", True)
    return notes


@pytest.fixture
def stack(viewer):
    layer = viewer.add_image(
        stack_of(),
        name="cells",
        axis_labels=("t", "y", "x"),
        units=("second", "um", "um"),
        scale=(1, 0.5, 0.5),
        translate=(0, 3, 4),
    )
    viewer.dims.set_current_step(0, 2)
    return layer


@pytest.fixture
def ready(viewer, stack, dock, model, wait_for):
    """A dock with a stack and a loaded model."""
    dock.modelling.load("cells.safetensors")
    wait_for(lambda: dock.apply_form.apply_button.isEnabled())
    return dock


@pytest.fixture
def stopped(ready, viewer, model, wait_for):
    """A dock of which a run over all frames stands in the middle of its third frame."""
    model.stands_at = 2
    ready.apply_form.apply_button.click()
    wait_for(model.stands.is_set)
    wait_for(lambda: "frames" in ready.apply_form.status.text())
    return ready


# --- frames -----------------------------------------------------------------------------


def test_all_frames_on_a_layer_that_lies_on_the_image(ready, viewer, stack, model, wait_for):
    form = ready.apply_form
    assert form.chosen_scope() is Scope.ALL
    form.apply_button.click()
    wait_for(lambda: is_at_rest(ready))
    (layer,) = labels_in(viewer)
    np.testing.assert_array_equal(layer.data, wanted(stack.data))
    assert layer.data.dtype == np.uint8
    assert layer.name == "cells model labels"
    for name in ("scale", "translate"):
        np.testing.assert_allclose(getattr(layer, name), getattr(stack, name))
    assert tuple(layer.units) == tuple(stack.units)
    assert tuple(layer.axis_labels) == ("t", "y", "x")
    assert layer.editable
    about = layer.metadata["napari_diffseg"]
    assert about["model"] == "0123"
    assert about["apply"] == ApplyParams().to_dict()
    assert "Done: 5 frames" in form.status.text()
    # The frame in view comes first, then those after it.
    order = [int((image[0] > 100).sum()) - 1 for image, _, _ in model.applied]
    assert order == [2, 3, 4, 0, 1]


def test_one_frame(ready, viewer, stack, model, wait_for):
    form = ready.apply_form
    form.scope.choose(Scope.FRAME)
    form.apply_button.click()
    wait_for(lambda: is_at_rest(ready))
    (layer,) = labels_in(viewer)
    np.testing.assert_array_equal(layer.data[2], wanted(stack.data[2]))
    assert not layer.data[[0, 1, 3, 4]].any()
    form.apply_button.click()
    assert form.status.text() == apply_words.FRAME_IS_DONE
    # The next one goes to the same layer.
    viewer.dims.set_current_step(0, 4)
    form.apply_button.click()
    wait_for(lambda: is_at_rest(ready))
    assert labels_in(viewer) == [layer]
    np.testing.assert_array_equal(layer.data[4], wanted(stack.data[4]))


def test_the_model_of_a_result_its_colours_and_names(viewer, dock, stack, wait_for):
    dock.scribbles.new_button.click()
    scribbles = dock.section.layer
    scribbles.data[2, 3, 4:9] = 1
    scribbles.data[2, 9, 4:9] = 3
    dock.section.name(3, "nuclei")
    assert not dock.apply_form.apply_button.isEnabled()
    assert dock.apply_form.reason.text() == words.NO_MODEL
    dock.segment_button.click()
    wait_for(lambda: dock.apply_form.apply_button.isEnabled())
    dock.apply_form.apply_button.click()
    wait_for(lambda: is_at_rest(dock))
    layer = dock.applying.layer.layer
    for number in (1, 3):
        np.testing.assert_allclose(layer.get_color(number), scribbles.get_color(number))
    assert dict(zip(layer.features["index"], layer.features["class"], strict=True))[3] == "nuclei"
    assert viewer.layers.index(layer) < viewer.layers.index(scribbles)
    assert viewer.layers.selection.active == scribbles
    combo = dock.scribbles.combo
    assert [combo.itemText(row) for row in range(combo.count())] == ["none", "cells scribbles"]


def test_other_intensities_make_another_layer(ready, viewer, model, wait_for):
    form = ready.apply_form
    form.apply_button.click()
    wait_for(lambda: is_at_rest(ready))
    form.apply_button.click()
    assert form.status.text() == apply_words.ALL_ARE_DONE
    form.intensities.choose("frame")
    form.adapt.setValue(3)
    form.apply_button.click()
    wait_for(lambda: is_at_rest(ready))
    assert [layer.name for layer in labels_in(viewer)] == [
        "cells model labels",
        "cells model labels [1]",
    ]
    assert model.applied[-1][2] == ApplyParams(intensities="frame", adapt_steps=3)


def test_time_and_depth_and_channels(viewer, dock, model, wait_for):
    frames = np.random.default_rng(0).integers(0, 255, (2, 3, 2, 20, 24), dtype=np.uint8)
    model.n_channels = 2
    viewer.add_image(frames, name="big", axis_labels=("t", "z", "c", "y", "x"))
    dock.modelling.load("cells.safetensors")
    wait_for(lambda: dock.apply_form.apply_button.isEnabled())
    assert dock.apply_form.scope.currentText() == "All 6 frames"
    dock.apply_form.apply_button.click()
    wait_for(lambda: is_at_rest(dock))
    (layer,) = labels_in(viewer)
    assert layer.data.shape == (2, 3, 1, 20, 24)
    np.testing.assert_array_equal(layer.data[:, :, 0], wanted(frames.max(axis=2)))
    dock.apply_form.plot.clicked.emit(5)
    assert tuple(viewer.dims.current_step[:2]) == (1, 2)


def test_a_single_image(viewer, image, dock, model, wait_for):
    dock.modelling.load("cells.safetensors")
    wait_for(lambda: dock.apply_form.apply_button.isEnabled())
    form = dock.apply_form
    assert [form.scope.itemText(row) for row in range(form.scope.count())] == [
        "This image",
        "A folder of images …",
    ]
    assert form.lazy_box.isHidden()
    form.apply_button.click()
    wait_for(lambda: is_at_rest(dock))
    (layer,) = labels_in(viewer)
    np.testing.assert_array_equal(layer.data, wanted(image.data))
    assert form.plot.isHidden()


def test_what_does_not_fit_in_memory_goes_to_disk(ready, viewer, stack, monkeypatch, wait_for):
    monkeypatch.setattr(sinks, "MOST_IN_MEMORY", 100)
    ready.apply_form.apply_button.click()
    wait_for(lambda: is_at_rest(ready))
    (layer,) = labels_in(viewer)
    assert not isinstance(layer.data, np.ndarray)
    np.testing.assert_array_equal(layer.data[:], wanted(stack.data))


def test_the_window_is_never_blocked(ready, viewer, model, wait_for):
    """Nothing in the window's thread works for more than 0.1 s on end; a busy machine, which
    may keep any thread waiting, does not count.
    """
    gaps, last = [], [0.0]

    def beat():
        now = time.thread_time()
        gaps.append(now - last[0])
        last[0] = now

    heart = QTimer()
    heart.timeout.connect(beat)
    model.slowness = 0.2
    # The click, in which napari builds the controls of the new layer, comes before.
    ready.apply_form.apply_button.click()
    last[0] = time.thread_time()
    heart.start(5)
    wait_for(lambda: is_at_rest(ready))
    heart.stop()
    assert labels_in(viewer)[0].data.all()
    assert len(gaps) > 20
    assert max(gaps) < 0.1


# --- stop, resume, what a person has done ------------------------------------------------


def test_stop_before_the_first_frame_is_done_leaves_no_layer(ready, viewer, model, wait_for):
    model.stands_at = 0
    form = ready.apply_form
    form.apply_button.click()
    wait_for(model.stands.is_set)
    wait_for(lambda: "frames" in form.status.text())
    form.stop_button.click()
    model.go_on.set()
    wait_for(lambda: is_at_rest(ready))
    assert not labels_in(viewer)
    assert form.status.text().endswith("0 of 5 frames done. Press Apply to begin again.")
    form.apply_button.click()
    wait_for(lambda: is_at_rest(ready) and bool(labels_in(viewer)))
    (layer,) = labels_in(viewer)
    assert layer.data.any()


def apply_over_a_result(ready, wait_for):
    """Segment, and apply a model to the same pixels; return the layer of the result."""
    ready.segment_button.click()
    wait_for(lambda: ready.results.finished is not None and not ready.session.is_busy)
    result = ready.results.finished.layer
    ready.apply_form.apply_button.click()
    wait_for(lambda: is_at_rest(ready) and ready.applying.layer is not None)
    return result


def test_older_labels_of_the_same_pixels_are_not_seen_through_the_new_ones(ready, wait_for):
    result = apply_over_a_result(ready, wait_for)
    applied = ready.applying.layer
    assert applied.layer.visible
    assert not result.visible
    applied.discard()
    assert result.visible


def test_older_labels_that_are_removed_are_let_go(ready, viewer, wait_for):
    older = apply_over_a_result(ready, wait_for)
    hidden = ready.applying.layer._hidden
    assert list(hidden) == [older]
    viewer.layers.remove(older)
    del older
    wait_for(lambda: gc.collect() >= 0 and not hidden)


def test_stop_keeps_the_frames_that_are_done_and_resume_goes_on(
    stopped, viewer, stack, model, wait_for
):
    (layer,) = labels_in(viewer)
    assert not layer.editable
    form = stopped.apply_form
    form.stop_button.click()
    assert form.status.text() == apply_words.STOPPING
    model.go_on.set()
    wait_for(lambda: is_at_rest(stopped))
    assert "2 of 5 frames done" in form.status.text()
    assert layer.editable
    np.testing.assert_array_equal(layer.data[[2, 3]], wanted(stack.data[[2, 3]]))
    assert not layer.data[[0, 1, 4]].any(), "the frame under way is wiped out"
    assert form.apply_button.text() == "Resume"
    form.apply_button.click()
    wait_for(lambda: is_at_rest(stopped))
    assert labels_in(viewer) == [layer]
    np.testing.assert_array_equal(layer.data, wanted(stack.data))
    assert len(model.applied) == N + 1
    assert form.apply_button.text() == "Apply"


def test_a_run_that_does_not_hear_stop_is_given_up_and_writes_nothing_any_more(
    stopped, viewer, stack, model, wait_for
):
    """Not before the window ends that is computed would it hear: the dock is idle long before."""
    (layer,) = labels_in(viewer)
    form = stopped.apply_form
    half = layer.data[4].copy()
    assert half.any()
    form.stop_button.click()
    begun = time.monotonic()
    wait_for(lambda: is_at_rest(stopped))
    assert time.monotonic() - begun < 5
    assert not model.go_on.is_set(), "its thread still computes"
    assert "2 of 5 frames done" in form.status.text()
    assert layer.editable
    assert not layer.data[[0, 1, 4]].any(), "the frame under way is wiped out at once"
    layer.data_setitem((np.array([4]), np.array([5]), np.array([7])), 3)
    form.apply_button.click()
    assert not is_at_rest(stopped)
    n_applied = len(model.applied)
    model.go_on.set()
    wait_for(lambda: is_at_rest(stopped))
    assert len(model.applied) == n_applied + 2, "begun when the one before had ended"
    assert np.count_nonzero(layer.data[4]) == 1, "what was painted meanwhile stays"
    np.testing.assert_array_equal(layer.data[:4], wanted(stack.data[:4]))


def test_what_a_person_painted_in_between_stays(stopped, viewer, stack, model, wait_for):
    (layer,) = labels_in(viewer)
    stopped.apply_form.stop_button.click()
    model.go_on.set()
    wait_for(lambda: is_at_rest(stopped))
    layer.data_setitem((np.array([2, 4]), np.array([5, 6]), np.array([7, 8])), 3)
    stopped.apply_form.apply_button.click()
    wait_for(lambda: is_at_rest(stopped))
    assert layer.data[2, 5, 7] == 3
    assert layer.data[4, 6, 8] == 3
    assert np.count_nonzero(layer.data[4]) == 1
    np.testing.assert_array_equal(layer.data[[0, 1, 3]], wanted(stack.data[[0, 1, 3]]))


def test_the_run_goes_on_from_where_a_person_looks(stopped, viewer, model, wait_for):
    viewer.dims.set_current_step(0, 1)
    model.go_on.set()
    wait_for(lambda: is_at_rest(stopped))
    order = [int((image[0] > 100).sum()) - 1 for image, _, _ in model.applied]
    assert order == [2, 3, 4, 1, 0]


def test_a_second_press_is_refused_while_a_run_goes_on(stopped, viewer):
    assert not stopped.apply_form.apply_button.isEnabled()
    stopped.applying.apply()
    assert stopped.apply_form.status.text() == apply_words.BUSY
    assert len(labels_in(viewer)) == 1


def test_strokes_are_answered_between_two_frames(ready, viewer, model, run, wait_for):
    model.stands_at = 1
    ready.apply_form.apply_button.click()
    wait_for(model.stands.is_set)
    ready.segment_button.click()
    model.go_on.set()
    wait_for(lambda: is_at_rest(ready) and not ready.session.is_busy)
    assert run.starts == 1
    assert {layer.name for layer in labels_in(viewer)} == {"cells model labels", "cells labels"}


# --- what goes away in the middle of a run -------------------------------------------------


def test_the_image_is_deleted(stopped, viewer, model, told, wait_for):
    frames = stack_of()
    viewer.layers.remove("cells")
    model.go_on.set()
    wait_for(lambda: is_at_rest(stopped))
    (layer,) = labels_in(viewer)
    np.testing.assert_array_equal(layer.data[[2, 3]], wanted(frames[[2, 3]]))
    assert not layer.data[[0, 1, 4]].any()
    assert apply_words.IMAGE_GONE in stopped.apply_form.status.text()
    assert told == []
    stopped.apply_form.plot.clicked.emit(4)
    assert viewer.dims.current_step[0] == 4


def test_the_layer_is_deleted(stopped, viewer, model, told, wait_for):
    viewer.layers.remove("cells model labels")
    assert is_at_rest(stopped)
    assert stopped.apply_form.status.text() == apply_words.LAYER_GONE
    model.go_on.set()
    stopped.apply_form.apply_button.click()
    wait_for(lambda: is_at_rest(stopped))
    (layer,) = labels_in(viewer)
    assert (layer.data > 0).all()
    assert told == []


def test_the_dock_is_closed(stopped, viewer, stack, model, qtbot, wait_for):
    viewer.window.remove_dock_widget(stopped)
    model.go_on.set()
    qtbot.wait(200)
    (layer,) = labels_in(viewer)
    assert layer.editable
    np.testing.assert_array_equal(layer.data[[2, 3]], wanted(stack.data[[2, 3]]))
    viewer.dims.set_current_step(0, 1)


def test_the_viewer_is_closed(stopped, viewer, model, qtbot, wait_for):
    session = stopped.applying.session
    viewer.close()
    model.go_on.set()
    wait_for(lambda: not session.is_busy)
    qtbot.wait(100)
    assert len(viewer.layers) == 0


# In a process of its own: the fixture cannot cope with a window that is closed already.
CLOSE_THE_WINDOW = """
import time
from pathlib import Path
import napari
import numpy as np
from napari_diffseg import SegmentationParams, segment

viewer = napari.Viewer(show_welcome_screen=False)
frames = np.random.default_rng(0).random((500, 64, 64))
viewer.add_image(frames)
dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
params = SegmentationParams(n_clusters=4)
dock.modelling.shelf.put_loaded(segment(frames[0], params=params).model, Path("a"))
dock.applying.refresh()
session, window = dock.applying.session, dock.window()
closed = []


def close_once(facts):
    if not closed:
        closed.append(True)
        window.close()


session.stepped.connect(close_once)
dock.apply_form.apply_button.click()
del dock
started = time.monotonic()
napari.run()
print("over", session.is_busy, time.monotonic() - started < 60)
"""


def test_the_window_is_closed_and_napari_ends():
    done = subprocess.run(
        [sys.executable, "-c", CLOSE_THE_WINDOW], capture_output=True, text=True, timeout=180
    )
    assert "over False True" in done.stdout, done.stderr
    assert "Traceback" not in done.stderr, done.stderr


# --- frames that are looked at --------------------------------------------------------------


def test_frames_are_computed_when_they_are_looked_at(ready, viewer, stack, model, wait_for):
    ready.apply_form.lazy_box.click()
    wait_for(lambda: len(model.applied) == 1 and is_at_rest(ready))
    (layer,) = labels_in(viewer)
    viewer.dims.set_current_step(0, 4)
    wait_for(lambda: len(model.applied) == 2 and is_at_rest(ready))
    viewer.dims.set_current_step(0, 2)
    viewer.dims.set_current_step(0, 0)
    wait_for(lambda: len(model.applied) == 3 and is_at_rest(ready))
    np.testing.assert_array_equal(layer.data[[0, 2, 4]], wanted(stack.data[[0, 2, 4]]))
    assert not layer.data[[1, 3]].any()
    assert apply_words.LOOKING in ready.apply_form.status.text()
    # All the others go to the same layer.
    ready.apply_form.apply_button.click()
    wait_for(lambda: is_at_rest(ready) and len(model.applied) == N)
    np.testing.assert_array_equal(layer.data, wanted(stack.data))


def test_the_slider_moves_while_a_frame_is_computed(ready, viewer, model, wait_for):
    model.stands_at = 0
    ready.apply_form.lazy_box.click()
    wait_for(model.stands.is_set)
    viewer.dims.set_current_step(0, 4)
    model.go_on.set()
    wait_for(lambda: len(model.applied) == 2 and is_at_rest(ready))
    assert labels_in(viewer)[0].data[[2, 4]].all()


def test_apply_while_a_frame_is_looked_at_goes_on_to_all(ready, viewer, model, wait_for):
    model.stands_at = 0
    ready.apply_form.lazy_box.click()
    wait_for(model.stands.is_set)
    ready.apply_form.apply_button.click()
    model.go_on.set()
    wait_for(lambda: is_at_rest(ready) and len(model.applied) == N)
    assert labels_in(viewer)[0].data.all()


def test_other_choices_while_frames_are_looked_at(ready, viewer, model, wait_for):
    form = ready.apply_form
    form.lazy_box.click()
    wait_for(lambda: len(model.applied) == 1 and is_at_rest(ready))
    form.intensities.choose("frame")
    assert form.reason.text() == apply_words.CHOSEN_ANEW
    assert form.apply_button.text() == "Apply"
    viewer.dims.set_current_step(0, 4)
    wait_for(lambda: len(model.applied) == 2 and is_at_rest(ready))
    assert model.applied[-1][2] == ApplyParams()
    form.apply_button.click()
    wait_for(lambda: len(model.applied) == 2 + N and is_at_rest(ready))
    assert form.reason.text() == ""
    assert model.applied[-1][2] == ApplyParams(intensities="frame")
    assert len(labels_in(viewer)) == 2


def test_stop_ends_the_looking(ready, viewer, model, qtbot, wait_for):
    model.stands_at = 0
    ready.apply_form.lazy_box.click()
    wait_for(model.stands.is_set)
    ready.apply_form.stop_button.click()
    model.go_on.set()
    wait_for(lambda: is_at_rest(ready))
    assert not ready.apply_form.lazy_box.isChecked()
    viewer.dims.set_current_step(0, 4)
    qtbot.wait(400)
    assert len(model.applied) == 1


# --- bad input --------------------------------------------------------------------------------


def damaged(number):
    """Return the stack, of which one frame cannot be read."""

    def read(block_info):
        at = block_info[None]["array-location"][0][0]
        if at == number:
            raise OSError("the file ends too early")
        return stack_of()[at][None]

    return da.map_blocks(read, chunks=((1,) * N, (24,), (32,)), dtype=np.uint8, meta=np.empty(0))


@pytest.fixture
def lazy_stack(viewer, dock, model, wait_for):
    viewer.add_image(damaged(3), name="lazy", contrast_limits=(0, 255), axis_labels=("t", "y", "x"))
    dock.modelling.load("cells.safetensors")
    wait_for(lambda: dock.apply_form.apply_button.isEnabled())
    return dock


def test_a_frame_that_cannot_be_read_is_left_out_and_named(lazy_stack, viewer, wait_for):
    form = lazy_stack.apply_form
    form.apply_button.click()
    wait_for(lambda: is_at_rest(lazy_stack))
    (layer,) = labels_in(viewer)
    np.testing.assert_array_equal(layer.data[[0, 1, 2, 4]], wanted(stack_of())[[0, 1, 2, 4]])
    assert not layer.data[3].any()
    text = form.status.text().replace("\N{NO-BREAK SPACE}", " ")
    assert "4 of 5 frames done" in text
    assert "Left out: T 3." in text
    assert "the file ends too early" in text
    assert "left out" in form.plot.describe(3)


def test_frames_far_brighter_than_those_of_the_training_are_named(ready, model, wait_for):
    model.brightness = "brighter"
    ready.apply_form.apply_button.click()
    wait_for(lambda: is_at_rest(ready))
    text = ready.apply_form.status.text().replace("\N{NO-BREAK SPACE}", " ")
    assert "T 0 and 4 more are far brighter than the images that the model was trained on" in text
    assert "Intensities: match each frame's own" in text


def test_where_no_frame_can_be_labelled_things_are_as_before(ready, viewer, model, told, wait_for):
    model.refuses = range(100)
    ready.apply_form.apply_button.click()
    wait_for(lambda: is_at_rest(ready))
    assert labels_in(viewer) == []
    assert "has no content" in ready.apply_form.status.text()
    assert len(told) == 1
    assert len(model.applied) == 3, "it does not try them all"
    model.refuses = ()
    ready.apply_form.apply_button.click()
    wait_for(lambda: is_at_rest(ready))
    assert labels_in(viewer)[0].data.all()


def test_an_error_keeps_the_frames_that_are_done(ready, viewer, model, told, monkeypatch, wait_for):
    apply_windows = model.apply_windows

    def breaks(image, **rest):
        if len(model.applied) == 2:
            raise RuntimeError("a bug in torch\nand more")
        return apply_windows(image, **rest)

    monkeypatch.setattr(model, "apply_windows", breaks)
    ready.apply_form.apply_button.click()
    wait_for(lambda: is_at_rest(ready))
    assert "a bug in torch" in ready.apply_form.status.text()
    (layer,) = labels_in(viewer)
    assert layer.data[[2, 3]].all()
    assert layer.editable
    assert len(told) == 1


@pytest.mark.parametrize(
    ("n_channels", "rgb", "sentence"),
    [(2, False, "has 1 channel, but the model was trained on 2"), (1, True, "are intensities")],
)
def test_other_channels_are_one_sentence(
    viewer, stack, dock, model, wait_for, n_channels, rgb, sentence
):
    model.n_channels, model.facts.rgb = n_channels, rgb
    dock.modelling.load("cells.safetensors")
    wait_for(lambda: sentence in dock.apply_form.reason.text())
    assert not dock.apply_form.apply_button.isEnabled()
    dock.applying.apply()
    assert sentence in dock.apply_form.status.text()
    assert labels_in(viewer) == []


# --- models -----------------------------------------------------------------------------------


def test_a_model_file_is_dropped_and_the_dock_opens(viewer, stack, model, tmp_path, wait_for):
    path = tmp_path / "cells.safetensors"
    path.write_bytes(b"")
    viewer.open(path, plugin="napari-diffseg")
    _, dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")
    wait_for(lambda: dock.apply_form.apply_button.isEnabled())
    assert [layer.name for layer in viewer.layers] == ["cells"]
    assert "Loaded from cells.safetensors: 1 channel → 3 labels" in dock.model_form.about.text()
    dock.apply_form.apply_button.click()
    wait_for(lambda: is_at_rest(dock))
    assert labels_in(viewer)[0].data.all()


def test_a_file_that_is_no_model_is_one_sentence(viewer, dock, told, tmp_path, wait_for):
    path = tmp_path / "other.safetensors"
    path.write_bytes(b"nonsense")
    viewer.open(path, plugin="napari-diffseg")
    wait_for(lambda: "other.safetensors" in dock.model_form.status.text())
    assert len(told) == 1
    assert not dock.model_form.save_button.isEnabled()


def test_save_asks_for_a_name_and_adds_what_is_known_here(
    viewer, dock, stack, tmp_path, monkeypatch, wait_for
):
    dock.scribbles.new_button.click()
    dock.section.layer.data[2, 3, 4:9] = 1
    dock.section.layer.data[2, 9, 4:9] = 2
    dock.segment_button.click()
    wait_for(lambda: dock.model_form.save_button.isEnabled())
    # Named after the run.
    dock.section.name(2, "membrane")
    asked = []

    def answer(parent, title, name, files):
        asked.append(name)
        return str(tmp_path / "mine"), files

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    dock.model_form.save_button.click()
    model = dock.results.segmentation.model
    assert asked == ["cells.safetensors"]
    assert model.saved == [(str(tmp_path / "mine.safetensors"), True)]
    assert model.facts.class_names == {2: "membrane"}
    color = dock.section.layer.get_color(2)
    np.testing.assert_allclose(model.facts.class_colors[2], color)
    assert str(model.facts.pixel_size) == "0.5 × 0.5 µm"
    assert "Saved" in dock.model_form.status.text()
    dock.model_form.card_button.click()
    assert QApplication.clipboard().text() == "# Card"


def test_the_newest_model_is_chosen_and_a_person_can_choose_the_other(
    ready, viewer, model, wait_for
):
    form = ready.apply_form
    assert form.model.isHidden()
    ready.segment_button.click()
    wait_for(lambda: form.model.count() == 2)
    assert form.model.chosen() == "result"
    form.model.choose("loaded")
    form.model.activated.emit(form.model.currentIndex())
    form.apply_button.click()
    wait_for(lambda: is_at_rest(ready))
    assert len(model.applied) == N


# --- the plot ---------------------------------------------------------------------------------


def test_a_click_on_the_plot_goes_to_the_frame(ready, viewer, qtbot, wait_for):
    ready.apply_fold.expand(animate=False)
    form = ready.apply_form
    form.apply_button.click()
    wait_for(lambda: is_at_rest(ready))
    plot = form.plot
    for number in (4, 0, 1):
        place = QPoint(round(plot.x_of(number)), plot.height() // 2)
        qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=place)
        assert viewer.dims.current_step[0] == number
    text = plot.describe(1).replace("\N{NO-BREAK SPACE}", " ")
    assert text.splitlines() == ["T 1 · confidence 53%", "1: 93.8%", "2: 6.2%"]


# --- folders ----------------------------------------------------------------------------------


def test_a_folder_of_images(dock, viewer, tmp_path, monkeypatch, wait_for):
    from tifffile import imwrite

    from napari_diffseg import SegmentationParams, segment

    inputs, output = tmp_path / "in", tmp_path / "out"
    inputs.mkdir()
    output.mkdir()
    frames = np.random.default_rng(0).integers(0, 255, (3, 64, 64), dtype=np.uint8)
    for number, frame in enumerate(frames):
        imwrite(inputs / f"field{number}.tif", frame)
    params = SegmentationParams(n_clusters=4)
    model = segment(frames[0], params=params).model
    dock.modelling.shelf.put_loaded(model, Path("small.safetensors"))
    dock.applying.refresh()
    form = dock.apply_form
    form.scope.choose(Scope.FOLDER)
    folders = [str(inputs), str(output)]
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: folders.pop(0))
    assert form.apply_button.isEnabled(), "no image is needed"
    form.apply_button.click()
    wait_for(lambda: is_at_rest(dock))
    assert "Done: 3 frames" in form.status.text()
    assert sorted(path.stem for path in output.iterdir()) == ["field0", "field1", "field2"]
    assert len(viewer.layers) == 0
    assert "field1" in form.plot.describe(1)


def test_who_cancels_the_folder_changes_nothing(ready, monkeypatch):
    form = ready.apply_form
    form.scope.choose(Scope.FOLDER)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    form.apply_button.click()
    assert is_at_rest(ready)


# --- the real core ------------------------------------------------------------------------------


def test_a_real_model_goes_to_a_file_and_from_there_to_all_frames(viewer, tmp_path, wait_for):
    from napari_diffseg import Model, SegmentationParams, segment

    frames = np.random.default_rng(0).random((3, 40, 60)).astype(np.float32)
    frames[:, 10:30, 20:40] += 2
    params = SegmentationParams(n_clusters=4)
    path = tmp_path / "small.safetensors"
    segment(frames[0], params=params).model.with_facts(class_names={1: "rest"}).save(path)
    viewer.add_image(frames, name="cells", axis_labels=("t", "y", "x"))
    viewer.open(path, plugin="napari-diffseg")
    _, dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")
    wait_for(lambda: dock.apply_form.apply_button.isEnabled())
    assert "rest" in dock.model_form.about.text()
    dock.apply_form.apply_button.click()
    wait_for(lambda: is_at_rest(dock))
    (layer,) = labels_in(viewer)
    model = Model.load(path)
    for number, frame in enumerate(frames):
        np.testing.assert_array_equal(layer.data[number], model.apply(frame))
    assert layer.metadata["napari_diffseg"]["model"] == model.checksum
