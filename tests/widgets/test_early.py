"""What is loaded early, in a program that ends while it is loaded."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from threading import Event

import pytest

from napari_diffseg.widgets.tasks import early

END_SOON = """
import time
from napari_diffseg.widgets.tasks import early
early._SLOW = "slow_to_load", "there_is_no_such_module"
early.load_early()
time.sleep(0.2)
"""

SLOW = """
import time
time.sleep(1)  # until the program is about to end
import threading
threading._register_atexit(print)
"""


def test_a_program_that_ends_while_it_loads_shows_no_error(tmp_path):
    (tmp_path / "slow_to_load.py").write_text(SLOW)
    done = subprocess.run(
        [sys.executable, "-c", END_SOON], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def slow(monkeypatch):
    """What is loaded waits until it is let go."""
    go_on, seen = Event(), []

    def load(name):
        seen.append(gc.isenabled())
        go_on.wait(20)
        raise ImportError

    monkeypatch.setattr(early, "import_module", load)
    early._loaded.clear()
    early.load_early()
    while not seen:
        time.sleep(0.01)
    yield go_on, seen
    go_on.set()
    while early.is_loading():
        time.sleep(0.01)


def test_garbage_is_left_alone_while_it_loads_and_collected_after_it(monkeypatch, slow):
    go_on, seen = slow
    assert early.is_loading()
    assert seen == [gc.get_freeze_count() > 0]  # where others have frozen what is there, all stays
    go_on.set()
    while early.is_loading():
        time.sleep(0.01)
    assert gc.isenabled()


@pytest.mark.gui
def test_a_press_while_it_loads_begins_when_all_is_there(dock, image, run, wait_for, slow):
    go_on, _ = slow
    dock.segment_button.click()
    assert not dock.session.is_busy
    assert dock.stop_button.isEnabled()
    dock.stop_button.click()
    assert not dock.press.is_waiting
    assert dock.segment_button.isEnabled()
    dock.segment_button.click()
    assert not dock.segment_button.isEnabled()
    go_on.set()
    wait_for(lambda: dock.results.finished is not None)


@pytest.mark.gui
def test_a_press_that_waits_for_an_image_that_is_closed_lets_go(
    viewer, dock, image, wait_for, slow
):
    go_on, _ = slow
    dock.segment_button.click()
    viewer.layers.remove(image)
    go_on.set()
    wait_for(lambda: not dock.press.is_waiting and not dock.stop_button.isEnabled())
    viewer.add_image(image.data, name="cells")
    assert dock.segment_button.isEnabled()


@pytest.mark.gui
def test_a_dock_that_is_closed_while_a_press_waits_begins_nothing(viewer, dock, image, run, slow):
    dock.segment_button.click()
    dock.close_down()
    assert not dock.press.is_waiting
    assert run.starts == 0


@pytest.mark.gui
def test_a_stroke_while_a_press_waits_is_taken_in_by_its_run(dock, image, run, wait_for, slow):
    """And begins none by itself, though strokes are followed (Live)."""
    go_on, _ = slow
    scribbles = dock.add_scribbles() or dock.section.layer
    dock.live_box.setChecked(True)
    dock.segment_button.click()
    scribbles.data[2:4, 2:9] = 1
    dock.section.painted.emit()
    assert dock.press.is_waiting
    assert (run.starts, dock.session.is_busy) == (0, False)
    go_on.set()
    wait_for(lambda: dock.results.finished is not None)
    assert run.starts == 1
    assert dock.results.segmentation.scribbles is not None
    assert not run.followed
