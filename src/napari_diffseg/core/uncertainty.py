"""How unsure a result is, and where a stroke would say most."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from napari_diffseg.core.clusters.class_head import ClassHead
from napari_diffseg.core.clusters.correction import margins
from napari_diffseg.core.clusters.groundwork import Groundwork
from napari_diffseg.core.plane import Plane
from napari_diffseg.core.published.inference import response_map
from napari_diffseg.core.published.network import FeatureClusteringNet
from napari_diffseg.core.sampling import window_around
from napari_diffseg.image.pieces import block_shape
from napari_diffseg.image.windows import Window, inside, tiles, whole

Floats = NDArray[np.float32]
Integers = NDArray[np.integer[Any]]

_SMALLEST_VIEW = 32
_VIEWS_ALONG = 8  # a region to look at is about this part of the image's longer side


def region_doubt(
    ground: Groundwork,
    head: ClassHead,
    standing: Integers,
    smoothness: float,
    painted: Integers | None,
) -> Floats:
    """Return 1 minus the margin between the two most probable classes, ``(y, x)``.

    Parameters
    ----------
    ground : Groundwork
    head : ClassHead
        Of clusters or of classes.
    standing : ndarray of int, (k,)
        Which class stands for each class.
    smoothness : float
        Weight of continuity (μ).
    painted : ndarray of int, (y, x) or (z, y, x), or None
        Index of the class that is painted on each pixel; −1 for none.
    """
    doubt = np.zeros(ground.plane.shape, np.float32)
    for window in ground.windows:
        regions, answers = ground.answers(window, head, smoothness, painted)
        together = np.zeros_like(answers)
        np.add.at(together.T, standing, answers.T)
        here = regions.leaves[inside(window, ground.near(window))]
        doubt[window] = (1 - margins(together[:, np.unique(standing)])).astype(np.float32)[here]
    return _masked(doubt, ground.plane.valid)


def response_doubt(network: FeatureClusteringNet, plane: Plane, standing: Integers) -> Floats:
    """Return 1 minus the margin between the two highest softmax responses, ``(y, x)``."""
    doubt = np.zeros(plane.shape, np.float32)
    groups = torch.from_numpy(np.asarray(standing, np.int64))
    for window in tiles(whole(plane.shape), block_shape(plane.space)):
        response = response_map(network, plane, window, torch.device("cpu"))
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
