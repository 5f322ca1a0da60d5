from __future__ import annotations

import io
import json
import os
import re
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
from napari_diffseg.cli import machine, options
from napari_diffseg.cli.terminal import in_shell, say
from napari_diffseg.core import segmentation
from napari_diffseg.core.published.training import Command, Iteration
from napari_diffseg.errors import InputError, Remedy
from napari_diffseg.io.label_files.described import known_labels
from napari_diffseg.io.reading import read_image
from napari_diffseg.params import PRESETS, SegmentationParams

SMALL = ["--n-clusters", "6", "--n-iterations", "4", "--min-labels", "1"]


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


def test_a_stated_pixel_size_goes_before_that_of_the_file(image: Path, tmp_path: Path) -> None:
    output = tmp_path / "labels.ome.tif"
    assert segment(image, "-o", output, "--pixel-size", "0.65um") == 0
    assert str(read_image(output).pixel_size) == "0.65 × 0.65 µm"


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


def test_what_changes_nothing_is_said(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        cli.main(["segment", str(image), "-o", str(tmp_path / "a.png"), "--patch-size", "64"]) == 0
    )
    said = capsys.readouterr().err
    assert "Without --design published this changes nothing: --patch-size." in said
    assert cli.main(["segment", str(image), "-o", str(tmp_path / "b.png"), "--n-labels", "2"]) == 0
    assert "--design" not in capsys.readouterr().err


