"""Where training starts: from random weights, or from a clustering of the inputs.

A random start makes the first clusters random too, and what training makes of them
differs from seed to seed. The default starts from the centroids of the inputs instead,
found without chance: the network's first clusters are the nearest centroids, and
training bends them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.vq import vq

from napari_diffseg.core.network import FeatureClusteringNet
from napari_diffseg.images.hierarchy import ClusterHierarchy

Floats = NDArray[np.floating[Any]]

N_WARD = 2000
"""Pixels that Ward's method clusters; its cost grows with their square."""

N_LLOYD = 8000
"""Pixels on which the centroids are then refined."""

_LLOYD_ROUNDS = 5
_GOLDEN = (5**0.5 - 1) / 2
_LEAST_VARIANCE = 1e-3
NEVER = -1e4  # response of a cluster that has no centroid


def find_centroids(inputs: Floats, n_clusters: int) -> Floats:
    """Find centroids of the pixels' inputs: Ward's method, then k-means. No chance in it.

    Parameters
    ----------
    inputs : ndarray, (n, d)
        The pixels in the image's order; an even choice of them is used.
    n_clusters : int
        The most centroids that are wanted.

    Returns
    -------
    ndarray of float32, (k, d)
        With k at most `n_clusters`; fewer where the pixels are all alike.
    """
    few = _evenly(inputs, N_WARD)
    if len(few) == 1:
        return few.astype(np.float32)
    distinct, place, sizes = np.unique(few, axis=0, return_inverse=True, return_counts=True)
    standing = ClusterHierarchy.build(distinct, sizes).at_most(n_clusters)
    groups = np.unique(standing, return_inverse=True)[1][place.reshape(-1)]
    centroids = _means(few, groups, np.zeros((groups.max() + 1, inputs.shape[1])))
    many = _evenly(inputs, N_LLOYD)
    for _ in range(_LLOYD_ROUNDS):
        centroids = _means(many, vq(many, centroids)[0], centroids)
    return centroids.astype(np.float32)


def _evenly(inputs: Floats, n: int) -> NDArray[np.float64]:
    """Choose about n rows; steps of the golden ratio fall in with no rows of the image."""
    if len(inputs) <= n:
        return inputs.astype(np.float64)
    chosen = (np.arange(n) * _GOLDEN % 1 * len(inputs)).astype(int)
    rows: NDArray[np.float64] = inputs[chosen].astype(np.float64)
    return rows


def _means(
    inputs: NDArray[np.float64], groups: NDArray[np.integer[Any]], before: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean of each group; a group without members keeps its mean of before."""
    sizes = np.bincount(groups, minlength=len(before))[:, None]
    sums = [np.bincount(groups, column, minlength=len(before)) for column in inputs.T]
    means: NDArray[np.float64] = np.stack(sums, axis=1) / np.maximum(sizes, 1)
    return np.where(sizes > 0, means, before)


@torch.no_grad()
def start_at_centroids(network: FeatureClusteringNet, inputs: Floats) -> None:
    """Set the classifier so that each pixel's first cluster is about its nearest centroid.

    The response becomes ``−|x − centroid|² / 2v``, up to a number that is the same for all
    clusters, with v the mean squared distance of a pixel to its centroid; about, because in
    training batch norm takes the statistics of its batch. The features
    start with weight 0 and join as training finds use for them.

    Parameters
    ----------
    network : FeatureClusteringNet
        With a shortcut from the inputs to the classifier.
    inputs : ndarray, (n, d)
    """
    centroids = find_centroids(inputs, network.n_clusters)
    sample = _evenly(inputs, N_LLOYD)
    distances = vq(sample, centroids.astype(np.float64))[1]
    # A floor, in units of the inputs' spread: for an image with fewer values than
    # clusters all distances are 0, and the responses would know no bounds.
    variance = max(float((distances**2).mean()), _LEAST_VARIANCE)
    response = sample @ centroids.T
    bias = (response.mean(axis=0) - (centroids**2).sum(axis=1) / 2) / variance
    n_found, n_inputs = centroids.shape
    weight = network.classifier.weight
    weight.zero_()
    weight.flatten(1)[:n_found, :n_inputs] = torch.from_numpy(centroids)
    network.normalization.weight.zero_()
    network.normalization.weight[:n_found] = torch.from_numpy(response.std(axis=0) / variance)
    network.normalization.bias.fill_(NEVER)
    network.normalization.bias[:n_found] = torch.from_numpy(bias - bias.mean())
