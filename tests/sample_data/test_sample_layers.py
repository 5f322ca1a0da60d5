from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

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


def test_samples_load_neither_torch_nor_napari() -> None:
    program = (
        "import sys; from napari_diffseg.sample_data import layers; layers.coins(); "
        "sys.exit(bool({'torch', 'napari', 'qtpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
