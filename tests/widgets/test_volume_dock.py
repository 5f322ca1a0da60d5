"""Stacks and volumes in the window: the main job, scribbles and Apply; with a fake run."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from napari.layers import Labels

from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.widgets.batch.form import Scope
from napari_diffseg.widgets.image.axes_reading import Extent
from napari_diffseg.widgets.image.sizes import TypedSize
from napari_diffseg.widgets.tasks.session import SessionState
from napari_diffseg.widgets.ui import words

pytestmark = pytest.mark.gui

LENGTHS = {"T": 3, "C": 2, "Z": 5, "Y": 20, "X": 24}
STEPS = {"T": 30.0, "C": 1.0, "Z": 4.0, "Y": 0.5, "X": 0.5}
UNITS = {"T": "second", "C": "pixel", "Z": "um", "Y": "um", "X": "um"}


def is_at_rest(dock):
    return dock.session.state is SessionState.DONE and not dock.session.is_busy


def results_in(viewer):
    return [layer for layer in viewer.layers if "napari_diffseg" in layer.metadata]


def shape_of(axes, letters="TCZYX"):
    return tuple(LENGTHS[one] if one in letters else 1 for one in axes)


@pytest.fixture
def open_stack(viewer):
    """Open a layer whose axes have names, and show its middle."""

    def open_it(axes, wrap=np.asarray, **more):
        pixels = np.random.default_rng(0).integers(0, 255, shape_of(axes), dtype=np.uint8)
        place = {
            "scale": [STEPS[one] for one in axes],
            "translate": [7.0 + axis for axis in range(len(axes))],
            "units": [UNITS[one] for one in axes],
            "axis_labels": [one.lower() for one in axes],
        }
        return viewer.add_image(wrap(pixels), name="stack", **{**place, **more})

    return open_it


def go_to(viewer, axes, **places):
    for letter, place in places.items():
        viewer.dims.set_current_step(axes.index(letter.upper()), place)


def stroke(viewer, layer, number, *at):
    """Paint as the mouse does, on a point of the layer's data."""
    layer.selected_label = number
    with layer.block_history():
        layer.paint(at, number)
        layer.paint((*at[:-1], at[-1] + 4), number)


# --- axes: read, guessed, corrected -----------------------------------------------------


def test_a_stack_with_names_is_a_volume_and_says_so(open_stack, dock):
    open_stack("ZYX")
    line = dock.axes_form.line.text().replace(words.NO_BREAK, " ")
    assert line == "Z 5 · Y 20 · X 24, one channel, 4 × 0.5 × 0.5 µm"
    assert not dock.axes_form.question.isVisibleTo(dock)
    assert dock.axes_form.extent.chosen() is Extent.VOLUME
    assert dock.choice.source().spacing == (4, 0.5, 0.5)
    assert not dock.learn_from.isVisibleTo(dock)


def test_a_stack_without_names_is_asked_about(viewer, dock):
    viewer.add_image(np.random.default_rng(0).random((9, 20, 24)), name="stack")
    form = dock.axes_form
    assert "is read as Z (planes). Is that right?" in form.question.text()
    assert [one.text() for one in form.answers.values()] == ["Z planes", "T time", "C channels"]
    assert not dock.choice.source().is_volume
    assert "Only the displayed plane" in dock.notes.text()
    form.answers["TYX"].click()
    assert not form.question.isVisibleTo(dock)
    assert "T 9" in form.line.text()
    assert not form.extent.isVisibleTo(dock)
    form.reset_button.click()
    assert form.question.isVisibleTo(dock)
    form.answers["ZYX"].click()
    assert dock.choice.source().is_volume
    assert "size of the voxels is not known" in dock.notes.text()


def test_who_says_as_a_volume_says_that_z_is_z(viewer, dock):
    viewer.add_image(np.random.default_rng(0).random((9, 20, 24)), name="stack")
    extent = dock.axes_form.extent
    extent.activated.emit(extent.items().index(Extent.VOLUME))
    assert dock.choice.source().is_volume
    assert not dock.axes_form.question.isVisibleTo(dock)


