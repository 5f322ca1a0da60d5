from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest

# Before napari is imported: the tests reset its settings, which must not be a person's own.
os.environ["NAPARI_CONFIG"] = os.path.join(tempfile.mkdtemp(prefix="napari-config-"), "s.yaml")

from napari_diffseg.core.training import Command, Iteration, StopReason
from napari_diffseg.params import SegmentationParams


def facts(index=1, n_iterations=5, labels=None):
    return Iteration(
        index=index,
        n_iterations=n_iterations,
        loss=1.0,
        similarity=1.0,
        continuity=0.0,
        n_clusters=4,
        seconds=0.1 * index,
        labels=labels,
    )


def segmentation(shape, reason=StopReason.ITERATIONS, n_steps=5, params=None):
    """Return what stands for a Segmentation: three labels, of which 2 and 3 can be merged."""

    def with_n_labels(n_labels):
        merged = SimpleNamespace(**vars(done))
        merged.params = replace(done.params, n_labels=n_labels)
        if 0 < n_labels < 3:
            merged.labels, merged.n_labels = np.minimum(labels, 2), 2
        return merged

    labels = np.ones(shape, dtype=np.uint8)
    labels[: shape[0] // 2] = 2
    labels[0, 0] = 3
    done = SimpleNamespace(
        labels=labels,
        n_labels=3,
        history=tuple(facts(i + 1) for i in range(n_steps)),
        stop_reason=reason,
        notes=("A note.",),
        seconds=1.0,
        provenance=lambda: {"program": "napari-diffseg", "stop_reason": reason.value},
        params=params or SegmentationParams(),
        with_n_labels=with_n_labels,
        scribbles=None,
        only_painted=False,
        can_be_corrected=True,
        uncertainty=np.linspace(0, 1, labels.size, dtype=np.float32).reshape(shape),
    )
    return done


def corrected(before, strokes):
    """Return what stands for a Segmentation by scribbles: unpainted pixels get the last class."""
    classes = tuple(np.unique(strokes[strokes > 0]).tolist())
    after = SimpleNamespace(**vars(before))
    after.labels = np.where(strokes > 0, strokes, classes[-1]).astype(strokes.dtype)
    after.n_labels = len(classes)
    after.scribbles = SimpleNamespace(classes=classes, painted=strokes)
    after.only_painted = len(classes) > 1
    after.notes = ()
    return after


@dataclass
class FakeRun:
    """A run in place of the core's: gives previews, waits where told, breaks where told."""

    n_iterations: int = 5
    error: Exception | None = None
    fails_at: int = 3
    stands_at: int | None = None
    go_on: threading.Event = field(default_factory=threading.Event)
    stands: threading.Event = field(default_factory=threading.Event)
    closed: threading.Event = field(default_factory=threading.Event)
    sources: list = field(default_factory=list)
    starts: int = 0
    # Strokes and views that a finished result was to follow; where it stands still, or breaks.
    followed: list = field(default_factory=list)
    views: list = field(default_factory=list)
    follow_stands: bool = False
    follow_go_on: threading.Event = field(default_factory=threading.Event)
    follow_error: Exception | None = None
    n_cancelled: int = 0

    def steps(self, source, params, options, read_strokes=None) -> Generator:
        self.starts += 1
        self.sources.append(source)
        image = source.read()
        y, x = source.axes.index("Y"), source.axes.index("X")
        shape = (image.shape[y], image.shape[x])
        strokes = None if read_strokes is None else read_strokes()
        return self._answered(self._steps(shape), strokes, params)

    def _answered(self, steps, strokes, params):
        done = yield from steps
        done.params = params
        return corrected(done, strokes) if strokes is not None and strokes.any() else done

    def follow(self, before, strokes, view, params, options) -> Generator:
        self.followed.append(strokes)
        self.views.append(view)
        try:
            yield facts(1, 2, before.labels)
            for _ in range(1000):
                if not self.follow_stands or self.follow_go_on.wait(0.01):
                    break
                yield facts(1, 2)
            if self.follow_error is not None:
                raise self.follow_error
            yield facts(2, 2)
        except GeneratorExit:
            self.n_cancelled += 1
            raise
        return corrected(before, strokes)

    def _steps(self, shape):
        labels = np.ones(shape, dtype=np.uint8)
        labels[shape[0] // 2 :] = 2
        try:
            for index in range(1, self.n_iterations + 1):
                if index == self.fails_at and self.error is not None:
                    raise self.error
                command = yield facts(index, self.n_iterations, labels)
                if index == self.stands_at:
                    self.stands.set()
                    # Not for ever: a test that fails must not leave a thread behind.
                    for _ in range(1000):
                        if self.go_on.wait(0.01):
                            break
                        command = command or (yield facts(index, self.n_iterations, None))
                        if command is Command.FINISH:
                            break
                if command is Command.FINISH:
                    return segmentation(shape, StopReason.FINISHED, n_steps=index)
        finally:
            self.closed.set()
        return segmentation(shape, n_steps=self.n_iterations)


@pytest.fixture
def run(monkeypatch):
    """A fake run; also the one that a dock opened later will start."""
    fake = FakeRun()
    monkeypatch.setattr("napari_diffseg.widgets.worker.segmentation_steps", fake.steps)
    monkeypatch.setattr("napari_diffseg.widgets.worker.correction_steps", fake.follow)
    yield fake
    fake.go_on.set()
    fake.follow_go_on.set()


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    return make_napari_viewer_proxy()


@pytest.fixture
def image(viewer):
    pixels = np.random.default_rng(0).integers(0, 255, (24, 32), dtype=np.uint8)
    return viewer.add_image(pixels, name="cells")


@pytest.fixture
def dock(viewer, run):
    """The dock widget as napari itself opens it."""
    return viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]


LONG = 120_000


@pytest.fixture
def wait_for(qtbot):
    return lambda condition: qtbot.waitUntil(condition, timeout=LONG)
