"""What a dock remembers: when it is opened again, when other images come, when all is removed."""

from __future__ import annotations

import gc
import weakref
from threading import Event

import numpy as np
import pytest
from napari.layers import Labels

from napari_diffseg.widgets.image.channel_sources import IntensityRule
from napari_diffseg.widgets.scribbles.class_names import features_for, names_in
from napari_diffseg.widgets.ui import words

pytestmark = pytest.mark.gui


def is_at_rest(dock):
    return not dock.session.is_busy and dock.results.finished is not None


def reopened(viewer, dock):
    viewer.window.remove_dock_widget(dock)
    return viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]


@pytest.fixture
def segmented(dock, image, wait_for):
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    return dock


@pytest.fixture
def with_objects(segmented, wait_for):
    segmented.objects_form.min_size.setValue(3)
    segmented.objects_form.make_button.click()
    wait_for(lambda: segmented.objects.params is not None)
    return segmented


# --- closed ---------------------------------------------------------------------------------


def test_a_dock_that_is_closed_is_gone(viewer, image, wait_for):
    dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
    gone = weakref.ref(dock)
    dock.state.is_live = True
    viewer.window.remove_dock_widget(dock)
    del dock
    wait_for(lambda: gc.collect() >= 0 and gone() is None)


def used_and_closed(viewer, wait_for):
    dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
    dock.add_scribbles()
    dock.live_box.setChecked(True)
    dock.section.layer.paint((5, 5), 1)
    wait_for(lambda: is_at_rest(dock))
    dock.objects_form.make_button.click()
    wait_for(lambda: dock.objects.params is not None)
    viewer.window.remove_dock_widget(dock)


def test_layers_that_are_removed_while_none_is_open_are_gone(viewer, image, run, wait_for):
    used_and_closed(viewer, wait_for)
    gone = [weakref.ref(layer) for layer in viewer.layers if layer != image]
    pixels = weakref.ref(image.data)
    assert len(gone) == 3
    run.sources.clear()
    run.followed.clear()
    viewer.layers.clear()
    viewer.add_image(np.zeros((24, 32)))
    image.data = np.zeros((24, 32))
    wait_for(lambda: gc.collect() >= 0 and not any(one() is not None for one in (*gone, pixels)))


# --- opened again ---------------------------------------------------------------------------


def test_it_knows_its_objects(viewer, with_objects, wait_for):
    layer, params = with_objects.objects.layer, with_objects.objects.params
    again = reopened(viewer, with_objects)
    assert again.objects.layer is layer
    assert again.objects_form.params() == params
    assert again.objects_form.count.text() == with_objects.objects_form.count.text() != ""
    assert again.export_form.boxes["objects"].isEnabled()
    again.objects_form.smooth.box.setValue(2)
    wait_for(lambda: again.objects.params != params)
    assert [one.name for one in viewer.layers if "objects" in one.name] == [layer.layer.name]


def test_it_hears_of_results_when_the_one_before_is_deleted(viewer, segmented, qtbot, wait_for):
    """Qt deletes a dock some time after it was closed; a script has opened the next by then."""
    with qtbot.waitSignal(segmented.destroyed, timeout=20_000):
        again = reopened(viewer, segmented)
    again.segment_button.click()
    wait_for(lambda: is_at_rest(again))
    assert again.objects_form.chosen() == again.results.finished.layer
    again.keep_button.click()
    again.objects_form.combo.choose(viewer.layers[-2])
    again.results.changed.emit()
    assert again.objects_form.chosen() == again.results.finished.layer


def test_objects_whose_classes_were_removed_meanwhile_follow_nothing(viewer, with_objects):
    objects, dock = with_objects.objects.layer, with_objects
    viewer.window.remove_dock_widget(dock)
    viewer.layers.remove(objects.classes)
    again = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
    assert again.objects.layer is None
    assert again.objects_form.count.text() == ""
    assert objects.layer in viewer.layers


