"""Scores that match segments of the ground truth with segments of a prediction.

All label images are ``(y, x)`` integers; every value counts, 0 too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from skimage.measure import label as connected_components
from skimage.segmentation import relabel_sequential

from napari_diffseg.errors import InputError

LabelImage = NDArray[np.integer]
Floats = NDArray[np.float64]


def contingency(first: LabelImage, second: LabelImage) -> Floats:
    """Count the pixels in each pair of labels: rows of `first`, columns of `second`, rising."""
    if first.shape != second.shape:
        raise InputError(
            f"The label images have the shapes {first.shape} and {second.shape}; "
            "give two of the same shape."
        )
    rows = np.unique(first, return_inverse=True)[1].ravel()
    columns = np.unique(second, return_inverse=True)[1].ravel()
    counts: Floats = coo_array((np.ones(rows.size), (rows, columns))).toarray()
    return counts


def segments(clusters: LabelImage) -> LabelImage:
    """Split clusters into their connected pieces (4-connectivity), numbered from 1."""
    sequential = relabel_sequential(clusters.astype(np.int64) - int(clusters.min()) + 1)[0]
    pieces: LabelImage = connected_components(sequential, connectivity=1, background=0)
    return pieces


def best_match_ious(ground_truth: LabelImage, clusters: LabelImage) -> Floats:
    """Best IoU of each ground-truth segment with any connected piece of the clusters.

    As in Kim et al. 2020, Sec. IV.
    """
    counts = contingency(ground_truth, segments(clusters))
    union = counts.sum(axis=1, keepdims=True) + counts.sum(axis=0, keepdims=True) - counts
    best: Floats = (counts / union).max(axis=1)
    return best


@dataclass(frozen=True, slots=True)
class BestMatch:
    """Best-match mIoU pooled over all ground-truth segments of all images."""

    # Over every annotator; over that with the most segments of each image; with the fewest.
    all: float
    fine: float
    coarse: float

    @property
    def mean(self) -> float:
        """Mean of the three figures."""
        return (self.all + self.fine + self.coarse) / 3


def best_match_miou(pairs: Iterable[tuple[Sequence[LabelImage], LabelImage]]) -> BestMatch:
    """Score predictions as the paper does on BSDS500: of each image (annotations, clusters)."""
    everyone, fine, coarse = [], [], []
    for truths, clusters in pairs:
        ious = [best_match_ious(truth, clusters) for truth in truths]
        everyone += ious
        fine.append(max(ious, key=len))
        coarse.append(min(ious, key=len))
    pooled = [float(np.concatenate(group).mean()) for group in (everyone, fine, coarse)]
    return BestMatch(*pooled)


def foreground_iou(foreground: NDArray[np.bool_], clusters: LabelImage) -> float:
    """IoU of the foreground when each cluster goes to the side that holds most of it.

    Half and half is background. 1 where both truth and prediction have no foreground.
    """
    counts = contingency(clusters, foreground.astype(np.uint8))
    if counts.shape[1] == 1:
        return 1.0 if not foreground.any() else float(foreground.all())
    chosen = counts[:, 1] > counts[:, 0]
    intersection = counts[chosen, 1].sum()
    union = foreground.sum() + counts[chosen, 0].sum()
    return float(intersection / union)
