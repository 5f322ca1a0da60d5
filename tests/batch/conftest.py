"""A short movie of a disc that moves, a model of it, and what comparing outputs takes."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_diffseg import Model, RunOptions, SegmentationParams, train
from napari_diffseg.batch.facts import Progress
from napari_diffseg.batch.run import StackReport, apply_stack
from napari_diffseg.image import pieces
from napari_diffseg.image.pixel_size import PixelSize

N_FRAMES, SIDE = 6, 64
ONE_THREAD = RunOptions(threads=1, device="cpu")
FORMATS = ("out.ome.zarr", "out.ome.tif", "out")
"""One of each kind of output."""


@pytest.fixture(scope="module", autouse=True)
def several_windows() -> Iterator[None]:
    """Images as small as these would be labelled at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "_AT_ONCE", 0)
        yield


def make_movie(n: int = N_FRAMES, side: int = SIDE) -> np.ndarray:
    """Return frames ``t y x``: a bright disc goes from left to right."""
    y, x = np.mgrid[:side, :side]
    rng = np.random.default_rng(0)
    frames = []
    for t in range(n):
        disc = (y - side / 2) ** 2 + (x - side * (t + 1) / (n + 1)) ** 2 < (side / 5) ** 2
        frames.append(np.where(disc, 180, 60) + rng.normal(0, 6, (side, side)))
    return np.stack(frames).clip(0, 255).astype(np.uint8)


def result_of(steps: Generator[Progress, None, StackReport]) -> StackReport:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def apply(model: Model, inputs: Any, output: Path, **more: Any) -> StackReport:
    """Run to the end on one thread of one worker, unless told otherwise."""
    return result_of(apply_stack(model, inputs, output, **{"workers": 1, **more}))


def contents(path: Path) -> dict[str, bytes | None]:
    """Return the bytes of a file, or of all that is in a folder; None for the folders in it."""
    if path.is_file():
        return {"": path.read_bytes()}
    return {
        str(entry.relative_to(path)): None if entry.is_dir() else entry.read_bytes()
        for entry in sorted(path.rglob("*"))
    }


def leftovers(folder: Path) -> list[str]:
    """Return what is hidden in a folder, or in those within it."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(".*"))


@pytest.fixture(scope="session")
def frames() -> np.ndarray:
    return make_movie()


@pytest.fixture(scope="session")
def model(frames: np.ndarray) -> Model:
    """Learned from two frames, with a stroke in the disc (2) and one beside it (1)."""
    painted = np.zeros((2, SIDE, SIDE), np.uint8)
    painted[:, 2:4, 4:60] = 1
    for t, strokes in zip((0, 3), painted, strict=True):
        x = SIDE * (t + 1) // (N_FRAMES + 1)
        strokes[30:34, x - 4 : x + 4] = 2
    learned = train(
        [frames[0], frames[3]],
        scribbles=list(painted),
        params=SegmentationParams(n_clusters=6),
        options=ONE_THREAD,
    )
    return learned.with_facts(
        class_names={1: "ground", 2: "disc"},
        class_colors={1: (0, 0, 1, 1), 2: (1, 0.5, 0, 1)},
        pixel_size=PixelSize(0.5, 0.5, "µm"),
    )


@pytest.fixture(scope="session")
def model_file(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "disc.safetensors"
    model.save(path)
    return path


@pytest.fixture(scope="session")
def movie(frames: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OME-TIFF of all frames, with a pixel of 0.5 µm."""
    path = tmp_path_factory.mktemp("movie") / "movie.ome.tif"
    size = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "TimeIncrement": 2.0}
    tifffile.imwrite(path, frames, ome=True, metadata={"axes": "TYX", **size})
    return path


@pytest.fixture(scope="session")
def folder(frames: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file for each frame; the last one is a stack of two."""
    path = tmp_path_factory.mktemp("folder")
    for t, frame in enumerate(frames[:-2]):
        tifffile.imwrite(path / f"f{t}.tif", frame)
    tifffile.imwrite(path / "f9.ome.tif", frames[-2:], ome=True, metadata={"axes": "TYX"})
    return path


@pytest.fixture
def inputs(request: pytest.FixtureRequest, movie: Path, folder: Path) -> Path:
    return folder if request.param == "out" else movie


@pytest.fixture(scope="session")
def undisturbed(
    model: Model, movie: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, bytes | None]]:
    """What each kind of output holds after a run that nothing disturbed."""
    home = tmp_path_factory.mktemp("undisturbed")
    for name in FORMATS:
        apply(model, folder if name == "out" else movie, home / name)
    return {name: contents(home / name) for name in FORMATS}
