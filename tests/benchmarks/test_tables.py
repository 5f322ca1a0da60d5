"""What the tables are made of: shared work gives what separate runs give; folds hold out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.crossvalidation import MODALITIES, PhotoScore, Scores, fold_table, results_of
from benchmarks.pictures import draw, painted, shown
from benchmarks.stability import agreement, pixel_by_pixel
from napari_diffseg import SegmentationParams, segment

QUICK = SegmentationParams(n_iterations=1, n_clusters=6, n_labels=4, region_size=60)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    y, x = np.mgrid[:60, :70]
    waves = 90 + 60 * np.sin(x / 7) + 50 * (y > 30)
    return (waves + np.random.default_rng(0).normal(0, 8, waves.shape)).clip(0, 255).astype("uint8")


def test_shared_training_gives_what_each_run_alone_gives(pixels):
    candidates = {
        "one": QUICK,
        "larger regions": replace(QUICK, region_size=150),
        "fewer labels": replace(QUICK, n_labels=2, min_region_size=50),
        "longer": replace(QUICK, n_iterations=2),
    }
    results = dict(results_of(pixels, candidates, seed=3))
    assert set(results) == set(candidates)
    for name, result in results.items():
        alone = segment(pixels, axes="YX", params=replace(candidates[name], seed=3))
        assert result.params == alone.params
        np.testing.assert_array_equal(result.labels, alone.labels, err_msg=name)


def scores_of(photo: dict[str, list[float]], micro: dict[str, list[float]]) -> Scores:
    """Scores of one segment a photograph and one image a modality."""
    kinds = MODALITIES.values()
    return Scores(
        {
            name: [PhotoScore(*[np.array([v])] * 3) for v in values]
            for name, values in photo.items()
        },
        {
            name: dict(zip(kinds, ([v] for v in values), strict=True))
            for name, values in micro.items()
        },
    )


def test_a_setting_that_is_best_only_where_it_is_held_out_is_not_chosen():
    flat = [0.5] * 5
    lucky = [0.9, 0.4, 0.4, 0.4, 0.4]
    rows = fold_table(
        scores_of({"default": flat, "lucky": lucky}, {"default": flat, "lucky": lucky})
    )
    assert rows[0]["chosen"] == "default"
    assert rows[0]["photographs"] == "0.500"
    assert rows[-1]["held out"] == "mean"


def test_microscopy_weighs_more_than_photographs():
    better, worse = [0.6] * 5, [0.5] * 5
    scores = scores_of({"a": better, "b": worse}, {"a": worse, "b": better})
    assert scores.best(range(5), list(MODALITIES.values())) == "b"


def test_runs_agree_with_themselves_and_lose_their_regions(pixels):
    run = segment(pixels, axes="YX", params=QUICK)
    assert agreement([run, run], 3) == [1.0]
    alone = segment(pixels, axes="YX", params=replace(QUICK, region_size=0))
    bare = pixel_by_pixel(run).with_n_labels(QUICK.n_labels)
    np.testing.assert_array_equal(bare.labels, alone.labels)


def test_rows_of_different_length_make_one_picture(pixels, tmp_path: Path):
    labels = (pixels > 120).astype(int)
    rows = [
        {"image": shown(pixels), "labels": painted(labels)},
        {"16 bits": shown(pixels.astype(np.uint16) * 200)},
    ]
    draw(rows, tmp_path / "deeper" / "grid.png", palette=16)
    assert (tmp_path / "deeper" / "grid.png").stat().st_size > 1000
