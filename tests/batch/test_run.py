from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_diffseg import ApplyParams, Model, RunOptions
from napari_diffseg.batch import journal
from napari_diffseg.batch.facts import brightness_notes
from napari_diffseg.batch.run import apply_stack
from napari_diffseg.errors import ClusterError, InputError, OutOfMemoryError, OutputError
from napari_diffseg.io.frames import open_frames
from napari_diffseg.io.label_files.label_store import LabelStore
from tests.batch.conftest import (
    FORMATS,
    N_FRAMES,
    SIDE,
    apply,
    contents,
    leftovers,
    make_movie,
    result_of,
)

Contents = dict[str, dict[str, bytes | None]]


def labels_in(path: Path) -> np.ndarray:
    if path.suffix == ".zarr":
        return np.asarray(LabelStore.open(path).array[:])
    return tifffile.imread(path)


@pytest.fixture
def expected(model: Model, frames: np.ndarray) -> np.ndarray:
    return np.stack([model.apply(frame, axes="YX") for frame in frames])


# --- what comes out ----------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS[:2])
def test_a_stack_has_the_labels_of_its_frames(
    model: Model, movie: Path, tmp_path: Path, expected: np.ndarray, name: str
) -> None:
    report = apply(model, movie, tmp_path / name)
    np.testing.assert_array_equal(labels_in(tmp_path / name), expected)
    assert (report.done, report.failed) == (N_FRAMES, ())
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("name", FORMATS[:2])
def test_sizes_names_and_how_it_came_about_go_along(
    model: Model, movie: Path, tmp_path: Path, name: str
) -> None:
    apply(model, movie, tmp_path / name)
    stack = open_frames(tmp_path / name)
    assert stack.axes == "TYX"
    assert str(stack.pixel_size) == "0.5 × 0.5 µm"
    assert stack.t_step == 2.0
    written = "".join(
        data.decode("utf-8", "ignore") for data in contents(tmp_path / name).values() if data
    )
    assert model.checksum in written
    assert "disc" in written
    assert "movie.ome.tif" in written
    assert str(tmp_path) not in written


def test_a_folder_has_a_file_of_the_same_name_for_each(
    model: Model, folder: Path, tmp_path: Path, expected: np.ndarray
) -> None:
    report = apply(model, folder, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        path.name for path in folder.iterdir()
    )
    for t in range(N_FRAMES - 2):
        np.testing.assert_array_equal(labels_in(tmp_path / "out" / f"f{t}.tif"), expected[t])
    np.testing.assert_array_equal(labels_in(tmp_path / "out" / "f9.ome.tif"), expected[-2:])
    assert report.done == N_FRAMES


def test_pictures_and_zarr_arrays_in_a_folder(
    model: Model, frames: np.ndarray, tmp_path: Path, expected: np.ndarray
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    Image.fromarray(frames[0]).save(source / "a.png")
    zarr.create_array(store=source / "b.zarr", data=frames, dimension_names=list("tyx"))
    apply(model, source, tmp_path / "out")
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "out/a.png")), expected[0])
    np.testing.assert_array_equal(labels_in(tmp_path / "out/b.ome.zarr"), expected)


def test_every_second_frame_of_a_series(
    model: Model, frames: np.ndarray, tmp_path: Path, expected: np.ndarray
) -> None:
    for t, frame in enumerate(frames):
        tifffile.imwrite(tmp_path / f"f{t}.tif", frame)
    apply(model, tmp_path, tmp_path / "out.ome.zarr", frames=slice(None, None, 2))
    np.testing.assert_array_equal(labels_in(tmp_path / "out.ome.zarr"), expected[::2])


def test_one_image_to_one_picture(
    model: Model, movie: Path, frames: np.ndarray, tmp_path: Path
) -> None:
    apply(model, movie, tmp_path / "out.png", frames=slice(1, 2))
    found = np.array(Image.open(tmp_path / "out.png"))
    np.testing.assert_array_equal(found, model.apply(frames[1], axes="YX"))


