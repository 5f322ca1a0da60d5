"""Merging after a run: of several moves the last one counts, and old runs are not heard."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from napari_diffseg.widgets.segment.runs import merge_labels
from napari_diffseg.widgets.tasks.worker import LatestAnswer

pytestmark = pytest.mark.gui


class SlowSegmentation:
    """Merges when it is let; remembers what it was asked for."""

    def __init__(self, error=None):
        self.error = error
        self.asked = []
        self.may_go = threading.Event()

    def with_n_labels(self, n_labels):
        self.asked.append(n_labels)
        self.may_go.wait(10)
        if self.error is not None:
            raise self.error
        return SimpleNamespace(n_labels=n_labels)


@pytest.fixture
def shown():
    return []


@pytest.fixture
def failed():
    return []


@pytest.fixture
def merger(shown, failed):
    return LatestAnswer(merge_labels, lambda merged: shown.append(merged.n_labels), failed.append)


def test_what_is_passed_over_is_never_merged(merger, shown, qtbot):
    slow = SlowSegmentation()
    merger.hold(slow)
    for n_labels in (9, 8, 7, 6):
        merger.ask(n_labels)
    slow.may_go.set()
    qtbot.waitUntil(lambda: shown[-1:] == [6], timeout=120_000)
    qtbot.wait(50)
    assert slow.asked == [9, 6]
    assert shown == [9, 6]


@pytest.mark.parametrize("error", [None, ValueError("late")], ids=["result", "error"])
def test_a_run_that_was_replaced_is_not_heard(merger, shown, failed, qtbot, error):
    old, new = SlowSegmentation(error), SlowSegmentation()
    merger.hold(old)
    merger.ask(9)
    merger.hold(new)
    merger.ask(5)
    new.may_go.set()
    old.may_go.set()
    qtbot.waitUntil(lambda: shown == [5], timeout=120_000)
    assert failed == []


def test_an_error_is_told_and_the_next_move_counts(merger, shown, failed, qtbot):
    slow = SlowSegmentation(RuntimeError("swallowed by napari as it is"))
    slow.may_go.set()
    merger.hold(slow)
    merger.ask(9)
    qtbot.waitUntil(lambda: len(failed) == 1, timeout=120_000)
    assert "swallowed" in str(failed[0])
    slow.error = None
    merger.ask(4)
    qtbot.waitUntil(lambda: shown == [4], timeout=120_000)


def test_without_a_finished_run_nothing_happens(merger, shown, qtbot):
    merger.ask(3)
    slow = SlowSegmentation()
    slow.may_go.set()
    merger.hold(slow)
    merger.hold(None)
    merger.ask(3)
    qtbot.wait(50)
    assert slow.asked == []
    assert shown == []
