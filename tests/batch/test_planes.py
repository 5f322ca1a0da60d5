"""Planes of several windows: each is a unit of work, where it can be read for itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_diffseg import ApplyParams, Model
from napari_diffseg.batch.planning import make_plan
from napari_diffseg.batch.run import apply_stack
from napari_diffseg.image import pieces
from napari_diffseg.io.label_files.label_store import LabelStore
from tests.batch.conftest import ONE_THREAD, SIDE, apply, contents, leftovers, make_movie

WIDTH = pieces.WINDOW[2][1] + 100


@pytest.fixture(scope="module")
def plane() -> np.ndarray:
    return np.tile(make_movie(1)[0], (1, WIDTH // SIDE + 1))[:, :WIDTH]


@pytest.fixture(scope="module")
def source(plane: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plane") / "plane.zarr"
    zarr.create_array(path, data=plane, chunks=(SIDE, 512))
    return path


def test_a_plane_that_was_half_done_is_finished_and_is_as_the_model_has_it(
    model: Model, source: Path, plane: np.ndarray, tmp_path: Path
) -> None:
    whole, halved = tmp_path / "whole.ome.zarr", tmp_path / "halved.ome.zarr"
    report = apply(model, source, whole, axes="YX", workers=2)
    labels = np.asarray(LabelStore.open(whole).array[:])
    np.testing.assert_array_equal(labels, model.apply(plane, axes="YX", options=ONE_THREAD))
    assert report.frames[0].facts.areas == dict(
        zip(*(found.tolist() for found in np.unique(labels, return_counts=True)), strict=True)
    )
    steps = apply_stack(model, source, halved, axes="YX", workers=1)
    assert [next(steps).units_done for _ in range(2)] == [0, 1]
    steps.close()
    rest = list(apply_stack(model, source, halved, axes="YX", workers=1, resume=True))
    assert rest[0].units == 2
    assert rest[0].units_done >= 1
    assert contents(halved) == contents(whole)
    assert leftovers(tmp_path) == []


def units_of(model: Model, source: Path, **more: object) -> int:
    return make_plan(model, source, source.with_name("out.ome.zarr"), axes="YX", **more).n_units


def test_what_is_needed_or_read_as_a_whole_is_one_unit(
    model: Model, source: Path, plane: np.ndarray, tmp_path: Path
) -> None:
    assert units_of(model, source) == 2
    assert units_of(model, source, params=ApplyParams(intensities="frame")) == 1
    one_chunk = tmp_path / "one.zarr"
    zarr.create_array(one_chunk, data=plane, chunks=plane.shape)
    assert units_of(model, one_chunk) == 1


def test_the_first_file_that_can_be_read_tells_how_all_are_read(
    model: Model, plane: np.ndarray, tmp_path: Path
) -> None:
    for number in range(2):
        tifffile.imwrite(tmp_path / f"f{number}.tif", plane)
    assert units_of(model, tmp_path) == 4
    (tmp_path / "f0.tif").write_bytes(b"nonsense")
    assert units_of(model, tmp_path) == 4
