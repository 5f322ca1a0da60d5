"""Every control of the dock says what it is for, in words that nobody has to look up."""

from __future__ import annotations

import re

import pytest
from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit, QSlider, QWidget
from superqt import QCollapsible

from napari_diffseg.instances.params import ObjectParams
from napari_diffseg.params import ApplyParams, RunOptions, SegmentationParams

pytestmark = pytest.mark.gui

SPECS = [
    spec
    for kind in (SegmentationParams, RunOptions, ApplyParams, ObjectParams)
    for spec in kind.specs()
]
INNER = {spec.name for spec in SPECS if "_" in spec.name} | {
    f"'{value}'" for spec in SPECS for value in spec.values
}
CONTROLS = QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit, QSlider


def tip_of(widget):
    """Return what is shown: that of the widget, or of what it stands in."""
    while isinstance(widget, QWidget) and not widget.toolTip():
        widget = widget.parent()
    return widget.toolTip() if isinstance(widget, QWidget) else ""


def test_every_control_has_a_tooltip_without_inner_names(viewer, dock, image):
    dock.add_scribbles()
    for widget in dock.findChildren(QWidget):
        said = [
            tip_of(widget),
            getattr(widget, "text", str)() if isinstance(widget, CONTROLS) else "",
        ]
        for text in said:
            assert not [name for name in INNER if name in text], text
        is_title = isinstance(widget.parent(), QCollapsible)
        if isinstance(widget, CONTROLS) and not is_title:
            assert tip_of(widget), (type(widget).__name__, said)


def test_a_number_is_called_in_a_tooltip_as_in_its_box(dock):
    form = dock.objects_form
    for box in (
        form.min_size,
        form.split.box,
        form.neck.box,
        form.smooth.box,
        dock.apply_form.adapt,
    ):
        assert f"\n{box.specialValueText()}: " in box.toolTip()
        assert not re.search(r"\b0\b", box.toolTip())


@pytest.mark.parametrize("spec", [one for one in SPECS if one.choices], ids=lambda one: one.name)
def test_every_choice_has_a_title_and_says_what_it_does(spec):
    assert list(spec.values) == list(spec.choices)
    assert len({spec.title_of(one) for one in spec.choices}) == len(spec.choices)
    assert spec.about().count(".") > len(spec.choices)