def test_the_distance_of_planes_is_typed(viewer, dock):
    viewer.add_image(np.zeros((9, 20, 24)), name="stack", axis_labels=("z", "y", "x"))
    assert dock.choice.source().spacing is None
    form = dock.axes_form
    assert form.size_field.distance.isVisibleTo(dock)
    assert "sizes will be in pixels" in form.size_field.about.text()
    form.size_field.typed.emit(TypedSize("", "4,5", "px"))
    assert dock.choice.source().spacing == (4.5, 1, 1)
    assert dock.notes.text() == ""
    form.size_field.typed.emit(TypedSize("0.5", "2", "µm"))
    assert dock.choice.source().spacing == (2, 0.5, 0.5)
    assert dock.choice.source().pixel_size == PixelSize(0.5, 0.5, "µm", 2)
    form.size_field.typed.emit(TypedSize("0.5", "far", "µm"))
    assert "The size of a pixel is 'far', but a positive number" in form.size_field.about.text()
    assert dock.reason.text() == words.SAY_SIZE
    assert "border" in form.size_field.distance.styleSheet()
    assert form.letters.styleSheet() == ""
    assert not dock.segment_button.isEnabled()
    form.size_field.typed.emit(TypedSize())
    assert dock.segment_button.isEnabled()
    assert dock.choice.source().pixel_size is None


def test_what_was_said_of_each_layer_is_kept(viewer, dock):
    one = viewer.add_image(np.zeros((9, 20, 24)), name="one")
    dock.axes.type_letters("TYX")
    two = viewer.add_image(np.zeros((8, 20, 24)), name="two")
    dock.images.choose(two)
    assert "Z 8" in dock.axes_form.line.text()
    dock.images.choose(one)
    assert "T 9" in dock.axes_form.line.text()
    viewer.layers.remove(one)
    assert "Z 8" in dock.axes_form.line.text()


def test_what_is_said_of_the_layer_itself_is_read_at_once(viewer, dock):
    layer = viewer.add_image(np.zeros((9, 20, 24)), name="stack")
    layer.axis_labels = ("z", "y", "x")
    assert dock.choice.source().is_volume
    assert not dock.axes_form.question.isVisibleTo(dock)
    layer.scale = (3, 1, 1)
    assert "voxels of 3 × 1 × 1" in dock.axes_form.line.text().replace(words.NO_BREAK, " ")
    assert dock.notes.text() == ""
    layer.axis_labels = ("t", "y", "x")
    assert "T 9" in dock.axes_form.line.text()
    viewer.window.remove_dock_widget(dock)
    layer.scale = (1, 1, 1)


def test_more_axes_than_can_be_guessed_are_asked_for(viewer, dock):
    viewer.add_image(np.zeros((2, 2, 2, 2, 8, 9)), name="much")
    assert "has 6 axes" in dock.axes_form.question.text()
    assert dock.axes_form.letters.isVisibleTo(dock)
    assert not dock.segment_button.isEnabled()


# --- the main job -----------------------------------------------------------------------


@pytest.mark.parametrize("ndisplay", [2, 3])
@pytest.mark.parametrize("order", [1, -1], ids=["as it is", "turned"])
@pytest.mark.parametrize("axes", ["ZYX", "TZYX", "ZCYX", "TCZYX", "CZTYX"])
def test_a_volume_gets_a_layer_that_lies_on_it(
    open_stack, viewer, dock, run, wait_for, axes, order, ndisplay
):
    image = open_stack(axes)
    places = {"z": 3, **({"t": 1} if "T" in axes else {})}
    go_to(viewer, axes, **places)
    viewer.dims.order = viewer.dims.order[::order]
    viewer.dims.ndisplay = ndisplay
    run.stands_at = 2
    dock.segment_button.click()
    wait_for(lambda: run.stands.is_set() and "Iteration" in dock.status.text())
    go_to(viewer, axes, z=0)
    run.go_on.set()
    wait_for(lambda: is_at_rest(dock))
    (source,) = run.sources
    assert (source.look_at, source.spacing) == (3, (4, 0.5, 0.5))
    (layer,) = results_in(viewer)
    assert layer.data.shape == shape_of(axes, "ZYX")
    assert set(np.unique(layer.data)) == {1, 2, 3}
    here = [places.get(one.lower(), 0) for one in axes]
    first = [0 if one in "TC" else place for one, place in zip(axes, here, strict=True)]
    along = [axis for axis, one in enumerate(axes) if one != "C"]
    there = np.array(layer.data_to_world(first)), np.array(image.data_to_world(here))
    np.testing.assert_allclose(there[0][along], there[1][along])
    assert (layer.units, layer.axis_labels) == (image.units, image.axis_labels)
    assert dock.modelling.shelf.chosen.to_save().facts.pixel_size.z == 4


