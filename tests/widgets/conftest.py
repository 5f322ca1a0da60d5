from __future__ import annotations

import gc
import os
import tempfile
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest

# Before napari is imported: the tests reset its settings, which must not be a person's own.
os.environ["NAPARI_CONFIG"] = os.path.join(tempfile.mkdtemp(prefix="napari-config-"), "s.yaml")

from napari_diffseg.core.published.training import Command, Iteration, StopReason
from napari_diffseg.errors import InputError
from napari_diffseg.image.channels import Channel
from napari_diffseg.params import SegmentationParams
from napari_diffseg.widgets.tasks import early

# A dock that is pressed while it loads would begin a moment later.
early._load()

# napari's fixture collects garbage several times for each window, and each time goes through all
# that was ever imported: half a second, of the two that a window takes. What is there now stays.
gc.collect()
gc.freeze()


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


class FakeModel:
    """A model in place of the core's: label 2 where the image is bright, 1 elsewhere.

    Each frame comes as two windows; it stands still before the second where it is told.
    """

    def __init__(self, n_channels=1, rgb=False, spatial="YX"):
        self.n_channels = n_channels
        self.spatial, self.n_spatial, self.z_step = spatial, len(spatial), 1.0
        self.labels = (1, 2, 3)
        self.label_dtype = np.dtype(np.uint8)
        self.checksum = "0123"
        self.fill = None
        self.facts = SimpleNamespace(rgb=rgb, class_names={}, class_colors={}, pixel_size=None)
        self.applied = []
        self.saved = []
        self.stands_at = None
        self.stands = threading.Event()
        self.go_on = threading.Event()
        self.refuses = ()
        self.brightness = ""
        self.slowness = 0.0

    @property
    def n_source_channels(self):
        return self.n_channels

    @property
    def channels(self):
        return tuple(Channel(index) for index in range(self.n_channels))

    def apply_windows(
        self, image, *, axes, rgb=None, params=None, options=None, windows=None, region=None
    ):
        number = len(self.applied)
        self.applied.append((np.array(image), axes, params))
        if number in self.refuses:
            raise InputError(f"Frame {number} has no content.")
        gray = np.asarray(image)
        gray = gray.max(axis=axes.index("C")) if "C" in axes else gray
        left = [letter for letter in axes if letter in self.spatial]
        gray = gray.transpose([left.index(letter) for letter in self.spatial])
        labels = np.where(gray > 100, 2, 1).astype(np.uint8)
        first, *others = labels.shape
        for index, rows in enumerate((slice(0, first // 2), slice(first // 2, first))):
            if index == 1 and number == self.stands_at:
                self.stands.set()
                # Not for ever: a test that fails must not leave a thread behind.
                self.go_on.wait(60)
            time.sleep(self.slowness)
            part = labels[rows]
            values, counts = np.unique(part, return_counts=True)
            areas = dict(zip(values.tolist(), counts.tolist(), strict=True))
            yield SimpleNamespace(
                window=(rows, *(slice(0, length) for length in others)),
                labels=part,
                areas=areas,
                # Another in each window and frame.
                confidence=0.5 + float((part == 2).mean()) / 2,
                brightness=self.brightness,
            )

    def with_facts(self, **changes):
        self.facts = SimpleNamespace(**{**vars(self.facts), **changes})
        return self

    def save(self, path, *, force=False):
        self.saved.append((path, force))

    def card(self):
        return "# Card"


@dataclass
class FakeSegmentation:
    """A result in place of the core's: three labels, of which 2 and 3 can be merged."""

    labels: np.ndarray
    n_labels: int = 3
    history: tuple = ()
    stop_reason: StopReason = StopReason.ITERATIONS
    notes: tuple = ("A note.",)
    seconds: float = 1.0
    params: SegmentationParams = field(default_factory=SegmentationParams)
    model: FakeModel = field(default_factory=FakeModel)
    scribbles: object = None
    references: tuple = ()
    only_painted: bool = False
    can_be_corrected: bool = True
    # As it was before any stroke.
    bare: FakeSegmentation | None = None

    @property
    def painted_classes(self):
        painted = [one for one in (self.scribbles, *self.references) if one is not None]
        return tuple(sorted({number for one in painted for number in one.classes}))

    @property
    def uncertainty(self):
        labels = self.labels
        return np.linspace(0, 1, labels.size, dtype=np.float32).reshape(labels.shape)

    def provenance(self):
        return {"program": "napari-diffseg", "stop_reason": self.stop_reason.value}

    def with_n_labels(self, n_labels):
        merged = replace(self, params=replace(self.params, n_labels=n_labels))
        if 0 < n_labels < 3:
            merged = replace(merged, labels=np.minimum(self.labels, 2), n_labels=2)
        return merged


def segmentation(shape, reason=StopReason.ITERATIONS, n_steps=5, params=None):
    """Return what stands for a Segmentation without scribbles."""
    labels = np.ones(shape, dtype=np.uint8)
    labels[..., : shape[-2] // 2, :] = 2
    labels[..., 0, 0] = 3
    return FakeSegmentation(
        labels,
        history=tuple(facts(i + 1) for i in range(n_steps)),
        stop_reason=reason,
        params=params or SegmentationParams(),
    )


def corrected(before, strokes):
    """Return what stands for a Segmentation by scribbles: unpainted pixels get the last class."""
    bare = before.bare or before
    here = tuple(np.unique(strokes[strokes > 0]).tolist())
    painted = SimpleNamespace(classes=here, painted=strokes)
    after = replace(before, bare=bare, scribbles=painted, notes=())
    classes = after.painted_classes
    if not classes:
        return bare
    labels = np.where(strokes > 0, strokes, classes[-1]).astype(strokes.dtype)
    return replace(after, labels=labels, n_labels=len(classes), only_painted=len(classes) > 1)


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
    # Of each run from the start: the other planes, and what is painted on them.
    others: list = field(default_factory=list)
    starts: int = 0
    # Strokes and views that a finished result was to follow; where it stands still, or breaks.
    followed: list = field(default_factory=list)
    views: list = field(default_factory=list)
    follow_stands: bool = False
    follow_go_on: threading.Event = field(default_factory=threading.Event)
    follow_error: Exception | None = None
    n_cancelled: int = 0

    def steps(self, source, params, options, read_strokes=None, read_others=None) -> Generator:
        self.starts += 1
        self.sources.append(source)
        image = source.read()
        letters = "ZYX" if source.is_volume else "YX"
        shape = tuple(image.shape[source.axes.index(letter)] for letter in letters)
        assert shape == source.spatial_shape
        strokes = np.zeros(shape, np.uint8) if read_strokes is None else read_strokes()
        others = [] if read_others is None else read_others()
        self.others.append(others)
        return self._answered(self._steps(shape), strokes, others, params)

    def _answered(self, steps, strokes, others, params):
        done = yield from steps
        painted = [np.zeros(1, int) if one is None else one for _, one in others]
        references = tuple(
            SimpleNamespace(classes=tuple(np.unique(one[one > 0]).tolist())) for one in painted
        )
        return corrected(replace(done, params=params, references=references), strokes)

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
        labels[..., shape[-2] // 2 :, :] = 2
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
    monkeypatch.setattr("napari_diffseg.widgets.segment.steps.segmentation_steps", fake.steps)
    monkeypatch.setattr("napari_diffseg.widgets.segment.steps.correction_steps", fake.follow)
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


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch, tmp_path_factory):
    """What one test sets is not there in the next."""
    kept = tmp_path_factory.mktemp("settings") / "remembered.json"
    monkeypatch.setattr("napari_diffseg.widgets.ui.remembered._file", lambda: kept)
    return kept


LONG = 120_000


@pytest.fixture
def wait_for(qtbot):
    return lambda condition: qtbot.waitUntil(condition, timeout=LONG)


@pytest.fixture
def model(monkeypatch):
    """A fake model, which every model file holds."""
    fake = FakeModel()
    monkeypatch.setattr("napari_diffseg.core.model.model.Model.load", lambda path: fake)
    yield fake
    fake.go_on.set()
