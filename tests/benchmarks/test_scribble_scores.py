"""Scribble mIoU, and the methods that need no more than the development tools."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.baselines.scribbles import random_forest, random_walks
from benchmarks.datasets import scribble_miou


def test_miou_is_the_mean_of_both_sides_and_leaves_the_unknown_out() -> None:
    truth = np.array([[1, 1, 2, 2, 0, 0]])
    labels = np.array([[1, 2, 2, 2, 1, 2]])
    assert scribble_miou(labels, truth) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert scribble_miou(truth, truth) == 1


@pytest.mark.parametrize("method", [random_forest, random_walks])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_scribbles_spread_over_their_side(method, channels: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    pixels = random.normal(80, 3, (48, 64, *channels))
    pixels[:, 32:] += 60
    pixels = pixels.clip(0, 255).astype(np.uint8)
    scribbles = np.zeros((48, 64), np.uint8)
    scribbles[20:40, 10:13], scribbles[20:40, 50:53] = 1, 2
    truth = np.ones((48, 64), np.uint8)
    truth[:, 32:] = 2
    labels = method(pixels, scribbles)
    np.testing.assert_array_equal(labels[scribbles > 0], scribbles[scribbles > 0])
    assert scribble_miou(labels, truth) > 0.9
