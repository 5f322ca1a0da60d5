"""What gradient steps on the image add to the default's clusters: micrographs by family.

The classifier (with ``--block`` the network's last block too) starts at the default's centroids
and takes steps of Adam on one loss after another; continuity and hierarchy follow as in the
default, small pieces stay. Of each family the first six images (``--block``: two). The rate and
number of steps that are best on every second of them are scored on the others, and the other way
round::

    python -m benchmarks.learning --data DIR [--block]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.datasets import Micrograph
from benchmarks.families import N_LABELS, Rows, crops, family_row, held_out_scores, run
from benchmarks.machine import write_results
from napari_diffseg import SegmentationParams
from napari_diffseg.core.clusters.class_head import ClassHead
from napari_diffseg.core.clusters.clustering import hierarchy_of, start_head
from napari_diffseg.core.features.extraction import SCALES, Features
from napari_diffseg.core.features.network import N_FEATURES, Maps, _strip
from napari_diffseg.core.features.region_map import RegionMap
from napari_diffseg.core.features.weights import feature_basis, shipped_network
from napari_diffseg.image.windows import whole
from napari_diffseg.metrics.matching import foreground_iou

Floats = NDArray[np.float32]

CPU = torch.device("cpu")
RATES, STEPS, MOST = (0.005, 0.02), (10, 60), 6  # the last: images of each family
BLOCK_RATES, BLOCK_STEPS, BLOCK_MOST = (1e-4, 1e-3), (3, 10), 2
VIEWS = ((-1, 0.85, 0.05), (-2, 1.1, -0.05))  # axis that is flipped, gain, offset
NOISE = 0.03
GATE = 3.3  # as in the default's graph
SHARPENING = 1.5


@dataclass(frozen=True)
class Loss:
    """Weights of the parts of a loss; 0 leaves a part out."""

    argmax: float = 0.0  # similarity: cross-entropy against the own argmax
    sure: float = 0.0  # entropy of each leaf's probabilities
    many: float = 0.0  # less the entropy of the mean assignment
    neighbours: float = 0.0  # cross-entropy against the neighbours' mean, sharpened
    continuity: float = 0.0  # L1 of differences, gated by how strong the boundary is
    ungated: float = 0.0  # the same for every border alike, as published
    views: float = 0.0  # cross-entropy against other views of the image, and theirs against it


LOSSES = {
    "similarity, continuity": Loss(argmax=1, ungated=2),
    "similarity, many, gated continuity": Loss(argmax=1, many=1, continuity=2),
    "information, gated continuity": Loss(sure=1, many=1, continuity=2),
    "information, views": Loss(sure=1, many=1, views=1),
    "neighbours, many": Loss(neighbours=1, many=1),
    "neighbours, many, continuity, views": Loss(neighbours=1, many=1, continuity=1, views=1),
}
BLOCK_LOSSES = {"information, gated continuity": LOSSES["information, gated continuity"]}


@dataclass(frozen=True, eq=False)
class Seen:
    """An image as the default sees it: its leaves, their rows in other views, and what the last
    block of the network was given at each scale.
    """

    image: Micrograph
    stage: Features
    regions: RegionMap
    views: list[Floats]
    before: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    @classmethod
    def of(cls, image: Micrograph) -> Seen:
        """Segment an image; look at it again, and flipped, brighter or darker, and noisy."""
        ground = run(image, SegmentationParams()).ground
        if ground is None or ground.plane.stage is None:
            raise RuntimeError(f"{image.name} was segmented without features.")
        plane, stage, regions = ground.plane, ground.plane.stage, ground.regions(ground.windows[0])
        window, random = whole(plane.shape), np.random.default_rng(0)
        pixels, before, views = np.asarray(plane.pixels[:, *window]), [], []
        network = shipped_network(CPU)
        real = network._by_strips

        def record(block: nn.Module, fine: Tensor, *more: Any, **then: Any) -> Maps:
            if block is network.up[-1]:
                before.append((fine, more[0]))
            return real(block, fine, *more, **then)

        network.__dict__["_by_strips"] = record
        stage.window(pixels, window, CPU)
        del network.__dict__["_by_strips"]
        for axis, gain, offset in VIEWS:
            other = np.flip(pixels, axis) * gain + offset + random.normal(0, NOISE, pixels.shape)
            inputs = stage.window(np.ascontiguousarray(other, np.float32), window, CPU)
            leaves = np.ascontiguousarray(np.flip(regions.leaves, axis))
            valid = None if plane.valid is None else np.flip(plane.valid, axis)
            views.append(stage.rows_of(inputs, leaves, valid))
        return cls(image, stage, regions, views, before)

    def start(self) -> Tensor:
        """Return the default's classifier, ``(d + 1, q)``."""
        head = start_head([self.regions], SegmentationParams().n_clusters, CPU)
        return torch.from_numpy(head.weights).float()

    def iou(self, weights: Tensor, rows: Tensor) -> float:
        """Foreground IoU, mean over numbers of labels, of a classifier on rows of leaves."""
        regions = replace(self.regions, rows=rows.detach().numpy())
        head = ClassHead(weights.detach().numpy().astype(np.float64), 0.0)
        answers = regions.spread(head, SegmentationParams().continuity_weight)
        hierarchy = hierarchy_of([regions], [answers], rgb=self.stage.rgb)
        best = answers.argmax(axis=1)
        found = [hierarchy.at_most(k)[best][regions.leaves] for k in N_LABELS]
        return float(np.mean([foreground_iou(self.image.foreground, one) for one in found]))


