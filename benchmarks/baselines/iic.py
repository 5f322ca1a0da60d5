"""Invariant information clustering (Ji et al., ICCV 2019), a small version for one image.

Two views of the same patches, one mirrored and with other colours, shall have clusters that
tell as much as possible of each other (Sec. 3.3 of the paper: the joint distribution of the
clusters of a pixel and of its neighbours within ``RADIUS``, averaged over the image).

Smaller than published: three convolutions of 32 channels, one head, some seconds of training
on patches of the image itself, as Kim et al. (2020) use it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.baselines.patches import as_tensor, random_patches

RADIUS = 2
"""Farthest displacement between the pixels that are compared, along each axis."""

_WIDTH = 32
_SMALLEST = 1e-8


def iic_clusters(
    pixels: NDArray[np.uint8], k: int, iterations: int = 100, seed: int = 0
) -> NDArray[np.integer]:
    """Cluster an RGB image ``y x c`` into at most k clusters."""
    torch.manual_seed(seed)
    image = as_tensor(pixels)
    network = _network(image.shape[1], k)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(iterations):
        patches = random_patches(image, n=4, side=64)
        first = network(patches).softmax(dim=1)
        second = network(_other_view(patches)).softmax(dim=1).flip(-1)
        loss = -mutual_information(first, second)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return network.eval()(image)[0].argmax(dim=0).numpy()


def mutual_information(first: Tensor, second: Tensor) -> Tensor:
    """Mutual information of the clusters of two views ``b k y x``, mean over displacements."""
    # One convolution gives, for every displacement, the sum over pixels of all products.
    joint = functional.conv2d(first.transpose(0, 1), second.transpose(0, 1), padding=RADIUS)
    joint = joint.flatten(2).permute(2, 0, 1)
    joint = joint / joint.sum(dim=(1, 2), keepdim=True)
    joint = ((joint + joint.transpose(1, 2)) / 2).clamp_min(_SMALLEST)
    rows, columns = joint.sum(dim=2, keepdim=True), joint.sum(dim=1, keepdim=True)
    return (joint * (joint.log() - rows.log() - columns.log())).sum(dim=(1, 2)).mean()


def _network(n_channels: int, k: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before in (n_channels, _WIDTH, _WIDTH):
        convolution = nn.Conv2d(before, _WIDTH, kernel_size=3, padding=1)
        layers += [convolution, nn.BatchNorm2d(_WIDTH), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(_WIDTH, k, kernel_size=1))


def _other_view(patches: Tensor) -> Tensor:
    """Mirror the patches and change contrast and brightness of each colour."""
    shape = (len(patches), patches.shape[1], 1, 1)
    contrast = 1 + 0.3 * (2 * torch.rand(shape) - 1)
    brightness = 0.3 * (2 * torch.rand(shape) - 1)
    return (patches * contrast + brightness).flip(-1)
