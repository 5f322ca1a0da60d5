"""The session without Qt: a launcher that is driven by hand."""

from __future__ import annotations

import subprocess
import sys

import pytest

from napari_diffseg.errors import DiffSegError
from napari_diffseg.widgets.tasks.session import SegmentationSession, SessionState


class HandWorker:
    def __init__(self, make_steps, listener):
        self.make_steps = make_steps
        self.listener = listener
        self.calls = []

    def finish(self):
        self.calls.append("finish")

    def cancel(self):
        self.calls.append("cancel")


class Heard:
    """A session and all that it said."""

    def __init__(self):
        self.workers = []
        self.said = []
        self.session = SegmentationSession(self.launch)
        for name in ("state_changed", "stepped", "succeeded", "failed"):
            getattr(self.session, name).connect(lambda what, n=name: self.said.append((n, what)))

    def launch(self, make_steps, listener):
        self.workers.append(HandWorker(make_steps, listener))
        return self.workers[-1]

    @property
    def states(self):
        return [what.value for name, what in self.said if name == "state_changed"]


@pytest.fixture
def heard():
    return Heard()


def no_steps():
    raise AssertionError("the session itself never makes the steps")


def test_a_run_goes_from_idle_to_done(heard):
    heard.session.start(no_steps)
    listener = heard.workers[0].listener
    listener.stepped("facts")
    listener.succeeded("result")
    assert heard.states == ["running", "done"]
    assert ("stepped", "facts") in heard.said
    assert ("succeeded", "result") in heard.said
    assert not heard.session.is_busy


def test_finish_asks_the_worker_once_and_the_result_still_comes(heard):
    heard.session.start(no_steps)
    heard.session.finish()
    heard.session.finish()
    assert heard.workers[0].calls == ["finish"]
    heard.workers[0].listener.succeeded("result")
    assert heard.states == ["running", "finishing", "done"]


def test_a_second_start_is_refused_and_leaves_the_first_run_alone(heard):
    heard.session.start(no_steps)
    with pytest.raises(DiffSegError, match="already running"):
        heard.session.start(no_steps)
    assert len(heard.workers) == 1
    assert heard.session.state is SessionState.RUNNING


def test_where_launching_breaks_the_session_stays_idle(heard, monkeypatch):
    def broken(make_steps, listener):
        raise OSError("no more threads")

    working = heard.session._launch
    monkeypatch.setattr(heard.session, "_launch", broken)
    with pytest.raises(OSError, match="no more threads"):
        heard.session.start(no_steps)
    assert not heard.session.is_busy
    assert heard.session.state is SessionState.IDLE
    assert heard.said == []
    monkeypatch.setattr(heard.session, "_launch", working)
    heard.session.start(no_steps)
    assert heard.states == ["running"]


def test_after_done_one_can_start_again(heard):
    for _ in range(2):
        heard.session.start(no_steps)
        heard.workers[-1].listener.succeeded("result")
    assert heard.states == ["running", "done", "running", "done"]


def test_an_error_brings_the_session_back_to_idle_before_it_is_told(heard):
    seen = []
    heard.session.failed.connect(lambda _: seen.append(heard.session.state))
    heard.session.start(no_steps)
    heard.workers[0].listener.failed(DiffSegError("no"))
    assert seen == [SessionState.IDLE]


def test_a_cancelled_run_is_not_heard_any_more(heard):
    heard.session.start(no_steps)
    heard.session.cancel()
    assert heard.workers[0].calls == ["cancel"]
    assert heard.session.state is SessionState.IDLE
    listener = heard.workers[0].listener
    before = list(heard.said)
    listener.stepped("late")
    listener.succeeded("late")
    listener.failed(DiffSegError("late"))
    listener.aborted()
    assert heard.said == before


def test_what_an_old_run_says_does_not_reach_a_new_one(heard):
    heard.session.start(no_steps)
    heard.session.cancel()
    heard.session.start(no_steps)
    heard.workers[0].listener.succeeded("old")
    assert heard.session.state is SessionState.RUNNING
    heard.workers[1].listener.succeeded("new")
    assert [what for name, what in heard.said if name == "succeeded"] == ["new"]


def test_a_run_that_is_ended_from_outside_leaves_the_session_idle(heard):
    heard.session.start(no_steps)
    heard.workers[0].listener.aborted()
    assert heard.session.state is SessionState.IDLE


def test_finish_and_cancel_without_a_run_do_nothing(heard):
    heard.session.finish()
    heard.session.cancel()
    assert heard.said == []


def test_the_session_stays_usable_where_a_listener_breaks(heard):
    def broken(_):
        raise ValueError("a listener")

    heard.session.succeeded.connect(broken)
    heard.session.start(no_steps)
    with pytest.raises(Exception, match="a listener"):
        heard.workers[0].listener.succeeded("result")
    assert not heard.session.is_busy


def test_the_session_knows_neither_qt_nor_napari_nor_torch():
    code = (
        "import sys; import napari_diffseg.widgets.tasks.session; "
        "print([m for m in ('qtpy', 'napari', 'torch', 'magicgui') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
