"""The rows of the channels: what they say, and what stays when layers come and go."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication

from napari_diffseg.errors import InputError
from napari_diffseg.image.channels import CHANNEL_NUMBERS
from napari_diffseg.widgets.image.channel_sources import IntensityRule
from napari_diffseg.widgets.image.channels_section import MOST_ROWS, ChannelsSection

pytestmark = pytest.mark.gui


def image(*shape, name="cells", **options):
    return Image(np.zeros(shape, np.uint8), name=name, contrast_limits=(5, 50), **options)


@pytest.fixture
def section(qtbot):
    widget = ChannelsSection()
    qtbot.addWidget(widget)
    return widget


@pytest.fixture
def stained():
    return [image(20, 30, name=name) for name in ("DAPI", "GFP", "RFP")]


def choose(row, rule):
    row.rule.choose(rule)


def type_in(field, text):
    field.setText(text)
    field.textEdited.emit(text)


def problem(section):
    try:
        section.selection()
    except InputError as error:
        return str(error)
    return ""


def names(section):
    return [one.name for one in section.selection().channels]


def test_the_chosen_image_is_on_and_others_can_be_added(section, stained):
    section.offer(stained[0], stained[::-1], "YX")
    assert [row.name.text() for row in section.rows] == ["DAPI", "GFP", "RFP"]
    assert section.title() == "Channels (1 of 3)"
    assert section.selection().layers == (stained[0],)
    section.tick(stained[2])
    assert section.selection().layers == (stained[0], stained[2])
    assert names(section) == ["DAPI", "RFP"]
    section.tick(stained[0], on=False)
    assert [(one.index, one.name) for one in section.selection().channels] == [(0, "RFP")]


def test_a_change_is_told_and_offering_the_same_again_is_not(section, stained, qtbot):
    with qtbot.waitSignal(section.changed):
        section.offer(stained[0], stained[::-1], "YX")
    with qtbot.assertNotEmitted(section.changed):
        section.offer(stained[0], stained[::-1], "YX")
    for change in (
        lambda: section.rows[1].box.click(),
        lambda: section.rows[1].numbers["weight"].setValue(2),
        lambda: choose(section.rows[1], IntensityRule.DISPLAYED),
        lambda: choose(section.rows[1], IntensityRule.TYPED),
        lambda: type_in(section.rows[1].low, "7"),
    ):
        with qtbot.waitSignal(section.changed):
            change()
    channel = section.selection().channels[1]
    assert (channel.weight, channel.low, channel.high) == (2, 7, 50)


def test_intensities_as_displayed_are_those_at_the_moment(section, stained):
    section.offer(stained[0], (), "YX")
    choose(section.rows[0], IntensityRule.DISPLAYED)
    stained[0].contrast_limits = (1, 9)
    (channel,) = section.selection().channels
    assert (channel.low, channel.high) == (1, 9)


def test_typed_intensities_start_with_what_is_displayed(section, stained):
    section.offer(stained[0], (), "YX")
    row = section.rows[0]
    assert not row.low.isVisibleTo(section)
    choose(row, IntensityRule.TYPED)
    assert row.low.isVisibleTo(section)
    assert (row.low.text(), row.high.text()) == ("5", "50")
    type_in(row.low, "")
    (channel,) = section.selection().channels
    assert (channel.low, channel.high) == (None, 50)


@pytest.mark.parametrize("text", ["five", "nan", "1,5", "inf"])
def test_what_is_no_number_is_marked_and_said(section, stained, text):
    section.offer(stained[0], (), "YX")
    choose(section.rows[0], IntensityRule.TYPED)
    type_in(section.rows[0].low, text)
    assert "'DAPI'" in problem(section)
    assert repr(text) in problem(section)
    assert "border" in section.rows[0].low.styleSheet()
    type_in(section.rows[0].low, "1.5")
    assert problem(section) == ""
    assert section.rows[0].low.styleSheet() == ""


def test_what_was_set_stays_for_layers_that_stay(section, stained):
    section.offer(stained[0], stained[::-1], "YX")
    section.tick(stained[2])
    section.rows[2].numbers["weight"].setValue(3)
    new = image(20, 30, name="Cy5")
    section.offer(stained[0], [stained[2], stained[0], new], "YX")
    assert [row.name.text() for row in section.rows] == ["DAPI", "Cy5", "RFP"]
    assert names(section) == ["DAPI", "RFP"]
    assert section.rows[2].numbers["weight"].value() == 3


def test_a_renamed_layer_has_its_new_name(section, stained):
    section.offer(stained[0], stained[::-1], "YX")
    stained[0].name = "Hoechst"
    section.offer(stained[0], stained[::-1], "YX")
    assert section.rows[0].name.text() == "Hoechst"
    assert names(section) == ["Hoechst"]


def test_another_image_starts_with_itself(section, stained):
    section.offer(stained[0], stained[::-1], "YX")
    section.tick(stained[1])
    section.offer(stained[2], stained[::-1], "YX")
    assert names(section) == ["RFP"]


def test_the_only_channel_cannot_be_switched_off(section, stained):
    section.offer(stained[0], stained[::-1], "YX")
    section.tick(stained[0], on=False)
    section.rows[0].numbers["weight"].setValue(0)
    section.offer(stained[0], (), "YX")
    row = section.rows[0]
    assert not row.box.isVisibleTo(section)
    assert not row.numbers["weight"].isVisibleTo(section)
    assert section.title() == "Intensities"
    (channel,) = section.selection().channels
    assert channel.weight == 1


def test_channels_along_an_axis_are_all_on_and_can_be_named(section):
    section.offer(image(3, 20, 30), (), "CYX")
    assert section.title() == "Channels (3 of 3)"
    row = section.rows[1]
    assert row.name.placeholderText() == "channel 2"
    type_in(row.name, "actin")
    section.rows[0].box.click()
    assert [(one.index, one.name) for one in section.selection().channels] == [
        (1, "actin"),
        (2, ""),
    ]


def test_other_letters_are_other_channels(section):
    layer = image(3, 20, 30)
    section.offer(layer, (), "CYX")
    section.offer(layer, (), "ZYX")
    assert len(section.rows) == 1
    assert section.selection().channels[0].name == "cells"


def test_many_channels_are_listed_in_part(section):
    section.offer(image(MOST_ROWS + 4, 8, 8), (), "CYX")
    assert len(section.rows) == MOST_ROWS
    assert "4 more channels" in section.note.text()
    section.rows[0].box.click()
    assert len(section.selection().channels) == MOST_ROWS + 3


def test_a_picture_that_is_taken_apart_says_so(section):
    section.offer(image(20, 30, 3, rgb=True), (), "YX")
    assert section.selection().channels is None
    assert section.note.text() == ""
    section.rows[2].box.click()
    assert "taken for channels" in section.note.text()
    assert not section.selection().rgb
    section.rows[2].box.click()
    assert section.selection().rgb
    assert section.note.text() == ""


def test_images_that_do_not_fit_are_named(section, stained):
    other = image(9, 9, name="other")
    section.offer(stained[0], [other, stained[1]], "YX")
    assert len(section.rows) == 2
    assert "'other'" in section.note.text()
    assert "20 × 30" in section.note.toolTip()
    section.offer(stained[0], [stained[1]], "YX")
    assert section.note.text() == ""


def test_nothing_is_on(section, stained):
    section.offer(stained[0], stained[::-1], "YX")
    section.tick(stained[0], on=False)
    assert "No channel is switched on" in problem(section)


def test_there_is_no_image(section, stained):
    with pytest.raises(InputError, match="no image"):
        section.selection()
    section.offer(stained[0], stained[::-1], "YX")
    section.offer(None, (), "")
    assert section.rows == []
    assert problem(section)


@pytest.mark.parametrize("spec", CHANNEL_NUMBERS, ids=lambda spec: spec.name)
def test_every_number_of_a_channel_has_a_field(section, stained, spec):
    (field,) = spec.sets
    section.offer(stained[0], stained[::-1], "YX")
    section.tick(stained[1])
    number = section.rows[1].numbers[field]
    assert number.toolTip().lower().startswith(spec.help)
    assert number.prefix() == spec.symbol
    number.setValue(float(spec.example))
    plain, changed = section.selection().channels
    assert changed == replace(plain, index=1, name="GFP", **{field: float(spec.example)})
    assert list(changed.changed) == [spec]


def test_the_wheel_does_not_change_a_weight_under_the_pointer(section, stained):
    section.offer(stained[0], stained[::-1], "YX")
    weight = section.rows[0].numbers["weight"]
    down = QWheelEvent(
        QPointF(5, 5),
        QPointF(5, 5),
        QPoint(0, -120),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(weight, down)
    assert weight.value() == 1
    assert not down.isAccepted()
