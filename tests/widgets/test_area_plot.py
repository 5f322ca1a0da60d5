"""The plot over the frames: what is where, what it says, and that thousands are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from superqt.utils import qimage_to_array

from napari_diffseg.batch.facts import FrameFacts, Record
from napari_diffseg.widgets.batch.area_plot import AreaPlot

pytestmark = pytest.mark.gui

COLORS = {1: np.array([1.0, 0, 0, 1]), 2: np.array([0, 1.0, 0, 1])}


def record_of(n, *, step=1):
    record = Record(n, (1, 2))
    for number in range(0, n, step):
        record.add(number, FrameFacts({0: 50, 1: 40, 2: 10}, 0.9))
    return record


@pytest.fixture
def plot(qtbot):
    widget = AreaPlot()
    qtbot.addWidget(widget)
    widget.resize(300, 170)
    return widget


def drawn(plot, color):
    """Return how many points of the picture have about this colour."""
    pixels = qimage_to_array(plot.grab().toImage())[..., :3]
    apart = np.abs(pixels.astype(int) - np.array(color)).max(axis=-1)
    return int((apart < 60).sum())


@pytest.mark.parametrize("n", [2, 12, 5000])
def test_each_class_is_drawn_in_its_colour(plot, n):
    plot.show_record(record_of(n), COLORS, {}, str)
    assert drawn(plot, (255, 0, 0)) > 100
    assert drawn(plot, (0, 255, 0)) > 100


@pytest.mark.parametrize("n", [3, 5000])
def test_frames_that_are_not_done_leave_gaps(plot, n):
    whole, few = record_of(n), Record(n, (1, 2))
    few.add(n // 2, FrameFacts({1: 40, 2: 60}, 0.9))
    plot.show_record(whole, COLORS, {}, str)
    n_whole = drawn(plot, (255, 0, 0))
    plot.show_record(few, COLORS, {}, str)
    assert 0 < drawn(plot, (255, 0, 0)) < n_whole / 4


def test_nothing_is_known_yet(plot):
    assert drawn(plot, (255, 0, 0)) == 0
    assert plot.frame_at(100) is None
    plot.show_record(Record(4, (1, 2)), COLORS, {}, str)
    assert drawn(plot, (255, 0, 0)) == 0


@pytest.mark.parametrize("n", [1, 2, 12, 250])
def test_places_and_frames_agree(plot, n):
    plot.show_record(record_of(n), COLORS, {}, str)
    assert [plot.frame_at(plot.x_of(number)) for number in range(n)] == list(range(n))
    assert plot.frame_at(-50) == 0
    assert plot.frame_at(1000) == n - 1


def test_what_is_under_the_pointer_is_said(plot):
    record = record_of(4, step=2)
    record.add(1, FrameFacts(failed="It is damaged."))
    record.keep(3)
    plot.show_record(record, COLORS, {1: "nuclei"}, "T {}".format)
    assert plot.describe(0) == "T 0 · confidence 90%\nnuclei: 40.0%\n2: 10.0%"
    assert plot.describe(1) == "T 1: left out. It is damaged."
    assert plot.describe(3) == "T 3: painted by hand"