def test_frames_larger_than_a_window_are_written_window_by_window(
    model: Model, tmp_path: Path
) -> None:
    plane = np.tile(make_movie(1)[0], (17, 3))
    tifffile.imwrite(tmp_path / "large.tif", plane)
    report = apply(model, tmp_path / "large.tif", tmp_path / "out.ome.zarr")
    frame = model.apply_frame(plane, axes="YX")
    np.testing.assert_array_equal(labels_in(tmp_path / "out.ome.zarr"), frame.labels)
    [record] = report.frames
    assert record.facts.areas == frame.areas
    assert record.facts.confidence == pytest.approx(frame.confidence)


def test_how_the_model_is_applied(model: Model, frames: np.ndarray, tmp_path: Path) -> None:
    dim = (frames // 2)[:2]
    tifffile.imwrite(tmp_path / "dim.ome.tif", dim, ome=True, metadata={"axes": "TYX"})
    params = ApplyParams(intensities="frame", adapt_steps=2)
    apply(model, tmp_path / "dim.ome.tif", tmp_path / "out.ome.tif", params=params)
    one = RunOptions(threads=1)
    wanted = [model.apply(frame, axes="YX", params=params, options=one) for frame in dim]
    np.testing.assert_array_equal(labels_in(tmp_path / "out.ome.tif"), wanted)


@pytest.mark.parametrize("inputs", FORMATS, indirect=True)
@pytest.mark.parametrize("more", [{"workers": 3}, {"workers": 2, "options": RunOptions(threads=2)}])
def test_the_bytes_do_not_depend_on_workers(
    model: Model,
    inputs: Path,
    tmp_path: Path,
    undisturbed: Contents,
    request: pytest.FixtureRequest,
    more: dict[str, Any],
) -> None:
    name = request.node.callspec.params["inputs"]
    apply(model, inputs, tmp_path / name, **more)
    assert contents(tmp_path / name) == undisturbed[name]


def test_progress_counts_frames_and_has_their_facts(
    model: Model, movie: Path, tmp_path: Path
) -> None:
    steps = list(apply_stack(model, movie, tmp_path / "out.ome.zarr", workers=1))
    assert [(step.done, step.total) for step in steps] == [(n, N_FRAMES) for n in range(7)]
    assert steps[0].frame is None
    assert [step.name for step in steps[1:]] == [f"frame {t} of movie.ome.tif" for t in range(6)]
    for step in steps[1:]:
        assert sum(step.facts.areas.values()) == 64 * 64
        assert 0 < step.facts.confidence <= 1
        assert step.facts.failed is None
    assert [step.seconds for step in steps] == sorted(step.seconds for step in steps)


def test_the_table_has_the_area_of_each_label(
    model: Model, movie: Path, tmp_path: Path, expected: np.ndarray
) -> None:
    apply(model, movie, tmp_path / "out.ome.zarr", table=tmp_path / "areas.csv")
    with (tmp_path / "areas.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == N_FRAMES * 2
    for row in rows:
        area = np.count_nonzero(expected[int(row["frame"])] == int(row["label"]))
        assert row["file"] == "movie.ome.tif"
        assert int(row["area_px"]) == area
        assert float(row["area_um2"]) == pytest.approx(area * 0.25)
        assert row["name"] == {"1": "ground", "2": "disc"}[row["label"]]
        assert 0 < float(row["confidence"]) <= 1


def test_frames_far_darker_than_those_of_the_training_are_named(
    model: Model, frames: np.ndarray, tmp_path: Path
) -> None:
    odd = frames.copy()
    odd[1], odd[4] = frames[1] // 10 + 40, frames[4] // 10 + 40
    tifffile.imwrite(tmp_path / "odd.ome.tif", odd, ome=True, metadata={"axes": "TYX"})
    steps = apply_stack(model, tmp_path / "odd.ome.tif", tmp_path / "out.ome.zarr", workers=1)
    seen = [step.facts.brightness for step in (next(steps) for _ in range(4)) if step.facts]
    assert seen == ["", "darker", ""]
    steps.close()
    report = apply(model, tmp_path / "odd.ome.tif", tmp_path / "out.ome.zarr", resume=True)
    assert report.unlike == tuple((f"frame {t} of odd.ome.tif", "darker") for t in (1, 4))
    [note] = brightness_notes(report.unlike, "do this")
    assert note.startswith("frame 1 of odd.ome.tif and 1 more are far darker than the images")
    assert note.endswith("look at the labels, or do this.")
    # Whoever has each frame scaled by itself has answered this.
    params = ApplyParams(intensities="frame")
    again = apply(model, tmp_path / "odd.ome.tif", tmp_path / "own.ome.zarr", params=params)
    assert again.unlike == ()


def test_a_table_that_is_there_is_not_overwritten(
    model: Model, movie: Path, tmp_path: Path
) -> None:
    table = tmp_path / "areas.csv"
    table.write_text("precious")
    with pytest.raises(OutputError, match="exists already"):
        apply(model, movie, tmp_path / "out.ome.zarr", table=table)
    assert [path.name for path in tmp_path.iterdir()] == ["areas.csv"]
    apply(model, movie, tmp_path / "out.ome.zarr", table=table, force=True)
    assert table.read_text().startswith("file,frame,label,name")


@pytest.mark.parametrize("own", ["movie.tif", "out.ome.tif"])
def test_a_table_never_takes_the_place_of_an_image(
    model: Model, frames: np.ndarray, tmp_path: Path, own: str
) -> None:
    tifffile.imwrite(tmp_path / "movie.tif", frames, imagej=True, metadata={"axes": "TYX"})
    (tmp_path / "out.ome.tif").write_bytes(b"old")
    before = contents(tmp_path)
    told = {"table": tmp_path / own, "force": True}
    with pytest.raises(OutputError, match="choose another name for the table"):
        apply(model, tmp_path / "movie.tif", tmp_path / "out.ome.tif", **told)
    assert contents(tmp_path) == before


def test_a_file_that_was_written_anew_is_read_anew(
    model: Model, frames: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "movie.tif"
    for number, stack in enumerate((frames[:2], frames[:3].astype(np.uint16))):
        tifffile.imwrite(path, stack, photometric="minisblack", metadata={"axes": "TYX"})
        report = apply(model, path, tmp_path / f"out{number}.ome.tif")
        assert (report.done, report.failed) == (len(stack), ())


# --- frames that cannot be read ----------------------------------------------------


@pytest.fixture
def broken(folder: Path, tmp_path: Path) -> Path:
    """The single frames of the folder; the second is cut short, the fourth empty."""
    source = tmp_path / "in"
    source.mkdir()
    for t in range(4):
        (source / f"f{t}.tif").write_bytes((folder / f"f{t}.tif").read_bytes())
    (source / "f1.tif").write_bytes((source / "f1.tif").read_bytes()[:600])
    (source / "f3.tif").write_bytes(b"")
    return source


def test_damaged_files_of_a_series_have_no_labels_and_are_named(
    model: Model, broken: Path, tmp_path: Path, expected: np.ndarray
) -> None:
    report = apply(model, broken, tmp_path / "out.ome.zarr", table=tmp_path / "areas.csv")
    labels = labels_in(tmp_path / "out.ome.zarr")
    np.testing.assert_array_equal(labels[[0, 2]], expected[[0, 2]])
    assert not labels[[1, 3]].any()
    assert report.done == 2
    assert [name for name, _ in report.failed] == ["f1.tif", "f3.tif"]
    assert "damaged" in report.failed[0][1]
    assert "f1.tif" not in (tmp_path / "areas.csv").read_text()


def test_damaged_files_of_a_folder_have_no_output_and_are_named(
    model: Model, broken: Path, tmp_path: Path
) -> None:
    report = apply(model, broken, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["f0.tif", "f2.tif"]
    assert sorted(name for name, _ in report.failed) == ["f1.tif", "f3.tif"]


@pytest.fixture
def chunked(frames: np.ndarray, tmp_path: Path) -> Path:
    """A zarr array of the movie, of which frame 2 is damaged."""
    path = tmp_path / "movie.zarr"
    zarr.create_array(store=path, data=frames, chunks=(1, 64, 64), dimension_names=list("tyx"))
    (path / "c/2/0/0").write_bytes(b"nonsense")
    return path


@pytest.mark.parametrize("name", FORMATS[:2])
def test_a_damaged_frame_in_the_middle_of_a_stack(
    model: Model, chunked: Path, tmp_path: Path, expected: np.ndarray, name: str
) -> None:
    report = apply(model, chunked, tmp_path / name)
    labels = labels_in(tmp_path / name)
    assert not labels[2].any()
    np.testing.assert_array_equal(np.delete(labels, 2, 0), np.delete(expected, 2, 0))
    [(frame, reason)] = report.failed
    assert frame == "frame 2 of movie.zarr"
    assert "damaged" in reason


@pytest.mark.parametrize(
    ("written", "last"),
    [({}, 4), ({"compression": "zlib", "rowsperstrip": 17 * SIDE}, 2)],
    ids=["window by window", "as a whole"],
)
def test_a_frame_that_breaks_off_has_no_labels_at_all(
    model: Model,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    written: dict[str, Any],
    last: int,
) -> None:
    """At the last call, which is for the second window of the second frame, or for all of it."""
    plane = np.tile(make_movie(1)[0], (17, 1))
    for t in range(2):
        tifffile.imwrite(tmp_path / f"f{t}.tif", plane, **written)
    windows_of = Model.apply_windows
    calls = []

    def breaking(self: Model, *args: Any, **kwargs: Any) -> Iterator[Any]:
        calls.append(None)
        yield next(windows := windows_of(self, *args, **kwargs))
        if len(calls) == last:
            raise InputError("the second half is gone")
        yield from windows

    monkeypatch.setattr(Model, "apply_windows", breaking)
    report = apply(model, tmp_path, tmp_path / "out.ome.zarr")
    labels = labels_in(tmp_path / "out.ome.zarr")
    assert labels[0].all()
    assert not labels[1].any()
    assert report.failed == (("f1.tif", "the second half is gone"),)


@pytest.mark.parametrize("name", FORMATS)
def test_where_no_frame_can_be_read_nothing_is_written(
    model: Model, broken: Path, tmp_path: Path, name: str
) -> None:
    (broken / "f0.tif").unlink()
    (broken / "f2.tif").unlink()
    with pytest.raises(InputError, match=r"None of the|Not one of the"):
        apply(model, broken, tmp_path / name)
    assert not (tmp_path / name).exists()
    assert leftovers(tmp_path) == []


def test_where_every_frame_breaks_nothing_is_left(
    model: Model, chunked: Path, tmp_path: Path
) -> None:
    for t in range(N_FRAMES):
        (chunked / f"c/{t}/0/0").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="Not one of the frames could be segmented; frame 0 of"):
        apply(model, chunked, tmp_path / "out.ome.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["movie.zarr"]


def test_an_error_of_the_machine_stops_the_run_and_keeps_what_is_done(
    model: Model,
    movie: Path,
    tmp_path: Path,
    undisturbed: Contents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    windows_of = Model.apply_windows
    calls = []

    def failing(self: Model, *args: Any, **kwargs: Any) -> Iterator[Any]:
        calls.append(None)
        if len(calls) == 3:
            raise OutOfMemoryError("too large")
        return windows_of(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Model, "apply_windows", failing)
        with pytest.raises(OutOfMemoryError, match="too large"):
            apply(model, movie, tmp_path / "out.ome.zarr")
    again = apply_stack(model, movie, tmp_path / "out.ome.zarr", workers=1, resume=True)
    assert next(again).done >= 2
    result_of(again)
    assert contents(tmp_path / "out.ome.zarr") == undisturbed["out.ome.zarr"]


# --- what is there already ---------------------------------------------------------


@pytest.mark.parametrize("inputs", FORMATS, indirect=True)
def test_nothing_is_overwritten_without_force(
    model: Model,
    inputs: Path,
    tmp_path: Path,
    undisturbed: Contents,
    request: pytest.FixtureRequest,
) -> None:
    name = request.node.callspec.params["inputs"]
    apply(model, inputs, tmp_path / name, frames=slice(1))
    before = contents(tmp_path / name)
    with pytest.raises(OutputError, match="exists already"):
        apply(model, inputs, tmp_path / name)
    assert contents(tmp_path / name) == before
    assert leftovers(tmp_path) == []
    apply(model, inputs, tmp_path / name, force=True)
    assert contents(tmp_path / name) == undisturbed[name]
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("name", FORMATS[:2])
def test_a_folder_of_something_else_is_never_overwritten(
    model: Model, movie: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.txt").write_text("precious")
    with pytest.raises(OutputError, match="is a folder, but no zarr"):
        apply(model, movie, tmp_path / name, force=True)
    assert (tmp_path / name / "thesis.txt").read_text() == "precious"


def test_other_files_in_a_folder_are_left_alone(model: Model, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("precious")
    apply(model, folder, tmp_path / "out")
    assert (tmp_path / "out" / "notes.txt").read_text() == "precious"


def test_a_folder_that_is_not_there_is_one_sentence(
    model: Model, movie: Path, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match="does not exist; create it first"):
        apply(model, movie, tmp_path / "none" / "out.ome.zarr")


# --- stop, resume ------------------------------------------------------------------


@pytest.mark.parametrize("inputs", FORMATS, indirect=True)
@pytest.mark.parametrize("n_done", range(N_FRAMES + 1))
def test_a_run_that_was_closed_is_finished_with_the_same_bytes(
    model: Model,
    inputs: Path,
    tmp_path: Path,
    undisturbed: Contents,
    request: pytest.FixtureRequest,
    n_done: int,
) -> None:
    name = request.node.callspec.params["inputs"]
    steps = apply_stack(model, inputs, tmp_path / name, workers=1)
    while next(steps).done < n_done:
        pass
    steps.close()
    again = apply_stack(model, inputs, tmp_path / name, workers=1, resume=True)
    assert next(again).done >= n_done
    report = result_of(again)
    assert report.done == len(report.frames) == N_FRAMES
    assert contents(tmp_path / name) == undisturbed[name]
    assert leftovers(tmp_path) == []


def test_until_it_is_whole_nothing_stands_under_its_name(
    model: Model, movie: Path, tmp_path: Path
) -> None:
    steps = apply_stack(model, movie, tmp_path / "out.ome.zarr", workers=1)
    next(steps)
    for step in steps:
        if step.done < step.total:
            assert [path.name for path in tmp_path.iterdir()] == [".out.ome.zarr.part"]


def test_an_earlier_run_is_neither_finished_nor_thrown_away_unasked(
    model: Model, movie: Path, tmp_path: Path, undisturbed: Contents
) -> None:
    output = tmp_path / "out.ome.zarr"
    steps = apply_stack(model, movie, output, workers=1)
    next(steps), next(steps)
    steps.close()
    with pytest.raises(OutputError, match="was not finished; choose another name"):
        apply(model, movie, output)
    fresh = apply_stack(model, movie, output, workers=1, force=True)
    assert next(fresh).done == 0
    result_of(fresh)
    assert contents(output) == undisturbed["out.ome.zarr"]


def test_a_run_of_another_plan_is_not_finished(model: Model, movie: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.ome.zarr"
    steps = apply_stack(model, movie, output, workers=1)
    next(steps), next(steps)
    steps.close()
    with pytest.raises(OutputError, match=r"\(the choice of frames and how the model is"):
        apply(
            model,
            movie,
            output,
            resume=True,
            frames=slice(3),
            params=ApplyParams(intensities="frame"),
        )
    assert apply(model, movie, output, resume=True).done == N_FRAMES


def test_resume_where_nothing_was_cut_short(model: Model, movie: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.ome.zarr"
    assert apply(model, movie, output, resume=True).done == N_FRAMES
    before = contents(output)
    report = apply(model, movie, output, resume=True)
    assert "nothing to do" in report.notes[0]
    assert contents(output) == before


def test_a_table_of_what_is_done_already_is_refused(
    model: Model, movie: Path, tmp_path: Path
) -> None:
    output, table = tmp_path / "out.ome.zarr", tmp_path / "areas.csv"
    apply(model, movie, output)
    with pytest.raises(OutputError, match=r"areas\.csv could only be written along with it"):
        apply(model, movie, output, resume=True, table=table)
    apply(model, movie, output, force=True, table=table)
    assert "nothing to do" in apply(model, movie, output, resume=True, table=table).notes[0]


@pytest.mark.parametrize("name", ["out.ome.zarr", "out.ome.tif", "out"])
def test_outputs_of_another_model_are_not_taken_for_done(
    model: Model, movie: Path, tmp_path: Path, name: str
) -> None:
    output = tmp_path / name
    apply(model, movie, output, resume=True)
    assert "nothing to do" in apply(model, movie, output, resume=True).notes[0]
    for other in ({"params": ApplyParams(intensities="frame")}, {}):
        named = model.with_facts(class_names={1: "thing"}) if not other else model
        with pytest.raises(OutputError, match="exists already"):
            apply(named, movie, output, resume=True, **other)


@pytest.mark.parametrize("name", FORMATS[:2])
def test_an_output_of_other_frames_is_no_reason_to_do_nothing(
    model: Model, movie: Path, tmp_path: Path, name: str
) -> None:
    output = tmp_path / name
    apply(model, movie, output, frames=slice(0, 3))
    assert "nothing to do" in apply(model, movie, output, frames=slice(0, 3), resume=True).notes[0]
    for frames in (slice(0, 5), slice(3, 6), None):
        with pytest.raises(OutputError, match="exists already"):
            apply(model, movie, output, frames=frames, resume=True)


def test_a_forced_run_is_resumed_without_saying_so_again(
    model: Model, movie: Path, tmp_path: Path, undisturbed: Contents
) -> None:
    output = tmp_path / "out.ome.tif"
    output.write_bytes(b"old")
    steps = apply_stack(model, movie, output, workers=1, force=True)
    next(steps), next(steps)
    steps.close()
    assert output.read_bytes() == b"old"
    apply(model, movie, output, resume=True)
    assert contents(output) == undisturbed["out.ome.tif"]


def test_what_others_put_there_in_the_meantime_is_not_overwritten(
    model: Model, movie: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.ome.tif"
    steps = apply_stack(model, movie, output, workers=1)
    next(steps)
    output.write_bytes(b"precious")
    with pytest.raises(OutputError, match="put there by another program"):
        result_of(steps)
    assert output.read_bytes() == b"precious"
    output.unlink()
    assert apply(model, movie, output, resume=True).done == N_FRAMES


def test_a_run_that_ends_before_anything_is_done_leaves_nothing(
    model: Model, movie: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.ome.zarr"
    with pytest.raises(ClusterError, match="cannot be reached"):
        apply(model, movie, output, scheduler="tcp://127.0.0.1:1")
    assert leftovers(tmp_path) == []
    steps = apply_stack(model, movie, output, workers=1)
    next(steps)
    steps.close()
    assert leftovers(tmp_path) == []
    assert apply(model, movie, output).done == N_FRAMES


def test_two_runs_for_one_output_do_not_meet(model: Model, movie: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.ome.zarr"
    first = apply_stack(model, movie, output, workers=1)
    next(first)
    for more in ({}, {"resume": True}, {"force": True}):
        with pytest.raises(OutputError, match="Another run is writing"):
            apply(model, movie, output, **more)
    assert result_of(first).done == N_FRAMES
    assert labels_in(output).all()


def test_a_journal_that_another_run_removes_at_this_moment_is_made_again(
    model: Model, movie: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folders = journal._make_folders

    def removed(plan: Any) -> bool:
        made = make_folders(plan)
        plan.journal.rmdir()
        return made

    monkeypatch.setattr(journal, "_make_folders", removed)
    assert apply(model, movie, tmp_path / "out.ome.zarr").done == N_FRAMES
    assert leftovers(tmp_path) == []


def test_a_damaged_note_means_that_the_frame_is_not_done(
    model: Model, movie: Path, tmp_path: Path, undisturbed: Contents
) -> None:
    output = tmp_path / "out.ome.zarr"
    steps = apply_stack(model, movie, output, workers=1)
    next(steps), next(steps), next(steps)
    steps.close()
    notes = sorted(tmp_path.rglob("done/*.json"))
    notes[0].write_text("")
    notes[1].write_text(json.dumps({"areas": {}})[:5])
    apply(model, movie, output, resume=True)
    assert contents(output) == undisturbed["out.ome.zarr"]


def test_a_frame_that_failed_gets_another_try(
    model: Model, chunked: Path, frames: np.ndarray, tmp_path: Path, expected: np.ndarray
) -> None:
    output = tmp_path / "out.ome.zarr"
    steps = apply_stack(model, chunked, output, workers=1)
    while next(steps).done < 4:
        pass
    steps.close()
    zarr.open_array(chunked, mode="r+")[2] = frames[2]
    report = apply(model, chunked, output, resume=True)
    assert report.failed == ()
    np.testing.assert_array_equal(labels_in(output), expected)


def test_the_threads_of_this_program_are_left_as_they_were(
    model: Model, movie: Path, tmp_path: Path
) -> None:
    import torch

    before = torch.get_num_threads()
    apply(model, movie, tmp_path / "out.ome.zarr", options=RunOptions(threads=1))
    assert torch.get_num_threads() == before


def cut_short(model: Model, movie: Path, output: Path) -> Path:
    """Begin a run, close it after some frames, and return the folder that it has left."""
    steps = apply_stack(model, movie, output, workers=1)
    for _ in range(4):
        next(steps)
    steps.close()
    [left] = output.parent.glob(".*.part")
    return left


@pytest.mark.parametrize(
    "text",
    ["[]", "7", "{}", '{"areas": 3}', '{"areas": {"x": 1}}', '{"areas": {}, "confidence": "high"}'],
)
def test_what_is_known_of_a_frame_may_be_damaged_then_it_is_done_again(
    model: Model, movie: Path, tmp_path: Path, text: str
) -> None:
    left = cut_short(model, movie, tmp_path / "out.ome.tif")
    for path in left.rglob("done/*.json"):
        path.write_text(text)
    apply(model, movie, tmp_path / "out.ome.tif", resume=True)
    apply(model, movie, tmp_path / "whole.ome.tif")
    labels = [tifffile.imread(tmp_path / name) for name in ("out.ome.tif", "whole.ome.tif")]
    np.testing.assert_array_equal(*labels)


@pytest.mark.parametrize("names", [[], ["../../elsewhere"], ["0123456"], ["01234567", "89abcdef"]])
def test_what_an_earlier_run_left_leads_nowhere_else(
    model: Model, movie: Path, tmp_path: Path, names: list[str]
) -> None:
    output = tmp_path / "out.ome.tif"
    left = cut_short(model, movie, output)
    [work] = (path for path in left.iterdir() if path.is_dir())
    for name in names:
        shutil.copytree(work, left / name)
    shutil.rmtree(work)
    with pytest.raises(OutputError, match="is damaged; choose another name"):
        apply(model, movie, output, resume=True)
    assert not output.exists()
