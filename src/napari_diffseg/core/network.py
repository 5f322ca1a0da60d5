"""The network: M blocks of convolution, ReLU and batch norm, then a classifier.

Kim et al. 2020, Sec. III-A and Fig. 1. Stage by stage, for ``b`` images or patches::

    image         b c y x
    feature map   b p y x   M × (3×3 convolution → ReLU → batch norm)
    response map  b q y x   1×1 convolution → batch norm
    clusters      b y x     argmax over q

The order inside a block is convolution, ReLU, batch norm, as in both papers and
both published programs. The batch norms have a learned scale and shift, as in the
published program (the formula in the paper has none); the convolutions of the
blocks have a bias, the classifier has none, as in the formula ``r = W x``.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from napari_diffseg.params import SegmentationParams


class FeatureClusteringNet(nn.Module):
    """Differentiable feature clustering network.

    Parameters
    ----------
    n_channels : int
        Channels of the image (c).
    n_features : int
        Channels of the feature map (p).
    n_clusters : int
        Channels of the response map (q).
    n_blocks : int
        Convolution blocks (M).

    Notes
    -----
    Every batch norm has momentum 1: after a pass in training mode its stored
    statistics are those of that very batch. `core.inference.calibrate` relies on it.
    """

    def __init__(self, n_channels: int, n_features: int, n_clusters: int, n_blocks: int) -> None:
        super().__init__()
        widths = [n_channels] + [n_features] * n_blocks
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(before, after, kernel_size=3, padding=1),
                    nn.ReLU(inplace=True),
                    nn.BatchNorm2d(after, momentum=1.0),
                )
                for before, after in pairwise(widths)
            )
        )
        self.classifier = nn.Conv2d(n_features, n_clusters, kernel_size=1, bias=False)
        self.normalization = nn.BatchNorm2d(n_clusters, momentum=1.0)

    @property
    def radius(self) -> int:
        """How far, in pixels, a response depends on its surroundings: the halo of a tile."""
        return len(self.blocks)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map pixels ``b c y x`` to the response map ``b q y x``."""
        response: Tensor = self.normalization(self.classifier(self.blocks(pixels)))
        return response


def build_network(
    n_channels: int, params: SegmentationParams, generator: torch.Generator
) -> FeatureClusteringNet:
    """Build the network with Xavier-uniform weights and zero biases (Sec. III-C).

    Parameters
    ----------
    n_channels : int
        Channels of the image (c).
    params : SegmentationParams
        Gives p, q and M.
    generator : torch.Generator
        Source of the random weights, on the CPU, so that a seed gives the same
        start on every device.
    """
    # torch fills new layers from its global random numbers; those are the caller's.
    with torch.random.fork_rng(devices=()):
        network = FeatureClusteringNet(
            n_channels, params.n_features, params.n_clusters, params.n_blocks
        )
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network
