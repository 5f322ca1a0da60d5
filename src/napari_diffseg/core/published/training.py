"""The training loop: one generator for scripts, command line and window alike.

Kim et al. 2020, Algorithm 1: forward pass, clusters by argmax, losses, one step of
stochastic gradient descent; again. After each step the loop yields its facts, hears
*finish*, and makes a preview where one is due.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from enum import Enum

import torch

from napari_diffseg.core.published.clustering_net import FeatureClusteringNet
from napari_diffseg.core.published.losses import (
    continuity_loss,
    scribble_loss,
    similarity_loss,
)
from napari_diffseg.core.published.sample import Sample, sample_patches
from napari_diffseg.core.published.superpixel_vote import majority_vote
from napari_diffseg.image.arrays import Labels
from napari_diffseg.params import SegmentationParams

_BATCHES_COUNTED = 8


class Command(Enum):
    """What a running generator can be sent."""

    FINISH = "finish"
    """Stop after this iteration and keep what there is."""


class StopReason(Enum):
    """Why training ended."""

    ITERATIONS = "all iterations done"
    MIN_LABELS = "fewest labels reached"
    FINISHED = "finished by the user"


@dataclass(frozen=True, slots=True)
class Iteration:
    """Facts of one training iteration.

    Attributes
    ----------
    index : int
        1 for the first; 0 for a first look, before there is anything but its labels.
    n_iterations : int
        The most that will be done (T).
    loss, similarity, continuity, scribble : float
        The whole loss and its parts, the continuity without its weight μ, the scribble loss
        without its weight ν. A correction gives the whole loss only.
    n_clusters : int
        Clusters in use in this iteration's forward pass (q′); with patches, in those of
        the last iterations.
    seconds : float
        Time since the run began.
    labels : ndarray or None, (y, x) or (z, y, x)
        A preview, where one was due; of a volume 0 where nothing was computed.
    labelled : float
        After training: share of the image that has its labels, 0 … 1.
    """

    index: int
    n_iterations: int
    loss: float
    similarity: float
    continuity: float
    n_clusters: int
    seconds: float
    labels: Labels | None = None
    labelled: float = 0.0
    scribble: float = 0.0


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What training returns: every iteration's facts (without previews) and why it ended."""

    history: tuple[Iteration, ...]
    stop_reason: StopReason


def train(
    network: FeatureClusteringNet,
    sample: Sample,
    params: SegmentationParams,
    generator: torch.Generator,
    *,
    preview: Callable[[], Labels] | None = None,
    preview_interval: float = 0.5,
    start: float | None = None,
) -> Generator[Iteration, Command | None, TrainingResult]:
    """Train the network in place; a preview makes labels ``(y, x)`` of the network as it is.

    Its statistics are then those of the iteration's batch. The run ends after the step of the
    iteration with no more than `min_labels` clusters, as in the published program.
    """
    start = time.perf_counter() if start is None else start
    history: list[Iteration] = []
    next_preview = float("-inf")
    network.train()
    # Of a batch of patches one that shows a plain background says little: all batches of
    # the last iterations count.
    memory = 1 if params.patch_size == 0 else _BATCHES_COUNTED
    for facts in _iterations(network, sample, params, generator, memory, start):
        history.append(facts)
        labels, now = None, time.perf_counter()
        if preview is not None and now >= next_preview:
            labels = preview()
            network.train()
            done = time.perf_counter()
            # Slow ones take no more than a third of the time.
            next_preview = done + max(preview_interval, 2 * (done - now))
        command = yield facts if labels is None else replace(facts, labels=labels)
        if command is Command.FINISH:
            return TrainingResult(tuple(history), StopReason.FINISHED)
        if facts.index >= memory and facts.n_clusters <= params.min_labels:
            return TrainingResult(tuple(history), StopReason.MIN_LABELS)
    return TrainingResult(tuple(history), StopReason.ITERATIONS)


def _iterations(
    network: FeatureClusteringNet,
    sample: Sample,
    params: SegmentationParams,
    generator: torch.Generator,
    memory: int,
    start: float,
) -> Iterator[Iteration]:
    """Take step after step; clusters count that were in use in one of the last ``memory``."""
    velocities = [torch.zeros_like(weight) for weight in network.parameters()]
    last_used = torch.full((params.n_clusters,), -memory, device=sample.inputs.device)
    for index in range(1, params.n_iterations + 1):
        batch = sample_patches(sample, params, generator, network.space)
        clusters, losses = _gradient(network, batch, params)
        _descend(network, velocities, params.learning_rate, params.momentum)
        last_used.scatter_(0, _counted(clusters, batch.valid), index)
        n_used = (last_used > index - memory).sum()
        # The one round trip from the device: all facts at once.
        facts_now = torch.stack([*losses, n_used]).tolist()
        loss, similarity, continuity, scribble, n_clusters = facts_now
        yield Iteration(
            index=index,
            n_iterations=params.n_iterations,
            loss=loss,
            similarity=similarity,
            continuity=continuity,
            scribble=scribble,
            n_clusters=int(n_clusters),
            seconds=time.perf_counter() - start,
        )


def _gradient(
    network: FeatureClusteringNet,
    batch: Sample,
    params: SegmentationParams,
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """One forward and backward pass; returns the clusters, and the loss and its parts."""
    response = network(batch.inputs)
    clusters = response.detach().argmax(dim=1)
    targets = clusters
    if batch.superpixels is not None:
        targets = majority_vote(clusters, batch.superpixels, batch.n_superpixels, params.n_clusters)
    similarity = similarity_loss(response, targets, batch.unpainted)
    continuity = continuity_loss(response, batch.valid, network.space)
    loss = similarity + params.continuity_weight * continuity
    scribble = response.new_zeros(())
    if batch.painted is not None:
        scribble = scribble_loss(response, batch.painted)
        loss = loss + params.scribble_weight * scribble
    network.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    return clusters, [part.detach() for part in (loss, similarity, continuity, scribble)]


@torch.no_grad()
def _descend(
    network: FeatureClusteringNet, velocities: list[torch.Tensor], rate: float, momentum: float
) -> None:
    """Take one step of gradient descent with momentum.

    As `torch.optim.SGD` does, whose first use loads torch's compiler: two seconds in a window.
    """
    for weight, velocity in zip(network.parameters(), velocities, strict=True):
        velocity.mul_(momentum)
        if weight.grad is not None:
            velocity.add_(weight.grad)
        weight.add_(velocity, alpha=-rate)


def _counted(clusters: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
    return clusters.flatten() if valid is None else clusters[valid]