def loss_of(loss: Loss, seen: Seen, weights: Tensor, rows: Tensor) -> Tensor:
    """Return the loss of a classifier ``(d + 1, q)`` on the rows ``(n, d)`` of leaves."""
    graph = seen.regions.graph
    area = torch.from_numpy(graph.areas / graph.areas.sum()).float()[:, None]
    first, second = (torch.from_numpy(one.astype(np.int64)) for one in (graph.first, graph.second))
    border = torch.from_numpy(graph.border).float()
    weak = torch.from_numpy(graph.border * np.exp(-GATE * graph.strength)).float()
    likely = functional.log_softmax(rows @ weights[:-1] + weights[-1], 1)
    p, fixed = likely.exp(), likely.exp().detach()

    def surprise(targets: Tensor, answers: Tensor) -> Tensor:
        return -(area * targets.detach() * answers).sum()

    mean = (area * p).sum(0).clamp_min(1e-9)
    total = loss.many * (mean * mean.log()).sum() - loss.sure * (area * p * likely).sum()
    if loss.ungated or loss.continuity:
        apart = (p.index_select(0, first) - p.index_select(0, second)).abs().sum(1)
        total = total + loss.ungated * (border * apart).sum() / border.sum()
        total = total + loss.continuity * (weak * apart).sum() / weak.sum()
    if loss.argmax:
        own = functional.one_hot(p.argmax(1), p.shape[1])
        total = total + loss.argmax * surprise(own, likely)
    if loss.neighbours:
        around = (1e-3 * fixed).index_add(0, first, weak[:, None] * fixed[second])
        around = around.index_add(0, second, weak[:, None] * fixed[first])
        sharp = (around / around.sum(1, keepdim=True)) ** SHARPENING
        total = total + loss.neighbours * surprise(sharp / sharp.sum(1, keepdim=True), likely)
    for view in seen.views if loss.views else ():
        other = functional.log_softmax(torch.from_numpy(view) @ weights[:-1] + weights[-1], 1)
        both = surprise(other.exp(), likely) + surprise(fixed, other)
        total = total + loss.views / len(seen.views) * both
    return total


