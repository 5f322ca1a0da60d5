"""The score of objects, and the cut of the simulated plane."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.objects import average_precision, crowd


def test_average_precision_counts_what_overlaps_by_more_than_half() -> None:
    wanted = np.zeros((10, 40), int)
    for number in range(4):
        wanted[:, 10 * number : 10 * number + 8] = number + 1
    assert average_precision(wanted, wanted) == 1
    found = wanted.copy()
    found[wanted == 2] = 0  # missed
    found[:5][wanted[:5] == 3] = 9  # in two halves: two that are wrong, one that is missed
    found[0, 38:] = 7  # invented
    assert average_precision(found, wanted) == pytest.approx(2 / (5 + 4 - 2))


def test_where_there_is_nothing_nothing_is_right() -> None:
    nothing, something = np.zeros((4, 4), int), np.ones((4, 4), int)
    assert average_precision(nothing, nothing) == 1
    assert average_precision(something, nothing) == 0
    assert average_precision(something, something) == 1


def test_the_crowd_touches() -> None:
    plane = crowd(256, 60)
    assert plane.shape == (256, 256)
    assert 0.1 < plane.mean() < 0.4