def test_objects_that_were_edited_stay_below_new_ones(viewer, with_objects, wait_for):
    old = with_objects.objects.layer.layer
    old.data[:3, :3] = 77
    again = reopened(viewer, with_objects)
    again.objects_form.make_button.click()
    wait_for(lambda: again.objects.params is not None and again.objects.layer.layer != old)
    layers = viewer.layers
    assert layers.index(again.objects.layer.layer) == layers.index(old) + 1


def test_channels_live_and_the_device_are_taken_up(viewer, dock, run):
    pixels = np.random.default_rng(0).random((3, 24, 32)).astype(np.float32)
    viewer.add_image(pixels, name="cells", axis_labels=("c", "y", "x"))
    second, third = dock.channels.rows[1:]
    second.box.setChecked(False)
    third.numbers["weight"].setValue(2.5)
    third.name.setText("actin")
    third.rule.choose(IntensityRule.TYPED)
    third.low.setText("0.25345678")
    third._on_change()
    dock.live_box.setChecked(True)
    dock.knobs.set_machine({"device": "cuda:1", "threads": 3})
    wish, options = dock.state.channels, dock.options()
    again = reopened(viewer, dock)
    assert again.state.channels == wish
    assert again.state.is_live
    assert again.live_box.isChecked()
    assert again.options() == options
    assert options.device == "cuda:1"


def test_layers_that_are_channels_are_taken_up(viewer, dock, image):
    other = viewer.add_image(np.asarray(image.data)[::-1], name="other")
    dock.channels.tick(other)
    layers = dock.choice.source().layer_names
    assert len(layers) == 2
    assert reopened(viewer, dock).choice.source().layer_names == layers


def test_strokes_that_were_followed_are_not_followed_anew(
    viewer, dock, image, run, wait_for, qtbot
):
    dock.add_scribbles()
    dock.live_box.setChecked(True)
    dock.section.layer.paint((5, 5), 1)
    wait_for(lambda: is_at_rest(dock))
    starts = run.starts, len(run.followed)
    again = reopened(viewer, dock)
    qtbot.wait(400)
    assert (run.starts, len(run.followed)) == starts
    again.section.layer.paint((15, 5), 2)
    wait_for(lambda: len(run.followed) == 1)


def test_labels_of_a_model_are_known(viewer, segmented, wait_for):
    segmented.apply_form.apply_button.click()
    applying = segmented.applying
    wait_for(lambda: applying.layer is not None and not applying.session.is_busy)
    job, layer = applying.newest.job, applying.layer
    again = reopened(viewer, segmented)
    assert (again.applying.newest.on_layers, again.applying.layer) == (job, layer)


# --- another image --------------------------------------------------------------------------


def other_image(viewer, shape=(16, 18), name="other"):
    return viewer.add_image(np.random.default_rng(1).random(shape), name=name)


def test_the_newest_image_is_chosen_while_nothing_was_done(viewer, dock, image):
    other = other_image(viewer)
    assert dock.images.chosen() == other
    assert dock.state.image == other


def test_where_something_was_done_the_image_stays_and_that_is_said(viewer, segmented, image):
    other_image(viewer)
    assert segmented.images.chosen() == image
    assert segmented.status.text() == words.stays_in_words("other", "cells")


def test_where_something_is_painted_the_image_stays(viewer, dock, image):
    dock.add_scribbles()
    other_image(viewer)
    assert dock.images.chosen() == image
    assert "stays with 'cells'" in dock.status.text()


def test_channels_of_one_file_are_one_image(viewer, dock):
    viewer.open_sample("napari-diffseg", "simulated_channels")
    assert [dock.images.chosen().name, len(dock.channels.rows)] == ["nuclei", 3]
    viewer.open_sample("napari-diffseg", "coins")
    assert dock.images.chosen().name == "coins"


# --- all is removed -------------------------------------------------------------------------


def test_without_layers_no_stale_word_is_left(viewer, with_objects):
    with_objects.export_form.say("3 files written to /somewhere")
    assert with_objects.labels.number.text() == "3"
    viewer.layers.clear()
    assert with_objects.export_form.status.text() == ""
    assert with_objects.labels.number.text() == "auto"
    assert with_objects.results.segmentation is None
    assert with_objects.objects_form.count.text() == ""


