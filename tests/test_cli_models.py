"""The commands train, apply and card."""

from __future__ import annotations

import csv
import io
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image
from tqdm import tqdm

from napari_diffseg import Model, SegmentationParams, cli, train
from napari_diffseg.batch import run
from napari_diffseg.cli import options
from napari_diffseg.core.published.training import Command
from napari_diffseg.io.label_files.label_store import LabelStore

SMALL = ["--n-clusters", "6", "--n-iterations", "4", "--threads", "1"]
N_FRAMES, SIDE = 6, 48


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """A bright half that grows, ``t y x``."""
    noise = np.random.default_rng(0).normal(0, 5, (N_FRAMES, SIDE, SIDE))
    edges = 16 + 3 * np.arange(N_FRAMES)
    return (60 + 120 * (np.arange(SIDE) < edges[:, None, None]) + noise).astype(np.uint8)


@pytest.fixture
def movie(frames: np.ndarray, tmp_path: Path) -> Path:
    path = tmp_path / "movie.ome.tif"
    size = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(path, frames, ome=True, metadata={"axes": "TYX", **size})
    return path


@pytest.fixture
def strokes(tmp_path: Path) -> Path:
    """Strokes on frames 1 and 4 of the movie: 1 in the bright half, 2 beside it."""
    painted = np.zeros((N_FRAMES, SIDE, SIDE), np.uint8)
    for t in (1, 4):
        painted[t, 10:40, 4:8] = 1
        painted[t, 10:40, 40:44] = 2
    path = tmp_path / "strokes.tif"
    tifffile.imwrite(path, painted, photometric="minisblack")
    return path


