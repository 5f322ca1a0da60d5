"""A small scene with things in it to paint, and a result of it that nobody has painted on yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from napari_diffseg import RunOptions, Segmentation, SegmentationParams, segment
from napari_diffseg.image import pieces

QUICK = SegmentationParams(n_clusters=12)
"""The default's design in less time."""

ONE_THREAD = RunOptions(threads=1, device="cpu")


@dataclass(frozen=True)
class Scene:
    """An image ``(y, x)`` and which of its three things every pixel shows: 0, 1, 2."""

    image: np.ndarray
    things: np.ndarray

    @property
    def strokes(self) -> np.ndarray:
        """One stroke in each thing, as classes 1, 4 and 7."""
        height, width = self.image.shape
        painted = np.zeros(self.image.shape, np.uint8)
        painted[height // 16, width // 16 : -width // 16] = 1
        painted[height // 2, width * 13 // 64 : width * 19 // 64] = 4
        painted[height * 2 // 5 : height * 3 // 5, width * 47 // 64] = 7
        return painted

    @property
    def wanted(self) -> np.ndarray:
        """What a person means who paints these strokes."""
        return np.array([1, 4, 7])[self.things]


def make_scene(height: int = 96, width: int = 128) -> Scene:
    """A disc and a bar of other brightness on noisy ground."""
    y, x = np.mgrid[:height, :width]
    things = np.zeros((height, width), int)
    things[(y - height / 2) ** 2 + (x - width / 4) ** 2 < (height / 4) ** 2] = 1
    things[height // 5 : -height // 5, 5 * width // 8 : 7 * width // 8] = 2
    noise = np.random.default_rng(0).normal(0, 0.03, (height, width))
    return Scene((np.array([0.2, 0.5, 0.85])[things] + noise).astype(np.float32), things)


@pytest.fixture(scope="module", autouse=True)
def small_windows():
    """Labels go through an image in smaller windows, so that small images have several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(pieces.WINDOW, 2, (512, 512))
        patch.setattr(pieces, "_AT_ONCE", 0)
        yield


@pytest.fixture(scope="session")
def scene() -> Scene:
    return make_scene()


@pytest.fixture(scope="session")
def large_scene() -> Scene:
    """Four windows."""
    return make_scene(600, 700)


@pytest.fixture(scope="session")
def base(scene: Scene) -> Segmentation:
    return segment(scene.image, axes="YX", params=QUICK, options=ONE_THREAD)


@pytest.fixture(scope="session")
def corrected(base: Segmentation, scene: Scene) -> Segmentation:
    return base.correct(scene.strokes, options=ONE_THREAD)


@pytest.fixture(scope="session")
def large_base(large_scene: Scene) -> Segmentation:
    return segment(large_scene.image, axes="YX", params=QUICK, options=ONE_THREAD)


@pytest.fixture
def options() -> RunOptions:
    return ONE_THREAD


@pytest.fixture
def quick() -> SegmentationParams:
    return QUICK
