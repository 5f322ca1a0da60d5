from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from tqdm import tqdm

import napari_diffseg
from napari_diffseg import cli
from napari_diffseg.core import segmentation
from napari_diffseg.core.training import Command, Iteration
from napari_diffseg.io.reading import read_image
from napari_diffseg.params import PRESETS, SegmentationParams

SMALL = ["--n-features", "4", "--n-clusters", "6", "--n-iterations", "4", "--min-labels", "1"]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An OME-TIFF of two halves, with a pixel of 0.5 × 0.25 µm."""
    pixels = np.random.default_rng(0).integers(0, 30, (24, 32), dtype=np.uint8)
    pixels[:, 16:] += 150
    path = tmp_path / "cells.ome.tif"
    tifffile.imwrite(
        path,
        pixels,
        ome=True,
        metadata={"axes": "YX", "PhysicalSizeY": 0.5, "PhysicalSizeX": 0.25},
    )
    return path


def segment(*arguments: str | Path) -> int:
    return cli.main(["segment", *map(str, arguments), *SMALL])


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was printed: one line on stderr, without the program's name."""
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("napari-diffseg: error: ")
    return printed.err.removeprefix("napari-diffseg: error: ").strip()


# --- segment -----------------------------------------------------------------------


def test_labels_pixel_size_and_provenance_are_written(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "labels.ome.tif"
    assert segment(image, "-o", output, "--seed", "3", "--continuity-weight", "2.5") == 0
    labels = read_image(output)
    assert labels.pixels.shape == (24, 32)
    assert labels.pixels.min() == 1
    assert str(labels.pixel_size) == "0.5 × 0.25 µm"
    with tifffile.TiffFile(output) as tif:
        xml = tif.ome_metadata or ""
    described = tifffile.xml2dict(xml)["OME"]["Image"]["Description"]
    provenance = json.loads(described) if isinstance(described, str) else described
    assert provenance["image"] == "cells.ome.tif"
    assert provenance["params"]["seed"] == 3
    assert provenance["params"]["continuity_weight"] == 2.5
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"{labels.pixels.max()} labels, 4 of 4 iterations" in printed.err
    assert "all iterations done" in printed.err


def test_same_seed_gives_the_same_labels_as_in_python(image: Path, tmp_path: Path) -> None:
    assert segment(image, "-o", tmp_path / "labels.png", "--quiet") == 0
    params = SegmentationParams(n_features=4, n_clusters=6, n_iterations=4, min_labels=1)
    expected = segmentation.segment(tifffile.imread(image), params=params).labels
    np.testing.assert_array_equal(read_image(tmp_path / "labels.png").pixels, expected)


def test_resolution_goes_from_png_to_png(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.png", dpi=(101600, 50800))
    assert segment(tmp_path / "in.png", "-o", tmp_path / "out.png") == 0
    with Image.open(tmp_path / "out.png") as labels:
        assert labels.info["dpi"] == pytest.approx((101600, 50800))


def test_stated_axes_turn_the_labels_and_the_pixel(image: Path, tmp_path: Path) -> None:
    assert segment(image, "-o", tmp_path / "out.tif", "--axes", "XY") == 0
    labels = read_image(tmp_path / "out.tif")
    assert labels.pixels.shape == (32, 24)
    assert str(labels.pixel_size) == "0.25 × 0.5 µm"


def test_notes_are_printed_unless_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planes = np.random.default_rng(0).integers(0, 255, (2, 16, 16), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "in.tif", planes, photometric="minisblack")
    assert segment(tmp_path / "in.tif", "-o", tmp_path / "out.tif") == 0
    assert "napari-diffseg: The axes were guessed as CYX" in capsys.readouterr().err
    assert segment(tmp_path / "in.tif", "-o", tmp_path / "out.tif", "--force", "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_progress_shows_iteration_clusters_and_loss_on_a_terminal(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("tqdm.tqdm", partial(tqdm, mininterval=0))
    assert segment(image, "-o", tmp_path / "out.tif") == 0
    last = terminal.getvalue().split("4/4")[1]
    assert "clusters=" in last
    assert "loss=" in last


@pytest.mark.parametrize("preset", list(PRESETS))
def test_presets_are_changed_only_by_what_is_given(preset: str) -> None:
    args = cli._parser().parse_args(
        ["segment", "in.png", "-o", "out.png", "--preset", preset, "--seed", "7"]
    )
    expected = {**PRESETS[preset]().to_dict(), "seed": 7}  # type: ignore[operator]
    assert cli.read_parameters(args).to_dict() == expected


def test_every_parameter_is_an_option_with_symbol_bounds_and_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["segment", "--help"])
    assert stop.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for spec in SegmentationParams.specs():
        # Long options break at their hyphens.
        assert f"--{spec.name.replace('_', '-')}" in shown
        assert f"[{spec.range_text}; default {spec.default}" in shown
        assert not spec.symbol or f"{spec.symbol}: " in shown
    assert "--device" in shown
    assert "--threads" in shown


# --- errors ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--momentum", "2"], "momentum is 2.0, but must be 0 to 0.999."),
        (["--momentum", "nan"], "momentum is nan, but must be"),
        (["--n-blocks", "0"], "n_blocks is 0, but must be 1 to 16."),
        (["--intensity", "loud"], "intensity is 'loud', but must be 'percentile' or 'dtype'."),
        (["--threads", "-1"], "threads is -1, but must be"),
        (["--device", "cuda:99"], "Device 'cuda:99' is not on this machine"),
        (["--axes", "YQ"], "Q"),
        (["--axes", "YXC"], "YXC"),
        (["--axes", ""], ""),
    ],
)
def test_wrong_values_are_one_line(
    image: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    extra: list[str],
    message: str,
) -> None:
    output = tmp_path / "out.tif"
    assert cli.main(["segment", str(image), "-o", str(output), *extra]) == 1
    assert message in error_line(capsys)
    assert not output.exists()


