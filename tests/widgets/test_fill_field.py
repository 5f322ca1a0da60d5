"""The field of the dock that says which value is fill."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diffseg.image.fill import AUTO

pytestmark = pytest.mark.gui


@pytest.fixture
def padded(viewer):
    rng = np.random.default_rng(0)
    pixels = np.zeros((96, 96), np.uint16)
    pixels[20:80, 16:84] = 10_000 + rng.normal(400, 30, (60, 68))
    pixels[40:60, 30:60] += 1_000
    return viewer.add_image(pixels, name="padded")


def segmented(dock, wait_for):
    wait_for(dock.segment_button.isEnabled)
    dock.segment_button.click()
    wait_for(lambda: not dock.session.is_busy)
    return dock.results.segmentation


@pytest.mark.parametrize(
    ("text", "said"), [("", AUTO), ("auto", AUTO), ("none", None), ("0", 0.0), ("-9999", -9999.0)]
)
def test_what_is_typed_goes_to_the_run(viewer, image, dock, run, wait_for, text, said):
    dock.fill.type(text)
    segmented(dock, wait_for)
    assert run.sources[0].fill == said


def test_what_is_no_fill_is_said_and_nothing_can_be_run(viewer, image, dock):
    dock.fill.type("black")
    assert not dock.segment_button.isEnabled()
    assert "'black' is no fill" in dock.reason.text()
    assert "border" in dock.fill.line.styleSheet()
    dock.fill.type("none")
    assert dock.segment_button.isEnabled()
    assert not dock.fill.line.styleSheet()


def test_a_result_does_not_follow_strokes_once_the_fill_is_another(viewer, image, dock, run):
    before = dock.choice.source()
    dock.fill.type("7")
    assert not before.shows_the_same(dock.choice.source())


def test_fill_is_found_left_out_and_said(viewer, padded, wait_for):
    dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
    result = segmented(dock, wait_for)
    outside = padded.data == 0
    assert (viewer.layers[-1].data[outside] == 0).all()
    assert (viewer.layers[-1].data[~outside] > 0).all()
    assert result.model.fill == 0
    assert dock.fill.found.text() == "found: 0, left out"
    assert "The value 0 was taken for fill" in dock.status.text()

    dock.fill.type("none")
    assert dock.fill.found.text() == "Every pixel is image."
    result = segmented(dock, wait_for)
    assert result.model.fill is None
    assert (result.labels > 0).all()


def test_that_there_is_no_fill_is_said_too(viewer, image, wait_for):
    dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
    segmented(dock, wait_for)
    assert dock.fill.found.text() == "No empty border found."


def test_what_stands_in_the_field_is_explained(viewer, image, dock):
    assert dock.fill.found.text() == "An empty border is found by itself."
    dock.fill.type("NONE")
    assert dock.fill.found.text() == "Every pixel is image."
    dock.fill.type("7")
    assert dock.fill.found.text() == "Pixels of this value are left out."
