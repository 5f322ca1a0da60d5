"""The form: every field of the parameter classes is in it, and can be typed wrong."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractSpinBox

from napari_diffseg.params import RunOptions, SegmentationParams
from napari_diffseg.widgets.ui.form import ParameterForm

pytestmark = pytest.mark.gui


@pytest.fixture
def form(qtbot):
    made = ParameterForm(SegmentationParams)
    qtbot.addWidget(made.native)
    return made


def test_it_starts_with_the_defaults(form):
    assert form.values() == SegmentationParams().to_dict()
    assert form.problems() == {}


@pytest.mark.parametrize("described", [SegmentationParams, RunOptions])
def test_every_parameter_has_a_field_with_its_help(qtbot, described):
    form = ParameterForm(described)
    qtbot.addWidget(form.native)
    for spec in described.specs():
        assert spec.help in form.fields[spec.name].tooltip


def test_what_is_written_is_read_again(form):
    paper = SegmentationParams.paper()
    form.write(paper.to_dict())
    assert SegmentationParams.from_dict(form.values()) == paper


@pytest.mark.parametrize("spec", list(SegmentationParams.specs()), ids=lambda spec: spec.name)
def test_numbers_just_out_of_bounds_can_be_typed_and_are_marked(form, spec):
    field = form.fields[spec.name]
    wrong = [] if spec.choices else [v for v in (spec.low, spec.high) if v is not None]
    for bound in wrong:
        value = bound - 1 if bound == spec.low else bound + 1
        field.value = int(value) if spec.kind is int else str(value)
        assert list(form.problems()) == [spec.name]
        assert spec.title in form.problems()[spec.name]
        assert field.native.styleSheet() != ""
    form.write({spec.name: spec.default})
    assert form.problems() == {}
    assert field.native.styleSheet() == ""


def type_in(field, text):
    native = field.native
    native.setFocus()
    line = native.lineEdit() if isinstance(native, QAbstractSpinBox) else native
    line.selectAll()
    QTest.keyClick(line, Qt.Key.Key_Delete)
    QTest.keyClicks(line, text)
    QTest.keyClick(native, Qt.Key.Key_Return)


@pytest.mark.parametrize("name", ["n_clusters", "learning_rate"])
@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "", "-", "--5", "9" * 30, "1e400"])
def test_what_is_typed_but_is_no_allowed_number_is_marked(form, name, text):
    field, default = form.fields[name], SegmentationParams().to_dict()[name]
    type_in(field, text)
    assert list(form.problems()) == [name]
    assert field.native.styleSheet() != ""
    # The very number that the field had before is a change too.
    type_in(field, f"{default}")
    assert form.problems() == {}
    assert field.native.styleSheet() == ""
    assert form.values()[name] == default


def test_writing_takes_the_focus_from_nobody(form, qtbot):
    form.native.show()
    qtbot.waitExposed(form.native)
    typing = form.fields["continuity_weight"].native
    typing.setFocus()
    form.write({"n_labels": 5, "seed": 3})
    assert form.values()["n_labels"] == 5
    assert form.native.focusWidget() is typing


def test_one_change_is_told_once(form, qtbot):
    told = []
    form.changed.connect(lambda: told.append(1))
    form.fields["seed"].value = 5
    form.write(SegmentationParams.paper().to_dict())
    assert len(told) == 2


def test_a_skipped_field_is_not_there(qtbot):
    form = ParameterForm(RunOptions, skip=("device", "previews"))
    qtbot.addWidget(form.native)
    assert set(form.values()) == {"threads", "preview_interval"}


@pytest.mark.parametrize("text", ["", "-", "x", "1e"])
def test_another_form_takes_up_what_is_no_number(form, qtbot, text):
    """As the dock does that is opened after one was closed."""
    for spec in SegmentationParams.specs():
        if not spec.choices:
            type_in(form.fields[spec.name], text)
    other = ParameterForm(SegmentationParams)
    qtbot.addWidget(other.native)
    other.write(form.values())
    assert other.values() == form.values()
    assert set(other.problems()) == set(form.problems())


@pytest.mark.parametrize(
    ("text", "number"),
    [("0,25", 0.25), ("0,125", 0.125), (",5", 0.5), ("1,500", None), ("1,2,3", None)],
)
def test_a_decimal_comma(form, text, number):
    type_in(form.fields["learning_rate"], text)
    assert form.values()["learning_rate"] == (text if number is None else number)