def test_time_without_depth_is_planes(open_stack, viewer, dock, run, wait_for):
    open_stack("TYX")
    assert not dock.axes_form.extent.isVisibleTo(dock)
    go_to(viewer, "TYX", t=2)
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    (layer,) = results_in(viewer)
    assert layer.data.shape == (1, 20, 24)
    assert dock.learn_from.isVisibleTo(dock)


def test_plane_by_plane_is_as_it_was(open_stack, viewer, dock, run, wait_for):
    open_stack("ZYX")
    dock.axes.choose_extent(Extent.PLANE)
    go_to(viewer, "ZYX", z=4)
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    (layer,) = results_in(viewer)
    assert layer.data.shape == (1, 20, 24)
    assert layer.translate[0] == 7 + 4 * 4
    assert "Z 4 of 0–4" in dock.notes.text().replace(words.NO_BREAK, " ")


def test_lazy_volumes_are_read_by_the_run_only(open_stack, viewer, dock, run, wait_for):
    read = []

    def wrap(pixels):
        def block(part, block_info=None):
            if block_info:
                read.append(block_info[0]["chunk-location"])
            return part

        return da.from_array(pixels, chunks=(1, 1, 20, 24)).map_blocks(block, dtype=pixels.dtype)

    open_stack("TZYX", wrap, contrast_limits=(0, 255))
    go_to(viewer, "TZYX", t=1)
    read.clear()
    dock.choice.source()
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    assert {where[0] for where in read if where[1] != 2} == {1}
    assert results_in(viewer)[0].data.shape == (1, 5, 20, 24)


def test_a_pyramid_of_volumes(viewer, dock, run, wait_for):
    fine = np.random.default_rng(0).integers(0, 255, (6, 40, 48), dtype=np.uint8)
    viewer.add_image(
        [fine, fine[:, ::2, ::2]],
        multiscale=True,
        name="pyramid",
        scale=(2, 0.5, 0.5),
        axis_labels=("z", "y", "x"),
    )
    assert dock.level.isVisibleTo(dock)
    dock.level.combo.setCurrentIndex(1)
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    (source,) = run.sources
    assert source.read().shape == (6, 20, 24)
    assert source.spacing == (2, 1, 1)
    (layer,) = results_in(viewer)
    assert layer.data.shape == (6, 20, 24)
    np.testing.assert_allclose(layer.scale, (2, 1, 1))
    np.testing.assert_allclose(layer.translate, (0, 0.25, 0.25))
    dock.level.combo.setCurrentIndex(0)
    dock.segment_button.click()
    wait_for(lambda: len(results_in(viewer)) == 2 and is_at_rest(dock))
    assert run.sources[-1].read().shape == (6, 40, 48)


def test_several_layers_are_the_channels_of_a_volume(open_stack, viewer, dock, run, wait_for):
    one = open_stack("ZYX")
    two = open_stack("ZYX", lambda pixels: pixels.astype(np.uint16))
    dock.images.choose(one)
    dock.channels.tick(two)
    assert "2 channels" in dock.axes_form.line.text()
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    (source,) = run.sources
    assert source.axes == "CZYX"
    assert source.read().shape == (2, 5, 20, 24)


