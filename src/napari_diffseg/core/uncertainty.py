"""How unsure a result is, and where a stroke would say most."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from napari_diffseg.core.correction import ClassMap
from napari_diffseg.core.groundwork import Groundwork
from napari_diffseg.core.inference import response_map
from napari_diffseg.core.network import FeatureClusteringNet
from napari_diffseg.core.partition import Partition
from napari_diffseg.core.plane import Plane
from napari_diffseg.core.sampling import window_around
from napari_diffseg.images.labels import look_up
from napari_diffseg.images.pieces import block_shape
from napari_diffseg.images.regions import join_votes
from napari_diffseg.images.windows import Window, tiles, whole

Floats = NDArray[np.float32]
Integers = NDArray[np.integer[Any]]

_SMALLEST_VIEW = 32
_VIEWS_ALONG = 8  # a region to look at is about this part of the image's longer side


def class_doubt(ground: Groundwork, classes: ClassMap) -> NDArray[np.float32]:
    """Return 1 minus the margin between the two most probable classes, ``(y, x)``."""
    unsure = np.zeros(ground.plane.shape, np.float32)
    if len(classes.numbers) > 1:
        for window in ground.windows:
            if ground.plane.is_blank(window):
                continue
            best = np.partition(classes.window(ground, window), -2, axis=0)[-2:]
            unsure[window] = 1 - (best[1] - best[0])
    return _masked(unsure, ground.plane.valid)


def vote_doubt(partition: Partition, representatives: Integers) -> Floats:
    """Return 1 minus the margin between the two clusters with most votes, ``(y, x)``.

    Parameters
    ----------
    partition : Partition
        With regions and votes.
    representatives : ndarray of int, (q,)
        The cluster that stands for each cluster.
    """
    if partition.regions is None or partition.votes is None:
        raise ValueError("a partition with regions was asked for")
    votes = join_votes(partition.votes, representatives).astype(np.float32)
    best = np.partition(votes, -2, axis=1)[:, -2:]
    margin = (best[:, 1] - best[:, 0]) / np.maximum(votes.sum(axis=1), 1)
    doubt: Floats = look_up((1 - margin).astype(np.float32), partition.regions)
    return _masked(doubt, partition.valid)


def response_doubt(
    network: FeatureClusteringNet, plane: Plane, representatives: Integers
) -> Floats:
    """Return 1 minus the margin between the two highest softmax responses, ``(y, x)``."""
    doubt = np.zeros(plane.shape, np.float32)
    groups = torch.from_numpy(np.asarray(representatives, np.int64))
    for window in tiles(whole(plane.shape), block_shape(plane.space)):
        source = plane.around(window, network.radius)
        response = response_map(network, source, window, torch.device("cpu"))
        share = torch.zeros_like(response).index_add_(0, groups, response.softmax(dim=0))
        best = share.topk(2, dim=0).values
        doubt[window] = (1 - (best[0] - best[1])).numpy()
    return _masked(doubt, plane.valid)


def _masked(doubt: Floats, valid: NDArray[np.bool_] | None) -> Floats:
    if valid is not None:
        doubt[~valid] = 0
    return doubt


def most_uncertain_region(uncertainty: Floats, scribbles: Integers | None = None) -> Window:
    """Find the square (or cube) that is most unsure on average: where a stroke would say most.

    Parameters
    ----------
    uncertainty : ndarray of float, (y, x) or (z, y, x)
        0 … 1.
    scribbles : ndarray of int, optional
        What is painted already: painted pixels count as sure.

    Returns
    -------
    tuple of slice
        One for each axis.
    """
    unsure = uncertainty if scribbles is None else np.where(scribbles > 0, 0, uncertainty)
    side = max(max(unsure.shape) // _VIEWS_ALONG, _SMALLEST_VIEW)
    size = [min(side, length) for length in unsure.shape]
    mean = uniform_filter(unsure, size, mode="constant")
    middle = np.unravel_index(int(mean.argmax()), mean.shape)
    return window_around([int(at) for at in middle], size, unsure.shape)
