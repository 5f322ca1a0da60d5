"""What napari sees of the plugin: manifest, menus, samples, and an opening without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest
from npe2 import PluginManifest
from npe2.manifest.utils import import_python_name

from napari_diffseg.errors import InputError
from napari_diffseg.widgets import demo

pytestmark = pytest.mark.gui

SAMPLES = [
    "immunohistochemistry",
    "cell",
    "microaneurysms",
    "coins",
    "simulated_nuclei",
    "simulated_stack",
    "simulated_movie",
    "simulated_channels",
]
DOWNLOADED = ["cells3d"]


@pytest.fixture(scope="module")
def manifest():
    return PluginManifest.from_distribution("napari-diffseg")


def test_everything_that_the_manifest_names_is_there(manifest):
    manifest.validate_imports()
    for command in manifest.contributions.commands:
        assert callable(import_python_name(command.python_name))


def test_the_widget_stands_in_layers_segment(manifest):
    items = manifest.contributions.menus["napari/layers/segment"]
    assert [item.command for item in items] == ["napari-diffseg.segment_dock"]


def test_all_samples_are_offered(manifest):
    assert [sample.key for sample in manifest.contributions.sample_data] == SAMPLES + DOWNLOADED


@pytest.mark.parametrize("key", SAMPLES)
def test_a_sample_opens(viewer, key):
    layers = viewer.open_sample("napari-diffseg", key)
    assert type(layers[0]).__name__ == "Image"
    assert layers[0].data.ndim in (2, 3)


def test_channels_become_layers(viewer):
    layers = viewer.open_sample("napari-diffseg", "simulated_channels")
    names = [layer.name for layer in layers if type(layer).__name__ == "Image"]
    assert names == ["nuclei", "cytoplasm", "membranes"]
    assert {tuple(layer.scale) for layer in layers} == {(0.325, 0.325)}


def test_a_sample_that_cannot_be_downloaded_leaves_nothing_behind(viewer, monkeypatch):
    def fail():
        raise ConnectionError("no internet")

    monkeypatch.setattr("skimage.data.cells3d", fail)
    with pytest.raises(InputError, match="could not be downloaded"):
        viewer.open_sample("napari-diffseg", "cells3d")
    assert not viewer.layers


OPEN_THE_DOCK = """
import sys
import napari
import numpy as np
from napari_diffseg.widgets.tasks import early

begun = []

class Later(early.Thread):
    def start(self):
        begun.append(self)

early.Thread = Later
viewer = napari.Viewer(show=False, show_welcome_screen=False)
viewer.add_image(np.random.default_rng(0).random((8, 8)))
dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
dock.advanced.expand()
dock.params_form.fields["seed"].value = 3
print("torch loaded:", "torch" in sys.modules)
begun.pop().run()
print("loaded by the thread:", "torch" in sys.modules)
viewer.close()
"""


def test_the_dock_opens_without_torch_and_loads_it_in_a_thread():
    done = subprocess.run(
        [sys.executable, "-c", OPEN_THE_DOCK], capture_output=True, text=True, timeout=120
    )
    assert "torch loaded: False" in done.stdout, done.stderr
    assert "loaded by the thread: True" in done.stdout, done.stderr


def test_the_demo_presses_the_button_and_writes_files(
    make_napari_viewer_proxy, run, tmp_path, capsys
):
    paths = demo.run_demo(make_napari_viewer_proxy(show=True), tmp_path)
    assert [path.name for path in paths] == [
        "labels.ome.tif",
        "labels.png",
        "screenshot.png",
        "overlay.png",
    ]
    assert all(path.stat().st_size > 0 for path in paths)
    assert "3 labels" in capsys.readouterr().out


def test_the_demo_says_what_went_wrong(viewer, run, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_diffseg.widgets.ui.notices.show_error", lambda text: None)
    run.error = MemoryError()
    with pytest.raises(demo.DiffSegError, match="not enough memory"):
        demo.run_demo(viewer, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_demo_cannot_make_its_folder(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert demo.main(["-o", str(tmp_path / "file" / "folder")]) == 1
    assert "cannot be made" in capsys.readouterr().err
