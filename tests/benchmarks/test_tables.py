"""What the tables are made of: halves hold out; rows become one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.families import held_out_scores
from benchmarks.pictures import draw, painted, shown


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    y, x = np.mgrid[:60, :70]
    waves = 90 + 60 * np.sin(x / 7) + 50 * (y > 30)
    return (waves + np.random.default_rng(0).normal(0, 8, waves.shape)).clip(0, 255).astype("uint8")


def test_a_setting_that_is_best_only_where_it_is_held_out_is_not_chosen():
    kinds = ["a", "a", "b", "b"]
    scores = {"flat": [0.5, 0.5, 0.5, 0.5], "lucky": [0.9, 0.1, 0.9, 0.1]}
    # On the first half "lucky" is best, and is scored on the second; and the other way round.
    assert held_out_scores(scores, kinds) == [0.5, 0.1, 0.5, 0.1]


def test_families_count_alike_however_many_images_they_have():
    kinds = ["a"] * 6 + ["b"] * 2
    many, one = [0.6] * 6 + [0.1] * 2, [0.5] * 6 + [0.5] * 2
    assert held_out_scores({"many": many, "one": one}, kinds) == one


def test_rows_of_different_length_make_one_picture(pixels, tmp_path: Path):
    labels = (pixels > 120).astype(int)
    rows = [
        {"image": shown(pixels), "labels": painted(labels)},
        {"16 bits": shown(pixels.astype(np.uint16) * 200)},
    ]
    draw(rows, tmp_path / "deeper" / "grid.png", palette=16)
    assert (tmp_path / "deeper" / "grid.png").stat().st_size > 1000
