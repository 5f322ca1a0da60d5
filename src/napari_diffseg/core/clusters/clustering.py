"""Kinds of regions, found and learned on the image itself: the default's unsupervised part.

The three criteria of Kim et al. 2020, Sec. III, on leaves (`numeric.leaves`) in place of pixels:

(a) *like pixels, one cluster*: a linear classifier of the leaves' features, which starts at
    centroids and is fitted to its own answers (L_sim, with soft targets);
(b) *neighbours, one cluster*: between the fits the answers spread over the graph of the leaves,
    but not across boundaries, which has the minimum of a continuity loss exactly;
(c) *many clusters*: the start has as many as are wanted, and few rounds leave them alive.

Each fit is convex and solved, so that nothing here depends on chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from napari_diffseg.core.clusters.class_head import ClassHead, Examples, fit_head, together
from napari_diffseg.core.clusters.start import find_centroids
from napari_diffseg.core.features.region_map import RegionMap
from napari_diffseg.image.arrays import Floats
from napari_diffseg.numeric.hierarchy import COLOR_POWER, GRAY_POWER, ClusterHierarchy

_TEMPERATURE = 0.5  # squared distance to a centroid, in units of the features' variance
_SHARPENING = 1.5  # power of the probabilities that are the next targets
_DECAY = 1e-4
_NEVER = -1e4  # response of a cluster that has no centroid


def start_head(maps: Sequence[RegionMap], n_clusters: int, device: torch.device) -> ClassHead:
    """Return the classifier whose clusters are the nearest centroids of the leaves."""
    rows = np.concatenate([one.rows for one in maps])
    areas = np.concatenate([one.graph.areas for one in maps])
    centroids = find_centroids(rows, areas, n_clusters, device)
    weights = np.zeros((rows.shape[1] + 1, n_clusters))
    weights[-1] = _NEVER
    found = np.vstack([2 * centroids.T, -(centroids**2).sum(axis=1)]) / _TEMPERATURE
    weights[:, : len(centroids)] = found
    return ClassHead(weights, 0.0)


def learn_clusters(
    maps: Sequence[RegionMap], head: ClassHead, smoothness: float, n_rounds: int
) -> Iterator[tuple[ClassHead, list[Floats]]]:
    """Learn clusters in some rounds of fits, 0 for the start as it is (smoothness: μ).

    Yields the classifier and its answers ``(n, q)`` on each map, before it is fitted to them; with
    the last one, those that it has.
    """
    areas = [one.graph.areas for one in maps]
    total = sum(float(one.sum()) for one in areas)
    for _ in range(n_rounds):
        answers = [one.spread(head, smoothness) for one in maps]
        sharp = [one**_SHARPENING for one in answers]
        targets = [one / one.sum(axis=1, keepdims=True) for one in sharp]
        examples = together(
            [
                Examples(one.rows, target, area / total)
                for one, target, area in zip(maps, targets, areas, strict=True)
            ]
        )
        yield head, answers
        head = fit_head(examples, head, _DECAY, head.clusters)
    yield head, [one.spread(head, smoothness) for one in maps]


def hierarchy_of(
    maps: Sequence[RegionMap],
    answers: Sequence[Floats],
    present: NDArray[np.bool_] | None = None,
    *,
    rgb: bool,
) -> ClusterHierarchy:
    """Build the hierarchy of the clusters that leaves have, by the means of these.

    Those that are not present in the image to label, ``(q,)``, join before the rest.
    """
    every = np.concatenate(answers)
    return ClusterHierarchy.of_regions(
        np.concatenate([one.rows for one in maps]),
        every.argmax(axis=1),
        np.concatenate([one.graph.areas for one in maps]),
        every.shape[1],
        present,
        COLOR_POWER if rgb else GRAY_POWER,
        every,
    )
