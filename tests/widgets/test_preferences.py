"""The page of napari's Preferences: declared as the parameters say, and heard by the dock."""

from __future__ import annotations

import pytest
from napari.settings import get_plugin_settings
from npe2 import PluginManifest
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QLineEdit,
    QMessageBox,
    QSpinBox,
    QWidget,
)

from napari_diffseg.params import RunOptions, SegmentationParams
from napari_diffseg.widgets.ui.preferences import (
    PAGE,
    PLUGIN,
    Preferences,
    ask_for_file,
    read_preferences,
    start_in,
)

pytestmark = pytest.mark.gui

KINDS = {bool: "boolean", int: "integer", float: "number", str: "string"}


@pytest.fixture
def page():
    """The settings of the page, which are as they were afterwards."""
    page = getattr(get_plugin_settings(PLUGIN), PAGE)
    yield page
    page.update({spec.name: spec.default for spec in Preferences.specs()})


@pytest.fixture
def opened(viewer, image, run):
    return lambda: viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]


@pytest.mark.parametrize("spec", list(Preferences.specs()), ids=lambda spec: spec.name)
def test_the_manifest_says_what_the_fields_say(spec):
    manifest = PluginManifest.from_distribution(PLUGIN)
    said = manifest.contributions.configurations[PAGE].properties
    assert list(said) == [one.name for one in Preferences.specs()]
    one = said[spec.name]
    assert (one.title, one.type, one.description) == (spec.title, KINDS[spec.kind], spec.help)
    assert type(one.default) is spec.kind
    assert one.default == spec.default
    assert (one.minimum, one.maximum) == (spec.low, spec.high)
    assert tuple(one.enum or ()) == spec.choices


def test_what_is_a_parameter_has_its_default_and_bounds():
    known = {spec.name: spec for kind in (SegmentationParams, RunOptions) for spec in kind.specs()}
    shared = [spec for spec in Preferences.specs() if spec.name in known]
    assert [spec.name for spec in shared] == ["n_labels", "device", "threads"]
    for spec in shared:
        there = known[spec.name]
        assert (spec.default, spec.low, spec.high) == (there.default, there.low, there.high)
        assert spec.help == there.about()


def test_the_page_appears_and_what_is_set_there_reaches_the_dock(viewer, page, opened, qtbot):
    from napari._qt.dialogs.preferences_dialog import PreferencesDialog

    dialog = PreferencesDialog()
    qtbot.addWidget(dialog)
    titles = [dialog._list.item(row).text() for row in range(dialog._list.count())]
    dialog._list.setCurrentRow(titles.index("Differentiable feature clustering"))
    shown = dialog._stack.currentWidget()
    numbers = list(shown.findChildren(QSpinBox))
    (device,), (live,) = shown.findChildren(QComboBox), shown.findChildren(QCheckBox)
    folder = next(one for one in shown.findChildren(QLineEdit) if one.parent() not in numbers)
    numbers[0].setValue(5)
    numbers[1].setValue(2)
    device.setCurrentText("cpu")
    live.setChecked(True)
    folder.setText("/data")
    dialog.accept()
    wanted = Preferences(n_labels=5, threads=2, device="cpu", is_live=True, folder="/data")
    assert read_preferences() == wanted
    dock = opened()
    assert dock.params().n_labels == 5
    assert dock.labels.number.text() == "5"
    assert (dock.options().threads, dock.options().device) == (2, "cpu")
    assert dock.live_box.isChecked()


def test_what_is_preferred_counts_over_what_was_used_last(viewer, page, opened):
    dock = opened()
    dock.knobs.set_machine({"threads": 7})
    page.threads = 3
    viewer.window.remove_dock_widget(dock)
    again = opened()
    assert again.options().threads == 3
    # What was chosen since, in the dock, stays.
    again.knobs.set_machine({"threads": 6})
    viewer.window.remove_dock_widget(again)
    assert opened().options().threads == 6


def test_dialogs_start_in_the_folder(page, opened, monkeypatch):
    asked = []
    for name in ("getExistingDirectory", "getSaveFileName", "getOpenFileName"):
        answer = "" if name == "getExistingDirectory" else ("", "")
        monkeypatch.setattr(
            QFileDialog, name, lambda *told, answer=answer: asked.append(told[2]) or answer
        )
    dock = opened()
    page.folder = "/data/"
    dock.export_form.ask_for_folder()
    dock.export_form.ask_for_report("a.html")
    dock.modelling.ask_and_load()
    assert asked == ["/data", "/data/a.html", "/data"]
    page.folder = ""
    dock.export_form.ask_for_report("a.html")
    assert asked[-1] == "a.html"


@pytest.mark.parametrize("folder", ["", "/", "/data", "/data/"])
def test_dialogs_start_in_the_folder_that_was_set(viewer, page, folder):
    page.folder = folder
    assert start_in() == folder.rstrip("/") or folder == "/" == start_in()
    assert start_in("a.csv") == {"": "", "/": "/"}.get(folder, "/data/") + "a.csv"


def test_a_file_whose_ending_was_not_typed_is_not_replaced_unasked(qtbot, tmp_path, monkeypatch):
    asked, parent, table = [], QWidget(), tmp_path / "table.csv"
    qtbot.addWidget(parent)
    typed = str(tmp_path / "table")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (typed, ""))
    answers = iter([QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes])
    monkeypatch.setattr(QMessageBox, "question", lambda *told: asked.append(told) or next(answers))

    def answer():
        return ask_for_file(parent, "Save the table", "table.csv", "Tables (*.csv)")

    assert answer() == str(table)
    assert asked == []
    table.touch()
    assert (answer(), answer()) == ("", str(table))
    assert "table.csv" in asked[0][2]
