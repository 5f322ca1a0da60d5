"""Back to what the network had found before any stroke."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diffseg.core.segmentation import segment
from napari_diffseg.params import RunOptions, SegmentationParams

PARAMS = SegmentationParams(n_labels=3)


@pytest.fixture(scope="module")
def image():
    rng = np.random.default_rng(0)
    pixels = rng.normal(60, 8, (48, 64))
    pixels[:, 32:] += 90
    return pixels


def strokes(shape):
    painted = np.zeros(shape, np.uint8)
    painted[10, 4:20], painted[10, 40:60] = 4, 7
    return painted


def test_a_correction_is_taken_back(image):
    before = segment(image, params=PARAMS, options=RunOptions(threads=1))
    corrected = before.correct(strokes(image.shape))
    after = corrected.without_scribbles()
    np.testing.assert_array_equal(after.labels, before.labels)
    assert after.scribbles is None
    assert after.painted_classes == ()
    assert after.model.labels == before.model.labels
    assert "painted_classes" not in after.provenance()
    np.testing.assert_array_equal(after.model.apply(image), before.model.apply(image))


def test_a_run_that_had_scribbles_from_the_start(image):
    options = RunOptions(threads=1)
    painted = segment(image, scribbles=strokes(image.shape), params=PARAMS, options=options)
    plain = segment(image, params=PARAMS, options=options)
    after = painted.without_scribbles()
    np.testing.assert_array_equal(after.labels, plain.labels)
    again = after.correct(strokes(image.shape))
    np.testing.assert_array_equal(again.labels, painted.labels)


def test_without_scribbles_it_is_the_same(image):
    plain = segment(image, params=PARAMS, options=RunOptions(threads=1))
    assert plain.without_scribbles() is plain