@pytest.fixture(scope="module")
def model_file(frames: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    params = SegmentationParams(n_clusters=6, n_iterations=4, n_labels=2)
    path = tmp_path_factory.mktemp("models") / "half.safetensors"
    train([frames[0], frames[-1]], params=params).save(path)
    return path


def run_command(*arguments: str | Path) -> int:
    return cli.main([str(argument) for argument in arguments])


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err.removeprefix("napari-diffseg: error: ").strip()


# --- train -------------------------------------------------------------------------


def test_a_model_is_learned_from_painted_frames(
    movie: Path, strokes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "m.safetensors"
    assert run_command("train", movie, "--scribbles", strokes, "-o", output, *SMALL) == 0
    model = Model.load(output)
    assert model.labels == (1, 2)
    assert str(model.facts.pixel_size) == "0.5 × 0.5 µm"
    assert model.facts.provenance["images"] == [
        "frame 1 of movie.ome.tif",
        "frame 4 of movie.ome.tif",
    ]
    assert model.facts.provenance["scribbles"] == ["strokes.tif"]
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "2 labels, from 2 images" in printed.err
    assert printed.err.endswith(f"written to {output}\n")


def test_a_short_movie_without_names_of_axes_is_a_movie_where_that_is_known(
    frames: np.ndarray, strokes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    movie, model = tmp_path / "plain.tif", tmp_path / "m.safetensors"
    tifffile.imwrite(movie, frames, photometric="minisblack")
    assert (
        cli.main(["train", str(movie), "--scribbles", str(strokes), "-o", str(model), *SMALL]) == 0
    )
    assert "was taken for time" in capsys.readouterr().err
    output = tmp_path / "labels.tif"
    assert cli.main(["apply", str(model), str(movie), "-o", str(output)]) == 0
    assert "was taken for time" in capsys.readouterr().err
    assert tifffile.imread(output).shape == frames.shape
    # Where nothing says which, it says how it was taken.
    assert cli.main(["train", str(movie), "-o", str(tmp_path / "c.safetensors"), *SMALL]) == 0
    assert "was taken for channels" in capsys.readouterr().err


def test_classes_have_names(
    movie: Path, strokes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "named.safetensors"
    told = ["train", str(movie), "--scribbles", str(strokes), "-o", str(path), *SMALL]
    assert cli.main([*told, "--names", "1=bright half,3=nobody"]) == 0
    assert "no label 3 in the result (it has 1, 2)" in capsys.readouterr().err
    assert Model.load(path).facts.class_names == {1: "bright half"}
    assert cli.main([*told, "--force", "--names", "1=bright half,2=the rest"]) == 0
    assert Model.load(path).facts.class_names == {1: "bright half", 2: "the rest"}
    with pytest.raises(SystemExit):
        cli.main([*told, "--names", "1=,2"])


def test_without_scribbles_it_learns_from_start_middle_and_end(
    movie: Path, frames: np.ndarray, tmp_path: Path
) -> None:
    output = tmp_path / "m.safetensors"
    assert run_command("train", movie, "-o", output, "--quiet", *SMALL) == 0
    params = SegmentationParams(n_clusters=6, n_iterations=4)
    expected = train([frames[0], frames[3], frames[5]], axes="YX", params=params)
    assert Model.load(output).checksum == expected.checksum


def test_frames_to_learn_from_can_be_named(movie: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.safetensors"
    assert run_command("train", movie, "-o", output, "--frames", "2,5", *SMALL) == 0
    names = Model.load(output).facts.provenance["images"]
    assert names == ["frame 2 of movie.ome.tif", "frame 5 of movie.ome.tif"]


def test_some_images_have_scribbles_and_some_have_none(
    frames: np.ndarray, strokes: Path, tmp_path: Path
) -> None:
    images = [tmp_path / f"{name}.png" for name in "ab"]
    for image, frame in zip(images, frames, strict=False):
        Image.fromarray(frame).save(image)
    Image.fromarray(tifffile.imread(strokes)[1]).save(tmp_path / "b-strokes.png")
    output = tmp_path / "m.safetensors"
    more = ["--scribbles", "-", tmp_path / "b-strokes.png", "-o", output]
    assert run_command("train", *images, *more, *SMALL) == 0
    assert Model.load(output).labels == (1, 2)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["-o", "m.pt"], "another ending than .safetensors"),
        (["-o", "none/m.safetensors"], "does not exist"),
        (["--frames", "6"], "There is no frame 6"),
        (["--scribbles", "-", "-"], "names 1 reference, but 2 files of scribbles"),
        (["--axes", "CYX"], "6"),
        (["--momentum", "2"], "momentum is 2.0, but must be"),
    ],
)
def test_what_cannot_be_learned_from_is_one_line(
    movie: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code = run_command("train", movie, "-o", "m.safetensors", *more, *SMALL)
    if code == 0:  # channels are as good as frames
        assert more == ["--axes", "CYX"]
        assert Model.load("m.safetensors").n_channels == N_FRAMES
        return
    assert code == 1
    assert message in error_line(capsys)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_scribbles_of_another_shape_are_one_line(
    movie: Path, strokes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tifffile.imwrite(strokes, tifffile.imread(strokes)[:3], photometric="minisblack")
    output = tmp_path / "m.safetensors"
    assert run_command("train", movie, "--scribbles", strokes, "-o", output, *SMALL) == 1
    assert "has 6 frames of 48 × 48; give scribbles of the same" in error_line(capsys)
    tifffile.imwrite(strokes, np.zeros((N_FRAMES, SIDE, SIDE), np.uint8), photometric="minisblack")
    assert run_command("train", movie, "--scribbles", strokes, "-o", output, *SMALL) == 1
    assert "Nothing is painted on" in error_line(capsys)


def test_images_of_two_kinds_are_one_line(
    frames: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gray, colours = tmp_path / "gray.png", tmp_path / "colours.png"
    Image.fromarray(frames[0]).save(gray)
    Image.fromarray(np.stack([frames[0]] * 3, axis=-1)).save(colours)
    assert run_command("train", gray, colours, "-o", tmp_path / "m.safetensors", *SMALL) == 1
    assert "learn from images of one kind" in error_line(capsys)


def test_images_of_one_kind_may_lie_in_files_that_say_more_or_less(
    frames: np.ndarray, tmp_path: Path
) -> None:
    """A zarr array does not say whether it is in colours, a picture does."""
    picture, array = tmp_path / "a.png", tmp_path / "b.zarr"
    Image.fromarray(frames[0]).save(picture)
    zarr.save_array(array, frames[1])
    output = tmp_path / "m.safetensors"
    assert run_command("train", picture, array, "-o", output, *SMALL) == 0
    assert not Model.load(output).facts.rgb


def test_frames_that_are_not_there_are_one_line_with_scribbles_too(
    movie: Path, strokes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--scribbles", strokes, "--frames", "0,99", "-o", tmp_path / "m.safetensors"]
    assert run_command("train", movie, *more, *SMALL) == 1
    assert "There is no frame 99" in error_line(capsys)


def test_a_model_is_not_overwritten_without_force(
    movie: Path, model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "m.safetensors"
    output.write_bytes(b"precious")
    assert run_command("train", movie, "-o", output, *SMALL) == 1
    assert (
        "exists already; choose another name, or overwrite what is there (--force)."
        in error_line(capsys)
    )
    assert output.read_bytes() == b"precious"
    assert run_command("train", movie, "-o", output, "--force", *SMALL) == 0
    assert Model.load(output).labels


def test_the_first_ctrl_c_keeps_what_was_learned(
    movie: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from napari_diffseg.core import learning

    steps_of, heard = learning.train_steps, []

    def pressed(*args: Any, **kwargs: Any) -> Any:
        inner, command = steps_of(*args, **kwargs), None
        while True:
            try:
                step = inner.send(command)
            except StopIteration as end:
                return end.value
            if step.index == 2 and len(heard) == 1:
                signal.raise_signal(signal.SIGINT)
            command = yield step
            heard.append(command)

    monkeypatch.setattr(learning, "train_steps", pressed)
    output = tmp_path / "m.safetensors"
    assert run_command("train", movie, "-o", output, *SMALL) == 0
    assert Command.FINISH in heard
    assert "press Ctrl-C again to cancel" in capfd.readouterr().err
    assert Model.load(output).labels


# --- card --------------------------------------------------------------------------


def test_the_card_is_markdown(model_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("card", model_file) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.startswith("# ")
    assert Model.load(model_file).checksum in printed.out


def test_a_file_that_is_no_model_is_one_line(
    movie: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["card", movie], ["apply", movie, movie, "-o", tmp_path / "out.ome.zarr"]):
        assert run_command(*arguments) == 1
        assert "no model of this program" in error_line(capsys)


# --- apply -------------------------------------------------------------------------


def test_a_movie_becomes_a_zarr_and_a_table(
    model_file: Path,
    movie: Path,
    frames: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output, table = tmp_path / "out.ome.zarr", tmp_path / "areas.csv"
    assert run_command("apply", model_file, movie, "-o", output, "--table", table) == 0
    model = Model.load(model_file)
    labels = np.asarray(LabelStore.open(output).array[:])
    np.testing.assert_array_equal(labels, [model.apply(frame, axes="YX") for frame in frames])
    with table.open(newline="") as file:
        areas = [int(row["area_px"]) for row in csv.DictReader(file) if row["label"] == "1"]
    assert areas == [np.count_nonzero(frame == 1) for frame in labels]
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "6 frames, " in printed.err
    assert "frames a second: written to" in printed.err


def test_the_channel_that_is_meant_can_be_named(
    model_file: Path, frames: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model of one channel, on files of several: by name, or by number."""
    path, out = tmp_path / "two.ome.tif", tmp_path / "out.ome.tif"
    pixels = np.stack([np.flip(frames, 1), frames], 1)[:2]
    said = {"axes": "TCYX", "Channel": {"Name": ["DAPI", "GFP"]}}
    tifffile.imwrite(path, pixels, metadata=said, photometric="minisblack")
    apply = "apply", model_file, path, "-o", out, "--quiet", "--force"
    assert run_command(*apply) == 1
    assert "say which of its channels the model looks at (--channels)." in error_line(capsys)
    wanted = [Model.load(model_file).apply(frame, axes="YX") for frame in frames[:2]]
    for channel in ("GFP", "2"):
        assert run_command(*apply, "--channels", channel) == 0
        np.testing.assert_array_equal(tifffile.imread(out), wanted)
    for channels, words in (("1,2", "looks at 1 channel"), ("RFP", "no channel 'RFP'")):
        assert run_command(*apply, "--channels", channels) == 1
        assert words in error_line(capsys)


def test_a_damaged_file_before_the_others_does_not_hide_their_channels(
    model_file: Path, frames: np.ndarray, tmp_path: Path
) -> None:
    (folder := tmp_path / "images").mkdir()
    (folder / "a.tif").write_bytes(b"no image")
    said = {"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}}
    pixels = np.stack([np.flip(frames[0]), frames[0]])
    tifffile.imwrite(folder / "b.ome.tif", pixels, metadata=said, photometric="minisblack")
    out = tmp_path / "labels"
    assert run_command("apply", model_file, folder, "-o", out, "--channels", "GFP") == 3
    wanted = Model.load(model_file).apply(frames[0], axes="YX")
    np.testing.assert_array_equal(tifffile.imread(out / "b.ome.tif"), wanted)


def test_some_frames_on_other_terms(
    model_file: Path, movie: Path, frames: np.ndarray, tmp_path: Path
) -> None:
    output = tmp_path / "out.ome.tif"
    more = ["--frames", "1:6:2", "--intensities", "frame", "--workers", "2", "--quiet"]
    assert run_command("apply", model_file, movie, "-o", output, *more) == 0
    from napari_diffseg import ApplyParams

    model, params = Model.load(model_file), ApplyParams(intensities="frame")
    wanted = [model.apply(frame, axes="YX", params=params) for frame in frames[1::2]]
    np.testing.assert_array_equal(tifffile.imread(output), wanted)


def test_a_damaged_frame_is_named_and_the_exit_code_says_so(
    model_file: Path, frames: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "movie.zarr"
    zarr.create_array(store=path, data=frames, chunks=(1, SIDE, SIDE), dimension_names=list("tyx"))
    (path / "c/2/0/0").write_bytes(b"nonsense")
    output = tmp_path / "out.ome.zarr"
    assert run_command("apply", model_file, path, "-o", output, "--quiet") == 3
    line = error_line(capsys)
    assert line.startswith("frame 2 of movie.zarr was not segmented: ")
    assert "damaged" in line


def test_the_way_out_of_a_frame_that_failed_is_named(
    model_file: Path, frames: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bright = frames.astype(np.uint16)
    bright[3] = 10_000 + 9 * bright[3]
    tifffile.imwrite(tmp_path / "movie.tif", bright, ome=True, metadata={"axes": "TYX"})
    output = tmp_path / "out.ome.zarr"
    assert run_command("apply", model_file, tmp_path / "movie.tif", "-o", output, "--quiet") == 3
    line = error_line(capsys)
    assert line.startswith("frame 3 of movie.tif was not segmented: The image is uint16 with")
    assert line.endswith("let each frame have its own intensities (--intensities frame).")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--scheduler", "fast"], "scheduler is 'fast', but must be"),
        (["--frames", "7:9"], "has 6 frames"),
        (["--intensities", "loud"], "intensities is 'loud', but must be"),
        (["--adapt-steps", "-1"], "adapt_steps is -1, but must be"),
        (["--axes", "TYQ"], "Q"),
        (["--device", "cuda:99"], "Device 'cuda:99' is not on this machine"),
        (["--workers", "-1"], "workers is -1, but must be 0 or more"),
    ],
)
def test_wrong_values_are_one_line(
    model_file: Path,
    movie: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    message: str,
) -> None:
    output = tmp_path / "out.ome.zarr"
    assert run_command("apply", model_file, movie, "-o", output, *more) == 1
    assert message in error_line(capsys)
    assert [path.name for path in tmp_path.iterdir()] == [movie.name]


@pytest.mark.parametrize("choice", ["a", "0:5:0", "1:2:3:4", "", "1,2"])
def test_frames_that_make_no_sense_are_wrong_usage(
    choice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        run_command("apply", "m.safetensors", "in.tif", "-o", "out.tif", "--frames", choice)
    assert stop.value.code == 2
    assert "--frames" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("3", [3]),
        ("-1", [9]),
        ("0:4", [0, 1, 2, 3]),
        ("::4", [0, 4, 8]),
        ("8:", [8, 9]),
        ("0:5000:3", [0, 3, 6, 9]),
    ],
)
def test_frames_are_chosen_as_python_slices(text: str, wanted: list[int]) -> None:
    assert list(range(10))[options.frame_slice(text)] == wanted


def pressed_at(n_done: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Ctrl-C pressed once so many frames are done."""
    steps_of = run.apply_stack

    def pressed(*args: Any, **kwargs: Any) -> Iterator[Any]:
        inner = steps_of(*args, **kwargs)
        try:
            while True:
                step = next(inner)
                yield step
                if step.done == n_done:
                    signal.raise_signal(signal.SIGINT)
        except StopIteration as end:
            return end.value
        finally:
            inner.close()

    monkeypatch.setattr(run, "apply_stack", pressed)


@pytest.fixture
def stopped(model_file: Path, movie: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Apply the model to the movie, and press Ctrl-C once two frames are done."""

    def begin(output: Path, *options: str) -> None:
        with monkeypatch.context() as patch:
            pressed_at(2, patch)
            told = ("apply", model_file, movie, "-o", output, "--workers", "1", *options)
            assert run_command(*told) == 130

    return begin


def test_ctrl_c_keeps_the_frames_that_are_done(
    model_file: Path,
    movie: Path,
    tmp_path: Path,
    stopped: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "out.ome.tif"
    stopped(output)
    assert capsys.readouterr().err == (
        "napari-diffseg: stopped; the frames that are done are kept: run again with --resume.\n"
    )
    assert not output.exists()
    assert run_command("apply", model_file, movie, "-o", output) == 1
    assert error_line(capsys).endswith(
        "was not finished; choose another name, or finish it (--resume), or begin anew (--force)."
    )
    assert run_command("apply", model_file, movie, "-o", output, "--resume") == 0
    assert "6 frames, 2 of them by an earlier run" in capsys.readouterr().err
    assert tifffile.imread(output).all()
    assert run_command("apply", model_file, movie, "-o", output, "--resume") == 0
    assert "nothing to do" in capsys.readouterr().err


def test_to_begin_anew_where_results_stand_already_is_to_overwrite_them(
    model_file: Path,
    movie: Path,
    tmp_path: Path,
    stopped: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "out.ome.tif"
    assert run_command("apply", model_file, movie, "-o", output) == 0
    stopped(output, "--force")
    capsys.readouterr()
    assert run_command("apply", model_file, movie, "-o", output) == 1
    assert error_line(capsys).endswith(
        "finish it (--resume), or overwrite what is there (--force)."
    )


def test_progress_has_a_rate_and_the_time_left(
    model_file: Path, movie: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("tqdm.tqdm", partial(tqdm, mininterval=0))
    assert run_command("apply", model_file, movie, "-o", tmp_path / "out.tif") == 0
    shown = terminal.getvalue()
    assert "6/6" in shown
    assert "frames/s" in shown


def test_the_help_of_the_new_commands(capsys: pytest.CaptureFixture[str]) -> None:
    for command, wanted in [
        ("train", ["--scribbles FILE", "--frames N,N", "--continuity-weight"]),
        ("apply", ["--resume", "--scheduler", "--intensities trained|frame", "--adapt-steps"]),
        ("card", ["MODEL"]),
    ]:
        with pytest.raises(SystemExit) as stop:
            run_command(command, "--help")
        assert stop.value.code == 0
        shown = " ".join(capsys.readouterr().out.split())
        for text in wanted:
            assert text in shown