def test_a_region_goes_to_the_run(open_stack, viewer, dock, run, wait_for):
    open_stack("ZYX")
    box = np.array([[2, 4, 4], [2, 4, 9], [2, 9, 9], [2, 9, 4]])
    place = {
        name: getattr(viewer.layers["stack"], name) for name in ("scale", "translate", "units")
    }
    viewer.add_shapes([box], shape_type="rectangle", name="box", **place)
    chooser = dock.region
    chooser.combo.setCurrentIndex(chooser.combo.findText("inside box"))
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    mask = run.sources[0].region.mask()
    assert mask.shape == (5, 20, 24)
    assert mask[:, 4:10, 4:10].all()
    assert mask.sum() == 5 * 6 * 6


# --- scribbles --------------------------------------------------------------------------


@pytest.mark.parametrize("axes", ["ZYX", "TZYX", "ZCYX", "TZCYX"])
@pytest.mark.parametrize("ndisplay", [2, 3])
def test_strokes_on_any_planes_are_told_and_followed(
    open_stack, viewer, dock, run, wait_for, axes, ndisplay
):
    open_stack(axes)
    t = {"t": 1} if "T" in axes else {}
    go_to(viewer, axes, z=2, **t)
    dock.scribbles.new_button.click()
    layer = dock.section.layer
    assert layer.data.shape == shape_of(axes, "TZYX")
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))

    def paint(z, number, y):
        where = {"T": 1, "C": 0, "Z": z, "Y": y, "X": 5}
        stroke(viewer, layer, number, *(where[one] for one in axes))

    viewer.dims.ndisplay = ndisplay
    dock.live_box.setChecked(True)
    paint(1, 1, 4)
    wait_for(lambda: len(run.followed) == 1 and is_at_rest(dock))
    paint(4, 2, 9)
    wait_for(lambda: len(run.followed) == 2 and is_at_rest(dock))
    strokes = run.followed[-1]
    assert strokes.shape == (5, 20, 24)
    assert np.flatnonzero(strokes.any(axis=(1, 2))).tolist() == [1, 4]
    assert set(np.unique(strokes[4])) == {0, 2}
    # The plane in view is answered first.
    view = run.views[-1]
    assert view is not None
    assert view[0] == slice(2, 3)
    (result,) = results_in(viewer)
    assert result.data.shape == shape_of(axes, "ZYX")
    assert set(np.unique(result.data)) == {1, 2}
    np.testing.assert_allclose(result.get_color(2), layer.get_color(2))
    said = dock.scribble_notes.text()
    assert (words.PAINT_IN_2D in said) == (ndisplay == 3)
    assert (words.ONLY_THIS_VOLUME in said) == ("T" in axes)
    assert run.starts == 1


def test_a_slider_along_z_asks_for_nothing_new(open_stack, viewer, dock, run, wait_for, qtbot):
    open_stack("TZYX")
    go_to(viewer, "TZYX", t=0)
    dock.scribbles.new_button.click()
    dock.live_box.setChecked(True)
    stroke(viewer, dock.section.layer, 1, 0, 1, 4, 4)
    wait_for(lambda: run.starts == 1 and is_at_rest(dock))
    go_to(viewer, "TZYX", z=4)
    qtbot.wait(400)
    assert (run.starts, len(run.followed)) == (1, 0)
    # At another time nothing is painted.
    go_to(viewer, "TZYX", t=2)
    qtbot.wait(400)
    assert (run.starts, len(run.followed)) == (1, 0)
    stroke(viewer, dock.section.layer, 2, 2, 1, 4, 4)
    wait_for(lambda: run.starts == 2 and is_at_rest(dock))
    assert len(results_in(viewer)) == 2


def test_a_plane_of_strokes_does_not_fit_a_volume(open_stack, viewer, dock):
    open_stack("ZYX")
    flat = viewer.add_labels(np.zeros((20, 24), np.uint8), name="flat", scale=(0.5, 0.5))
    dock.scribbles.choose(flat)
    assert "The scribbles 'flat' are 20 × 24, but the image 'stack' is 5 × 20 × 24" in (
        dock.reason.text()
    )


