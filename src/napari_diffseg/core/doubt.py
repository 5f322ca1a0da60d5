"""How unsure a result is, and where a stroke would say most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from napari_diffseg.core.clusters.correction import margins
from napari_diffseg.core.features.region_map import RegionMap
from napari_diffseg.core.plane import Plane
from napari_diffseg.core.published.clustering_net import FeatureClusteringNet
from napari_diffseg.core.published.inference import response_map
from napari_diffseg.core.sampling import window_around
from napari_diffseg.image.arrays import Floats, Integers
from napari_diffseg.image.pieces import block_shape
from napari_diffseg.image.windows import Window, inside, tiles, whole

if TYPE_CHECKING:
    from napari_diffseg.core.result import Segmentation

SURE = 0.01
"""So little uncertainty is none."""

_SMALLEST_VIEW = 32
_VIEWS_ALONG = 8  # a region to look at is about this part of the image's longer side


def joined_margins(answers: Floats, standing: Integers) -> Floats:
    """Return how sure each leaf is, ``(n, k)`` → ``(n,)``, once classes join to those standing."""
    together = np.zeros_like(answers)
    np.add.at(together.T, standing, answers.T)
    return margins(together[:, np.unique(standing)])


def uncertainty_of(result: Segmentation) -> NDArray[np.float32]:
    """Return how unsure each pixel of a result is; see `Segmentation.uncertainty`."""
    model, plane = result.model, result.ground.plane
    if model.network is None:
        doubt = _of_regions(result)
    else:
        doubt = _of_responses(model.network, plane, model.standing)
    if plane.valid is not None:
        doubt[~plane.valid] = 0
    return doubt


def _of_regions(result: Segmentation) -> NDArray[np.float32]:
    """Of the default: of the classes where something is painted, else of the clusters."""
    ground, smoothness = result.ground, result.params.continuity_weight
    head, standing, painted = result.model.clusters, result.model.standing, None
    if result.classes is not None and result.scribbles is not None:
        head = result.classes.head
        standing = np.arange(head.n_classes)
        painted = result.classes.painted(result.scribbles)
    doubt = np.zeros(ground.plane.shape, np.float32)

    def answers_of(window: Window) -> tuple[RegionMap, Floats]:
        return ground.answers(window, head, smoothness, painted)

    for window, (regions, answers) in filter(None, ground.in_turn(answers_of)):
        here = regions.leaves[inside(window, ground.near(window))]
        doubt[window] = (1 - joined_margins(answers, standing)).astype(np.float32)[here]
    return doubt


def _of_responses(
    network: FeatureClusteringNet, plane: Plane, standing: Integers
) -> NDArray[np.float32]:
    """Of the published design: by softmax responses."""
    doubt = np.zeros(plane.shape, np.float32)
    groups = torch.from_numpy(np.asarray(standing, np.int64))
    for window in tiles(whole(plane.shape), block_shape(plane.space)):
        response = response_map(network, plane, window, torch.device("cpu"))
        share = torch.zeros_like(response).index_add_(0, groups, response.softmax(dim=0))
        best = share.topk(2, dim=0).values
        doubt[window] = (1 - (best[0] - best[1])).numpy()
    return doubt


def most_uncertain_region(
    uncertainty: Floats, scribbles: Integers | None = None, seen: Sequence[Window] = ()
) -> Window | None:
    """Find the square (or cube) that is most unsure on average: where a stroke would say most.

    Painted pixels count as sure, and regions that were seen, unless nothing else is left; None
    where all is sure.
    """
    unsure = uncertainty if scribbles is None else np.where(scribbles > 0, 0, uncertainty)
    left = unsure.copy() if seen else unsure
    for region in seen:
        left[region] = 0
    left = left if left.max() > SURE else unsure
    if left.max() <= SURE:
        return None
    side = max(max(left.shape) // _VIEWS_ALONG, _SMALLEST_VIEW)
    size = [min(side, length) for length in left.shape]
    mean = uniform_filter(left, size, mode="constant")
    middle = np.unravel_index(int(mean.argmax()), mean.shape)
    return window_around([int(at) for at in middle], size, left.shape)
