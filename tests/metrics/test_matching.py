"""Scores on cases small enough to be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diffseg.errors import InputError
from napari_diffseg.metrics.matching import (
    best_match_ious,
    best_match_miou,
    contingency,
    foreground_iou,
    segments,
)

HALVES = np.repeat([[0, 0, 1, 1]], 4, axis=0)
QUARTERS = np.repeat([[5, 5, 9, 9], [7, 7, 2, 2]], 2, axis=0)
BLANK = np.zeros((4, 4), int)


def test_contingency_counts_pixels_in_label_order():
    np.testing.assert_array_equal(contingency(HALVES, QUARTERS), [[0, 4, 4, 0], [4, 0, 0, 4]])


def test_contingency_of_different_shapes_is_refused():
    with pytest.raises(InputError, match=r"\(4, 4\) and \(4, 3\)"):
        contingency(HALVES, HALVES[:, :3])


def test_segments_splits_a_cluster_into_its_pieces():
    two_islands = np.array([[3, 0, 3], [3, 0, 3], [0, 0, 0]])
    assert len(np.unique(segments(two_islands))) == 3
    diagonal = np.eye(3, dtype=int)
    assert len(np.unique(segments(diagonal))) == 5, "diagonal neighbours are not connected"


@pytest.mark.parametrize(
    ("truth", "clusters", "expected"),
    [
        (HALVES, HALVES, [1, 1]),
        (HALVES, BLANK, [0.5, 0.5]),
        (HALVES, QUARTERS, [0.5, 0.5]),
        (QUARTERS, HALVES, [0.5, 0.5, 0.5, 0.5]),
        (HALVES, np.repeat([[1, 1, 1, 0]], 4, axis=0), [2 / 3, 1 / 2]),
    ],
)
def test_best_match_ious(truth, clusters, expected):
    np.testing.assert_allclose(best_match_ious(truth, clusters), expected)


def test_all_fine_and_coarse_are_pooled_over_segments():
    score = best_match_miou([([HALVES, QUARTERS], HALVES), ([BLANK], BLANK)])
    assert score.all == pytest.approx((1 + 1 + 4 * 0.5 + 1) / 7)
    assert score.fine == pytest.approx((4 * 0.5 + 1) / 5)
    assert score.coarse == pytest.approx((1 + 1 + 1) / 3)
    assert score.mean == pytest.approx((score.all + score.fine + score.coarse) / 3)


def test_a_blank_prediction_scores_the_mean_share_of_the_segments():
    """A blank prediction's IoU with a segment is the segment's share of the image."""
    assert best_match_miou([([QUARTERS], BLANK)]).all == pytest.approx(1 / 4)


def test_foreground_iou_sends_each_cluster_to_its_majority_side():
    truth = np.zeros((4, 4), bool)
    truth[:, :2] = True
    assert foreground_iou(truth, HALVES) == 1
    assert foreground_iou(truth, 1 - HALVES) == 1
    assert foreground_iou(truth, BLANK) == 0, "half and half goes to the background"
    wide = np.repeat([[1, 1, 1, 0]], 4, axis=0)
    assert foreground_iou(truth, wide) == pytest.approx(8 / 12)
    assert foreground_iou(np.zeros((4, 4), bool), BLANK) == 1
    assert foreground_iou(np.ones((4, 4), bool), QUARTERS) == 1