def test_the_field_of_view_of_a_run_stays_that_of_its_strokes(
    open_stack, viewer, dock, run, wait_for
):
    from napari_diffseg.widgets.region.placement import camera_of
    from napari_diffseg.widgets.region.region import RegionKind, RegionWish

    open_stack("ZYX")
    dock.scribbles.new_button.click()
    dock.region.choose(RegionWish(RegionKind.VIEW))
    camera_of(viewer).zoom *= 4
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    region = run.sources[0].region
    assert region is not None
    camera_of(viewer).zoom /= 2
    dock.live_box.setChecked(True)
    stroke(viewer, dock.section.layer, 1, 2, 10, 10)
    wait_for(lambda: len(run.followed) == 1 and is_at_rest(dock))
    assert run.starts == 1
    # Segment takes what is in view now.
    dock.segment_button.click()
    wait_for(lambda: run.starts == 2 and is_at_rest(dock))
    assert run.sources[-1].region != region


@pytest.mark.parametrize("letters", ["TYX", "CYX"])
def test_a_volume_whose_axes_are_said_to_be_others_keeps_its_size(
    open_stack, viewer, dock, run, wait_for, letters
):
    open_stack("ZYX")
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    before = viewer.layers[-1].metadata["napari_diffseg"]["layer"]
    dock.axes_form.letters.setText(letters)
    dock.axes_form.letters.textEdited.emit(letters)
    assert viewer.layers[-1].metadata["napari_diffseg"]["layer"] == before
    dock.segment_button.click()
    wait_for(lambda: len(run.sources) == 2 and is_at_rest(dock))
    assert run.sources[-1].letters == letters


# --- uncertainty --------------------------------------------------------------------------


def test_the_uncertainty_of_a_volume_and_the_way_there(open_stack, viewer, dock, run, wait_for):
    open_stack("ZYX")
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    dock.uncertainty_box.setChecked(True)
    wait_for(lambda: any("uncertainty" in layer.name for layer in viewer.layers))
    (layer,) = (one for one in viewer.layers if "uncertainty" in one.name)
    assert layer.data.shape == (5, 20, 24)
    go_to(viewer, "ZYX", z=0)
    dock.uncertain_button.click()
    wait_for(lambda: viewer.dims.current_step[0] > 0)
    assert dock.status.text() == words.DOUBTS_THERE, "the plane is a part of the place"


def test_the_channel_on_view_stays_on_the_way_to_what_is_unsure(
    open_stack, viewer, dock, run, wait_for
):
    open_stack("CYX")
    viewer.dims.set_current_step(0, 0)
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    dock.uncertain_button.click()
    wait_for(lambda: dock.status.text() == words.DOUBTS_THERE)
    assert viewer.dims.current_step[0] == 0


def test_from_another_frame_the_way_leads_back_to_that_of_the_result_and_it_is_said(
    open_stack, viewer, dock, run, wait_for
):
    open_stack("TYX")
    viewer.dims.set_current_step(0, 1)
    dock.segment_button.click()
    wait_for(lambda: is_at_rest(dock))
    viewer.dims.set_current_step(0, 3)
    dock.uncertain_button.click()
    wait_for(
        lambda: (
            dock.status.text() == words.of_frames(words.DOUBTS_ELSEWHERE, True) + words.DOUBTS_THERE
        )
    )
    assert viewer.dims.current_step[0] == 1
    viewer.dims.set_current_step(0, 2)
    assert dock.status.text() == "", "the middle of the view is another place"
    viewer.dims.ndisplay = 3
    dock.uncertain_button.click()
    wait_for(lambda: dock.status.text().endswith(words.DOUBTS_THERE))
    assert "Back" not in dock.status.text(), "all frames are on view"


# --- models -------------------------------------------------------------------------------


@pytest.fixture
def volume_model(model, monkeypatch):
    model.spatial, model.n_spatial = "ZYX", 3
    return model


@pytest.fixture
def load(dock, wait_for):
    def load_it():
        dock.modelling.load("cells.safetensors")
        wait_for(lambda: dock.modelling.shelf.chosen is not None)

    return load_it


