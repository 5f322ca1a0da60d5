"""The engine in one thread: which frame is next, what a stop leaves, and the same labels."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any

import numpy as np
import pytest

from napari_diffseg import ApplyParams, Model, RunOptions
from napari_diffseg.batch.engine import MAX_FAILURES, Agenda, Application, apply_frames
from napari_diffseg.batch.facts import Progress, Record
from napari_diffseg.batch.sinks import ArraySink
from napari_diffseg.errors import InputError
from tests.batch.conftest import N_FRAMES, SIDE, make_movie


@dataclass
class Movie:
    """Frames at hand, of which some cannot be read."""

    pixels: np.ndarray
    damaged: tuple[int, ...] = ()
    frame_axes: str = "YX"
    rgb: bool | None = False

    def name(self, number: int) -> str:
        return f"frame {number}"

    def read(self, number: int) -> Any:
        if number in self.damaged:
            raise InputError(f"Frame {number} is damaged.")
        return self.pixels[number]

    def region_of(self, number: int) -> None:
        return None


@pytest.fixture
def job(model: Model, frames: np.ndarray) -> Application:
    sink = ArraySink(np.zeros(frames.shape, model.label_dtype), N_FRAMES)
    record = Record(N_FRAMES, model.labels)
    options = RunOptions(threads=1, device="cpu")
    return Application(model, Movie(frames), sink, ApplyParams(), options, record)


def order_of(steps: Any) -> list[int]:
    return [step.frame for step in steps if step.frame is not None]


def test_labels_areas_and_confidence_are_those_of_the_library(
    job: Application, model: Model, frames: np.ndarray
) -> None:
    last = list(apply_frames(job, Agenda(job)))[-1]
    assert (last.done, last.total, job.record.n_done) == (N_FRAMES, N_FRAMES, N_FRAMES)
    for number, pixels in enumerate(frames):
        expected = model.apply_frame(pixels, axes="YX")
        np.testing.assert_array_equal(job.sink.array[number], expected.labels)
        assert job.record.confidence[number] == pytest.approx(expected.confidence)
        share = expected.areas.get(2, 0) / SIDE**2
        assert job.record.shares[number][1] == pytest.approx(share)


def test_confidence_is_that_of_labelled_pixels(job: Application, frames: np.ndarray) -> None:
    """A plane of two windows, one of which is mostly no image."""
    plane = np.tile(make_movie(1)[0], (3, 18)).astype(np.float32)
    plane[:, 1024:] = np.nan
    plane[:40, 1024:1064] = plane[:40, :40]
    job.sink = ArraySink(np.zeros((1, *plane.shape), np.uint8), 1)
    job.record, job.frames = Record(1, job.model.labels), Movie(plane[None])
    list(apply_frames(job, Agenda(job)))
    expected = job.model.apply_frame(plane, axes="YX")
    assert expected.areas[0] > 0
    assert job.record.confidence[0] == pytest.approx(expected.confidence)


def test_the_frame_in_view_comes_first_and_only_those_that_are_asked_for(job: Application) -> None:
    job.in_view = 3
    assert order_of(apply_frames(job, Agenda(job, [0, 2, 4]))) == [4, 0, 2]
    assert order_of(apply_frames(job, Agenda(job))) == [3, 5, 1]


def test_looking_ends_with_the_frame_in_view_until_all_are_asked_for(job: Application) -> None:
    job.in_view = 2
    assert order_of(apply_frames(job, Agenda(job, follows=True))) == [2]
    agenda = Agenda(job, follows=True)
    job.in_view = 5
    order = []
    for step in apply_frames(job, agenda):
        if step.frame is not None:
            order.append(step.frame)
            agenda.follows = False
    assert order == [5, 0, 1, 3, 4]


def test_what_is_sent_ends_a_run_and_wipes_the_frame_under_way(job: Application) -> None:
    steps = apply_frames(job, Agenda(job))
    while next(steps).done < 2:
        pass
    next(steps)  # within the third
    assert job.sink.array[2].any()
    with pytest.raises(StopIteration) as end:
        steps.send("stop")
    progress = end.value.value
    assert isinstance(progress, Progress)
    assert progress.done == 2
    assert job.sink.array[:2].all()
    assert not job.sink.array[2:].any()
    again = list(apply_frames(job, Agenda(job)))
    assert (again[0].earlier, again[-1].done) == (2, N_FRAMES)


def test_what_somebody_painted_stays(job: Application) -> None:
    job.sink.array[1, 5, 5] = 7
    list(apply_frames(job, Agenda(job)))
    assert np.count_nonzero(job.sink.array[1]) == 1
    assert np.isnan(job.record.confidence[1])


def test_frames_that_fail_are_left_out_and_a_run_of_nothing_else_ends(job: Application) -> None:
    job.frames = Movie(job.frames.pixels, damaged=(0, 4))  # type: ignore[attr-defined]
    list(apply_frames(job, Agenda(job)))
    assert job.record.failed == {0: "Frame 0 is damaged.", 4: "Frame 4 is damaged."}
    assert job.record.n_done == N_FRAMES - 2
    job.record = Record(N_FRAMES, job.model.labels)
    job.sink.array[:] = 0
    job.frames.damaged = tuple(range(N_FRAMES))  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="damaged"):
        list(apply_frames(job, Agenda(job)))
    assert len(job.record.failed) == MAX_FAILURES - 1


def test_a_run_waits_for_its_turn_and_can_be_stopped_while_it_waits(job: Application) -> None:
    turn = Lock()
    turn.acquire()
    steps = apply_frames(job, Agenda(job), turn)
    assert [next(steps).done for _ in range(3)] == [0, 0, 0]
    release = Thread(target=turn.release)
    release.start()
    release.join()
    while next(steps).done < 1:
        pass
    turn.acquire(timeout=5)
    next(steps)
    with pytest.raises(StopIteration):
        steps.send("stop")
    assert job.record.n_done == 1
    turn.release()
