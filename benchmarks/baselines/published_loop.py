"""The published loop, written anew from the paper, on one image: nothing of ours is in it.

Kim, Kanezaki, Tanaka: Unsupervised Learning of Image Segmentation Based on Differentiable Feature
Clustering (2020). Some 3 × 3 convolutions of p channels, each with ReLU and batch norm, then
a 1 × 1 convolution with batch norm; each iteration takes the argmax as its target and descends on
the cross entropy with it, on the L1 distance of neighbours, and on the scribbles.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.transform import resize
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.baselines.regions import stretched
from benchmarks.baselines.scribbles import keep_painted, shrunk_scribbles

Labels = NDArray[np.integer]

CHANNELS, LAYERS = 100, 2  # those of the published program
RATE, MOMENTUM = 0.1, 0.9
CONTINUITY, SCRIBBLES = 5.0, 0.5  # weights of the losses, as published: the former for clusters
CONTINUITY_WITH_SCRIBBLES = 1.0
ITERATIONS, SIDE = 50, 160


def published_clusters(pixels: NDArray[np.generic], k: int) -> Labels:
    """Cluster the image shrunk to `SIDE` pixels; ends early where K clusters are left."""
    image, places = _small(pixels)
    answers = _trained(image, None, CONTINUITY, at_least=k)
    return answers.argmax(dim=1)[0].numpy()[places]


def published_scribbles(pixels: NDArray[np.generic], scribbles: Labels) -> Labels:
    """Spread scribbles on the image shrunk to `SIDE` pixels; every pixel gets a painted class."""
    image, places = _small(pixels)
    small = shrunk_scribbles(scribbles, tuple(image.shape[-2:]), places)
    wanted = torch.from_numpy(small.astype(np.int64))[None] - 1
    answers = _trained(image, wanted, CONTINUITY_WITH_SCRIBBLES, at_least=1)
    labels = answers[:, : int(scribbles.max())].argmax(dim=1)[0].numpy() + 1
    return keep_painted(labels[places], scribbles)


def _small(pixels: NDArray[np.generic]) -> tuple[Tensor, tuple[NDArray[np.integer], ...]]:
    """Return the image ``1 c y x`` with sides of `SIDE` at most, and where each pixel came to."""
    values = stretched(pixels)
    values = values.reshape(*values.shape[:2], -1)
    sides = values.shape[:2]
    small = tuple(max(1, round(side * SIDE / max(sides))) for side in sides)
    shrunk = resize(values, (*small, values.shape[-1]), anti_aliasing=True)
    places = np.ix_(*(np.arange(n) * m // n for n, m in zip(sides, small, strict=True)))
    return torch.from_numpy(np.moveaxis(shrunk, -1, 0)[None].astype(np.float32)), places


def _trained(image: Tensor, wanted: Tensor | None, continuity: float, at_least: int) -> Tensor:
    """Train a network on the image; return its answers ``1 p y x`` after the last iteration."""
    torch.manual_seed(0)
    network = _network(image.shape[1])
    descent = torch.optim.SGD(network.parameters(), lr=RATE, momentum=MOMENTUM)
    for _ in range(ITERATIONS):
        descent.zero_grad()
        answers = network(image)
        clusters = answers.argmax(dim=1)
        _loss(answers, clusters, wanted, continuity).backward()
        descent.step()
        if len(clusters.unique()) <= at_least:
            break
    return answers.detach()


def _loss(answers: Tensor, clusters: Tensor, wanted: Tensor | None, continuity: float) -> Tensor:
    painted = None if wanted is None else wanted >= 0
    free = clusters if painted is None else clusters.masked_fill(painted, -100)
    loss = functional.cross_entropy(answers, free)
    apart = [answers.diff(dim=dim).abs().mean() for dim in (-2, -1)]
    loss = loss + continuity * (apart[0] + apart[1])
    if wanted is not None:
        loss = loss + SCRIBBLES * functional.cross_entropy(answers, wanted, ignore_index=-1)
    return loss


def _network(n_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in in (n_channels, *[CHANNELS] * (LAYERS - 1)):
        layers += [nn.Conv2d(n_in, CHANNELS, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(CHANNELS)]
    return nn.Sequential(*layers, nn.Conv2d(CHANNELS, CHANNELS, 1), nn.BatchNorm2d(CHANNELS))
