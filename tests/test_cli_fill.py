"""Fill around an image, from the shell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_diffseg import Model, RunOptions, SegmentationParams, cli, segment
from napari_diffseg.io.reading import read_image

SMALL = ["--n-clusters", "6", "--threads", "1"]
PARAMS = SegmentationParams(n_clusters=6)
SHAPE = (9, 72, 80)
INSIDE = slice(2, 7), slice(10, 60), slice(12, 70)


def padded() -> np.ndarray:
    """A brighter box in noise, far above the fill around it, which is all of some planes."""
    volume = np.zeros(SHAPE, np.uint16)
    picture = np.random.default_rng(0).normal(5000, 20, SHAPE)
    picture[:, 20:40, 20:45] += 900
    volume[INSIDE] = picture[INSIDE]
    return volume


VOLUME = padded()
PLANE = VOLUME[4]


def save(path: Path, pixels: np.ndarray, axes: str) -> Path:
    tifffile.imwrite(path, pixels, ome=True, photometric="minisblack", metadata={"axes": axes})
    return path


@pytest.fixture
def plane(tmp_path: Path) -> Path:
    return save(tmp_path / "plane.ome.tif", PLANE, "YX")


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    return save(tmp_path / "volume.ome.tif", VOLUME, "ZYX")


def run(*arguments: str | Path) -> int:
    small = [] if arguments[0] == "apply" else SMALL
    return cli.main([*map(str, arguments), *small])


def labels_in(path: Path) -> np.ndarray:
    return np.asarray(read_image(path).pixels)


def test_fill_is_left_out_and_said_as_in_python(
    plane: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "labels.ome.tif"
    assert run("segment", plane, "-o", output) == 0
    assert "The value 0 was taken for fill around the image" in capsys.readouterr().err
    wanted = segment(PLANE, params=PARAMS, options=RunOptions(threads=1)).labels
    np.testing.assert_array_equal(labels_in(output), wanted)
    assert ((wanted == 0) == (PLANE == 0)).all()


@pytest.mark.parametrize("command", ["segment", "train"])
def test_fill_is_stated_or_switched_off(
    plane: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    output = tmp_path / ("out.ome.tif" if command == "segment" else "out.safetensors")
    for said, note in (("-9999", "The value -9999 is fill"), ("none", ""), ("0", "0 is fill")):
        assert run(command, plane, "-o", output, "--force", "--fill", said) == 0
        printed = capsys.readouterr().err
        assert note in printed
        assert ("is fill" in printed) == bool(note)


@pytest.mark.parametrize("command", ["segment", "train"])
@pytest.mark.parametrize("said", ["black", "nan", "1,2"])
def test_bad_fill_is_one_line(
    plane: Path, capsys: pytest.CaptureFixture[str], command: str, said: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(command, plane, "-o", "out.tif", "--fill", said)
    assert stopped.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.endswith(
        f"{said!r} is no fill; give the value of the pixels around the image, such as 0 or -9999, "
        f"or 'auto' or 'none'; see `napari-diffseg {command} --help`."
    )


def test_a_model_leaves_out_what_it_has_learned_to(
    plane: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, output = tmp_path / "m.safetensors", tmp_path / "labels.ome.tif"
    assert run("train", plane, "-o", model) == 0
    assert "The value 0 was taken for fill" in capsys.readouterr().err
    assert Model.load(model).fill == 0
    other = np.roll(PLANE, 5, axis=1)
    assert run("apply", model, save(tmp_path / "other.ome.tif", other, "YX"), "-o", output) == 0
    assert ((labels_in(output) == 0) == (other == 0)).all()


@pytest.mark.parametrize("planes", [[], ["--planes"]])
def test_volumes_with_blank_planes(
    volume: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], planes: list[str]
) -> None:
    output = tmp_path / "labels.ome.tif"
    assert run("segment", volume, "-o", output, *planes) == 0
    printed = capsys.readouterr().err
    assert "The value 0 was taken for fill" in printed
    assert ((labels_in(output) == 0) == (VOLUME == 0)).all()
    if planes:
        assert "learned from planes 2, 4, 6 of 9" in printed


def test_planes_that_are_only_padded_with_blank_ones(volume: Path, tmp_path: Path) -> None:
    output = tmp_path / "labels.ome.tif"
    box = "10:60,12:70"
    assert run("segment", volume, "-o", output, "--planes", "--region", box) == 0
    assert ((labels_in(output) == 0) == (VOLUME == 0)).all()
