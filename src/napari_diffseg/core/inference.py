"""From a trained network to the clusters of a whole image, tile by tile.

Inference uses fixed batch-norm statistics (see `calibrate`), never those of the piece
of image at hand, so that a pixel's cluster depends on its surroundings within the
network's radius and on nothing else: not on the tile, nor on the frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_diffseg.core.network import FeatureClusteringNet

Clusters = NDArray[np.int16]


class InputSource(Protocol):
    """Where inference reads what the network sees."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""

    def inputs(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Return the inputs of a window, ``d y x``."""


@torch.no_grad()
def calibrate(network: FeatureClusteringNet, inputs: Tensor) -> Tensor:
    """Set every batch norm's stored statistics to those of the inputs.

    After this, evaluation mode on these inputs gives what training mode gives.

    Parameters
    ----------
    network : FeatureClusteringNet
        Left in evaluation mode; its weights stay as they are.
    inputs : Tensor, b d y x
        Those of the image, or of windows that stand for it.

    Returns
    -------
    Tensor, b y x
        Clusters of the inputs.
    """
    network.train()
    clusters: Tensor = network(inputs).argmax(dim=1)
    network.eval()
    count = clusters.numel()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.running_var is not None:
            # torch stores the unbiased variance, but normalises by the biased one.
            layer.running_var.mul_((count - 1) / count)
    return clusters


@torch.no_grad()
def cluster_map(
    network: FeatureClusteringNet, source: InputSource, device: torch.device, tile: int = 0
) -> Clusters:
    """Give each pixel the index of its largest response.

    Parameters
    ----------
    network : FeatureClusteringNet
        With its statistics set; on the device. Left in evaluation mode.
    source : InputSource
        Gives the inputs, window by window.
    device : torch.device
    tile : int
        Side of the square tiles, in pixels, without their halo; 0 for what suits the
        device.

    Returns
    -------
    ndarray of int16, (y, x)
        Cluster indices, 0 … q−1. The same whatever the tile.
    """
    network.eval()
    height, width = source.shape
    clusters = np.empty((height, width), np.int16)
    for rows, columns in _tiles(height, width, tile or _tile_side(device)):
        top = max(rows.start - network.radius, 0)
        left = max(columns.start - network.radius, 0)
        around = (
            slice(top, min(rows.stop + network.radius, height)),
            slice(left, min(columns.stop + network.radius, width)),
        )
        inputs = torch.from_numpy(source.inputs(*around))[None].to(device)
        # With channels last, convolutions are faster forwards (though not backwards).
        best = network(inputs.contiguous(memory_format=torch.channels_last))[0].argmax(dim=0)
        inner = best[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        clusters[rows, columns] = inner.to(torch.int16).cpu().numpy()
    return clusters


def _tile_side(device: torch.device) -> int:
    """Choose tiles that fit a processor's cache, or that fill a GPU."""
    return 128 if device.type == "cpu" else 1024


def _tiles(height: int, width: int, tile: int) -> Iterator[tuple[slice, slice]]:
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            yield (
                slice(top, min(top + tile, height)),
                slice(left, min(left + tile, width)),
            )
