"""The leaves of a part of an image, with all that labelling asks of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_diffseg.core.clusters.class_head import ClassHead
from napari_diffseg.core.features.extraction import Features, Inputs
from napari_diffseg.core.gpu import regions
from napari_diffseg.core.gpu.arrays import in_memory
from napari_diffseg.core.gpu.spread import solve
from napari_diffseg.image.arrays import Floats, Integers
from napari_diffseg.numeric.labels import merge_small_regions
from napari_diffseg.numeric.leaves import Leaves, find_leaves, sides_of
from napari_diffseg.numeric.region_graph import RegionGraph

_GIVEN_FROM = 0.2  # share of a leaf that is painted
_AROUND_SCALE = 2.5  # what is around leaves varies less than they do
_LESS_SPREAD = 1.4  # how much less answers spread where the wide classifier has its share in them


@dataclass(frozen=True, eq=False)
class RegionMap:
    """Small regions along an image's boundaries, what is known of each, and who touches whom."""

    leaves: Leaves  # (z) y x, from 0
    graph: RegionGraph
    rows: NDArray[np.float32]  # (n, d), mean inputs of each leaf (`core.features`)

    @classmethod
    def of(cls, stage: Features, inputs: Inputs, valid: NDArray[np.bool_] | None) -> Self:
        """Cut a part of an image by its inputs; only valid pixels count."""
        strength = stage.strength(inputs)
        if isinstance(strength, Tensor):
            return cls._on_gpu(stage, inputs, strength, valid)
        leaves = find_leaves(strength, stage.space)
        counted = leaves.ravel() if valid is None else leaves[valid]
        areas = np.bincount(counted, minlength=int(leaves.max()) + 1).astype(np.float64)
        graph = RegionGraph.build(areas, sides_of(leaves, strength, stage.space))
        return cls(leaves, graph, stage.rows_of(inputs, leaves, valid))

    @classmethod
    def _on_gpu(
        cls, stage: Features, inputs: Inputs, strength: Tensor, valid: NDArray[np.bool_] | None
    ) -> Self:
        leaves = regions.find_leaves(strength, stage.space)
        areas = regions.areas_of(leaves, valid)
        on_gpu: Any = sides_of  # whose slices a tensor has too
        sums = regions.border_sums(on_gpu(leaves, strength, stage.space), len(areas))
        graph = RegionGraph.of_sums(areas, *sums, partial(solve, device=leaves.device))
        return cls(in_memory(leaves), graph, stage.rows_of(inputs, leaves, valid))

    @cached_property
    def wide_rows(self) -> Floats:
        """The inputs of each leaf, and beside them what is around it, ``(n, 2 d)``."""
        around = _AROUND_SCALE * self.graph.around(self.rows)
        return np.column_stack([self.rows, around.astype(np.float32)])

    def seen(self, wide: bool) -> Floats:
        """Return what a classifier sees of each leaf."""
        return self.wide_rows if wide else self.rows

    def answers(self, head: ClassHead) -> Floats:
        """Return what a classifier says of each leaf, before it spreads, ``(n, k)``."""
        found = head.of_rows(self.rows)
        if head.wide is None:
            return found
        return found + head.share * (head.wide.of_rows(self.wide_rows) - found)

    def painted(self, classes: Integers, n_classes: int) -> Integers:
        """Count the pixels of each leaf on which each class is painted, ``(n, k)``; −1 is none."""
        where = classes >= 0
        pairs = self.leaves[where].astype(np.int64) * n_classes + classes[where]
        n_leaves = len(self.rows)
        counts = np.bincount(pairs, minlength=n_leaves * n_classes)
        return counts.reshape(n_leaves, n_classes)

    def given(self, classes: Integers, n_classes: int) -> Integers:
        """Return the index of the class that each leaf is painted with; −1 where too little is."""
        return self.given_by(self.painted(classes, n_classes))

    def given_by(self, counts: Integers | Floats) -> Integers:
        """Return the class that most painted pixels of each leaf have, ``(n, k)`` → ``(n,)``.

        A leaf that a stroke only grazes is evidence, not given: −1.
        """
        enough = counts.sum(axis=1) >= np.maximum(_GIVEN_FROM * self.graph.areas, 1)
        found: Integers = np.where(enough, counts.argmax(axis=1), -1)
        return found

    def best(self, answers: Floats, min_size: int, valid: NDArray[np.bool_] | None) -> Integers:
        """Return the most probable class of every pixel, its index; small pieces join others."""
        found = answers.argmax(axis=1).astype(np.int16)[self.leaves]
        return merge_small_regions(found, min_size, valid)

    def spread(self, head: ClassHead, smoothness: float, given: Integers | None = None) -> Floats:
        """Return the probability of each class in each leaf, ``(n, k)``.

        The classifier's answers, spread over the leaves but not across boundaries
        (`numeric.region_graph`).
        """
        nothing = np.full(len(self.rows), -1)
        less = 1 - _LESS_SPREAD * head.share
        return self.graph.spread(
            self.answers(head), nothing if given is None else given, less * smoothness
        )