class LastBlock(nn.Module):
    """The rows of an image's leaves, as a function of the network's last block."""

    def __init__(self, seen: Seen) -> None:
        super().__init__()
        network = shipped_network(CPU)
        self.block, self.head, self.seen = deepcopy(network.up[-1]), deepcopy(network.head), seen
        self.block.folded = None  # it would not follow what is learned

    def forward(self) -> Tensor:
        """Return the rows ``(n, d)``."""
        stage, regions = self.seen.stage, self.seen.regions
        height, width = regions.leaves.shape
        projection, parts = torch.from_numpy(stage.projection), []
        basis = torch.from_numpy(feature_basis())
        for own, (fine, coarse), scale in zip(
            projection.split(N_FEATURES, 1), self.seen.before, SCALES, strict=True
        ):
            found = _strip(self.block, fine.clone(), coarse.clone(), slice(0, fine.shape[-2]))
            features = functional.normalize(self.head(found)[:, :-1], dim=1)
            part = functional.conv2d(features, (own @ basis)[:, :, None, None])
            part = functional.interpolate(part, scale_factor=scale, mode="bilinear")
            parts.append(part[0, :, :height, :width])
        leaf = torch.from_numpy(regions.leaves.astype(np.int64)).ravel()
        sums = torch.zeros(len(regions.rows), len(projection))
        sums = sums.index_add(0, leaf, torch.stack(parts).sum(0).flatten(1).T)
        found = sums / torch.bincount(leaf)[:, None] - projection @ torch.from_numpy(stage.centres)
        return torch.cat([found, torch.from_numpy(regions.rows[:, len(projection) :])], 1)


def scores_of(
    seen: Seen, loss: Loss, rate: float, steps: Sequence[int], *, with_block: bool
) -> Iterator[float]:
    """Yield the score after each number of steps of Adam."""
    weights, block = seen.start().requires_grad_(), LastBlock(seen)
    rows = block if with_block else lambda: torch.from_numpy(seen.regions.rows)
    learned = [weights, *block.parameters()] if with_block else [weights]
    optimizer = torch.optim.Adam(learned, rate)
    for step in range(1, max(steps) + 1):
        optimizer.zero_grad()
        loss_of(loss, seen, weights, rows()).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step in steps:
            yield seen.iou(weights, rows())


def tables_of(images: Sequence[Seen], *, with_block: bool) -> dict[str, Rows]:
    """Score the start, and each loss at the rate and steps that were best on the other half."""
    kinds = [one.image.modality for one in images]
    start = [one.iou(one.start(), torch.from_numpy(one.regions.rows)) for one in images]
    rows, every = [family_row("start", start, kinds)], []
    rates, steps = (BLOCK_RATES, BLOCK_STEPS) if with_block else (RATES, STEPS)
    for name, loss in (BLOCK_LOSSES if with_block else LOSSES).items():
        scores: dict[str, list[float]] = {}
        for rate in rates:
            for one in images:
                found = scores_of(one, loss, rate, steps, with_block=with_block)
                for step, value in zip(steps, found, strict=True):
                    scores.setdefault(f"rate {rate:g}, {step} steps", []).append(value)
        for setting, values in scores.items():
            every.append(family_row(f"{name}; {setting}", values, kinds))
            print(every[-1], file=sys.stderr, flush=True)
        rows.append(family_row(name, held_out_scores(scores, kinds), kinds))
    title = "Foreground IoU, mean of K = 3, 8, 16"
    return {
        f"{title}: set on one half, scored on the other": rows,
        f"{title}: every setting": every,
    }


def first_of_each(images: Iterable[Micrograph], most: int) -> list[Micrograph]:
    """Return the first images of each family."""
    found: dict[str, list[Micrograph]] = {}
    for image in images:
        found.setdefault(image.modality, []).append(image)
    return [image for family in found.values() for image in family[:most]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write ``results/learning.md`` or ``learning_block.md``, and ``.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--block", action="store_true", help="the network's last block learns too")
    options = parser.parse_args(arguments)
    name, most = ("learning_block", BLOCK_MOST) if options.block else ("learning", MOST)
    images = [Seen.of(image) for image in first_of_each(crops(options.data), most)]
    write_results(name, tables_of(images, with_block=options.block))


if __name__ == "__main__":
    main()
