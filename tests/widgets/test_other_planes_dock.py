"""Learning from several planes of a stack, in the window; with a fake run but for the last."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from napari_diffseg.widgets.scribbles.other_planes import LearnFrom
from napari_diffseg.widgets.tasks.session import SessionState
from napari_diffseg.widgets.ui import words

pytestmark = pytest.mark.gui

N_PLANES = 7


def results_in(viewer):
    return [layer for layer in viewer.layers if "napari_diffseg" in layer.metadata]


def places_of(layers):
    return sorted(int(layer.translate[0]) for layer in layers)


def is_at_rest(dock):
    return dock.session.state is SessionState.DONE and not dock.session.is_busy


def stroke(viewer, layer, z, number, row):
    """Go to a plane and paint there as the mouse does."""
    viewer.dims.set_current_step(0, z)
    layer.selected_label = number
    with layer.block_history():
        layer.paint((z, row, 5), number)
        layer.paint((z, row, 12), number)


@pytest.fixture
def stack(viewer):
    pixels = np.random.default_rng(0).integers(0, 255, (N_PLANES, 20, 32), dtype=np.uint8)
    pixels[:, 0, 0] = np.arange(N_PLANES)
    return viewer.add_image(pixels, name="stack")


@pytest.fixture
def scribbles(dock, stack):
    dock.scribbles.new_button.click()
    return dock.section.layer


def read_by(run):
    """Return where the other planes of the newest run are, and what is painted on them."""
    return [
        (int(pixels[0, 0]), None if strokes is None else set(np.unique(strokes)) - {0})
        for pixels, strokes in run.others[-1]
    ]


def test_strokes_on_several_planes_are_learned_from_together(
    viewer, dock, scribbles, run, wait_for
):
    for z, number in ((1, 1), (3, 2), (6, 5)):
        stroke(viewer, scribbles, z, number, 4)
    viewer.dims.set_current_step(0, 3)
    wait_for(lambda: "Strokes on 3 planes" in dock.scribble_notes.text())
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    assert read_by(run) == [(1, {1}), (6, {5})]
    (layer,) = results_in(viewer)
    assert places_of([layer]) == [3]
    assert "learned from 3 planes" in dock.status.text()


def test_a_plane_without_strokes_is_labelled_by_those_elsewhere(
    viewer, dock, scribbles, run, wait_for
):
    stroke(viewer, scribbles, 1, 4, 4)
    viewer.dims.set_current_step(0, 5)
    wait_for(lambda: "labelled by those on 1 other plane" in dock.scribble_notes.text())
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    assert read_by(run) == [(1, {4})]
    (layer,) = results_in(viewer)
    assert set(np.unique(layer.data)) == {4}
    np.testing.assert_allclose(layer.get_color(4), scribbles.get_color(4))
    assert 4 in dock.scribbles.classes.buttons, "classes painted elsewhere are listed"


def test_what_is_written_without_an_event_is_read_by_the_run(
    viewer, dock, scribbles, run, wait_for
):
    scribbles.data[2, 3, 4:9] = 1
    viewer.dims.set_current_step(0, 4)
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    assert read_by(run) == [(2, {1})]


def test_lazy_strokes_are_looked_through_by_the_run_only(viewer, dock, stack, run, wait_for):
    strokes = np.zeros((N_PLANES, 20, 32), np.uint8)
    strokes[2, 3, 4:9], strokes[6, 9, 4:9] = 2, 5
    dock.scribbles.choose(viewer.add_labels(da.from_array(strokes, chunks=(1, 20, 32))))
    viewer.dims.set_current_step(0, 6)
    assert "on all planes" in dock.scribble_notes.text()
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    assert read_by(run) == [(2, {2})]


def test_the_chooser_is_there_for_stacks_only(viewer, dock, run, wait_for):
    single = viewer.add_image(np.zeros((24, 32)), name="single")
    assert not dock.learn_from.isVisibleTo(dock)
    stack = viewer.add_image(np.zeros((9, 24, 32)), name="stack")
    dock.images.choose(stack)
    assert dock.learn_from.isVisibleTo(dock)
    dock.images.choose(single)
    assert not dock.learn_from.isVisibleTo(dock)


@pytest.mark.parametrize(
    ("learn_from", "read"),
    [
        (LearnFrom.PAINTED, [(1, {1})]),
        (LearnFrom.SPREAD, [(0, None), (3, None), (6, None), (1, {1})]),
        (LearnFrom.HERE, []),
    ],
)
def test_which_planes_are_learned_from(viewer, dock, scribbles, run, wait_for, learn_from, read):
    stroke(viewer, scribbles, 1, 1, 4)
    stroke(viewer, scribbles, 2, 2, 4)
    dock.learn_from.choose(learn_from)
    if learn_from is LearnFrom.HERE:
        assert dock.scribble_notes.text() == words.ONLY_HERE
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    assert read_by(run) == read


# --- live -----------------------------------------------------------------------------------


@pytest.fixture
def live(viewer, dock, scribbles, run, wait_for):
    """A dock in live mode with a result on plane 2."""
    dock.live_box.setChecked(True)
    stroke(viewer, scribbles, 2, 1, 4)
    wait_for(lambda: is_at_rest(dock))
    assert run.others == [[]]
    return dock


def test_another_plane_gets_its_own_layer_and_all_planes_count(
    viewer, live, scribbles, run, wait_for
):
    stroke(viewer, scribbles, 5, 2, 9)
    wait_for(lambda: run.starts == 2 and is_at_rest(live))
    assert places_of(results_in(viewer)) == [2, 5]
    assert read_by(run) == [(2, {1})]
    stroke(viewer, scribbles, 5, 3, 15)
    wait_for(lambda: len(run.followed) == 1 and is_at_rest(live))
    assert run.starts == 2, "strokes on the plane shown follow"


def test_back_on_a_plane_its_layer_is_written_to(viewer, live, scribbles, run, wait_for, qtbot):
    (first,) = results_in(viewer)
    stroke(viewer, scribbles, 5, 2, 9)
    wait_for(lambda: run.starts == 2 and is_at_rest(live))
    viewer.dims.set_current_step(0, 2)
    qtbot.wait(400)
    assert run.starts == 2, "to look at a plane starts nothing"
    stroke(viewer, scribbles, 2, 3, 15)
    wait_for(lambda: run.starts == 3 and is_at_rest(live))
    assert places_of(results_in(viewer)) == [2, 5]
    assert 3 in first.data
    assert read_by(run) == [(5, {2})], "what was painted in the meantime counts"
    assert run.followed == []


def test_a_run_that_fails_on_an_earlier_layer_leaves_it_as_it_was(
    viewer, live, scribbles, run, wait_for
):
    (first,) = results_in(viewer)
    before = first.data.copy()
    stroke(viewer, scribbles, 5, 2, 9)
    wait_for(lambda: run.starts == 2 and is_at_rest(live))
    run.error = MemoryError()
    stroke(viewer, scribbles, 2, 3, 15)
    wait_for(lambda: "not enough memory" in live.status.text())
    np.testing.assert_array_equal(first.data, before)
    assert first.editable
    assert places_of(results_in(viewer)) == [2, 5]


def test_an_earlier_layer_that_a_person_edited_is_left(viewer, live, scribbles, run, wait_for):
    (first,) = results_in(viewer)
    stroke(viewer, scribbles, 5, 2, 9)
    wait_for(lambda: run.starts == 2 and is_at_rest(live))
    first.data[0, 16:] = 9
    edited = first.data.copy()
    stroke(viewer, scribbles, 2, 3, 15)
    wait_for(lambda: run.starts == 3 and is_at_rest(live))
    np.testing.assert_array_equal(first.data, edited)
    assert places_of(results_in(viewer)) == [2, 2, 5]


def test_a_plane_without_strokes_asks_for_nothing_and_says_so(
    viewer, live, scribbles, run, wait_for
):
    viewer.dims.set_current_step(0, 4)
    wait_for(lambda: live.status.text() == words.UNPAINTED_HERE)
    assert run.starts == 1


def test_the_last_stroke_on_a_plane_is_erased_where_others_are_painted(
    viewer, live, scribbles, run, wait_for
):
    stroke(viewer, scribbles, 5, 2, 9)
    wait_for(lambda: run.starts == 2 and is_at_rest(live))
    scribbles.undo()
    wait_for(lambda: len(run.followed) == 1 and is_at_rest(live))
    second = next(one for one in results_in(viewer) if places_of([one]) == [5])
    assert set(np.unique(second.data)) == {1}, "by the strokes on the other plane"


# --- what the model knows ---------------------------------------------------------------------


def test_names_colours_and_pixel_size_go_into_the_model(viewer, dock, run, wait_for):
    viewer.add_image(
        np.random.default_rng(0).random((N_PLANES, 24, 32)),
        name="cells",
        scale=(2, 0.5, 0.25),
        units=("µm", "µm", "µm"),
    )
    dock.scribbles.new_button.click()
    scribbles = dock.section.layer
    stroke(viewer, scribbles, 0, 2, 4)
    dock.section.name(2, "nucleus")
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    facts = dock.results.segmentation.model.facts
    assert facts.class_names == {2: "nucleus"}
    np.testing.assert_allclose(facts.class_colors[2], scribbles.get_color(2))
    assert (facts.pixel_size.y, facts.pixel_size.x) == (0.5, 0.25)
    dock.section.name(2, "cell")
    dock.section.name(7, "in no label of the model")
    assert dock.results.segmentation.model.facts.class_names == {2: "cell"}
    assert run.starts == 1


# --- the real run -----------------------------------------------------------------------------


def test_a_real_run_learns_from_strokes_on_another_plane(viewer, wait_for):
    rng = np.random.default_rng(1)
    inside = np.zeros((3, 48, 64), bool)
    for z in range(3):
        inside[z, 12:36, 8 + 8 * z : 32 + 8 * z] = True
    pixels = np.where(inside, 180, 60) + rng.normal(0, 10, inside.shape)
    viewer.add_image(pixels.astype(np.uint8), name="drift", axis_labels=("t", "y", "x"))
    dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
    dock.params_form.write({"n_iterations": 10})
    dock.scribbles.new_button.click()
    strokes = dock.section.layer
    strokes.data[0, 24, 12:28], strokes.data[0, 4, 4:60] = 1, 2
    viewer.dims.set_current_step(0, 2)
    dock.segment_button.click()
    wait_for(lambda: not dock.session.is_busy)
    (layer,) = results_in(viewer)
    assert ((layer.data[0] == 1) == inside[2]).mean() > 0.97
    segmentation = dock.results.segmentation
    assert len(segmentation.references) == 1
    assert not segmentation.scribbles.painted.any()
    # In Live the strokes on the plane shown join those; and when they are erased again,
    # those on the other plane still count.
    dock.live_box.setChecked(True)
    stroke(viewer, strokes, 2, 3, 44)
    wait_for(lambda: 3 in layer.data and not dock.session.is_busy)
    assert dock.results.segmentation.painted_classes == (1, 2, 3)
    strokes.undo()
    wait_for(lambda: 3 not in layer.data and not dock.session.is_busy)
    assert dock.results.segmentation.painted_classes == (1, 2)
