"""A model of volumes on frames that are volumes: units of work are windows of these."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from napari_diffseg import ApplyParams, Channel, Model, SegmentationParams, memory, train
from napari_diffseg.batch import outputs, run
from napari_diffseg.batch.facts import FrameFacts
from napari_diffseg.batch.plan import Unit
from napari_diffseg.batch.planning import make_plan
from napari_diffseg.batch.run import apply_stack
from napari_diffseg.batch.work import Job, Outcome, apply_unit
from napari_diffseg.core.model.application import windows_of
from napari_diffseg.errors import InputError, OutputError
from napari_diffseg.image.pieces import labelling_memory
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.io.frames import open_frames
from napari_diffseg.io.label_files.label_store import LabelStore
from napari_diffseg.io.ngff.pyramid import CHUNKS
from napari_diffseg.io.reading import read_image
from napari_diffseg.memory import in_words
from tests.batch.conftest import ONE_THREAD, apply, contents, leftovers

FORMATS = ("out.ome.zarr", "out.ome.tif")
SHAPE = (134, 20, 24)  # three windows along z
N_WINDOWS = 3
SIZE = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 1.0, "TimeIncrement": 3.0}
PARAMS = SegmentationParams(n_clusters=4)

Contents = dict[str, bytes | None]


def make_movie(n: int = 2) -> np.ndarray:
    """Return frames ``t z y x``: bright planks across, and noise."""
    z, _, x = np.indices(SHAPE)
    noise = np.random.default_rng(0).normal(0, 6, (n, *SHAPE))
    planks = [((z + 4 * t) // 8 + x // 12) % 2 for t in range(n)]
    return (60 + 120 * np.stack(planks) + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return make_movie()


@pytest.fixture(scope="module")
def model(frames: np.ndarray) -> Model:
    learned = train(
        [frames[0, :24]], axes="ZYX", spacing=(2, 1, 1), params=PARAMS, options=ONE_THREAD
    )
    return learned.with_facts(class_names={1: "plank"}, pixel_size=PixelSize(0.5, 0.5, "µm", 1.0))


@pytest.fixture(scope="module")
def intact(frames: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zarr array of the movie: eight planes in a chunk."""
    path = tmp_path_factory.mktemp("intact") / "movie.zarr"
    chunks = (1, 8, *SHAPE[1:])
    zarr.create_array(store=path, data=frames, chunks=chunks, dimension_names=list("tzyx"))
    return path


@pytest.fixture
def movie(intact: Path, tmp_path: Path) -> Path:
    """A copy of it, which a test may damage."""
    return shutil.copytree(intact, tmp_path / "movie.zarr")


def save(path: Path, pixels: np.ndarray, axes: str, **more: Any) -> Path:
    metadata = {"axes": axes, **SIZE, **more}
    tifffile.imwrite(path, pixels, ome=True, photometric="minisblack", metadata=metadata)
    return path


def labels_in(path: Path) -> np.ndarray:
    return np.asarray(read_image(path).pixels)


@pytest.fixture(scope="module")
def expected(model: Model, frames: np.ndarray) -> np.ndarray:
    return np.stack([model.apply(one, axes="ZYX", options=ONE_THREAD) for one in frames])


# --- what comes out ----------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_frames_are_volumes(
    model: Model, frames: np.ndarray, tmp_path: Path, expected: np.ndarray, name: str
) -> None:
    path = save(tmp_path / "movie.ome.tif", frames, "TZYX")
    report = apply(model, path, tmp_path / name)
    np.testing.assert_array_equal(labels_in(tmp_path / name), expected)
    assert (report.done, report.failed, report.notes) == (2, (), ())
    written = open_frames(tmp_path / name, volumes=True)
    assert (written.axes, written.t_step) == ("TZYX", 3.0)
    assert str(written.pixel_size) == "1 × 0.5 × 0.5 µm"
    assert leftovers(tmp_path) == []
    for facts, labels in zip(report.frames, expected, strict=True):
        numbers, counts = np.unique(labels, return_counts=True)
        assert facts.facts.areas == dict(zip(numbers.tolist(), counts.tolist(), strict=True))