def test_names_of_labels_that_never_come_are_not_written_and_said(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "labels.ome.tif"
    told = "--names", "1=ground,9=x,7=y", "--n-labels", "2"
    assert segment(image, "-o", output, *told) == 0
    known = known_labels(output)
    assert known is not None
    assert known.names == {1: "ground"}
    said = capsys.readouterr().err
    assert "there is no label 9 and no 7 in the result (it has 1, 2), so its name" in said


def test_paths_are_named_as_seen_from_here(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    """Whichever they were made of inside."""
    here = image.parent
    monkeypatch.chdir(here)
    assert segment(image.name, "-o", "out.png") == 0
    assert "written to out.png" in capsys.readouterr().err
    say(f"{here}/a.tif, '{here}/b c.tif' and /else{here}/d")
    assert capsys.readouterr().err == f"napari-diffseg: a.tif, 'b c.tif' and /else{here}/d\n"


def test_same_seed_gives_the_same_labels_as_in_python(image: Path, tmp_path: Path) -> None:
    assert segment(image, "-o", tmp_path / "labels.png", "--quiet") == 0
    params = SegmentationParams(n_clusters=6, n_iterations=4, min_labels=1)
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


@pytest.mark.parametrize("remedy", Remedy)
def test_every_way_out_has_a_switch_that_a_command_knows(
    remedy: Remedy, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = in_shell(InputError("This is wrong; do that.", remedy))
    found = re.fullmatch(r"This is wrong; do that.* \((--[a-z]+).*\)\.", sentence)
    assert found is not None
    with pytest.raises(SystemExit):
        cli.main(["apply", "--help"])
    assert found[1] in capsys.readouterr().out


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
    args = cli.parser().parse_args(
        ["segment", "in.png", "-o", "out.png", "--preset", preset, "--seed", "7"]
    )
    expected = {**PRESETS[preset]().to_dict(), "seed": 7}  # type: ignore[operator]
    assert options.read_parameters(args).to_dict() == expected


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
        ["segment", "in.tif", "-o", "out.tif", "--names", "1=one,1=two"],
        ["measure", "objects.tif", "-o", "table.xlsx"],
        ["apply", "m.safetensors", "in.tif", "-o", "out.tif", "--table", "table.ods"],
        ["card", "m.safetensors", "more"],
        ["info", "--all"],
        ["demo", "more"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("napari-diffseg: error: ")
    command = f" {arguments[0]}" if arguments and arguments[0] != "paint" else ""
    assert said.endswith(f"; see `napari-diffseg{command} --help`.\n")
    assert said.count("\n") == 1


# --- scribbles ---------------------------------------------------------------------


@pytest.fixture
def scribbles(image: Path, tmp_path: Path) -> Path:
    """Two strokes on the image: class 3 on its left half, 9 on its right."""
    painted = np.zeros((24, 32), np.uint8)
    painted[4:20, 5:8] = 3
    painted[4:20, 24:27] = 9
    path = tmp_path / "strokes.png"
    Image.fromarray(painted).save(path)
    return path


def indexed(painted: np.ndarray) -> Image.Image:
    """A picture whose palette shows the classes in colours."""
    picture = Image.fromarray(painted.astype(np.uint8), mode="P")
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0] + [40, 50, 60] * 253)
    return picture


def provenance_of(path: Path) -> dict[str, Any]:
    with tifffile.TiffFile(path) as tif:
        xml = tif.ome_metadata or ""
    described = tifffile.xml2dict(xml)["OME"]["Image"]["Description"]
    facts: dict[str, Any] = json.loads(described) if isinstance(described, str) else described
    return facts


@pytest.mark.parametrize("preset", list(PRESETS))
def test_scribbles_come_out_as_labels_of_their_numbers(
    image: Path,
    scribbles: Path,
    tmp_path: Path,
    preset: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "labels.ome.tif"
    more = ["--preset", preset, "--only-painted", "yes", "--scribble-weight", "4"]
    assert segment(image, "--scribbles", scribbles, "-o", output, *more) == 0
    labels, painted = read_image(output).pixels, read_image(scribbles).pixels
    assert set(np.unique(labels)) == {3, 9}
    np.testing.assert_array_equal(labels[painted > 0], painted[painted > 0])
    facts = provenance_of(output)
    assert facts["image"] == "cells.ome.tif"
    assert facts["scribbles"] == "strokes.png"
    assert facts["painted_classes"] == "3 9"
    assert facts["params"]["only_painted"] == "yes"
    assert facts["params"]["scribble_weight"] == 4.0
    printed = capsys.readouterr().err
    assert "2 labels, 2 of them painted" in printed
    assert "of 4 iterations" in printed or preset == "default"


def test_a_file_without_scribbles_is_not_named(image: Path, tmp_path: Path) -> None:
    assert segment(image, "-o", tmp_path / "labels.ome.tif") == 0
    assert "scribbles" not in provenance_of(tmp_path / "labels.ome.tif")


def test_scribbles_on_the_command_line_are_those_in_python(
    image: Path, scribbles: Path, tmp_path: Path
) -> None:
    output = tmp_path / "labels.png"
    assert segment(image, "--scribbles", scribbles, "-o", output, "--quiet") == 0
    params = SegmentationParams(n_clusters=6, n_iterations=4, min_labels=1)
    expected = segmentation.segment(
        tifffile.imread(image), scribbles=read_image(scribbles).pixels, params=params
    )
    np.testing.assert_array_equal(read_image(output).pixels, expected.labels)


@pytest.mark.parametrize("form", ["tif", "indexed tif", "ome.tif", "indexed", "16 bit", "mask"])
def test_scribbles_in_files_of_many_kinds(
    image: Path, scribbles: Path, tmp_path: Path, form: str
) -> None:
    painted = read_image(scribbles).pixels
    path = tmp_path / "other"
    if form == "tif":
        tifffile.imwrite(path, painted.astype(np.int32))
    elif form == "indexed tif":
        indexed(painted).save(path, format="TIFF")
    elif form == "ome.tif":
        tifffile.imwrite(path, painted.astype(np.uint16), ome=True, metadata={"axes": "YX"})
    elif form == "indexed":
        indexed(painted).save(path, format="PNG")
    elif form == "16 bit":
        Image.fromarray(painted.astype(np.uint16)).save(path, format="PNG")
    else:
        Image.fromarray(painted == 3).save(path, format="PNG")
    output = tmp_path / "labels.png"
    assert segment(image, "--scribbles", path, "-o", output) == 0
    labels = read_image(output).pixels
    expected = np.where(painted == 3, 1, 0) if form == "mask" else painted
    np.testing.assert_array_equal(labels[expected > 0], expected[expected > 0])


def test_labels_can_be_scribbles_for_the_next_run(
    image: Path, scribbles: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.ome.tif", tmp_path / "second.ome.tif"
    assert segment(image, "--scribbles", scribbles, "-o", first) == 0
    assert segment(image, "--scribbles", first, "-o", second) == 0
    np.testing.assert_array_equal(read_image(second).pixels, read_image(first).pixels)


def test_scribbles_lie_as_the_file_of_the_image_does(
    image: Path, scribbles: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.tif"
    assert segment(image, "--scribbles", scribbles, "-o", output, "--axes", "XY") == 0
    labels, painted = read_image(output).pixels, read_image(scribbles).pixels.T
    assert labels.shape == painted.shape == (32, 24)
    np.testing.assert_array_equal(labels[painted > 0], painted[painted > 0])


def test_notes_on_scribbles_are_printed(
    image: Path, scribbles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    painted = read_image(scribbles).pixels
    painted[0, 0] = 200
    tifffile.imwrite(scribbles, painted)
    tifffile.imwrite(scribbles, painted, append=True)
    assert segment(image, "--scribbles", scribbles, "-o", tmp_path / "out.tif") == 0
    printed = capsys.readouterr().err
    assert "Class 200 has one painted pixel" in printed
    assert "holds 2 images" in printed


def test_scribbles_are_shown_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["segment", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for option in ("--scribbles FILE", "--scribble-weight X", "--only-painted auto|yes|no"):
        assert option in shown


def colours_of(painted: np.ndarray) -> np.ndarray:
    return np.stack([painted, painted, 255 - painted], axis=-1)


BAD_SCRIBBLES: dict[str, tuple[Callable[[np.ndarray, Path], object], str]] = {
    "missing": (lambda painted, path: path.unlink(), "does not exist"),
    "a folder": (lambda painted, path: (path.unlink(), path.mkdir()), "is a folder"),
    "empty": (lambda painted, path: path.write_bytes(b""), "is empty"),
    "damaged": (lambda painted, path: path.write_bytes(path.read_bytes()[:60]), "truncated"),
    "text": (lambda painted, path: path.write_text("1 2 3"), "no image of a known kind"),
    "colours": (
        lambda painted, path: Image.fromarray(colours_of(painted)).save(path),
        "picture in colours, or has several planes, but one number for each pixel",
    ),
    "colours and alpha": (
        lambda painted, path: Image.fromarray(colours_of(painted)).convert("RGBA").save(path),
        "picture in colours",
    ),
    "colours in TIFF": (
        lambda painted, path: tifffile.imwrite(path, colours_of(painted), photometric="rgb"),
        "picture in colours",
    ),
    "JPEG": (
        lambda painted, path: Image.fromarray(painted).save(path, format="JPEG"),
        "JPEG file, which keeps numbers only roughly",
    ),
    "another size": (
        lambda painted, path: Image.fromarray(painted[:-4]).save(path),
        "shape 20 × 32, but the image has 24 × 32",
    ),
    "turned": (
        lambda painted, path: Image.fromarray(painted.T.copy()).save(path),
        "shape 32 × 24, but the image has 24 × 32",
    ),
    "a stack": (
        lambda painted, path: tifffile.imwrite(path, np.stack([painted] * 5)),
        "shape 5 × 24 × 32, but the image has 24 × 32",
    ),
    "nothing": (lambda painted, path: Image.fromarray(painted * 0).save(path), "Nothing is paint"),
    "fractions": (
        lambda painted, path: tifffile.imwrite(path, painted / np.float32(2)),
        "no whole numbers",
    ),
    "negative": (
        lambda painted, path: tifffile.imwrite(path, painted.astype(np.int16) - 1),
        "value -1",
    ),
    "too large": (
        lambda painted, path: tifffile.imwrite(path, painted.astype(np.uint32) * 9999),
        "65535 is the largest",
    ),
}


@pytest.mark.parametrize("kind", BAD_SCRIBBLES)
def test_bad_scribbles_are_one_line(
    image: Path,
    scribbles: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
) -> None:
    spoil, message = BAD_SCRIBBLES[kind]
    spoil(read_image(scribbles).pixels, scribbles)
    output = tmp_path / "out.tif"
    assert segment(image, "--scribbles", scribbles, "-o", output) == 1
    assert message in error_line(capsys)
    assert not output.exists()


def test_one_class_for_every_pixel_is_one_line(
    image: Path, scribbles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    painted = read_image(scribbles).pixels
    Image.fromarray(np.where(painted == 3, painted, 0).astype(np.uint8)).save(scribbles)
    more = ["--scribbles", scribbles, "-o", tmp_path / "out.tif", "--only-painted", "yes"]
    assert segment(image, *more, "--design", "published") == 1
    assert "Only class 3 is painted" in error_line(capsys)
    assert segment(image, *more) == 0
    assert set(np.unique(tifffile.imread(tmp_path / "out.tif"))) == {3, 4}


def test_a_wrong_choice_for_scribbles_is_one_line(
    image: Path, scribbles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for more, message in [
        (["--only-painted", "maybe"], "only_painted is 'maybe', but must be 'auto' or 'yes'"),
        (["--scribble-weight", "-1"], "scribble_weight is -1.0, but must be 0 to 1000."),
    ]:
        assert segment(image, "--scribbles", scribbles, "-o", tmp_path / "out.tif", *more) == 1
        assert message in error_line(capsys)


@pytest.mark.parametrize("more", [[], ["--force"]])
def test_the_scribbles_are_never_overwritten(
    image: Path, scribbles: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    before = scribbles.read_bytes()
    assert segment(image, "--scribbles", scribbles, "-o", scribbles, *more) == 1
    assert "is the file of scribbles itself; choose another name" in error_line(capsys)
    assert scribbles.read_bytes() == before


def test_missing_scribbles_are_told_before_the_image_is_read(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path) -> None:
        raise AssertionError("too late")

    monkeypatch.setattr("napari_diffseg.io.reading.read_image", refuse)
    assert segment(image, "--scribbles", tmp_path / "no.png", "-o", tmp_path / "out.tif") == 1
    assert "no.png does not exist" in error_line(capsys)


def test_progress_with_scribbles_on_a_terminal(
    image: Path, scribbles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("tqdm.tqdm", partial(tqdm, mininterval=0))
    assert segment(image, "--scribbles", scribbles, "-o", tmp_path / "out.tif") == 0
    shown = terminal.getvalue()
    assert "4/4" in shown
    assert "5/4" not in shown


# --- Ctrl-C ------------------------------------------------------------------------


Steps = Callable[..., Generator[Iteration, Command | None, Any]]


def pressed(*iterations: int, number: signal.Signals = signal.SIGINT) -> Steps:
    """Return `segment_steps` with Ctrl-C pressed in these iterations, or another signal sent."""
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
                    signal.raise_signal(number)
            command = yield step

    return steps


def test_first_interrupt_keeps_what_there_is(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(segmentation, "segment_steps", pressed(2))
    assert segment(image, "-o", tmp_path / "out.tif") == 0
    assert read_image(tmp_path / "out.tif").pixels.min() == 1
    printed = capfd.readouterr().err
    assert "press Ctrl-C again to cancel" in printed
    assert "labels, 2 of 4 iterations" in printed
    assert "finished by the user" in printed
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_second_interrupt_writes_nothing(
    image: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    number: signal.Signals,
) -> None:
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(segmentation, "segment_steps", pressed(2, 2, number=number))
    assert segment(image, "-o", tmp_path / "out.tif") == 128 + number
    assert [entry.name for entry in tmp_path.iterdir()] == [image.name]
    assert capfd.readouterr().err.endswith("napari-diffseg: cancelled.\n")
    assert signal.getsignal(signal.SIGINT) is before


# --- info, version, help -----------------------------------------------------------


def test_info(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(machine, "_PACKAGES", ("numpy", "no-such-package"))
    assert cli.main(["info"]) == 0
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert shown["napari-diffseg"] == napari_diffseg.__version__
    assert shown["numpy"] == np.__version__
    assert shown["no-such-package"] == "not installed"
    assert "cpu" in shown["devices"]
    assert shown["threads"]


PROGRAM = [
    sys.executable,
    "-c",
    "import sys; from napari_diffseg.cli import main; sys.exit(main())",
]


def test_what_nobody_reads_any_more_is_no_error() -> None:
    run = subprocess.Popen([*PROGRAM, "info"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout is not None
    run.stdout.close()
    _, said = run.communicate()
    assert (run.returncode, said) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs a device that is full")
@pytest.mark.parametrize("options", [[], ["-u"]])
def test_what_cannot_be_printed_is_one_sentence(options: list[str]) -> None:
    command = [PROGRAM[0], *options, *PROGRAM[1:], "info"]
    with open("/dev/full", "w") as full:
        run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr == (
        "napari-diffseg: error: What was asked for cannot be printed (No space left on device); "
        "print it to another place.\n"
    )


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs a device that is full")
@pytest.mark.parametrize("places", [">&- 2>&-", "2>/dev/full"])
def test_a_program_without_a_place_for_its_words_does_its_work(tmp_path: Path, places: str) -> None:
    Image.fromarray(np.tile(np.uint8([20, 200]), (40, 20))).save(tmp_path / "image.png")
    command = [*PROGRAM, "segment", "image.png", "-o", "labels.tif", "--threads", "1"]
    closed = ["bash", "-c", f'exec "$@" {places}', "bash", *command]
    assert subprocess.run(closed, cwd=tmp_path, check=False).returncode == 0
    assert tifffile.imread(tmp_path / "labels.tif").shape == (40, 40)


@pytest.mark.skipif(os.name == "nt", reason="a shell that closes streams")
def test_no_file_takes_the_place_of_a_stream_that_is_closed(tmp_path: Path) -> None:
    script = (
        "from napari_diffseg.cli.terminal import open_closed_streams as o; o(); "
        "f = open('file', 'w'); f.write(str(f.fileno()))"
    )
    closed = 'exec "$@" <&- >&- 2>&-'
    command = ["bash", "-c", closed, "bash", sys.executable, "-c", script]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert int((tmp_path / "file").read_text()) > 2


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


def test_what_is_refused_by_its_name_waits_for_no_heavy_package(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from napari_diffseg.cli import main\n"
        "named = (\n"
        "    'segment none.tif -o out.tif',\n"
        "    'train none.tif -o out.safetensors',\n"
        "    'train model -o out.pt',\n"
        "    'apply none model -o out.tif',\n"
        "    'apply model none.tif -o out.tif',\n"
        "    'card none',\n"
        ")\n"
        "codes = [main(one.split()) for one in named]\n"
        "sys.exit(codes != [1] * len(named) or 'torch' in sys.modules)"
    )
    (tmp_path / "model").touch()
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr.count("none")) == (0, 5), run.stderr


# --- demo --------------------------------------------------------------------------


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Stand in for the process of the demo on a Linux machine without display; its calls."""
    calls: list[list[str]] = []

    def call(command: list[str]) -> int:
        calls.append(command)
        return 5

    monkeypatch.setattr(machine.subprocess, "call", call)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(machine, "find_spec", lambda name: object())
    monkeypatch.setattr(machine.shutil, "which", lambda name: f"/usr/bin/{name}")
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
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    assert cli.main(["demo"]) == 1
    assert "xvfb" in error_line(capsys)
    assert called == []


def test_demo_without_napari(
    called: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "find_spec", lambda name: None)
    assert cli.main(["demo"]) == 1
    assert "pip install 'napari-diffseg[all]'" in error_line(capsys)
    assert called == []


def test_ctrl_c_while_the_program_is_loaded_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "parser", interrupted)
    assert cli.main(["segment"]) == 130
    assert capsys.readouterr().err == "napari-diffseg: cancelled.\n"


def test_a_program_that_was_stopped_does_not_wait_for_what_it_has_loaded() -> None:
    lines = [
        "import atexit, signal, sys, time",
        "from napari_diffseg import cli",
        "atexit.register(time.sleep, 60)",
        "cli.parser = lambda: signal.raise_signal(signal.SIGTERM)",
        "sys.exit(cli.main())",
    ]
    ended = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, timeout=50, check=False
    )
    assert (ended.returncode, ended.stderr) == (143, b"napari-diffseg: cancelled.\n")
