from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from skimage import data

from napari_diffseg.errors import InputError
from napari_diffseg.sample_data import layers


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a sample must not need the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    # skimage.data downloads what its package does not hold by pooch.
    pooch = pytest.importorskip("pooch")
    monkeypatch.setattr(pooch.Pooch, "fetch", refuse)


@pytest.mark.parametrize(
    ("sample", "name", "shape", "rgb", "scale"),
    [
        (layers.immunohistochemistry, "immunohistochemistry", (512, 512, 3), True, None),
        (layers.cell, "cell", (660, 550), False, (0.107, 0.107)),
        (layers.microaneurysms, "microaneurysms", (102, 102), False, None),
        (layers.coins, "coins", (303, 384), False, None),
    ],
)
def test_real_images(
    sample: Callable[[], list[layers.LayerData]],
    name: str,
    shape: tuple[int, ...],
    rgb: bool,
    scale: tuple[float, float] | None,
) -> None:
    [(pixels, keywords, kind)] = sample()
    assert (pixels.shape, pixels.dtype, kind) == (shape, np.uint8, "image")
    assert (keywords["name"], keywords["rgb"], keywords.get("scale")) == (name, rgb, scale)
    assert pixels.std() > 0


def test_simulated_field_has_its_ground_truth() -> None:
    image, truth = layers.simulated_field()
    assert [image[2], truth[2]] == ["image", "labels"]
    assert image[0].shape == truth[0].shape == (512, 512)
    assert image[1]["name"] == "simulated nuclei"
    assert truth[1]["name"] == "simulated nuclei (ground truth)"
    assert image[1]["scale"] == truth[1]["scale"] == (0.325, 0.325)
    assert image[1]["units"] == truth[1]["units"] == ("µm", "µm")
    assert truth[0].max() == 60


@pytest.mark.parametrize(
    ("sample", "axes", "scale", "units", "planes"),
    [
        (layers.simulated_stack, "zyx", (1.0, 0.25, 0.25), ("µm", "µm", "µm"), [6, 16, 26]),
        (layers.simulated_movie, "tyx", (30.0, 0.65, 0.65), ("min", "µm", "µm"), [0, 11, 23]),
    ],
)
def test_simulated_stacks_have_strokes_and_their_ground_truth(
    sample: Callable[[], list[layers.LayerData]],
    axes: str,
    scale: tuple[float, ...],
    units: tuple[str, ...],
    planes: list[int],
) -> None:
    image, strokes, truth = sample()
    assert [layer[2] for layer in (image, strokes, truth)] == ["image", "labels", "labels"]
    for pixels, keywords, _ in (image, strokes, truth):
        assert pixels.shape == image[0].shape
        assert keywords["axis_labels"] == tuple(axes)
        assert (keywords["scale"], keywords["units"]) == (scale, units)
    assert truth[1]["visible"] is False
    assert np.flatnonzero(strokes[0].any(axis=(1, 2))).tolist() == planes
    for plane in planes:
        assert np.unique(strokes[0][plane]).tolist() == [0, 1, 2]
    inside = truth[0] > 0
    assert not inside[strokes[0] == 1].any()
    assert inside[strokes[0] == 2].all()
    assert strokes[1]["features"]["class"] == [None, "background", "nucleus"]


def test_ground_truth_of_the_movie_says_who_the_mother_was() -> None:
    *_, (tracks, keywords, _) = layers.simulated_movie()
    table = keywords["features"]
    assert table["index"] == list(range(tracks.max() + 1))
    parents = {parent for parent in table["parent"] if parent}
    assert parents <= set(np.unique(tracks[:-1]))
    assert all(table["parent"].count(parent) == 2 for parent in parents)


def test_simulated_channels() -> None:
    image, strokes, truth, cells = layers.simulated_channels()
    assert image[0].shape == (3, 256, 256)
    assert (image[1]["channel_axis"], len(image[1]["name"])) == (0, 3)
    for pixels, keywords, kind in (strokes, truth, cells):
        assert (pixels.shape, kind) == ((256, 256), "labels")
        assert keywords["scale"] == image[1]["scale"]
    assert not truth[1]["visible"]
    assert not cells[1]["visible"]
    assert np.unique(strokes[0]).tolist() == [0, 1, 2, 3, 4]
    assert (strokes[0] == truth[0])[strokes[0] > 0].all()
    assert strokes[1]["features"] == truth[1]["features"]


def test_cells3d(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.zeros((4, 2, 8, 8), np.uint16)
    monkeypatch.setattr(data, "cells3d", lambda: pixels)
    [(found, keywords, kind)] = layers.cells3d()
    assert found is pixels
    assert (kind, keywords["channel_axis"]) == ("image", 1)
    assert keywords["name"] == ["membranes", "nuclei"]
    assert keywords["scale"] == (0.29, 0.26, 0.26)
    assert keywords["axis_labels"] == ("z", "y", "x")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ModuleNotFoundError("pooch"), "pip install pooch"),
        (ConnectionError("no internet"), "could not be downloaded"),
        (TimeoutError("timed out"), "could not be downloaded"),
        (ValueError("another hash"), "could not be downloaded"),
    ],
)
def test_cells3d_without_network(
    monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(data, "cells3d", fail)
    with pytest.raises(InputError, match=message):
        layers.cells3d()


def test_samples_load_neither_torch_nor_napari() -> None:
    program = (
        "import sys; from napari_diffseg.sample_data import layers; layers.coins(); "
        "sys.exit(bool({'torch', 'napari', 'qtpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