@pytest.mark.parametrize("axes", ["TZYX", "ZTYX", "TXZY"])
def test_a_model_of_volumes_goes_to_all_times(
    open_stack, viewer, dock, volume_model, load, wait_for, axes
):
    image = open_stack(axes)
    load()
    form = dock.apply_form
    assert form.scope.currentText() == "All 3 volumes"
    form.apply_button.click()
    wait_for(lambda: not dock.applying.session.is_busy and "Done" in form.status.text())
    (layer,) = results_in(viewer)
    np.testing.assert_array_equal(layer.data, np.where(image.data > 100, 2, 1))
    assert [one[0].shape for one in volume_model.applied] == [
        tuple(n for n, letter in zip(image.data.shape, axes, strict=True) if letter != "T")
    ] * 3


def test_a_model_of_planes_goes_to_all_planes_of_all_times(
    open_stack, viewer, dock, model, load, wait_for
):
    image = open_stack("TZYX")
    load()
    assert dock.choice.source().is_volume
    form = dock.apply_form
    assert form.scope.currentText() == "All 15 frames"
    form.scope.choose(Scope.ALL)
    form.apply_button.click()
    wait_for(lambda: not dock.applying.session.is_busy and "Done" in form.status.text())
    (layer,) = results_in(viewer)
    np.testing.assert_array_equal(layer.data, np.where(image.data > 100, 2, 1))


def test_a_model_of_volumes_is_not_for_planes(open_stack, viewer, dock, volume_model, load):
    open_stack("TYX")
    load()
    dock.apply_fold.expand()
    reason = dock.apply_form.reason.text()
    assert "'stack' (Y 20 · X 24 · one channel) has no planes along Z" in reason
    assert "but the model was trained on volumes" in reason
    assert not dock.apply_form.apply_button.isEnabled()


def test_planes_farther_apart_than_those_of_the_training_are_worth_a_word(
    open_stack, viewer, dock, volume_model, load
):
    volume_model.z_step = 2.0
    open_stack("ZYX")
    load()
    assert (
        "are 8 pixels apart, but those that the model was trained on 2"
        in dock.apply_form.reason.text()
    )
    assert dock.apply_form.apply_button.isEnabled()


# --- the real core ------------------------------------------------------------------------


def test_the_real_core_on_a_volume(make_napari_viewer_proxy, wait_for):
    viewer = make_napari_viewer_proxy()
    z, y, x = np.mgrid[:8, :40, :48]
    ball = ((z - 4) * 3) ** 2 + (y - 20) ** 2 + (x - 24) ** 2 < 100
    noise = np.random.default_rng(0).normal(0, 10, ball.shape)
    image = viewer.add_image(
        np.stack([50 + 120 * ball + noise] * 2),
        name="balls",
        axis_labels=("t", "z", "y", "x"),
        scale=(1, 3, 1, 1),
    )
    dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
    dock.params_form.write({"n_features": 8, "n_clusters": 8, "n_iterations": 5, "n_blocks": 1})
    dock.options_form.write({"preview_interval": 0.0, "threads": 1})
    go_to(viewer, "TZYX", t=1, z=4)
    dock.scribbles.new_button.click()
    strokes = dock.section.layer
    stroke(viewer, strokes, 1, 1, 2, 4, 5)
    stroke(viewer, strokes, 2, 1, 4, 20, 22)
    dock.segment_button.click()
    wait_for(lambda: not dock.session.is_busy)
    assert dock.session.state is SessionState.DONE, dock.status.text()
    (layer,) = results_in(viewer)
    assert layer.data.shape == (1, 8, 40, 48)
    found = layer.data[0] == 2
    assert (found & ball).sum() / (found | ball).sum() > 0.8
    dock.live_box.setChecked(True)
    stroke(viewer, strokes, 2, 1, 6, 4, 5)
    wait_for(lambda: layer.data[0, 6, 4, 5] == 2 and not dock.session.is_busy)
    dock.apply_form.apply_button.click()
    wait_for(lambda: "Done: 2 frames" in dock.apply_form.status.text())
    assert isinstance(viewer.layers[-2], Labels)
    assert image in viewer.layers
