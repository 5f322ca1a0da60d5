"""From a trained network to the clusters of a whole image, tile by tile.

Inference uses fixed batch-norm statistics (see `calibrate`), never those of the piece
of image at hand, so that a pixel's cluster depends on its surroundings within the
network's radius and on nothing else: not on the tile, nor on the frame.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_diffseg.core.network import FeatureClusteringNet

Clusters = NDArray[np.int16]

TILE = 512
"""Side of an inference tile in pixels; bounds the memory whatever the image's size."""


@torch.no_grad()
def calibrate(network: FeatureClusteringNet, sample: Tensor) -> None:
    """Set every batch norm's stored statistics to those of the sample.

    After this, evaluation mode on the sample gives what training mode gives.

    Parameters
    ----------
    network : FeatureClusteringNet
        Left in evaluation mode; its weights stay as they are.
    sample : Tensor, b c y x
        The image, or patches that stand for it.
    """
    network.train()
    network(sample)
    network.eval()
    count = sample.shape[0] * sample.shape[2] * sample.shape[3]
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.running_var is not None:
            # torch stores the unbiased variance, but normalises by the biased one.
            layer.running_var.mul_((count - 1) / count)


@torch.no_grad()
def cluster_map(network: FeatureClusteringNet, pixels: Tensor, tile: int = TILE) -> Clusters:
    """Give each pixel the index of its largest response.

    Parameters
    ----------
    network : FeatureClusteringNet
        In evaluation mode.
    pixels : Tensor, 1 c y x
    tile : int
        Side of the square tiles, in pixels, without their halo.

    Returns
    -------
    ndarray of int16, (y, x)
        Cluster indices, 0 … q−1. The same whatever the tile.
    """
    height, width = pixels.shape[2:]
    clusters = np.empty((height, width), np.int16)
    for rows, columns in _tiles(height, width, tile):
        top = max(rows.start - network.radius, 0)
        left = max(columns.start - network.radius, 0)
        bottom = rows.stop + network.radius
        right = columns.stop + network.radius
        best = network(pixels[..., top:bottom, left:right])[0].argmax(dim=0)
        inner = best[
            rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]
        clusters[rows, columns] = inner.to(torch.int16).cpu().numpy()
    return clusters


def _tiles(height: int, width: int, tile: int) -> Iterator[tuple[slice, slice]]:
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            yield (
                slice(top, min(top + tile, height)),
                slice(left, min(left + tile, width)),
            )
