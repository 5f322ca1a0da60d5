"""W-Net (Xia & Kulis, 2017), a small version for one image.

A first U-Net gives every pixel its clusters, a second one paints the image again from them.
In turn: the first learns by the soft normalised cut (Sec. 3.2 of the paper), then both learn by
the difference between the painted image and the image.

Smaller than published: two levels of 16 and 32 channels above 64, no dropout, training on
patches of the image itself, and none of the post-processing (conditional random field, merging
of contours).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.baselines.patches import as_tensor, random_patches

RADIUS = 4
"""Pixels farther apart have no edge in the graph that is cut (5 in the paper, exclusive)."""

_INTENSITY_SIGMA = 10 / 255  # of the intensities' range, as published
_PLACE_SIGMA = 4.0  # pixels, as published
_WIDTHS = (16, 32, 64)


def wnet_clusters(
    pixels: NDArray[np.uint8], k: int, iterations: int = 100, seed: int = 0
) -> NDArray[np.integer]:
    """Cluster an RGB image ``y x c`` into at most k clusters."""
    torch.manual_seed(seed)
    image = as_tensor(pixels)
    # The cut knows intensities as published, in units of their range.
    sigma = _INTENSITY_SIGMA * float(image.max() - image.min())
    encoder, decoder = UNet(image.shape[1], k), UNet(k, image.shape[1])
    cut = torch.optim.Adam(encoder.parameters(), lr=1e-3)
    both = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    for _ in range(iterations):
        patches = random_patches(image, n=2, side=64)
        _descend(cut, soft_normalized_cut(encoder(patches).softmax(dim=1), patches, sigma))
        painted = decoder(encoder(patches).softmax(dim=1))
        _descend(both, functional.mse_loss(painted, patches))
    height, width = image.shape[-2:]
    coarsest = 2 ** (len(_WIDTHS) - 1)
    padded = functional.pad(image, (0, -width % coarsest, 0, -height % coarsest), "replicate")
    with torch.no_grad():
        return encoder.eval()(padded)[0, :, :height, :width].argmax(dim=0).numpy()


def soft_normalized_cut(clusters: Tensor, image: Tensor, sigma: float) -> Tensor:
    """Soft normalised cut of soft clusters ``b k y x``; an edge is strong between like colours.

    k minus, summed over the clusters, the weight of the edges within one over that of all
    edges that leave its pixels.
    """
    height, width = image.shape[-2:]
    within = clusters.new_zeros(clusters.shape[:2])
    degrees = torch.zeros_like(image[:, :1])
    for dy, dx in _half_disc():
        here = (..., slice(0, height - dy), slice(max(-dx, 0), width - max(dx, 0)))
        there = (..., slice(dy, height), slice(max(dx, 0), width - max(-dx, 0)))
        apart = ((image[here] - image[there]) ** 2).sum(dim=1, keepdim=True)
        place = (dy**2 + dx**2) / _PLACE_SIGMA**2
        weights = torch.exp(-apart / sigma**2 - place)
        within = within + 2 * (weights * clusters[here] * clusters[there]).sum(dim=(2, 3))
        degrees[here] += weights
        degrees[there] += weights
    leaving = (degrees * clusters).sum(dim=(2, 3))
    return (clusters.shape[1] - (within / leaving).sum(dim=1)).mean()


def _half_disc() -> list[tuple[int, int]]:
    """Displacements to the neighbours of a pixel, of each pair of opposite ones only one."""
    reach = range(-RADIUS, RADIUS + 1)
    return [
        (dy, dx)
        for dy in range(RADIUS + 1)
        for dx in reach
        if (dy > 0 or dx > 0) and dy**2 + dx**2 <= RADIUS**2
    ]


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


class UNet(nn.Module):
    """A small U-Net: ``b c y x`` → ``b k y x``; y and x must be multiples of 4."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        befores = (n_in, *_WIDTHS[:-1])
        self.down = nn.ModuleList(map(_two_convolutions, befores, _WIDTHS))
        finer = _WIDTHS[-2::-1]
        self.lift = nn.ModuleList(
            nn.ConvTranspose2d(2 * width, width, kernel_size=2, stride=2) for width in finer
        )
        self.up = nn.ModuleList(_two_convolutions(2 * width, width) for width in finer)
        self.head = nn.Conv2d(_WIDTHS[0], n_out, kernel_size=1)

    def forward(self, image: Tensor) -> Tensor:
        kept = [self.down[0](image)]
        for block in list(self.down)[1:]:
            kept.append(block(functional.max_pool2d(kept[-1], 2)))
        arriving = kept.pop()
        for lift, block in zip(self.lift, self.up, strict=True):
            arriving = block(torch.cat([kept.pop(), lift(arriving)], dim=1))
        return self.head(arriving)


def _two_convolutions(before: int, after: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in in (before, after):
        convolution = nn.Conv2d(n_in, after, kernel_size=3, padding=1)
        layers += [convolution, nn.ReLU(), nn.BatchNorm2d(after)]
    return nn.Sequential(*layers)
