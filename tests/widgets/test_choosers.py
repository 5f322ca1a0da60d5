"""Resolution, region and memory: what is offered, what is chosen, what is said."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Labels, Shapes
from qtpy.QtWidgets import QLabel, QScrollArea, QWidget

from napari_diffseg.widgets.export.form import ExportForm
from napari_diffseg.widgets.image.fields import LevelChooser
from napari_diffseg.widgets.image.level import Level, level_note
from napari_diffseg.widgets.region.chooser import RegionChooser
from napari_diffseg.widgets.region.region import RegionKind, RegionWish
from napari_diffseg.widgets.ui import memory_line
from napari_diffseg.widgets.ui.controls import stack
from napari_diffseg.widgets.ui.memory_line import (
    MemoryLine,
    memory_in_words,
    remedies,
)

pytestmark = pytest.mark.gui


def levels(*sides):
    return [Level(n, (side, side), (sides[0] / side,) * 2) for n, side in enumerate(sides)]


@pytest.fixture
def level(qtbot):
    widget = LevelChooser()
    qtbot.addWidget(widget)
    return widget


def choose(level, row):
    level.combo.setCurrentIndex(row)


def note(level):
    levels, spatial = level._offered
    return level_note(levels, spatial, level.wanted) if levels else ""


@pytest.fixture
def region(qtbot):
    widget = RegionChooser()
    qtbot.addWidget(widget)
    return widget


# --- resolution -----------------------------------------------------------------------------


def test_one_resolution_is_no_choice(level):
    assert level.chosen() is None
    assert note(level) == ""
    level.offer(levels(512), (0, 1))
    assert level.chosen().number == 0
    assert not level.isVisibleTo(None)
    assert note(level) == ""


def test_the_finest_that_takes_seconds_is_suggested_and_said(level):
    level.offer(levels(8192, 4096, 2048, 1024), (0, 1))
    assert [level.combo.itemText(row) for row in range(level.combo.count())] == [
        "full, 8192 × 8192",
        "1/2, 4096 × 4096",
        "1/4, 2048 × 2048",
        "1/8, 1024 × 1024",
    ]
    assert level.chosen().number == level.combo.currentIndex() == 2
    assert note(level) == (
        "The image is large, so it is segmented at 1/4 of its resolution, 2048 × 2048."
    )


def test_a_choice_stays_while_the_levels_are_the_same(level, qtbot):
    offered = levels(4096, 2048, 1024)
    level.offer(offered, (0, 1))
    with qtbot.waitSignal(level.changed):
        choose(level, 2)
    assert note(level) == "The image is segmented at 1/4 of its resolution, 1024 × 1024."
    with qtbot.assertNotEmitted(level.changed):
        level.offer(levels(4096, 2048, 1024), (0, 1))
    assert level.chosen().number == level.combo.currentIndex() == 2
    with qtbot.waitSignal(level.changed):
        level.offer(levels(4096, 2048), (0, 1))
    assert level.chosen().number == level.combo.currentIndex() == 1
    assert not level.has_coarser()
    choose(level, 0)
    assert note(level) == ""
    assert level.has_coarser()
    level.offer((), (0, 1))
    assert not level.has_coarser()
    assert level.chosen() is None


def test_as_a_volume_another_level_is_suggested(level):
    offered = [Level(0, (99, 2048, 2048), (1, 1, 1)), Level(1, (99, 256, 256), (1, 8, 8))]
    level.offer(offered, (1, 2))
    assert level.chosen().number == 0
    level.offer(offered, (0, 1, 2))
    assert level.chosen().number == level.combo.currentIndex() == 1
    assert level.combo.itemText(1) == "1/8, 99 × 256 × 256"
    choose(level, 0)
    level.offer(offered, (1, 2))
    assert level.chosen().number == 0


# --- region ---------------------------------------------------------------------------------


def test_regions_on_offer(region, qtbot):
    shapes, labels = Shapes(name="box"), Labels(np.zeros((9, 9), int), name="mask")
    assert region.chosen() == RegionWish()
    with qtbot.assertNotEmitted(region.changed):
        region.offer([labels, shapes])
    titles = [region.combo.itemText(row) for row in range(region.combo.count())]
    assert titles == ["whole image", "field of view", "inside mask", "inside box"]
    with qtbot.waitSignal(region.changed):
        region.choose(RegionWish(RegionKind.INSIDE, shapes))
    assert region.chosen() == RegionWish(RegionKind.INSIDE, shapes)


def test_a_region_stays_until_its_layer_goes(region, qtbot):
    shapes, labels = Shapes(name="box"), Labels(np.zeros((9, 9), int), name="mask")
    region.offer([labels, shapes])
    region.choose(RegionWish(RegionKind.INSIDE, shapes))
    shapes.name = "region"
    with qtbot.assertNotEmitted(region.changed):
        region.offer([shapes])
    assert region.chosen().layer is shapes
    assert region.combo.currentText() == "inside region"
    with qtbot.waitSignal(region.changed):
        region.offer([labels])
    assert region.chosen() == RegionWish()
    region.choose(RegionWish(RegionKind.VIEW))
    region.offer([])
    assert region.chosen() == RegionWish(RegionKind.VIEW)


# --- memory ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("needed", "free", "what", "text", "fits"),
    [
        (6e8, 7.9e9, (), "Needs about 0.6 GB beside the image; 7.9 GB are free.", True),
        (1.2e10, 3.2e10, (), "Needs about 12.0 GB beside the image; 32.0 GB are free.", True),
        (6e7, 7.9e9, (), "Needs about 60 MB beside the image; 7.9 GB are free.", True),
        (
            9e9,
            7.9e9,
            ("a coarser resolution", "a smaller region"),
            "Needs about 9.0 GB beside the image; 7.9 GB are free. Choose a coarser resolution, "
            "a smaller region, or close other programs.",
            False,
        ),
        (
            9e9,
            7.9e9,
            (),
            "Needs about 9.0 GB beside the image; 7.9 GB are free. Close other programs first.",
            False,
        ),
        (3e7, 2e7, (), "Needs about 30 MB beside the image; 20 MB are free. Close", False),
    ],
)
def test_what_is_said_of_memory(needed, free, what, text, fits):
    note = memory_in_words(int(needed), int(free), what)
    assert note.text.startswith(text)
    assert note.fits is fits


@pytest.mark.parametrize(
    ("facts", "first", "n"),
    [
        ({"has_levels": True, "has_region": False, "is_volume": True}, "a coarser resolution", 3),
        ({"has_levels": False, "has_region": True, "is_volume": False}, "a smaller region", 1),
        ({"has_levels": False, "has_region": False, "is_volume": True}, "plane by plane", 2),
    ],
)
def test_what_makes_a_run_smaller(facts, first, n):
    what = remedies(**facts)
    assert (what[0], len(what)) == (first, n)


def test_the_line_warns_where_memory_is_short(qtbot, monkeypatch):
    monkeypatch.setattr(memory_line, "free_memory", lambda: 1_000_000_000)
    line = MemoryLine()
    qtbot.addWidget(line)
    assert not line.isVisibleTo(None)
    line.show_need(600_000_000)
    assert line.text() == "Needs about 0.6 GB beside the image; 1.0 GB are free."
    quiet = line.styleSheet()
    line.show_need(6_000_000_000, ("a region",))
    assert "Choose a region" in line.text()
    assert line.styleSheet() != quiet
    line.show_need(None)
    assert line.text() == ""


def test_an_answer_comes_into_view(qtbot):
    """What came of a press may stand below the visible part of the dock."""
    area, page, form = QScrollArea(), QWidget(), ExportForm()
    stack(page, QLabel("above"), 2000, form)
    area.setWidgetResizable(True)
    area.setWidget(page)
    area.resize(320, 200)
    qtbot.addWidget(area)
    area.show()
    qtbot.waitExposed(area)
    form.say("")
    qtbot.wait(20)
    assert form.visibleRegion().isEmpty()
    form.say("3 files written to a folder with a name of many words that takes several lines")
    qtbot.waitUntil(lambda: form.status.visibleRegion().boundingRect() == form.status.rect())