def test_a_single_volume(
    model: Model, frames: np.ndarray, tmp_path: Path, expected: np.ndarray
) -> None:
    path = save(tmp_path / "cells.ome.tif", frames[1], "ZYX")
    apply(model, path, tmp_path / "out.ome.tif")
    written = read_image(tmp_path / "out.ome.tif")
    np.testing.assert_array_equal(np.asarray(written.pixels), expected[1])
    assert written.axes == "ZYX"
    frame = model.apply_frame(frames[1], axes="ZYX", options=ONE_THREAD)
    [record] = apply(model, path, tmp_path / "out.zarr").frames
    assert record.facts.areas == frame.areas
    assert record.facts.confidence == pytest.approx(frame.confidence)


def test_a_folder_of_volumes(
    model: Model, frames: np.ndarray, tmp_path: Path, expected: np.ndarray
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for t, frame in enumerate(frames):
        save(source / f"v{t}.ome.tif", frame, "ZYX")
    save(source / "plane.ome.tif", frames[0, 0], "YX")
    report = apply(model, source, tmp_path / "out")
    for t in range(2):
        np.testing.assert_array_equal(labels_in(tmp_path / "out" / f"v{t}.ome.tif"), expected[t])
    [(name, reason)] = report.failed
    assert name == "plane.ome.tif"
    assert "no planes along Z, but the model was trained on volumes" in reason


def test_a_series_of_volumes(
    model: Model, frames: np.ndarray, tmp_path: Path, expected: np.ndarray
) -> None:
    files = [save(tmp_path / f"v{t}.ome.tif", frame, "ZYX") for t, frame in enumerate(frames)]
    apply(model, files, tmp_path / "out.ome.zarr")
    np.testing.assert_array_equal(labels_in(tmp_path / "out.ome.zarr"), expected)
    apply(model, files, tmp_path / "second.ome.zarr", frames=slice(1, 2))
    np.testing.assert_array_equal(labels_in(tmp_path / "second.ome.zarr"), expected[1:])


def test_a_frame_may_have_its_own_intensities(
    model: Model, frames: np.ndarray, tmp_path: Path
) -> None:
    """All of it is needed for these, so that it is done as a whole."""
    path = save(tmp_path / "dim.ome.tif", frames[0] // 2, "ZYX")
    params = ApplyParams(intensities="frame")
    steps = list(apply_stack(model, path, tmp_path / "out.tif", params=params, workers=1))
    assert [(step.units_done, step.units) for step in steps] == [(0, 1), (1, 1)]
    wanted = model.apply(frames[0] // 2, axes="ZYX", params=params, options=ONE_THREAD)
    np.testing.assert_array_equal(labels_in(tmp_path / "out.tif"), wanted)


def test_progress_counts_windows_and_frames(model: Model, movie: Path, tmp_path: Path) -> None:
    steps = list(apply_stack(model, movie, tmp_path / "out.ome.zarr", workers=1))
    n = len(list(windows_of(SHAPE)))
    assert n > 1
    assert [step.units_done for step in steps] == list(range(2 * n + 1))
    assert [step.done for step in steps] == [0] * n + [1] * n + [2]
    assert {(step.total, step.units) for step in steps} == {(2, 2 * n)}
    between = [None] * (n - 1)
    assert [step.frame for step in steps] == [None, *between, 0, *between, 1]
    assert steps[1].name == "frame 0 of movie.zarr"
    assert steps[1].facts is None
    assert sum(steps[n].facts.areas.values()) == np.prod(SHAPE)


def test_the_table_is_of_volumes(
    model: Model, frames: np.ndarray, tmp_path: Path, expected: np.ndarray
) -> None:
    for size, voxel in (({}, 0.25), ({"PhysicalSizeZ": -1}, None)):
        path = save(tmp_path / "cells.ome.tif", frames[0], "ZYX", **size)
        told = {"table": tmp_path / "volumes.csv", "force": True}
        apply(model, path, tmp_path / "out.tif", **told)
        with (tmp_path / "volumes.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(model.labels)
        for row in rows:
            volume = np.count_nonzero(expected[0] == int(row["label"]))
            assert int(row["volume_vx"]) == volume
            # Without a size there is no such column.
            um3 = None if voxel is None else f"{volume * voxel:.10g}"
            assert row.get("volume_um3") == um3


def test_a_level_of_a_pyramid(model: Model, frames: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "cells.ome.zarr"
    group = zarr.create_group(path, zarr_format=3)
    group.create_array("0", data=frames[0].repeat(2, 1).repeat(2, 2))
    group.create_array("1", data=frames[0])
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    image = {"axes": axes, "datasets": [{"path": "0"}, {"path": "1"}]}
    group.update_attributes({"ome": {"version": "0.5", "multiscales": [image]}})
    apply(model, path, tmp_path / "out.tif", level=1)
    wanted = model.apply(frames[0], axes="ZYX", options=ONE_THREAD)
    np.testing.assert_array_equal(labels_in(tmp_path / "out.tif"), wanted)
    with pytest.raises(InputError, match="levels 0 to 1 but level 2"):
        apply(model, path, tmp_path / "other.tif", level=2)
    first, second = (make_plan(model, path, tmp_path / "o.tif", level=level) for level in (0, 1))
    assert first.facts != second.facts


# --- workers, and runs that are cut short ------------------------------------------


@pytest.mark.parametrize("shape", [(134, 20, 24), (64, 512, 512), (65, 1030, 513), (2, 600, 7)])
def test_a_chunk_belongs_to_one_window(shape: tuple[int, ...]) -> None:
    for window in windows_of(shape):
        for part, length, side in zip(window, shape, CHUNKS["ZYX"], strict=True):
            assert part.start % side == 0
            assert part.stop % side == 0 or part.stop == length


@pytest.fixture(scope="module")
def undisturbed(
    model: Model, intact: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Contents]:
    home = tmp_path_factory.mktemp("undisturbed")
    for name in FORMATS:
        apply(model, intact, home / name)
    return {name: contents(home / name) for name in FORMATS}


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", [{"workers": 3}, {"scheduler": "processes", "workers": 2}], ids=["threads", "processes"]
)
def test_the_bytes_do_not_depend_on_workers(
    model: Model,
    movie: Path,
    tmp_path: Path,
    undisturbed: dict[str, Contents],
    more: dict[str, Any],
) -> None:
    for name in FORMATS:
        apply(model, movie, tmp_path / name, **more)
        assert contents(tmp_path / name) == undisturbed[name]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("n_done", [1, 3, 5])
def test_a_run_that_was_cut_short_is_finished(
    model: Model,
    movie: Path,
    tmp_path: Path,
    undisturbed: dict[str, Contents],
    name: str,
    n_done: int,
) -> None:
    steps = apply_stack(model, movie, tmp_path / name, workers=1)
    for _ in range(1 + n_done):
        next(steps)
    steps.close()
    assert not (tmp_path / name).exists()
    rest = list(apply_stack(model, movie, tmp_path / name, workers=1, resume=True))
    # A unit that was at hand when the run was closed may have been finished.
    assert rest[0].units_done in (n_done, n_done + 1)
    assert rest[-1].units_done == 2 * len(list(windows_of(SHAPE)))
    assert contents(tmp_path / name) == undisturbed[name]
    assert leftovers(tmp_path) == []


def damage(movie: Path) -> bytes:
    """Damage planes 64 to 71 of frame 1, which are in its second window."""
    chunk = movie / "c/1/8/0/0"
    before = chunk.read_bytes()
    chunk.write_bytes(b"nonsense")
    return before


@pytest.mark.parametrize("name", FORMATS)
def test_a_volume_that_is_damaged_in_one_window_has_no_labels_at_all(
    model: Model, movie: Path, tmp_path: Path, expected: np.ndarray, name: str
) -> None:
    damage(movie)
    report = apply(model, movie, tmp_path / name, workers=2)
    labels = labels_in(tmp_path / name)
    np.testing.assert_array_equal(labels[0], expected[0])
    assert not labels[1].any()
    [(frame, reason)] = report.failed
    assert frame == "frame 1 of movie.zarr"
    assert "damaged" in reason
    assert report.done == 1


@pytest.mark.parametrize("at_end", [False, True])
def test_a_volume_that_failed_gets_another_try_as_a_whole(
    model: Model,
    movie: Path,
    tmp_path: Path,
    undisturbed: dict[str, Contents],
    monkeypatch: pytest.MonkeyPatch,
    at_end: bool,
) -> None:
    """Also where the run was killed after it had cleared what other windows had written."""
    before = damage(movie)
    output = tmp_path / "out.ome.zarr"

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    steps = apply_stack(model, movie, output, workers=1)
    if at_end:
        with monkeypatch.context() as patch:
            patch.setattr(outputs, "finish", killed)
            with pytest.raises(KeyboardInterrupt):
                list(steps)
    else:
        assert not any(step.facts and step.facts.failed for step in islice(steps, 6))
    steps.close()
    (movie / "c/1/8/0/0").write_bytes(before)
    report = apply(model, movie, output, resume=True)
    assert report.failed == ()
    assert contents(output) == undisturbed[output.name]


def test_all_volumes_damaged(model: Model, movie: Path, tmp_path: Path) -> None:
    for t in range(2):
        (movie / f"c/{t}/8/0/0").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="Not one of the frames could be segmented; frame 0 of"):
        apply(model, movie, tmp_path / "out.ome.zarr")
    assert not (tmp_path / "out.ome.zarr").exists()


def test_facts_of_windows_are_joined() -> None:
    parts = [FrameFacts({0: 2, 1: 6}, 0.5), FrameFacts({2: 2, 1: 1}, 0.9), FrameFacts({0: 9}, 0.0)]
    joined = FrameFacts.joined(parts)
    assert joined.areas == {0: 11, 1: 7, 2: 2}
    assert joined.confidence == pytest.approx((6 * 0.5 + 3 * 0.9) / 9)
    assert FrameFacts.joined([*parts, FrameFacts(failed="gone")]) == FrameFacts(failed="gone")


# --- what does not fit -------------------------------------------------------------


@pytest.fixture(scope="module")
def flat(frames: np.ndarray) -> Model:
    """A model of planes."""
    return train([frames[0, 5]], params=PARAMS, options=ONE_THREAD)


def test_time_and_depth_with_a_model_of_planes(
    flat: Model, frames: np.ndarray, tmp_path: Path
) -> None:
    path = save(tmp_path / "movie.ome.tif", frames[:, :3], "TZYX")
    apply(flat, path, tmp_path / "out.ome.zarr")
    wanted = [[flat.apply(plane, options=ONE_THREAD) for plane in frame[:3]] for frame in frames]
    np.testing.assert_array_equal(labels_in(tmp_path / "out.ome.zarr"), wanted)
    assert LabelStore.open(tmp_path / "out.ome.zarr").spatial == "YX"


@pytest.mark.parametrize(
    ("axes", "index"), [("YX", (0, 0)), ("TYX", (slice(None), 0)), ("ZYX", (0, slice(0, 1)))]
)
def test_planes_with_a_model_of_volumes(
    model: Model, frames: np.ndarray, tmp_path: Path, axes: str, index: tuple[Any, ...]
) -> None:
    path = tmp_path / "a.zarr"
    zarr.create_array(store=path, data=frames[index], dimension_names=list(axes.lower()))
    with pytest.raises(InputError, match="no planes along Z, but the model was trained on volumes"):
        apply(model, path, tmp_path / "out.zarr")


def test_a_nameless_stack_is_no_volume_until_that_is_said(
    model: Model, frames: np.ndarray, tmp_path: Path, expected: np.ndarray
) -> None:
    path = tmp_path / "plain.tif"
    tifffile.imwrite(path, frames[0], photometric="minisblack")
    with pytest.raises(InputError, match=r"state the axes \(such as ZYX\)"):
        apply(model, path, tmp_path / "out.tif")
    apply(model, path, tmp_path / "out.tif", axes="ZYX")
    np.testing.assert_array_equal(labels_in(tmp_path / "out.tif"), expected[0])


def test_a_volume_is_no_picture(model: Model, frames: np.ndarray, tmp_path: Path) -> None:
    path = save(tmp_path / "cells.ome.tif", frames[0], "ZYX")
    with pytest.raises(OutputError, match="cannot hold a volume of 134 planes, PNG holds one"):
        apply(model, path, tmp_path / "out.png")


def test_planes_that_are_farther_apart_than_they_were_are_told(
    model: Model, frames: np.ndarray, tmp_path: Path
) -> None:
    for z, is_told in ((1.0, False), (1.01, False), (2.5, True)):
        path = save(tmp_path / "cells.ome.tif", frames[0], "ZYX", PhysicalSizeZ=z)
        [target] = make_plan(model, path, tmp_path / "out.tif").targets
        assert any("are 5 pixels apart" in note for note in target.notes) == is_told
        assert bool(target.notes) == is_told


@pytest.fixture(scope="module")
def stained(frames: np.ndarray) -> Model:
    """A model that looks at the second of three channels, which is called GFP."""
    pixels = np.stack([frames[0, :16], 255 - frames[0, :16], frames[0, :16]])
    channels = [Channel(1, "GFP")]
    return train([pixels], axes="CZYX", channels=channels, params=PARAMS, options=ONE_THREAD)


def test_channels_without_a_known_name_are_taken_by_their_place(
    stained: Model, frames: np.ndarray, tmp_path: Path
) -> None:
    pixels = np.stack([frames[1], 255 - frames[0], frames[1]])[:, :24]
    for second, is_told in (("GFP", False), ("gfp", False), ("RFP", True)):
        names = {"Channel": {"Name": ["DAPI", second, "Cy5"]}}
        path = save(tmp_path / "cells.ome.tif", pixels, "CZYX", **names)
        report = apply(stained, path, tmp_path / "out.tif", force=True)
        said = [note for note in report.notes if "'RFP' for 'GFP'" in note]
        assert bool(said) == is_told
        wanted = stained.apply(pixels, axes="CZYX", options=ONE_THREAD)
        np.testing.assert_array_equal(labels_in(tmp_path / "out.tif"), wanted)


def test_a_file_that_lacks_a_channel_is_named(
    stained: Model, frames: np.ndarray, tmp_path: Path
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    save(source / "a.ome.tif", np.stack([frames[0]] * 3), "CZYX")
    save(source / "b.ome.tif", np.stack([frames[0]] * 2), "CZYX")
    report = apply(stained, source, tmp_path / "out")
    [(name, reason)] = report.failed
    assert name == "b.ome.tif"
    assert "has 2 channels, but the model was trained on 3 channels" in reason
    with pytest.raises(InputError, match="leave the file out"):
        apply(stained, source, tmp_path / "out.ome.zarr")


def test_a_file_that_became_another_is_named(
    model: Model, frames: np.ndarray, movie: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Model.apply_windows

    def shrinking(self: Model, *args: Any, **kwargs: Any) -> Iterator[Any]:
        yield from whole(self, *args, **kwargs)
        if not (tmp_path / "old.zarr").exists():
            movie.rename(tmp_path / "old.zarr")
            zarr.create_array(store=movie, data=frames[:, :9], dimension_names=list("tzyx"))

    monkeypatch.setattr(Model, "apply_windows", shrinking)
    with pytest.raises(InputError, match="Not one of the frames"):
        apply(model, movie, tmp_path / "out.ome.zarr")


@pytest.mark.parametrize(("room", "n_fit"), [(9, 3), (5, 2), (1, 1)])
def test_no_more_workers_run_than_there_is_memory_for(
    model: Model,
    movie: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    room: int,
    n_fit: int,
) -> None:
    running, most = Lock(), [0, 0]

    def watched(job: Job, unit: Unit, stopped: Callable[[], bool]) -> Outcome:
        with running:
            most[0] += 1
            most[1] = max(most)
        found = apply_unit(job, unit, stopped)
        with running:
            most[0] -= 1
        return found

    each = labelling_memory(SHAPE, 1, model.params, model.space)
    monkeypatch.setattr(memory, "free_memory", lambda: room * each // 2)
    monkeypatch.setattr(run, "apply_unit", watched)
    report = apply(model, movie, tmp_path / "out.ome.zarr", workers=3)
    assert most[1] <= n_fit
    said = [note for note in report.notes if "workers" in note]
    assert said == (
        []
        if n_fit == 3
        else [f"Of 3 workers {n_fit} ran: each takes about {in_words(each)} of memory."]
    )