def test_wrong_output_is_told_before_the_image_is_read(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path) -> None:
        raise AssertionError("too late")

    monkeypatch.setattr("napari_diffseg.io.reading.read_image", refuse)
    for output, message in [
        (tmp_path / "none" / "out.tif", "does not exist"),
        (tmp_path / "out.jpg", "ending"),
        (image, "is the image itself"),
    ]:
        assert segment(image, "-o", output) == 1
        assert message in error_line(capsys)
    assert segment(image, "-o", image, "--force") == 1
    assert "is the image itself" in error_line(capsys)


def test_nothing_is_overwritten_without_force(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.png"
    output.write_bytes(b"precious")
    assert segment(image, "-o", output) == 1
    assert "exists already" in error_line(capsys)
    assert output.read_bytes() == b"precious"
    assert segment(image, "-o", output, "--force") == 0
    assert read_image(output).pixels.shape == (24, 32)


def test_bad_image_is_one_line(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image.write_bytes(image.read_bytes()[:600])
    assert segment(image, "-o", tmp_path / "out.tif") == 1
    assert "truncated or damaged" in error_line(capsys)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["segment"],
        ["segment", "in.tif"],
        ["segment", "in.tif", "-o", "out.tif", "--n-blocks", "three"],
        ["segment", "in.tif", "-o", "out.tif", "--preset", "best"],
        ["segment", "in.tif", "-o", "out.tif", "--mom", "0.5"],
        ["paint"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("usage: napari-diffseg")


# --- Ctrl-C ------------------------------------------------------------------------


Steps = Callable[..., Generator[Iteration, Command | None, Any]]


def pressed(*iterations: int) -> Steps:
    """Return `segment_steps` with Ctrl-C pressed in these iterations."""
    steps_of = segmentation.segment_steps

    def steps(*args: Any, **kwargs: Any) -> Generator[Iteration, Command | None, Any]:
        inner = steps_of(*args, **kwargs)
        command = None
        while True:
            try:
                step = inner.send(command)
            except StopIteration as end:
                return end.value
            for iteration in iterations:
                if iteration == step.index:
                    signal.raise_signal(signal.SIGINT)
            command = yield step

    return steps


def test_first_interrupt_keeps_what_there_is(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(segmentation, "segment_steps", pressed(2))
    assert segment(image, "-o", tmp_path / "out.tif") == 0
    assert read_image(tmp_path / "out.tif").pixels.min() == 1
    printed = capsys.readouterr().err
    assert "press Ctrl-C again to cancel" in printed
    assert "labels, 2 of 4 iterations" in printed
    assert "finished by the user" in printed
    assert signal.getsignal(signal.SIGINT) is before


def test_second_interrupt_writes_nothing(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(segmentation, "segment_steps", pressed(2, 2))
    assert segment(image, "-o", tmp_path / "out.tif") == 130
    assert [entry.name for entry in tmp_path.iterdir()] == [image.name]
    assert capsys.readouterr().err.endswith("napari-diffseg: cancelled.\n")
    assert signal.getsignal(signal.SIGINT) is before


# --- info, version, help -----------------------------------------------------------


def test_info(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cli, "_PACKAGES", ("numpy", "no-such-package"))
    assert cli.main(["info"]) == 0
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert shown["napari-diffseg"] == napari_diffseg.__version__
    assert shown["numpy"] == np.__version__
    assert shown["no-such-package"] == "not installed"
    assert "cpu" in shown["devices"]
    assert shown["threads"]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"napari-diffseg {napari_diffseg.__version__}\n"


def test_help_loads_no_heavy_package_and_prints_on_any_terminal() -> None:
    program = (
        "import sys\n"
        "from napari_diffseg.cli import main\n"
        "try: main(['segment', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(bool({'torch', 'napari', 'skimage', 'numpy'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert "--continuity-weight" in run.stdout


# --- demo --------------------------------------------------------------------------


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Stand in for the process of the demo on a Linux machine without display; its calls."""
    calls: list[list[str]] = []

    def call(command: list[str]) -> int:
        calls.append(command)
        return 5

    monkeypatch.setattr(cli.subprocess, "call", call)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(cli, "find_spec", lambda name: object())
    monkeypatch.setattr(cli.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    return calls


DEMO = [sys.executable, "-m", "napari_diffseg.widgets.demo", "-o", "there"]


def test_demo_brings_its_own_display(called: list[list[str]]) -> None:
    assert cli.main(["demo", "-o", "there"]) == 5
    [command] = called
    assert command[0] == "/usr/bin/xvfb-run"
    assert command[-len(DEMO) :] == DEMO


@pytest.mark.parametrize("variable", ["DISPLAY", "WAYLAND_DISPLAY"])
def test_demo_uses_the_display_that_is_there(
    called: list[list[str]], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, ":0")
    assert cli.main(["demo", "-o", "there"]) == 5
    assert called == [DEMO]


def test_demo_without_display(
    called: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli.shutil, "which", lambda name: None)
    assert cli.main(["demo"]) == 1
    assert "xvfb" in error_line(capsys)
    assert called == []


def test_demo_without_napari(
    called: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    assert cli.main(["demo"]) == 1
    assert "pip install 'napari-diffseg[all]'" in error_line(capsys)
    assert called == []
