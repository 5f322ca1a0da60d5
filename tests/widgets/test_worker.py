"""A run in its thread: errors come through, signals are few, finish and cancel are heard."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from dataclasses import replace
from functools import partial
from threading import Lock

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from napari.qt.threading import WorkerBase, create_worker

from napari_diffseg.core.published.training import Command, Iteration
from napari_diffseg.errors import (
    Cancelled,
    DiffSegError,
    InputError,
    OutOfMemoryError,
    TrainingError,
)
from napari_diffseg.params import RunOptions, SegmentationParams
from napari_diffseg.widgets.image.axes_reading import read_axes
from napari_diffseg.widgets.image.first_look import FirstLook
from napari_diffseg.widgets.image.layer_facts import facts_of
from napari_diffseg.widgets.image.level import find_levels
from napari_diffseg.widgets.image.sources import describe_source
from napari_diffseg.widgets.segment import steps as runs_steps
from napari_diffseg.widgets.tasks import worker
from napari_diffseg.widgets.tasks.session import RunListener
from napari_diffseg.widgets.tasks.worker import RunControl, ThreadedRun, relay_steps

pytestmark = pytest.mark.gui


def facts(index=1, n_iterations=5, labels=None):
    return Iteration(index, n_iterations, 1.0, 1.0, 0.0, 4, 0.1 * index, labels)


class Told:
    """A listener that remembers, and the thread in which it was told."""

    def __init__(self):
        self.steps, self.results, self.errors, self.aborts, self.threads = [], [], [], 0, set()
        self.listener = RunListener(self.step, self.result, self.error, self.abort)

    def step(self, one):
        self.steps.append(one)
        self.threads.add(threading.current_thread())

    def result(self, one):
        self.results.append(one)

    def error(self, one):
        self.errors.append(one)

    def abort(self):
        self.aborts += 1

    @property
    def is_over(self):
        return bool(self.results or self.errors or self.aborts)


@pytest.fixture
def told():
    return Told()


def raising(error, at_once=False):
    def make_steps():
        if at_once:
            raise error
        return steps()

    def steps():
        yield facts(1)
        raise error

    return make_steps


# The first test of all: napari's worker swallows a RuntimeError, and nothing is heard of it.
@pytest.mark.parametrize("at_once", [False, True], ids=["in a step", "before the first step"])
@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (RuntimeError("mat1 and mat2\nshapes"), TrainingError, "failed: mat1 and mat2"),
        (RuntimeError(), TrainingError, "failed: RuntimeError"),
        (NotImplementedError("no op"), TrainingError, "failed: no op"),
        (RecursionError("deep"), TrainingError, "failed: deep"),
        (StopIteration(), TrainingError, "failed"),
        (MemoryError(), OutOfMemoryError, "not enough memory"),
        (InputError("The image is empty."), InputError, "The image is empty."),
        (ValueError("a bug"), ValueError, "a bug"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_error_reaches_the_window(qtbot, told, error, kind, text, at_once):
    run = ThreadedRun(raising(error, at_once), told.listener)
    qtbot.waitUntil(lambda: told.is_over, timeout=120_000)
    assert type(told.errors[0]) is kind
    assert text in str(told.errors[0])
    assert not isinstance(told.errors[0], RuntimeError)
    assert told.results == []
    del run


def endless(log):
    def make_steps():
        try:
            for index in range(1, 10_000):
                time.sleep(0.002)
                log.append(index)
                if (yield facts(index, 10_000)) is Command.FINISH:
                    log.append("finish")
                    return "kept"
        finally:
            log.append("closed")
        return "all"

    return make_steps


class Large:
    """What a run or a question holds on to."""


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_worker_that_is_done_keeps_nothing_alive(qtbot, told, is_cancelled):
    large = Large()
    gone = weakref.ref(large)

    def steps(large):
        for index in range(1, 50):
            time.sleep(0.002)
            yield facts(index, 50)
        return "all"

    run = ThreadedRun(partial(steps, large), told.listener)
    kept = run._worker  # as napari keeps it, for as long as its window lives
    if is_cancelled:
        run.cancel()
    qtbot.waitUntil(lambda: told.is_over, timeout=120_000)
    del large, run
    qtbot.waitUntil(lambda: gc.collect() >= 0 and gone() is None)
    assert kept is not None


def test_a_question_that_is_answered_keeps_nothing_alive(qtbot, monkeypatch):
    kept, shown, large = [], [], Large()
    gone = weakref.ref(large)

    def keeping(*args, **kwargs):
        kept.append(create_worker(*args, **kwargs))
        return kept[-1]

    monkeypatch.setattr(worker, "create_worker", keeping)
    answers = worker.LatestAnswer(lambda subject, question: question, shown.append, shown.append)
    answers.hold(large)
    answers.ask(1)
    qtbot.waitUntil(lambda: shown == [1])
    del answers, large
    qtbot.waitUntil(lambda: gc.collect() >= 0 and gone() is None)
    assert len(kept) == 1


def stepping(log, pace=0.002):
    """Return work that yields how far it is, for long, and takes down when it is closed."""

    def work(subject, question):
        try:
            for n in range(1, 1000):
                time.sleep(pace)
                yield n / 1000
        finally:
            log.append(("closed", question))
        return question

    return work


def test_a_question_says_how_far_it_is_and_can_be_stopped(qtbot):
    log, shown, said = [], [], []
    answers = worker.LatestAnswer(stepping(log), shown.append, shown.append)
    answers.changed.connect(said.append)
    answers.hold("subject")
    answers.ask(1)
    qtbot.waitUntil(lambda: len(said) > 2, timeout=120_000)
    assert said == sorted(said)
    assert answers.is_busy
    answers.stop()
    assert not answers.is_busy, "at once, whatever its thread is at"
    assert said[-1] is None
    qtbot.waitUntil(lambda: log == [("closed", 1)], timeout=120_000)
    assert shown == []


def test_after_a_stop_the_next_question_waits_for_the_thread_and_is_answered(qtbot):
    go_on, shown, began = threading.Event(), [], []

    def work(subject, question):
        began.append(question)
        # Numbers that are crunched for a while do not hear of a stop.
        go_on.wait(60)
        return question

    answers = worker.LatestAnswer(work, shown.append, shown.append)
    answers.hold("subject")
    answers.ask(1)
    qtbot.waitUntil(lambda: began == [1], timeout=120_000)
    answers.stop()
    answers.ask(2)
    answers.ask(3)
    assert answers.is_busy
    assert began == [1]
    go_on.set()
    qtbot.waitUntil(lambda: shown == [3], timeout=120_000)
    assert began == [1, 3]
    assert not answers.is_busy


def test_what_was_cancelled_by_itself_is_no_error(qtbot, told):
    def steps():
        yield facts(1)
        raise Cancelled

    run = ThreadedRun(steps, told.listener)
    qtbot.waitUntil(lambda: told.is_over, timeout=120_000)
    assert told.errors == []
    del run


def drained(relay):
    """Run a generator to its end and return what it returns."""
    while True:
        try:
            next(relay)
        except StopIteration as end:
            return end.value


def test_finish_is_heard_within_one_iteration_also_between_two_signals(monkeypatch):
    log = []
    control = RunControl()
    # So far apart that the relay stands in the midst of many iterations.
    monkeypatch.setattr(worker, "STATUS_INTERVAL", 0.05)
    relay = relay_steps(endless(log), control)
    next(relay)
    before = len(log)
    control.finishing = True
    assert drained(relay) == "kept"
    # The iteration under way when it was said, and the one that hears it.
    assert len([entry for entry in log[before:] if isinstance(entry, int)]) <= 1
    assert log[-2:] == ["finish", "closed"]


def test_finish_keeps_what_there_is(qtbot, told):
    log = []
    run = ThreadedRun(endless(log), told.listener)
    qtbot.waitUntil(lambda: bool(told.steps), timeout=120_000)
    run.finish()
    qtbot.waitUntil(lambda: told.is_over, timeout=120_000)
    assert told.results == ["kept"]
    assert told.threads == {threading.main_thread()}


def test_cancel_closes_the_steps_and_gives_no_result(qtbot, told):
    log = []
    run = ThreadedRun(endless(log), told.listener)
    qtbot.waitUntil(lambda: bool(told.steps), timeout=120_000)
    run.cancel()
    qtbot.waitUntil(lambda: log[-1] == "closed", timeout=120_000)
    qtbot.waitUntil(lambda: told.aborts == 1, timeout=120_000)
    assert told.results == []
    assert told.errors == []


def test_a_worker_that_napari_quits_is_heard_as_aborted(qtbot, told):
    run = ThreadedRun(endless([]), told.listener)
    qtbot.waitUntil(lambda: bool(told.steps), timeout=120_000)
    WorkerBase.await_workers(10_000)
    qtbot.waitUntil(lambda: told.is_over, timeout=120_000)
    assert told.aborts == 1
    assert told.results == []
    del run


def test_steps_that_napari_leaves_suspended_are_closed(qtbot, told, monkeypatch):
    log = []
    # Every step is passed on, so that the worker quits between two of them.
    monkeypatch.setattr(worker, "STATUS_INTERVAL", 0.0)
    gc.disable()
    try:
        run = ThreadedRun(endless(log), told.listener)
        qtbot.waitUntil(lambda: bool(told.steps), timeout=120_000)
        run._worker.quit()
        qtbot.waitUntil(lambda: told.aborts == 1, timeout=120_000)
        assert log[-1] == "closed"
    finally:
        gc.enable()


def relayed(steps, control, shown):
    """Drain the relay as a window would that shows previews or is too busy to."""
    passed = []
    for one in relay_steps(steps, control):
        passed.append(one)
        if shown and one.labels is not None:
            control.previews_shown += 1
    return passed


def test_signals_are_thinned_at_the_source(monkeypatch):
    clock = iter(np.arange(0.0, 1000.0, 0.01))
    monkeypatch.setattr(worker.time, "perf_counter", lambda: float(next(clock)))

    def steps():
        for index in range(1, 301):
            yield facts(index, 300)

    passed = relayed(steps, RunControl(), shown=True)
    assert passed[0].index == 1
    assert 25 <= len(passed) <= 31


@pytest.mark.parametrize(("shown", "n_previews"), [(True, 300), (False, 1)])
def test_a_preview_waits_until_the_one_before_is_shown(monkeypatch, shown, n_previews):
    monkeypatch.setattr(worker, "STATUS_INTERVAL", 0.0)
    labels = np.ones((2, 2), np.uint8)

    def steps():
        for index in range(1, 301):
            yield facts(index, 300, labels)

    passed = relayed(steps, RunControl(), shown)
    assert len(passed) == 300
    assert sum(one.labels is not None for one in passed) == n_previews


def test_a_preview_that_had_to_wait_is_not_lost(monkeypatch):
    times = iter([0.0, 0.01, 0.02, 1.0, 2.0])
    monkeypatch.setattr(worker.time, "perf_counter", lambda: next(times))
    control = RunControl()

    def steps():
        for index in range(1, 5):
            if index == 4:
                control.previews_shown = 1
            yield facts(index, 4, np.full((1, 1), index, np.uint8) if index < 4 else None)

    passed = relayed(steps, control, shown=False)
    assert [one.index for one in passed] == [1, 4]
    assert passed[1].labels == 3


def test_a_preview_goes_at_once_where_the_window_is_ready(monkeypatch):
    times = iter([0.0, 0.01, 0.02, 0.03, 2.0])
    monkeypatch.setattr(worker.time, "perf_counter", lambda: next(times))

    def steps():
        for index in range(1, 5):
            yield facts(index, 4, np.ones((1, 1), np.uint8) if index == 3 else None)

    passed = relayed(steps, RunControl(), shown=True)
    assert [one.index for one in passed] == [1, 3]


def test_a_run_waits_for_its_turn_and_may_be_cancelled_while_it_waits():
    turn, control = Lock(), RunControl()
    with turn:
        control.cancelled = True
        assert drained(relay_steps(endless([]), control, turn)) is None
    assert turn.acquire(blocking=False), "a run that never had its turn does not give it back"


def test_errors_of_this_package_are_no_runtime_errors():
    pending = [DiffSegError]
    while pending:
        kind = pending.pop()
        assert not issubclass(kind, RuntimeError)
        pending += kind.__subclasses__()


def test_of_a_large_image_a_coarse_level_is_seen_first():
    y, x = np.mgrid[:320, :400]
    fine = (np.sin(x / 20) * 60 + np.cos(y / 30) * 60 + 127).astype(np.uint8)
    layer = Image([fine, fine[::4, ::4]], multiscale=True)
    viewer = ViewerModel()
    viewer.add_layer(layer)
    reading = read_axes(facts_of(layer))
    levels = find_levels([layer], "YX")
    sources = [
        describe_source([layer], viewer.dims, reading, level=level) for level in reversed(levels)
    ]
    look = FirstLook(sources[0], levels[1], levels[0])
    params = SegmentationParams(n_clusters=4)
    options = RunOptions(threads=1, preview_interval=0.0)
    source = replace(sources[1], first_look=look)
    steps = runs_steps.segmentation_steps(source, params, options)
    first = next(steps)
    assert first.labels.shape == (320, 400)
    assert len(np.unique(first.labels)) > 1
    assert [next(steps).index for _ in range(2)] == [0, 1], "the run itself, from its first look"
    steps.close()
    # What is painted is not shown from a level on which it is not painted.
    painted = runs_steps.segmentation_steps(
        source, params, options, lambda: np.eye(320, 400, dtype=int)
    )
    assert next(painted).index == 1
    painted.close()
