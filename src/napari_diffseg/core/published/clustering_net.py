"""The network: M blocks of convolution, ReLU and batch norm, then a classifier.

Kim et al. 2020, Sec. III-A and Fig. 1. Stage by stage, for ``b`` images or patches::

    inputs        b c y x   the image's channels
    feature map   b p y x   M × (3×3 convolution → ReLU → batch norm)
    response map  b q y x   1×1 convolution → batch norm
    clusters      b y x     argmax over q

For volumes the same with ``b d z y x`` and 3×3×3 convolutions; where the planes are far
apart most kernels stay within them (`kernel_depths`).

The order inside a block is convolution, ReLU, batch norm, as in both papers and
both published programs. The batch norms have a learned scale and shift, as in the
published program (the formula in the paper has none); the convolutions of the
blocks have a bias, the classifier has none, as in the formula ``r = W x``.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from napari_diffseg.image.space import PLANE, Space
from napari_diffseg.params import SegmentationParams

_FAR = 2.0  # planes from which on one block alone looks across them


def kernel_depths(n_blocks: int, space: Space) -> tuple[int, ...]:
    """Return how many planes the kernel of each block spans, 1 or 3: the view is as long as wide.

    The more voxels are drawn out along z, the less a neighbour there says beside one in the plane.
    """
    if not space.is_dense:
        return (1,) * n_blocks
    if space.z_step >= _FAR:
        return (1,) * (n_blocks - 1) + (3,)
    return (3,) * n_blocks


class FeatureClusteringNet(nn.Module):
    """Differentiable feature clustering: c channels, by M blocks to p features and q clusters.

    After a pass in training mode the batch norms' stored statistics are those of that very batch
    (momentum 1): `core.published.inference.calibrate` relies on it.
    """

    def __init__(
        self,
        n_inputs: int,
        n_features: int,
        n_clusters: int,
        n_blocks: int,
        space: Space = PLANE,
    ) -> None:
        super().__init__()
        self.n_clusters = n_clusters
        self.space = space
        kinds = (nn.Conv3d, nn.BatchNorm3d) if space.is_volume else (nn.Conv2d, nn.BatchNorm2d)
        # torch types the sizes of either by a tuple of its own length.
        convolution, norm = cast("tuple[Any, Any]", kinds)
        widths = [n_inputs] + [n_features] * n_blocks
        kernels = [(depth, 3, 3)[-space.n_axes :] for depth in kernel_depths(n_blocks, space)]
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    convolution(before, after, kernel, padding=tuple(k // 2 for k in kernel)),
                    nn.ReLU(inplace=True),
                    norm(after, momentum=1.0),
                )
                for (before, after), kernel in zip(pairwise(widths), kernels, strict=True)
            )
        )
        self.classifier = convolution(n_features, n_clusters, kernel_size=1, bias=False)
        self.normalization = norm(n_clusters, momentum=1.0)
        self.radius = tuple(sum(k // 2 for k in along) for along in zip(*kernels, strict=True))
        """How far along each axis, in pixels, a response depends on its surroundings."""

    @property
    def memory_format(self) -> torch.memory_format:
        """In which order of the axes convolutions are faster forwards (though not backwards)."""
        return torch.channels_last_3d if self.space.is_volume else torch.channels_last

    def forward(self, inputs: Tensor) -> Tensor:
        """Map inputs ``b d (z) y x`` to the response map ``b q (z) y x``."""
        response: Tensor = self.normalization(self.classifier(self.blocks(inputs)))
        return response


def build_network(
    n_inputs: int,
    params: SegmentationParams,
    generator: torch.Generator,
    space: Space = PLANE,
) -> FeatureClusteringNet:
    """Build the network with Xavier-uniform weights and zero biases (Sec. III-C).

    They come from a generator on the CPU, so that a seed gives the same start on every device.
    """
    # torch fills new layers from its global random numbers; those are the caller's.
    with torch.random.fork_rng(devices=()):
        network = FeatureClusteringNet(
            n_inputs, params.n_features, params.n_clusters, params.n_blocks, space
        )
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Conv3d)):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network