def test_pixels_of_a_closed_image_are_let_go(viewer, dock, run, wait_for, qtbot):
    pixels = np.random.default_rng(0).integers(0, 255, (24, 32), dtype=np.uint8)
    kept = weakref.ref(pixels)
    viewer.add_image(pixels, name="cells")
    dock.add_scribbles()
    dock.live_box.setChecked(True)
    dock.section.layer.paint((5, 5), 1)
    wait_for(lambda: is_at_rest(dock))
    assert dock.runs.loop._asked
    run.sources.clear()
    del pixels
    viewer.layers.clear()
    assert not dock.runs.loop._asked
    viewer.add_image(np.zeros((24, 32)))

    def is_gone():
        gc.collect()
        return kept() is None

    qtbot.waitUntil(is_gone, timeout=20_000)


# --- results --------------------------------------------------------------------------------


def test_a_new_result_is_seen_whether_its_objects_are_or_not(viewer, with_objects, wait_for):
    result, objects = with_objects.results.finished.layer, with_objects.objects.layer.layer
    assert not result.visible
    objects.visible = False
    with_objects.segment_button.click()
    wait_for(lambda: is_at_rest(with_objects))
    assert result.visible
    result.visible, objects.visible = False, True
    with_objects.segment_button.click()
    wait_for(lambda: is_at_rest(with_objects))
    assert result.visible


def test_previous_goes_back_over_presses_of_segment(segmented, wait_for):
    button, (layer,) = segmented.previous_button, labels_in(segmented)
    assert button.toolTip() == words.NOTHING_BEFORE
    segmented.segment_button.click()
    wait_for(lambda: is_at_rest(segmented))
    # The same labels once more: there is nothing else to go back to.
    assert not button.isEnabled()
    assert button.toolTip() == words.NOTHING_BEFORE
    segmented.labels.slider.setValue(2)
    wait_for(lambda: layer.data.max() == 2)
    segmented.state.typed_params = {**segmented.state.typed_params, "n_labels": 0}
    segmented.segment_button.click()
    wait_for(lambda: is_at_rest(segmented) and layer.data.max() == 3)
    assert button.isEnabled()
    button.click()
    assert layer.data.max() == 2


def labels_in(dock):
    return [one for one in dock._viewer.layers if isinstance(one, Labels)]


def test_why_there_is_nothing_before(dock, image, run, wait_for):
    button = dock.previous_button
    assert button.toolTip() == words.NO_RESULT
    run.stands_at = 2
    dock.segment_button.click()
    wait_for(run.stands.is_set)
    assert button.toolTip() == words.WAIT
    run.go_on.set()
    wait_for(lambda: is_at_rest(dock))


def test_a_run_that_is_cancelled_leaves_the_result_on_show(segmented, run, wait_for):
    before = segmented.results.segmentation
    run.go_on.clear()
    run.stands_at = 1
    segmented.segment_button.click()
    wait_for(run.stands.is_set)
    segmented.runs.cancel()
    assert segmented.results.segmentation is before
    assert segmented.results.finished is not None
    (layer,) = labels_in(segmented)
    segmented.labels.slider.setValue(2)
    wait_for(lambda: layer.data.max() == 2)


def test_how_many_labels_there_are_is_a_matter_of_each_image(viewer, segmented, run, wait_for):
    """Fewer or more is not kept for another image, and is back with the one that it is of."""
    segmented.labels.slider.setValue(2)
    wait_for(lambda: segmented.results.segmentation.params.n_labels == 2)
    first, other = segmented.images.chosen(), other_image(viewer)
    segmented.images.choose(other)
    assert segmented.params().n_labels == 0
    # A run that is given up there leaves the result as it is.
    run.go_on.clear()
    run.stands_at = 1
    segmented.segment_button.click()
    wait_for(run.stands.is_set)
    segmented.runs.cancel()
    wait_for(lambda: not segmented.session.is_busy)
    wait_for(lambda: not segmented.runs.merger.is_busy)
    assert segmented.results.segmentation.params.n_labels == 2
    segmented.images.choose(first)
    assert segmented.params().n_labels == 2


