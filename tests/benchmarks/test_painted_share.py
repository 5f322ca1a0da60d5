"""Strokes made from ground truth: never wrong, balanced, seeded, on thin classes too."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.painted_share import painted_share


def blobs_and_lines() -> np.ndarray:
    """Two discs and a line two pixels wide on a ground, with a corner that nobody knows."""
    y, x = np.mgrid[:96, :128]
    truth = np.ones((96, 128), np.uint8)
    truth[np.hypot(y - 30, x - 30) < 18] = 2
    truth[np.hypot(y - 60, x - 90) < 9] = 2
    truth[80:82] = 3
    truth[:10, 100:] = 0
    return truth


@pytest.mark.parametrize("share", [0.003, 0.03])
def test_a_painted_pixel_has_the_class_of_the_truth(share: float) -> None:
    truth = blobs_and_lines()
    scribbles = painted_share(truth, share)
    painted = scribbles > 0
    np.testing.assert_array_equal(scribbles[painted], truth[painted])


def test_every_class_gets_its_part_of_the_share() -> None:
    truth = blobs_and_lines()
    counts = np.bincount(painted_share(truth, 0.01).ravel(), minlength=4)[1:]
    wanted = 0.01 * truth.size / 3
    assert (counts >= wanted).all()
    assert (counts < wanted + 9).all()


def test_a_class_too_small_for_its_part_is_painted_without_end() -> None:
    truth = np.ones((64, 64), np.uint8)
    truth[30:34, 30:34] = 2
    scribbles = painted_share(truth, 0.1)
    assert 0 < (scribbles == 2).sum() <= 16
    assert (scribbles == 1).sum() >= 0.05 * truth.size


def test_strokes_keep_off_edges_where_there_is_room() -> None:
    truth = np.ones((64, 64), np.uint8)
    truth[:, 32:] = 2
    scribbles = painted_share(truth, 0.02)
    assert (scribbles[:, 31:33] == 0).all()


def test_a_seed_paints_the_same_again_and_another_elsewhere() -> None:
    truth = blobs_and_lines()
    np.testing.assert_array_equal(
        painted_share(truth, 0.01, seed=3), painted_share(truth, 0.01, seed=3)
    )
    assert (painted_share(truth, 0.01, seed=3) != painted_share(truth, 0.01, seed=4)).any()


def test_fewer_strokes_are_part_of_more() -> None:
    truth = blobs_and_lines()
    few, many = painted_share(truth, 0.003, seed=1), painted_share(truth, 0.01, seed=1)
    np.testing.assert_array_equal(many[few > 0], few[few > 0])
