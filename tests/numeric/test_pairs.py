"""Sums over pairs."""

from __future__ import annotations

import numpy as np

from napari_diffseg.numeric.pairs import sum_by_pair


def test_values_of_a_pair_add_up_whichever_comes_first():
    first, second = np.array([3, 1, 0, 1, 3]), np.array([1, 3, 2, 0, 3])
    low, high, sums = sum_by_pair(first, second, np.ones(5) + 1j * np.array([10, 20, 30, 40, 0]), 4)
    pairs = list(zip(low.tolist(), high.tolist(), strict=True))
    assert pairs == [(0, 1), (0, 2), (1, 3), (3, 3)]
    assert sums.real.tolist() == [1, 1, 2, 1]
    assert sums.imag.tolist() == [40, 30, 30, 0]


def test_no_pair_at_all():
    nothing = np.zeros(0, int)
    low, high, sums = sum_by_pair(nothing, nothing, np.zeros(0), 3)
    assert low.size == high.size == sums.size == 0
