"""Results to step back through: the newest first, and bounded."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_diffseg.widgets.segment.results import ResultHistory


def result(n_pixels=4):
    return SimpleNamespace(labels=np.zeros(n_pixels))


def test_the_newest_comes_back_first():
    history, results = ResultHistory(), [result() for _ in range(3)]
    for one in results:
        history.push(one)
    assert [history.pop()[0] for _ in range(3)] == results[::-1]
    with pytest.raises(IndexError):
        history.pop()


def test_only_so_many_are_kept():
    history, results = ResultHistory(most_results=2), [result() for _ in range(5)]
    for one in results:
        history.push(one)
    assert len(history) == 2
    assert history.pop()[0] is results[4]


def test_of_large_images_fewer_are_kept_but_always_one():
    history = ResultHistory(most_pixels=10)
    for n_pixels in (4, 4, 4, 100):
        history.push(result(n_pixels))
    assert len(history) == 1
    history.clear()
    assert len(history) == 0
