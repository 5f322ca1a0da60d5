"""The network: M blocks of convolution, ReLU and batch norm, then a classifier.

Kim et al. 2020, Sec. III-A and Fig. 1. Stage by stage, for ``b`` images or patches::

    inputs        b d y x   the image's channels (c), or their local statistics
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
    n_inputs : int
        Channels of what it sees: those of the image (c), or its statistics (d).
    n_features : int
        Channels of the feature map (p).
    n_clusters : int
        Channels of the response map (q).
    n_blocks : int
        Convolution blocks (M).
    shortcut : bool
        Whether the classifier sees the inputs beside the feature map, so that a sharp
        object keeps its own value up to the last layer. Not in the paper.

    Notes
    -----
    Every batch norm has momentum 1: after a pass in training mode its stored
    statistics are those of that very batch. `core.inference.calibrate` relies on it.
    """

    def __init__(
        self,
        n_inputs: int,
        n_features: int,
        n_clusters: int,
        n_blocks: int,
        *,
        shortcut: bool = False,
    ) -> None:
        super().__init__()
        self.n_inputs = n_inputs
        self.n_clusters = n_clusters
        self.shortcut = shortcut
        widths = [n_inputs] + [n_features] * n_blocks
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
        n_seen = n_features + n_inputs if shortcut else n_features
        self.classifier = nn.Conv2d(n_seen, n_clusters, kernel_size=1, bias=False)
        self.normalization = nn.BatchNorm2d(n_clusters, momentum=1.0)

    @property
    def radius(self) -> int:
        """How far, in pixels, a response depends on its surroundings: the halo of a tile."""
        return len(self.blocks)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map inputs ``b d y x`` to the response map ``b q y x``."""
        features = self.blocks(inputs)
        if self.shortcut:
            features = torch.cat([inputs, features], dim=1)
        response: Tensor = self.normalization(self.classifier(features))
        return response


def build_network(
    n_inputs: int, params: SegmentationParams, generator: torch.Generator
) -> FeatureClusteringNet:
    """Build the network with Xavier-uniform weights and zero biases (Sec. III-C).

    Parameters
    ----------
    n_inputs : int
        Channels of what it sees.
    params : SegmentationParams
        Gives p, q, M and the design.
    generator : torch.Generator
        Source of the random weights, on the CPU, so that a seed gives the same
        start on every device.
    """
    # torch fills new layers from its global random numbers; those are the caller's.
    with torch.random.fork_rng(devices=()):
        network = FeatureClusteringNet(
            n_inputs,
            params.n_features,
            params.n_clusters,
            params.n_blocks,
            shortcut=params.design == "multiscale",
        )
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network