def test_the_slider_moves_the_result_on_show_after_the_layer_of_a_run_was_removed(
    viewer, segmented, run, wait_for
):
    (first,) = labels_in(segmented)
    segmented.images.choose(other_image(viewer))
    run.go_on.clear()
    run.stands_at = 1
    segmented.segment_button.click()
    wait_for(run.stands.is_set)
    viewer.layers.remove(segmented.results.running.layer)
    run.go_on.set()
    wait_for(lambda: not segmented.session.is_busy)
    segmented.labels.slider.setValue(2)
    wait_for(lambda: first.data.max() == 2)


def test_merged_labels_never_come_over_a_run(dock, image, run, wait_for, qtbot, monkeypatch):
    dock.add_scribbles()
    dock.live_box.setChecked(True)
    dock.section.layer.paint((5, 5), 1)
    wait_for(lambda: is_at_rest(dock))
    asked, go_on, shown = Event(), Event(), []
    kind = type(dock.results.segmentation)
    merge = kind.with_n_labels

    def merge_slowly(self, n_labels):
        asked.set()
        go_on.wait(60)
        return merge(self, n_labels)

    monkeypatch.setattr(kind, "with_n_labels", merge_slowly)
    monkeypatch.setattr(dock.results, "replace", lambda _: shown.append(dock.session.is_busy))
    run.follow_stands = True
    dock.labels.slider.setValue(3)  # there are 2
    wait_for(asked.is_set)
    dock.section.layer.paint((15, 5), 2)
    wait_for(lambda: dock.session.is_busy)
    go_on.set()
    wait_for(lambda: len(run.followed) == 1)
    qtbot.wait(200)
    assert shown == []
    run.follow_go_on.set()
    wait_for(lambda: is_at_rest(dock))


def test_names_of_painted_classes_are_none_of_labels_found_otherwise(segmented, wait_for):
    (layer,) = labels_in(segmented)
    segmented.add_scribbles()
    segmented.section.layer.paint((5, 5), 1)
    rest = segmented.scribbles.classes.rest_box
    wait_for(lambda: rest.isVisibleTo(segmented))
    rest.click()
    # Label 2 was found without strokes: it is neither the background, nor seen through.
    assert layer.get_color(2)[3] == 1
    assert segmented.results.segmentation.model.facts.class_names == {}


@pytest.mark.parametrize("is_back", [True, False])
def test_names_of_a_result_are_none_of_another_without_strokes(
    viewer, segmented, wait_for, is_back
):
    (layer,) = labels_in(segmented)
    segmented.add_scribbles()
    segmented.section.layer.paint((5, 5), 1)
    segmented.section.look()
    segmented.segment_button.click()
    wait_for(lambda: is_at_rest(segmented))
    segmented.section.name(1, "cell")
    results = segmented.results
    assert results.segmentation.model.facts.class_names == {1: "cell"}
    if is_back:
        segmented.previous_button.click()
    else:
        segmented.images.choose(other_image(viewer))
        segmented.scribbles.combo.setCurrentIndex(0)
        segmented.segment_button.click()
        wait_for(lambda: is_at_rest(segmented) and results.finished.layer != layer)
    assert results.segmentation.model.facts.class_names == {}
    assert names_in(results.finished.layer.features) == {}


def test_a_class_that_is_named_background_makes_no_objects(segmented):
    (layer,), classes = labels_in(segmented), segmented.objects_form.classes
    assert classes.ticked() == (2, 3)
    layer.features = features_for(layer.features, {2: "Background"}, 3)
    assert classes.ticked() == (1, 3)
    classes.boxes[3].setChecked(False)
    segmented.objects.classes._list()
    assert classes.ticked() == (1,)
